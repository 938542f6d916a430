"""What a GPU gives and what harray makes of it, in one command that takes minutes.

    pose         frames/s of the detector (letterbox, network, suppression) beside the network alone, by batch
    extraction   clips/s with 1, 4 and 16 threads that decode; beside decoding alone and the networks alone
    actors       clips/s of 1, 2, 4 and 8 processes that share the device: the best `poses.gpus_per_actor`
    training     an epoch beside the bare loop
    agreement    joints, scene tokens and losses beside the CPU's

Every part runs in a process of its own. It needs no data: the videos are rendered, the clips to train on are drawn.
"""

import dataclasses
import functools
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harray.bench.gpu_parts import (
    Agreement,
    Extracting,
    actor_clips,
    agreement,
    device_name,
    extraction_rates,
    pose_rates,
)
from harray.bench.processes import new_process
from harray.bench.training import timed_request
from harray.bench.training_ways import bare_seconds, drawn_store, harray_seconds
from harray.config import with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.recipes import skeleton
from harray.reporting import Update, ignore
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import write_video

PARTS = ("pose", "extraction", "actors", "training", "agreement")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuSizes:
    """How much is measured."""

    num_videos: int = 8
    """Rendered; each is extracted again and again."""
    num_frames: int = 32
    """Of a clip."""
    num_clips: int = 96
    """Extracted in each way."""
    num_passes: int = 50
    """Of the pose network in each batch size."""
    batch_sizes: tuple[int, ...] = (32, 128)
    """Frames in a pass of the pose network."""
    decoding_threads: tuple[int, ...] = (1, 4, 16)
    """That read videos ahead of the networks."""
    num_actors: tuple[int, ...] = (1, 2, 4, 8)
    """Processes that share the device."""
    num_training_clips: int = 2048
    """Drawn, of two people."""
    num_epochs: int = 3
    """Counted, after one that warms up."""


SMALL = GpuSizes(
    num_videos=2,
    num_frames=4,
    num_clips=4,
    num_passes=2,
    batch_sizes=(4,),
    decoding_threads=(1, 2),
    num_actors=(1, 2),
    num_training_clips=24,
    num_epochs=1,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuBench:
    """What was measured; a part that failed is named with its reason, and the others stand.

    Attributes:
        pose_frames_per_sec: batch size -> `detector` and `network` -> frames/s.
        extraction_clips_per_sec: threads -> `extraction`, `decoding`, `networks` in clips/s.
        actor_clips_per_sec: processes on the device -> clips/s of all together.
        epoch_sec: `harray` and `bare` -> seconds.
    """

    device: str
    torch: str
    seconds: float
    pose_frames_per_sec: dict[int, dict[str, float]]
    extraction_clips_per_sec: dict[int, Extracting]
    actor_clips_per_sec: dict[int, float]
    epoch_sec: dict[str, float]
    agreement: Agreement | None
    failed: dict[str, str]

    @property
    def ratios(self) -> dict[str, float]:
        """Parts of what the hardware gives, by name; 1 is all of it."""
        found = {
            f"pose detector/network, batch {size}": rates["detector"] / rates["network"]
            for size, rates in self.pose_frames_per_sec.items()
        }
        found |= {
            f"extraction/networks, {threads} threads": each.extraction / each.networks
            for threads, each in self.extraction_clips_per_sec.items()
        }
        if self.epoch_sec:
            found["training bare/harray"] = self.epoch_sec["bare"] / self.epoch_sec["harray"]
        return found

    @property
    def gpus_per_actor(self) -> float | None:
        """The best `poses.gpus_per_actor`: the fewest processes within 3 % of the highest rate."""
        rates = self.actor_clips_per_sec
        enough = [count for count, rate in sorted(rates.items()) if rate >= 0.97 * max(rates.values())]
        return 1 / enough[0] if enough else None

    @property
    def lines(self) -> list[str]:
        """What was found, for people."""
        found = [f"{name} {value:.2f}" for name, value in self.ratios.items()]
        found += [
            f"extraction with {threads} decoding threads: {each.extraction:.1f} clips/s, decoding alone "
            f"{each.decoding:.1f}, networks alone {each.networks:.1f}: limited by {each.limited_by}"
            for threads, each in self.extraction_clips_per_sec.items()
        ]
        if self.gpus_per_actor:
            rates = ", ".join(f"{count}: {rate:.1f}" for count, rate in self.actor_clips_per_sec.items())
            found.append(f"best poses.gpus_per_actor {self.gpus_per_actor:g}; clips/s by processes: {rates}")
        if there := self.agreement:
            found.append(
                f"beside the CPU: {there.num_missed} of {there.num_people} people missed, joints "
                f"{there.joint_distance or 0:.4f} of the box height apart (median), tokens "
                f"{there.token_difference or 0:.1e}, loss {there.loss_difference:.1e}"
            )
        return found + [f"{part} failed: {reason}" for part, reason in self.failed.items()]

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "ratios": self.ratios, "gpus_per_actor": self.gpus_per_actor}


def bench_gpu(
    experiment: ExperimentConfig, device: str = "cuda", sizes: GpuSizes = GpuSizes(), update: Update = ignore
) -> GpuBench:
    """Measure.

    Args:
        experiment: its extraction, by whose weights it is measured.
        device: "cuda", or "cpu" to see whether the measurement itself works.
        update: told of parts done, parts in all, and what comes next.

    Raises:
        InputError: there is no such device.
    """
    started = time.perf_counter()
    found: dict[str, Any] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, new_process() as process:
        name, torch_version = process.submit(device_name, device).result()
        if not name:
            raise InputError(
                "this measurement needs a GPU, and torch finds none; run it where there is one, or with --device cpu"
            )
        update(0, len(PARTS) + 1, "rendering videos")
        videos = _rendered(Path(folder), sizes)
        parts = _parts(experiment, device, sizes, videos, Path(folder))
        for number, (part, measure) in enumerate(parts.items(), start=1):
            update(number, len(PARTS) + 1, part)
            try:
                found[part] = measure()
            except Exception as error:  # the other parts are worth having
                failed[part] = f"{type(error).__name__}: {error}"[:500]
    return GpuBench(
        device=name,
        torch=torch_version,
        seconds=time.perf_counter() - started,
        pose_frames_per_sec=found.get("pose", {}),
        extraction_clips_per_sec=found.get("extraction", {}),
        actor_clips_per_sec=found.get("actors", {}),
        epoch_sec=found.get("training", {}),
        agreement=found.get("agreement"),
        failed=failed,
    )


def _parts(
    experiment: ExperimentConfig, device: str, sizes: GpuSizes, videos: list[Path], folder: Path
) -> dict[str, Callable[[], Any]]:
    config = with_overrides(experiment.extraction, {"videos.num_frames": sizes.num_frames})
    paths = [str(videos[i % len(videos)]) for i in range(sizes.num_clips)]
    request = timed_request(folder / "store", skeleton(), sizes.num_epochs)
    request = with_overrides(request, {"learning.training.device": device})

    def elsewhere(work: Callable, *arguments: Any) -> Any:
        with new_process() as process:
            return process.submit(work, *arguments).result()

    def training() -> dict[str, float]:
        drawn_store(folder / "store", sizes.num_training_clips)
        return {
            "harray": elsewhere(harray_seconds, request)[0],
            "bare": elsewhere(bare_seconds, request)[0],
        }

    return {
        "pose": lambda: {
            size: elsewhere(pose_rates, config, device, size, sizes.num_passes) for size in sizes.batch_sizes
        },
        "extraction": lambda: {
            threads: elsewhere(extraction_rates, config, device, threads, paths)
            for threads in sizes.decoding_threads
        },
        "actors": lambda: {
            count: _together(count, functools.partial(actor_clips, config, device), paths)
            for count in sizes.num_actors
        },
        "training": training,
        "agreement": lambda: elsewhere(agreement, config, request, device),
    }


def _together(count: int, work: Callable[[list[str]], int], paths: list[str]) -> float:
    """Clips/s of so many processes at once; each is warm before the clock starts."""
    with ExitStack() as stack:
        processes = [stack.enter_context(new_process()) for _ in range(count)]
        for ready in [process.submit(work, paths[:1]) for process in processes]:
            ready.result()
        started = time.perf_counter()
        running = [process.submit(work, paths[i::count]) for i, process in enumerate(processes)]
        num_clips = sum(each.result() for each in running)
        return num_clips / (time.perf_counter() - started)


def _rendered(folder: Path, sizes: GpuSizes) -> list[Path]:
    specs = clip_specs(SynthConfig(clips_per_action=1, seed=1))[: sizes.num_videos]
    files = [folder / f"{number}.mp4" for number in range(len(specs))]
    for spec, file in zip(specs, files, strict=True):
        write_video(file, render_clip(spec, range(sizes.num_frames))[0])
    return files
