"""Skeleton pickles as PYSKL (Duan et al. 2022) and MMAction2 define them, in and out.

    {"split": {name: [frame_dir, ...]}, "annotations": [annotation, ...]}     or the list alone, or one annotation

    annotation   frame_dir, total_frames, label (int), img_shape and original_shape (h, w) in px (3D: may lack),
                 keypoint [M, T, V, C], keypoint_score [M, T, V] (may lack)

What tools write otherwise, such as [x, y, score] in keypoint, is told by the numbers
(`harray.interchange.conventions`).

Keys of harray's own, which other readers pass over. At the top: `skeleton` (name of a layout), `layout` (joints and
bones of one that is none of harray's), `label_map` (class names),
`people_ranked` (the people of a clip stand in order of rank already). In an annotation: `frame_index` and
`frame_sec` [T], which frames of the video these are and when they were shown; `group`, where it is known.

Letters: M people, T frames, V joints, C coordinates (2 or 3).
"""

import dataclasses
import functools
import pickle
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harray.errors import InputError
from harray.interchange.annotations import Annotation, annotation_from, fields_of
from harray.interchange.conventions import to_ours
from harray.interchange.safe_pickle import ForbiddenPickle, PickledArray, load_plain
from harray.skeleton import SkeletonLayout, layout_from, to_data

PROTOCOL = 4  # Python 3.4 and later
FORMAT = "a skeleton pickle of PYSKL or MMAction2"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SkeletonFile:
    """A skeleton pickle; all its annotations have the same number of joints and coordinates, in our conventions."""

    annotations: list[Annotation]  # at least one
    splits: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # name -> frame_dirs
    skeleton: str | None = None  # name of a layout
    layout: SkeletonLayout | None = None  # the layout itself, where the file has one of its own
    label_map: tuple[str, ...] | None = None  # class names by label
    people_ranked: bool = False
    said: tuple[str, ...] = ()  # what was told by the numbers, a line each

    @property
    def num_joints(self) -> int:
        return self.annotations[0].keypoints_MTVC.shape[2]

    @property
    def num_coordinates(self) -> int:
        return self.annotations[0].keypoints_MTVC.shape[3]

    @functools.cached_property
    def origin_joints(self) -> list[int]:
        """Joints at which the coordinates of every frame start: always 0, and the others lie about them.

        Else 0 stands for what is missing.
        """
        starts = [_starts_of(each.keypoints_MTVC) for each in self.annotations if each.keypoints_MTVC.any()]
        return np.flatnonzero(np.all(starts, axis=0)).tolist() if starts else []


def _starts_of(keypoints_MTVC: np.ndarray) -> np.ndarray:
    """Bool `[V]`: joints of the first person present that are always 0, where the others mostly lie about them."""
    person = keypoints_MTVC[np.flatnonzero(keypoints_MTVC.any(axis=(1, 2, 3)))[0]]
    present_TVC = person[person.any(axis=(1, 2))].astype(np.float64)
    is_there = present_TVC.any(axis=-1, keepdims=True)
    low_TC = np.where(is_there, present_TVC, np.inf).min(axis=1)
    high_TC = np.where(is_there, present_TVC, -np.inf).max(axis=1)
    about_T = ((low_TC <= 0) & (high_TC >= 0)).all(axis=-1)
    return ~is_there.any(axis=(0, 2)) & (about_T.mean() > 0.5)


def read_skeletons(path: Path) -> SkeletonFile:
    """Read and check a whole skeleton pickle; nothing that it names is run.

    Raises:
        InputError: no such file, no pickle, one that holds more than arrays and plain containers, or fields that
            are missing or do not fit one another; annotation and field are named.
    """
    about = _top_level(path, _content(path))
    is_ours = about.get("people_ranked") is True
    annotations = [
        annotation_from(fields, f"{path}: annotation {number}", needs_size=not is_ours)
        for number, fields in enumerate(about["annotations"])
    ]
    _check_alike(path, annotations)
    annotations, said = to_ours(path, annotations)
    names = _names(path, about, "label_map") if about.get("label_map") is not None else None
    skeleton = about.get("skeleton")
    return SkeletonFile(
        annotations=annotations,
        splits=_splits(path, about.get("split") or {}, {each.frame_dir for each in annotations}),
        skeleton=None if skeleton is None else str(skeleton),
        label_map=names,
        layout=_own_layout(path, about.get("layout")),
        people_ranked=is_ours,
        said=tuple(said),
    )


def write_skeletons(path: Path, file: SkeletonFile) -> None:
    """Write a skeleton pickle that this project, PYSKL and MMAction2 read, with numpy 1 as well as 2."""
    content = {
        "split": file.splits,
        "annotations": [fields_of(annotation) for annotation in file.annotations],
        "skeleton": file.skeleton,
        "layout": None if file.layout is None else to_data(file.layout),
        "label_map": None if file.label_map is None else list(file.label_map),
        "people_ranked": file.people_ranked,
    }
    with path.open("wb") as stream:
        _PortablePickler(stream, protocol=PROTOCOL).dump(
            {key: value for key, value in content.items() if value is not None}
        )


class _PortablePickler(pickle.Pickler):
    """Writes arrays by numpy's public names; left alone, numpy 2 takes a private one that numpy 1 lacks."""

    def reducer_override(self, obj: Any) -> Any:
        return (np.ndarray, ((0,),), obj.__reduce__()[2]) if type(obj) is np.ndarray else NotImplemented


def _content(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {FORMAT}")
    try:
        with path.open("rb") as stream:
            return load_plain(stream)
    except ForbiddenPickle as error:
        raise InputError(
            f"{path}: refused, and nothing of it was run: it asks for {error}; {FORMAT} holds numpy arrays of "
            "numbers, lists, dicts and text only"
        ) from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: not a pickle, or a damaged one ({str(error)[:80]}); expected {FORMAT}"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _top_level(path: Path, content: Any) -> Mapping[str, Any]:
    """The file's dict; older files are a list of annotations, samples a single one."""
    if isinstance(content, list):
        content = {"annotations": content}
    elif isinstance(content, Mapping) and "annotations" not in content and "keypoint" in content:
        content = {"annotations": [content]}
    if not isinstance(content, Mapping) or not isinstance(content.get("annotations"), list | tuple):
        found = (
            f"the keys {', '.join(map(str, content))}"
            if isinstance(content, Mapping)
            else type(content).__name__
        )
        raise InputError(
            f"{path}: found {found[:80]}; expected {FORMAT}, with the keys split and annotations"
        )
    if not content["annotations"]:
        raise InputError(f"{path}: no annotations in it; expected one per clip")
    return content


def _check_alike(path: Path, annotations: list[Annotation]) -> None:
    name, count = Counter(each.frame_dir for each in annotations).most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{path}: frame_dir {name} stands there {count} times; give every annotation its own"
        )
    expected = annotations[0].keypoints_MTVC.shape[2:]
    for number, annotation in enumerate(annotations):
        if (found := annotation.keypoints_MTVC.shape[2:]) != expected:
            raise InputError(
                f"{path}: annotation {number} ({annotation.frame_dir}): keypoint: found {found} joints and "
                f"coordinates, expected {expected} as the first has; keep one skeleton per file"
            )


def _own_layout(path: Path, data: Any) -> SkeletonLayout | None:
    """A skeleton that the pickle brings with it, joints and bones."""
    if data is None:
        return None
    try:
        return layout_from("", {"joints": list(map(str, data["joints"])), "bones": data["bones"]})
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: layout: expected a dict of joints and bones ({error})") from error


def _splits(path: Path, split: Any, known: Collection[str]) -> dict[str, list[str]]:
    if not isinstance(split, Mapping):
        raise InputError(
            f"{path}: split: found {type(split).__name__}, expected a dict of frame_dirs by name"
        )
    splits = {str(name): list(_names(path, split, name)) for name in split}
    for name, members in splits.items():
        if strange := [member for member in members if member not in known]:
            raise InputError(
                f"{path}: split {name} names {strange[0]}, but no annotation has this frame_dir "
                f"({len(strange)} of {len(members)} names); mend the split or add the annotations"
            )
    return splits


def _names(path: Path, values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = values[key]
    names = np.asarray(value).tolist() if isinstance(value, PickledArray) else value
    if not isinstance(names, list | tuple | set) or not all(
        isinstance(name, str) and name.isprintable() for name in names
    ):
        raise InputError(f"{path}: {key}: found {type(value).__name__}, expected a list of names")
    return tuple(names)
