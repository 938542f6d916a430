"""Render a set of clips into a folder: videos, manifest and truth.

OUT/<action>/<clip>.mp4     320x240, 25 fps, H.264
OUT/manifest.csv            path (relative to OUT), label, group (the actor), split, dataset
OUT/truth/<action>/<clip>.npz
OUT/synth.yaml              the config; rendering the same config again renders nothing
"""

import csv
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from harray.config import dump, load
from harray.errors import InputError
from harray.files import write_atomically
from harray.reporting import SILENT, Reporter
from harray.synth.actions import ACTION_NAMES
from harray.synth.clips import ClipSpec, clip_specs, render_clip
from harray.synth.config import FPS, HEIGHT_PX, WIDTH_PX, SynthConfig
from harray.synth.truth import save_truth

DATASET = "procedural"
MANIFEST_NAME, CONFIG_NAME, TRUTH_FOLDER = "manifest.csv", "synth.yaml", "truth"


@dataclass(frozen=True, kw_only=True)
class RenderSummary:
    """What a call of `render_dataset` did."""

    manifest: Path
    num_clips: int
    num_rendered: int  # fewer than num_clips where an earlier call had rendered them
    num_actions: int
    splits: dict[str, int]  # clips per split
    seconds: float

    @property
    def clips_per_sec(self) -> float:
        return self.num_rendered / self.seconds if self.seconds else 0.0


def render_dataset(
    out: Path,
    config: SynthConfig,
    reporter: Reporter = SILENT,
    num_workers: int | None = None,
) -> RenderSummary:
    """Render every clip of `config` into `out`, with the same result for any number of workers.

    Args:
        out: a new or empty folder, or one that holds (part of) the same set, which is completed.
        config: what to render.
        num_workers: processes; the machine's cores when None.

    Raises:
        InputError: a config that cannot give every action every split, or a folder with something else in it.
    """
    started = time.perf_counter()
    _check(out := Path(out), config)
    out.mkdir(parents=True, exist_ok=True)
    dump(config, out / CONFIG_NAME)
    specs = clip_specs(config)
    missing = [spec for spec in specs if not video_path(out, spec).exists()]
    for name in ACTION_NAMES:
        (out / name).mkdir(exist_ok=True)
        (out / TRUTH_FOLDER / name).mkdir(parents=True, exist_ok=True)
    num_done = len(specs) - len(missing)
    with reporter.progress("rendering", "clips") as update:
        for _ in _in_processes(missing, out, num_workers or os.cpu_count() or 1):
            num_done += 1
            update(num_done, len(specs))
    _write_manifest(out, specs)
    splits = {split: sum(spec.split == split for spec in specs) for split in ("train", "val", "test")}
    return RenderSummary(
        manifest=out / MANIFEST_NAME,
        num_clips=len(specs),
        num_rendered=len(missing),
        num_actions=len(ACTION_NAMES),
        splits=splits,
        seconds=time.perf_counter() - started,
    )


def video_path(out: Path, spec: ClipSpec) -> Path:
    return out / f"{spec.name}.mp4"


def truth_path(out: Path, spec: ClipSpec) -> Path:
    return out / TRUTH_FOLDER / f"{spec.name}.npz"


def truth_of_video(video: Path) -> Path:
    """Where the truth of a video lies, if a rendered set holds it: OUT/truth/ACTION/CLIP.npz of OUT/ACTION/CLIP.mp4."""
    return video.parent.parent / TRUTH_FOLDER / video.parent.name / f"{video.stem}.npz"


def write_video(path: Path, frames_THWC: np.ndarray) -> None:
    """Encode RGB uint8 frames; the file appears under its name only when it is complete."""
    import av

    def encode(part: Path) -> None:
        with av.open(str(part), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=round(FPS))
            stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
            stream.options = {"preset": "ultrafast", "crf": "20", "threads": "1"}
            for frame in frames_THWC:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())

    write_atomically(path, encode)


def _check(out: Path, config: SynthConfig) -> None:
    if config.clips_per_action < 3 or config.num_actors < 3:
        raise InputError(
            f"clips_per_action={config.clips_per_action}, num_actors={config.num_actors}: expected at least 3 of "
            "each, so that every action has clips in train, val and test with different actors; raise them"
        )
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out}: found a file, expected a folder to render into; name another")
    if (out / CONFIG_NAME).is_file():
        if load(SynthConfig, out / CONFIG_NAME) != config:
            raise InputError(
                f"{out}: holds videos of other settings ({CONFIG_NAME}); name another folder or empty it"
            )
    elif any(out.iterdir()):
        raise InputError(
            f"{out}: not empty and not a rendered set; expected a new or empty folder, name another"
        )


def _in_processes(specs: list[ClipSpec], out: Path, num_workers: int):
    """Render the specs, yielding after each clip."""
    if num_workers == 1 or len(specs) <= 2:
        for spec in specs:
            yield _render_one(spec, out)
        return
    # spawn: a forked child would inherit the locks of whatever threads (torch, Ray) the caller runs.
    with ProcessPoolExecutor(min(num_workers, len(specs)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(_render_one, specs, [out] * len(specs), chunksize=2)


def _render_one(spec: ClipSpec, out: Path) -> None:
    frames, truth = render_clip(spec)
    save_truth(truth, truth_path(out, spec))
    write_video(video_path(out, spec), frames)


def _write_manifest(out: Path, specs: list[ClipSpec]) -> None:
    with (out / MANIFEST_NAME).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "group", "split", "dataset"])
        for spec in specs:
            writer.writerow([f"{spec.name}.mp4", spec.label, f"actor{spec.actor:03d}", spec.split, DATASET])
