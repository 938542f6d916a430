"""Train the embedded pose network from scratch on procedural frames, and score it on unseen actors.

    render_clip --few frames of many clips--> PoseFrames --make_batch--> network --losses--> weights + card

Plain torch around ultralytics' network and loss: its trainer would write settings, look for a hub and fetch
files. Letters: B frames of a batch, N people of a batch, K joints, H height, W width.
"""

import dataclasses
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from harray.errors import InputError
from harray.networks.runtimes import TorchNetwork
from harray.poses.config import EMBEDDED, PosesConfig
from harray.poses.detector import PoseDetector
from harray.poses.embedded import CARD_SUFFIX, EMBEDDED_WEIGHTS, build_pose_model
from harray.poses.network import PoseNetwork
from harray.poses.weights import prepare_ultralytics
from harray.rendered.accuracy import PoseAccuracy, frame_accuracy
from harray.rendered.limb_losses import DistanceLoss, JointMaps
from harray.rendered.training_frames import PoseFrames, make_batch, render_part
from harray.reporting import SILENT, Reporter, Update
from harray.synth.clips import ClipSpec, clip_specs, num_frames, render_clip
from harray.synth.config import SynthConfig

# A YOLOv8-pose cut down for large people in 320x240 frames: a stem of stride 4 and one head at stride 16.
ARCHITECTURE: dict[str, Any] = {
    "nc": 1,
    "kpt_shape": [17, 3],
    "scale": "x",
    "scales": {"x": [1.0, 1.0, 1024]},  # depth, width, most channels: as written below
    "backbone": [
        [-1, 1, "Conv", [24, 6, 4, 1]],
        [-1, 1, "C2f", [24, True]],
        [-1, 1, "Conv", [48, 3, 2]],
        [-1, 1, "C2f", [48, True]],
        [-1, 1, "Conv", [96, 3, 2]],
        [-1, 1, "C2f", [96, True]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "C2f", [128, True]],
        [-1, 1, "SPPF", [128, 5]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 5], 1, "Concat", [1]],
        [-1, 1, "C2f", [96]],
        [[11], 1, "Pose", ["nc", "kpt_shape"]],
    ],
}
LOSS_GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5, "pose": 60.0, "kobj": 1.0}  # ultralytics' but for the pose
MAPS_GAIN = 10.0
NUM_STATISTICS_FRAMES = 960
SEED_OFFSET, EVALUATION_OFFSET = 7_000_000, 9_000_000  # no set that a user renders shares these actors


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseTrainingConfig:
    """One training of the embedded weights."""

    seed: int = 0
    image_size: int = 160  # px, longer side
    clips_per_action: int = 110  # every clip with an actor of its own
    frames_per_clip: int = 4
    num_epochs: int = 20
    batch_size: int = 16
    learning_rate: float = 3e-3  # peak of the one-cycle schedule
    weight_decay: float = 0.01
    averaging_decay: float = 0.997  # per step, of the averaged weights that are kept
    num_evaluation_clips: int = 4  # per action, every second frame of complete clips


def train_pose_weights(
    out: Path,
    config: PoseTrainingConfig | None = None,
    reporter: Reporter = SILENT,
    command: str = "harray synth pose-weights OUT",
) -> dict[str, Any]:
    """Render, train, evaluate, and write weights and card; about ten minutes on two cores.

    Args:
        out: the folder for `pose_procedural.safetensors` (fp16) and its card `pose_procedural.yaml`; harray's own
            are in `harray/assets`.
        config: sizes and seed; the shipped weights' when None.
        command: what made the weights, for the card.

    Returns:
        The card.

    Raises:
        InputError: `out` is a file.
    """
    if out.is_file():
        raise InputError(f"{out}: found a file, expected a folder for weights and card; name another")
    out.mkdir(parents=True, exist_ok=True)
    config = config or PoseTrainingConfig()
    prepare_ultralytics()
    started = time.perf_counter()
    with reporter.stage("render"), reporter.progress("render", "clips") as update:
        frames = render_frames(config, update)
    with reporter.stage("train"), reporter.progress("train", "steps") as update:
        model = fit_network(frames, config, update)
    train_sec = time.perf_counter() - started
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})  # score what is stored
    with reporter.stage("evaluate"), reporter.progress("evaluate", "clips") as update:
        accuracy = evaluate_network(model, config, update)
    card = _card(config, command, accuracy, num_frames=len(frames.images_BHWC), train_sec=train_sec)
    _write(out / EMBEDDED_WEIGHTS.name, weights, card)
    return card


def training_specs(config: PoseTrainingConfig) -> list[ClipSpec]:
    """Clips to train on: an actor each, and more occluders and second people than usual."""
    synth = SynthConfig(
        clips_per_action=config.clips_per_action,
        num_actors=config.clips_per_action,
        seed=SEED_OFFSET + config.seed,
        occluder_share=0.3,
        second_person_share=0.35,
    )
    return [dataclasses.replace(spec, actor=i) for i, spec in enumerate(clip_specs(synth))]


def evaluation_specs(config: PoseTrainingConfig) -> list[ClipSpec]:
    """Clips of actors that no training saw."""
    count = config.num_evaluation_clips
    return clip_specs(
        SynthConfig(clips_per_action=count, num_actors=count, seed=EVALUATION_OFFSET + config.seed)
    )


def render_frames(config: PoseTrainingConfig, update: Update) -> PoseFrames:
    """A few frames of every training clip, scaled to the network's size."""
    specs, parts = training_specs(config), []
    jobs = [(spec, config.frames_per_clip, config.image_size, config.seed) for spec in specs]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for part in pool.map(render_part, jobs, chunksize=8):
            parts.append(part)
            update(len(parts), len(specs))
    offsets = np.cumsum([0] + [len(part.images_BHWC) for part in parts[:-1]])
    joined = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in dataclasses.fields(PoseFrames)
        if field.name != "frame_N"
    }
    frame = np.concatenate([part.frame_N + offset for part, offset in zip(parts, offsets, strict=True)])
    return PoseFrames(frame_N=frame, **joined)


def fit_network(frames: PoseFrames, config: PoseTrainingConfig, update: Update) -> Any:
    """Train from fresh weights; returns the averaged network in eval mode."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = build_pose_model(ARCHITECTURE)
    model.args = SimpleNamespace(**LOSS_GAINS, overlap_mask=False)
    averaged = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.averaging_decay)
    )
    steps = len(frames.images_BHWC) // config.batch_size
    maps = JointMaps(model)
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *maps.parameters()], lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=steps * config.num_epochs, pct_start=0.15
    )
    criterion = model.init_criterion()
    criterion.keypoint_loss = DistanceLoss()
    model.train().to(memory_format=torch.channels_last)
    for epoch in range(config.num_epochs):
        order = rng.permutation(len(frames.images_BHWC))
        for step in range(steps):
            batch = make_batch(frames, order[step * config.batch_size : (step + 1) * config.batch_size], rng)
            loss, _ = criterion(model(batch["img"]), batch)
            optimizer.zero_grad(set_to_none=True)
            (loss.sum() / config.batch_size + MAPS_GAIN * maps(batch)).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            averaged.update_parameters(model)
            update(epoch * steps + step + 1, steps * config.num_epochs)
    return _with_own_statistics(averaged.module, frames, rng).eval()


def _with_own_statistics(model: Any, frames: PoseFrames, rng: np.random.Generator) -> Any:
    """Recompute the batch normalisations' statistics: averaged weights make other activations than those that
    the running statistics saw, enough to lose every person after a short training."""
    chosen = rng.permutation(len(frames.images_BHWC))[:NUM_STATISTICS_FRAMES]
    batches = (
        torch.from_numpy(frames.images_BHWC[part]).permute(0, 3, 1, 2).float() / 255.0
        for part in np.array_split(chosen, -(-len(chosen) // 32))
    )
    torch.optim.swa_utils.update_bn(batches, model)
    return model


def evaluate_network(model: torch.nn.Module, config: PoseTrainingConfig, update: Update) -> PoseAccuracy:
    """Score every second frame of complete clips of unseen actors, at the detector's settings."""
    detector = PoseDetector(PosesConfig(weights=EMBEDDED, image_size=config.image_size, batch_size=16))
    detector.network = TorchNetwork(PoseNetwork(model), "cpu")
    specs, total = evaluation_specs(config), PoseAccuracy()
    for done, spec in enumerate(specs, 1):
        frames, truth = render_clip(spec, range(0, num_frames(spec), 2))
        for t, people in enumerate(detector.detect(frames)):
            total += frame_accuracy(people.boxes_N4, people.keypoints_NKC1, truth, t)
        update(done, len(specs))
    return total


def _card(
    config: PoseTrainingConfig, command: str, accuracy: PoseAccuracy, **numbers: float
) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "what": "YOLOv8-pose for the procedural videos of harray.synth, trained from scratch on them alone",
        "command": command,
        "date": date.today().isoformat(),
        "seed": config.seed,
        "image_size": config.image_size,
        "training": {**dataclasses.asdict(config), **{name: round(value) for name, value in numbers.items()}},
        "scores": {name: round(share, 4) for name, share in accuracy.shares().items()},
        "scored_on": f"{accuracy.num_clear} frames with a clear view of the actor, {accuracy.num_joints} visible "
        "joints of complete clips; no actor of these was trained on",
        "libraries": {
            name: version(name) for name in ("torch", "ultralytics", "numpy", "opencv-python-headless")
        },
        "architecture": ARCHITECTURE,
    }


def _write(out: Path, weights: dict[str, torch.Tensor], card: dict[str, Any]) -> None:
    import yaml
    from safetensors.torch import save

    out.write_bytes(save({name: tensor.contiguous() for name, tensor in weights.items()}))
    out.with_suffix(CARD_SUFFIX).write_text(yaml.safe_dump(card, sort_keys=False, width=110))
