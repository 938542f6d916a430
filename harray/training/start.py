"""A network that starts from another model's weights: by name, along joints, classes and people by theirs.

Scales and PCM's prior are measured on the new clips, as for every training; so is the scene's probe.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from harray.model.axes import Axes, named_axes
from harray.model.network import FusionNetwork
from harray.skeleton import SkeletonLayout
from harray.training.checkpoint import Checkpoint, load_checkpoint

SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """What a network has of another one's."""

    source: str = ""  # its checkpoint folder
    num_weights: int
    num_taken: int
    joints: tuple[int, int]  # of its joints, those the other model knows
    classes: tuple[int, int]
    new: tuple[str, ...]  # weights of which nothing was taken over
    partly: tuple[str, ...]
    old: frozenset[str] = frozenset()  # weights of which more than half was taken over

    def __str__(self) -> str:
        share = self.num_taken / max(1, self.num_weights)
        parts = [
            f"from {self.source}: {share:.0%} of {self.num_weights} weights are taken over",
            f"{self.joints[0]} of {self.joints[1]} joints and {self.classes[0]} of {self.classes[1]} classes by name",
        ]
        for what, names in (("in part", self.partly), ("new", self.new)):
            if names:
                more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
                parts.append(f"{what}: {', '.join(names[:SHOWN])}{more}")
        return "; ".join(parts)


def start_network(
    network: FusionNetwork, layouts: Sequence[SkeletonLayout | None], classes: Sequence[str], folder: Path
) -> TakenOver:
    """Take weights over from a checkpoint folder, in place.

    Raises:
        InputError: no checkpoint there.
    """
    taken = take_over(network, layouts, classes, load_checkpoint(folder))
    return replace(taken, source=str(folder))


def take_over(
    network: FusionNetwork,
    layouts: Sequence[SkeletonLayout | None],
    classes: Sequence[str],
    source: Checkpoint,
) -> TakenOver:
    """Copy every weight that has the same meaning in both; the others stay as they were drawn."""
    theirs = dict(source.network.named_parameters())
    axes = named_axes(network, layouts, classes)
    their_axes = named_axes(source.network, [source.skeleton, source.second_skeleton], source.classes)
    num_weights = num_taken = 0
    new, partly, old = [], [], []
    with torch.no_grad():
        for name, weight in network.named_parameters():
            num_weights += weight.numel()
            taken = _copied(
                weight, theirs.get(name), _pairs(name, weight, theirs.get(name), axes, their_axes)
            )
            num_taken += taken
            if not taken:
                new.append(name)
            elif taken < weight.numel():
                partly.append(name)
            if taken > weight.numel() / 2:
                old.append(name)
    first = layouts[0]
    joints = () if first is None else first.joints
    return TakenOver(
        num_weights=num_weights,
        num_taken=num_taken,
        joints=(len(set(joints) & set(source.skeleton.joints)), len(joints)),
        classes=(len(set(classes) & set(source.classes)), len(classes)),
        new=tuple(new),
        partly=tuple(partly),
        old=frozenset(old),
    )


def _pairs(
    name: str, weight: Tensor, other: Tensor | None, axes: Axes, their_axes: Axes
) -> list[tuple[Tensor, Tensor]] | None:
    """For each axis the places here and there that mean the same; None where the two are not alike."""
    if other is None or weight.dim() != other.dim():
        return None
    pairs = []
    for axis, (size, other_size) in enumerate(zip(weight.shape, other.shape, strict=True)):
        ours, known = axes.get(name, {}).get(axis), their_axes.get(name, {}).get(axis)
        if ours is None or known is None:
            if size != other_size:
                return None
            every = torch.arange(size)
            pairs.append((every, every))
            continue
        assert (len(ours), len(known)) == (size, other_size), name
        place = {key: number for number, key in enumerate(known)}
        both = [(number, place[key]) for number, key in enumerate(ours) if key in place]
        pairs.append(
            (
                torch.tensor([a for a, _ in both], dtype=torch.long),
                torch.tensor([b for _, b in both], dtype=torch.long),
            )
        )
    return pairs


def _copied(weight: Tensor, other: Tensor | None, pairs: list[tuple[Tensor, Tensor]] | None) -> int:
    """How many numbers were copied."""
    if other is None or pairs is None or not all(len(here) for here, _ in pairs):
        return 0
    if not pairs:
        weight.copy_(other)
        return 1
    here = torch.meshgrid(*(here for here, _ in pairs), indexing="ij")
    there = torch.meshgrid(*(there for _, there in pairs), indexing="ij")
    weight[here] = other[there].to(weight.device)
    return here[0].numel()
