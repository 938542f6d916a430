"""Draws the README's animated picture: `uv run harray demo`, then `uv run python docs/animation.py`.

Rendered test clips in which something passes in front of the actor, as the demo's model sees them: visible joints in
colour, completed ones as orange rings, and above them what it recognises.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from harray.inference import Prediction, Predictor
from harray.inference.explain import while_present
from harray.inference.lettering import text_mask
from harray.inference.pictures import COMPLETED_RGB, draw_skeletons
from harray.skeleton import layout_named
from harray.synth.actions import ACTION_NAMES
from harray.synth.clips import ClipSpec, clip_specs, render_clip
from harray.synth.config import SynthConfig

TARGET = Path(__file__).parent / "_static" / "figures" / "demo.gif"
ACTIONS = ("dribble_ball", "swim_crawl", "lift_box")
CLIPS_PER_ACTION = 30  # of `harray demo`
TILE_PX, BAND_PX = (240, 180), 24
COLOURS, FRAME_MS = 96, 90


def tiles(model: Predictor, videos: Path, action: str) -> list[np.ndarray]:
    """The frames of the rightly recognised test clip of this action in which most joints were completed."""
    config = SynthConfig(clips_per_action=CLIPS_PER_ACTION, num_actors=CLIPS_PER_ACTION)
    specs = [s for s in clip_specs(config) if s.label == action and s.split == "test" and s.occluder]
    seen = [(spec, model.predict_video(videos / f"{spec.name}.mp4")) for spec in specs]
    spec, prediction = max(seen, key=lambda pair: (pair[1].label == action) * num_completed(pair[1]))
    return drawn(spec, prediction)


def num_completed(prediction: Prediction) -> int:
    """Hidden joints of frames in which the actor is visible."""
    visible_TK = prediction.clips.visible_NPTK[0, 0]
    return int((~visible_TK[visible_TK.any(axis=1)]).sum()) + 1


def drawn(spec: ClipSpec, prediction: Prediction) -> list[np.ndarray]:
    """Small frames with skeletons and the answer; drawn again without a video's noise, which a GIF cannot pack."""
    clips, features = prediction.clips, prediction.features
    assert features is not None and clips.completed_NPTKC is not None
    frames_THWC, _ = render_clip(spec, features.frame_index_T.tolist())
    people_PTKC = while_present(clips.completed_NPTKC[0], clips.visible_NPTK[0])
    skeleton, ink = layout_named("coco17"), text_mask(prediction.headline(), BAND_PX)
    frames = []
    for t, frame in enumerate(frames_THWC):
        picture = draw_skeletons(frame, people_PTKC[:, t], clips.visible_NPTK[0][:, t], skeleton)
        band = np.full((BAND_PX, TILE_PX[0], 3), 255, np.uint8)
        width = min(ink.shape[1], TILE_PX[0] - 8)
        band[:, 8 : 8 + width] = (255 * (1 - ink[:, :width, None])).astype(np.uint8)
        frames.append(np.concatenate([band, cv2.resize(picture, TILE_PX, interpolation=cv2.INTER_AREA)]))
    return frames


def main(demo: Path) -> None:
    checkpoint = max(demo.glob("runs/*/checkpoint"), key=lambda path: path.stat().st_mtime)
    model = Predictor.load(checkpoint)
    assert set(ACTIONS) <= set(ACTION_NAMES)
    rows = zip(*(tiles(model, demo / "videos", action) for action in ACTIONS), strict=True)
    frames = [np.concatenate(row, axis=1) for row in rows]
    orange = np.full_like(frames[0], COMPLETED_RGB)  # has few pixels, and must have a colour of its own
    palette = Image.fromarray(np.concatenate([*frames, orange])).quantize(COLOURS, dither=Image.Dither.NONE)
    shown = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    shown[0].save(TARGET, save_all=True, append_images=shown[1:], duration=FRAME_MS, loop=0)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "harray-demo"))
