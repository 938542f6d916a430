"""How right live labels and timelines are, and how sure, on rendered clips of actors that the model never saw.

    python tests/live/live_accuracy.py MODEL [--clips 40] [--pairs 50] [--joined 125] [--sure 600] [--seed 0]

MODEL is a checkpoint folder of `harray demo` with as many clips as the demo takes by default; its test actors are
rendered anew. Prints one JSON object: how often the last live label is `predict`'s, labels of two who stand beside each
other, the timeline of clips joined with idle gaps (125 make ten minutes), and the calibration on clips of further
actors, more than the demo has for a test.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from harray.evaluation.calibration import calibration_report
from harray.inference import Predictor
from harray.live.recogniser import Recogniser
from harray.live.timeline import Segment, timeline
from harray.synth.clips import ClipSpec, clip_specs, render_clip
from harray.synth.config import FPS, HEIGHT_PX, WIDTH_PX, SynthConfig
from harray.synth.pairs import pairs_of, render_pair
from harray.synth.render import write_video
from harray.synth.scenes import background

CLIPS_PER_ACTION = 30  # of the demo
SCENES = ("room", "street", "gym", "field")
GRID_SEC = 0.04
MIN_PRECISION = 0.95
Span = tuple[float, float, str]  # start, end, label


def same_as_predict(recogniser: Recogniser, specs: Sequence[ClipSpec], folder: Path) -> dict[str, float]:
    """Shares of clips: live and `predict` agree, each is right."""
    found = []
    for spec in specs:
        write_video(folder / "clip.mp4", render_clip(spec)[0])
        labels = [
            track["label"]
            for step in recogniser.watch(str(folder / "clip.mp4"), own_speed=False)
            for track in step.view["tracks"][:1]
            if track["label"]
        ]
        live, whole = labels[-1:], recogniser.predictor.predict_video(folder / "clip.mp4").label
        found.append((live == [whole], live == [spec.label], whole == spec.label))
    agree, live_right, predict_right = np.mean(found, axis=0).round(3).tolist()
    return {
        "clips": len(found),
        "same_label": agree,
        "live_right": live_right,
        "predict_right": predict_right,
    }


def two_people(recogniser: Recogniser, specs: list[ClipSpec], count: int, folder: Path) -> dict[str, float]:
    """Shares of people: their last label is their own, the other's, or none."""
    found = []
    for pair in pairs_of(specs, count):
        write_video(folder / "two.mp4", render_pair(pair))
        said: dict[str, str | None] = {}
        for step in recogniser.watch(str(folder / "two.mp4"), own_speed=False):
            for track in step.view["tracks"]:
                if places := [joint[0] for joint in track["keypoints"] if joint]:
                    said["left" if np.median(places) < WIDTH_PX / 2 else "right"] = track["label"]
        for side, own, other in (("left", pair.left, pair.right), ("right", pair.right, pair.left)):
            label = said.get(side)
            found.append((label == own.label, label == other.label, label is None))
    own, other, none = np.mean(found, axis=0).round(3).tolist()
    return {"people": len(found), "own_label": own, "label_of_the_other": other, "unsure": none}


def joined(specs: Sequence[ClipSpec], path: Path, seed: int) -> list[Span]:
    """Clips with one to three idle seconds after each, in one film; who did what when."""
    rng, truth, num_frames = np.random.default_rng(seed), [], 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=round(FPS))
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "20", "threads": "1"}
        for number, spec in enumerate(specs):
            frames = render_clip(spec)[0]
            idle = [background(SCENES[number % len(SCENES)], np.random.default_rng(number))]
            truth.append((num_frames / FPS, (num_frames + len(frames)) / FPS, spec.label))
            for frame in [*frames, *idle * int(rng.integers(25, 75))]:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                num_frames += 1
        container.mux(stream.encode(None))
    return truth


def timeline_scores(predictor: Predictor, truth: Sequence[Span], path: Path) -> dict[str, float]:
    """Frame-wise accuracy, idle time that is left idle, segment F1 at an IoU of 0.5, and the speed."""
    started = time.monotonic()
    segments = timeline(predictor, path)
    took_sec, length_sec = time.monotonic() - started, truth[-1][1]
    grid = np.arange(0.0, length_sec, GRID_SEC)
    true_N, said_N = on_grid(truth, grid), on_grid(spans_of(segments, people=False), grid)
    return {
        "seconds": round(length_sec, 1),
        "frame_accuracy": round(float((true_N == said_N).mean()), 3),
        "idle_left_idle": round(float((said_N[true_N == ""] == "").mean()), 3),
        "f1_picture": round(f1(truth, spans_of(segments, people=False)), 3),
        "f1_people": round(f1(truth, spans_of(segments, people=True)), 3),
        "times_real_time": round(length_sec / took_sec, 1),
    }


def spans_of(segments: Iterable[Segment], *, people: bool) -> list[Span]:
    return [
        (each.start_sec, each.end_sec, each.label) for each in segments if (each.track is not None) == people
    ]


def on_grid(spans: Iterable[Span], grid: np.ndarray) -> np.ndarray:
    """The label at each time, "" where there is none."""
    labels = np.full(len(grid), "", object)
    for start, end, label in spans:
        labels[(grid >= start) & (grid < end)] = label
    return labels


def f1(truth: Sequence[Span], said: Sequence[Span]) -> float:
    """Of segments; each true one is found once, by one of its label that overlaps it with an IoU of 0.5 or more."""
    found: set[int] = set()
    for start, end, label in said:
        for number, (true_start, true_end, true_label) in enumerate(truth):
            overlap = min(end, true_end) - max(start, true_start)
            union = max(end, true_end) - min(start, true_start)
            if number not in found and label == true_label and overlap / union >= 0.5:
                found.add(number)
                break
    return 2 * len(found) / max(1, len(truth) + len(said))


def calibration(predictor: Predictor, count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Of `predict`'s answers about clips of actors beyond the demo's own."""
    num_actors = CLIPS_PER_ACTION + -(-count // len(predictor.classes))
    config = SynthConfig(clips_per_action=num_actors, num_actors=num_actors, seed=seed)
    beyond = [spec for spec in clip_specs(config) if spec.actor >= CLIPS_PER_ACTION]
    said = []
    for spec in beyond:
        write_video(folder / "clip.mp4", render_clip(spec)[0])
        probabilities = predictor.predict_video(folder / "clip.mp4").probabilities
        said.append([probabilities[label] for label in predictor.classes])
    labels_N = np.array([predictor.classes.index(spec.label) for spec in beyond])
    found = calibration_report(predictor.checkpoint.calibration, MIN_PRECISION, np.array(said), labels_N)
    return {"clips": len(beyond), "top1": float((np.argmax(said, 1) == labels_N).mean()), "said": found.line}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--joined", type=int, default=125)
    parser.add_argument("--sure", type=int, default=600, help="clips for the calibration")
    parser.add_argument("--seed", type=int, default=0, help="of the demo")
    asked = parser.parse_args()
    config = SynthConfig(clips_per_action=CLIPS_PER_ACTION, num_actors=CLIPS_PER_ACTION, seed=asked.seed)
    unseen = [spec for spec in clip_specs(config) if spec.split == "test"]
    shuffled = [unseen[i] for i in np.random.default_rng(0).permutation(len(unseen))]
    predictor = Predictor.load(asked.model, device="cpu")
    recogniser = Recogniser(predictor)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.clips:
            found["one"] = same_as_predict(recogniser, shuffled[: asked.clips], folder)
        if asked.pairs:
            found["two"] = two_people(recogniser, unseen, asked.pairs, folder)
        if asked.joined:
            film = [shuffled[number % len(shuffled)] for number in range(asked.joined)]
            truth = joined(film, folder / "long.mp4", asked.seed)
            found["timeline"] = timeline_scores(predictor, truth, folder / "long.mp4")
        if asked.sure:
            found["calibration"] = calibration(predictor, asked.sure, asked.seed, folder)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
