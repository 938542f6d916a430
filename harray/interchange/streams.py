"""The keypoint files of one import: the first names the clips, a second one may show the same clips in 2D or 3D.

Every step of an import goes over the streams, one or two of them, in this order.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harray.errors import InputError
from harray.interchange.annotations import Annotation
from harray.interchange.mapped import brought_to
from harray.interchange.pickles import SkeletonFile
from harray.skeleton import GENERIC, LAYOUTS, SkeletonLayout, layout_named, layout_of_size

FileReader = Callable[[Path], SkeletonFile]  # raises InputError where the file cannot be used


@dataclass(frozen=True)
class KeypointStream:
    """The keypoints of one file, all of one layout."""

    path: Path
    file: SkeletonFile
    layout: SkeletonLayout
    is_layout_named: bool  # by the file or by the user; otherwise it follows from the number of joints

    @functools.cached_property
    def by_frame_dir(self) -> dict[str, Annotation]:
        """The file's clips by name."""
        return {annotation.frame_dir: annotation for annotation in self.file.annotations}

    @property
    def num_values(self) -> int:
        """Of a joint in the store: its coordinates and its confidence."""
        return self.file.num_coordinates + 1


def read_streams(
    read: FileReader, first: Path, also: Path | None, skeleton: str | None
) -> tuple[KeypointStream, ...]:
    """Read and check the files of an import.

    Args:
        read: reads a file of the format at hand.
        also: the second file, with other keypoints of the first one's clips.
        skeleton: layout of the first, where the file names none.

    Raises:
        InputError: a file or its layout cannot be used, or the second does not fit the first (`check_fits`).
    """
    streams = [_stream(read, first.absolute(), skeleton)]
    if also is not None:
        streams.append(_stream(read, also.absolute(), None))
        check_fits(streams[1], streams[0])
    return tuple(streams)


def _stream(read: FileReader, path: Path, skeleton: str | None) -> KeypointStream:
    file = brought_to(path, read(path), skeleton)
    layout = file.layout or layout_of(path, file, skeleton)
    return KeypointStream(path, file, layout, is_layout_named=bool(file.skeleton or skeleton))


def check_fits(second: KeypointStream, first: KeypointStream) -> None:
    """Check that the second file has the first one's clips in other coordinates: 3D where those are 2D, or the reverse.

    Raises:
        InputError: it has as many coordinates, a clip in common with the first under another label, or none in
            common.
    """
    if second.file.num_coordinates == first.file.num_coordinates:
        raise InputError(
            f"{second.path}: its keypoints are {second.file.num_coordinates}D as those of {first.path}; "
            "--also takes 3D beside 2D, or the reverse"
        )
    common = [each for each in second.file.annotations if each.frame_dir in first.by_frame_dir]
    if not common:
        raise InputError(
            f"{second.path}: no frame_dir in common with {first.path}; name the same clips alike in both"
        )
    for annotation in common:
        if annotation.label != (label := first.by_frame_dir[annotation.frame_dir].label):
            raise InputError(
                f"{second.path}: {annotation.frame_dir} has label {annotation.label}, but {label} in {first.path}; "
                "mend one of them"
            )


def layout_of(path: Path, file: SkeletonFile, wanted: str | None) -> SkeletonLayout:
    """The layout that the file names, else the wanted one, else the usual one of as many joints and coordinates.

    A name that is not known here may be overruled, a known one may not. `generic` is the generic layout of as many
    joints as there are.

    Raises:
        InputError: an unknown layout, one with another number of joints, or two that contradict each other.
    """
    named, wanted = (
        f"{GENERIC}{file.num_joints}" if name == GENERIC else name for name in (file.skeleton, wanted)
    )
    if named in LAYOUTS and wanted not in (None, named):
        raise InputError(f"{path}: its skeleton is {named}, not {wanted}; leave --skeleton out")
    usual = layout_of_size(file.num_joints, file.num_coordinates)
    try:
        name = wanted or named
        layout = layout_named(name) if name else usual
    except InputError as error:
        like = f"--skeleton {GENERIC}{file.num_joints}"
        raise InputError(f"{path}: {error}; {like} takes its joints without bones") from error
    if layout.num_joints != file.num_joints:
        raise InputError(
            f"{path}: its keypoints have {file.num_joints} joints, but skeleton {layout.name} has "
            f"{layout.num_joints}; such a layout is --skeleton {usual.name}"
        )
    return layout
