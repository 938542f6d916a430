"""The labels of an import as text: numbers of the file, and the names of the classes that they stand for."""

from collections.abc import Sequence
from pathlib import Path

from harray.errors import InputError
from harray.interchange.pickles import SkeletonFile


def class_names(path: Path, file: SkeletonFile, labels: Path | None) -> tuple[str, ...] | None:
    """Names of the classes, from the file's own map or from a file of lines; None where there are none.

    Raises:
        InputError: no such file, or a map too many.
    """
    if labels is None:
        return file.label_map
    if file.label_map is not None:
        raise InputError(f"{path}: it has a label_map of its own; leave --labels out")
    return tuple(_lines(labels))


def labels_of(
    path: Path, file: SkeletonFile, names: Sequence[str] | None, source: object = "label_map"
) -> tuple[list[str | None], list[str]]:
    """The label of every annotation as text: its name or, without names, its number; and what is to be said of it.

    Labels from 1 to the number of names count from 1. A clip without a label has None.

    Raises:
        InputError: a label that the names, which are from `source`, do not reach.
    """
    given = [annotation.label for annotation in file.annotations]
    numbers = [label for label in given if isinstance(label, int)]
    if names is None or len(numbers) < len(given):
        texts = [None if label is None else str(label) for label in given]
        says = f"{texts.count(None)} of {len(texts)} clips have no label; "
        says += "--labels takes a csv with name,label or class folders"
        return texts, [says] if None in texts else []
    messages, first = [], 0
    if min(numbers) == 1:
        if max(numbers) == len(names):
            first = 1
            messages = [f"labels run from 1 to {len(names)}, the number of class names: counted from 1"]
        else:
            messages = [f"no clip has label 0, {names[0]}; if labels count from 1, make them count from 0"]
    for number, annotation in enumerate(file.annotations):
        if numbers[number] - first >= len(names):
            raise InputError(
                f"{path}: annotation {number} ({annotation.frame_dir}): label: found {annotation.label}, expected "
                f"less than {len(names)}, the number of class names in {source}"
            )
    return [names[number - first] for number in numbers], messages


def _lines(labels: Path) -> list[str]:
    try:
        names = [line.strip() for line in labels.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"labels {labels}: not a readable text file; expected one class name per line"
        ) from error
    if "" in names:
        raise InputError(
            f"labels {labels}: line {names.index('') + 1} is empty; expected one class name per line"
        )
    return names
