"""Clips of another data set as a model knows them: its classes by a map of names, its joints by theirs.

map.csv: label,class      a label of the store, and the model's class that means the same; no class: left out
labels of the same name   need no row
"""

import csv
import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harray.errors import InputError
from harray.features.tensors import ClipTensors
from harray.skeleton import SkeletonLayout, places_in

COLUMNS = ["label", "class"]
FEWEST_JOINTS = 3  # that both layouts must have
SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class ClassMap:
    """What of a split can be compared with a model's answers, and what cannot."""

    classes: Mapping[str, str]
    """By label; labels of the same name as a class are among them."""
    left_out: Mapping[str, int]
    """Clips of each label that no class stands for."""
    unused: tuple[str, ...]
    """Classes that no compared clip is of; an answer by one of them is wrong."""
    absent_joints: tuple[str, ...] = ()
    """Joints of the model's layout that the store lacks; they count as hidden."""

    @property
    def lines(self) -> list[str]:
        """What is compared, for people."""
        pairs = [label if label == name else f"{label} as {name}" for label, name in self.classes.items()]
        said = [f"compared: {_shown(pairs)}"]
        if self.left_out:
            counts = [f"{label} ({count})" for label, count in self.left_out.items()]
            said.append(
                f"not compared, {sum(self.left_out.values())} clips of labels without a class: {_shown(counts)}"
            )
        if self.unused:
            said.append(f"classes that no clip is of, wrong answers all: {_shown(self.unused)}")
        if self.absent_joints:
            said.append(f"joints that the store lacks, hidden to the model: {_shown(self.absent_joints)}")
        return said


def read_class_map(file: str | Path) -> dict[str, str]:
    """Classes by label, "" for those to leave out, from a csv with the columns label and class.

    Raises:
        InputError: no such file, other columns, or a label with two classes.
    """
    file = Path(file)
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"--classes {file}: {error}; expected a csv of {','.join(COLUMNS)}") from error
    if not rows or rows[0] != COLUMNS:
        found = ",".join(rows[0]) if rows else "nothing"
        raise InputError(f"--classes {file}: it begins with {found}; expected {','.join(COLUMNS)}")
    classes: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) != len(COLUMNS):
            raise InputError(f"--classes {file}: {','.join(row)!r} is no row; expected {','.join(COLUMNS)}")
        label, name = row
        if classes.setdefault(label, name) != name:
            raise InputError(
                f"--classes {file}: {label!r} stands for {classes[label]!r} and for {name!r}; keep one row"
            )
    return classes


def compared(
    given: Mapping[str, str], labels: Sequence[str | None], known: Sequence[str], classes: Sequence[str]
) -> ClassMap:
    """Match the labels of a split's clips to a model's classes.

    Args:
        given: classes by label, as of `read_class_map`.
        labels: of the clips; None where a clip has none.
        known: every label of the store.

    Raises:
        InputError: a label or a class that does not exist, or nothing that can be compared.
    """
    if strange := sorted(set(given) - set(known)):
        raise InputError(
            f"--classes: the store has no label {_shown(strange)}; its labels: {_shown(sorted(known))}"
        )
    if strange := sorted(set(given.values()) - {"", *classes}):
        raise InputError(
            f"--classes: the model has no class {_shown(strange)}; its classes: {_shown(classes)}"
        )
    counts = Counter(label for label in labels if label is not None)
    meant = {label: given.get(label, label if label in classes else "") for label in sorted(counts)}
    found = {label: name for label, name in meant.items() if name}
    if not found:
        raise InputError(
            f"no label is a class of the model: the clips have {_shown(sorted(counts))}, the model "
            f"{_shown(classes)}; name pairs in a csv of {','.join(COLUMNS)} by --classes"
        )
    return ClassMap(
        classes=found,
        left_out={label: counts[label] for label, name in meant.items() if not name},
        unused=tuple(name for name in classes if name not in found.values()),
    )


def as_known(clips: ClipTensors, found: ClassMap, classes: Sequence[str]) -> ClipTensors:
    """Clips with the model's class for a label; those that are not compared are left out."""
    number = {name: place for place, name in enumerate(classes)}
    of_label = torch.tensor([number.get(found.classes.get(label, ""), -1) for label in clips.classes])
    labels_N = torch.where(clips.labels_N >= 0, of_label[clips.labels_N], -1)
    kept = (labels_N >= 0).nonzero().squeeze(1)
    return dataclasses.replace(clips, labels_N=labels_N, classes=tuple(classes)).select(kept)


def in_layout(clips: ClipTensors, layout: SkeletonLayout) -> tuple[ClipTensors, tuple[str, ...]]:
    """Clips by the joints of another layout, and those of its joints that they lack: these are hidden.

    Raises:
        InputError: layouts that have hardly a joint in common.
    """
    places = places_in(clips.skeleton, layout)
    absent = tuple(joint for joint, place in zip(layout.joints, places, strict=True) if place is None)
    if layout.num_joints - len(absent) < FEWEST_JOINTS:
        raise InputError(
            f"the store's skeletons, {clips.skeleton.name}, have {layout.num_joints - len(absent)} joints of the "
            f"model's {layout.name}, too few to compare"
        )
    order = torch.tensor([place or 0 for place in places])
    is_absent = torch.tensor([place is None for place in places])
    return dataclasses.replace(
        clips,
        keypoints_NPTKC=clips.keypoints_NPTKC[..., order, :],
        confidence_NPTK=clips.confidence_NPTK[..., order].masked_fill(is_absent, 0.0),
        skeleton=layout,
    ), absent


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
