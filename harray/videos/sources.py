"""Which videos there are, and what is known of each: a manifest from a folder, a csv or a dataset's own layout."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

from harray.errors import InputError
from harray.videos.datasets import DATASETS
from harray.videos.datasets.asked import Asked, Found, with_frame_folders
from harray.videos.datasets.lists import is_list
from harray.videos.files import is_uri, remote_info, stamp_of
from harray.videos.frame_folders import FEWEST, frame_files
from harray.videos.layout import guess_layout, notes_of, parse_layout, rows_of
from harray.videos.listing import Listing, left_out_line, manifest_table
from harray.videos.manifest_csv import joined, read_manifest
from harray.videos.named_groups import derive_groups
from harray.videos.segmented import SegmentsWanted, list_segments
from harray.videos.segments import part_of
from harray.videos.tree import Tree, tree_below

__all__ = ["list_videos", "manifest_table", "survey", "videos_among"]

MANIFEST_NAME = "manifest.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
    """What goes with a source beside its videos."""

    protocol: str | None = None
    """Which official splits of a data set become train and test: xsub, xview, xset, 1, 2, 3; None: all by their "
    "names."""
    classes: Path | None = None
    """Names of classes, for lists and segments that number them."""
    segments: Path | None = None
    """File that says which parts of the videos show what."""
    tier: str | None = None
    """Of an ELAN file, the only tier to take."""
    fps: float | None = None
    """Frames per second of folders of pictures, and of files of segments that count frames."""


def survey(
    source: Path | str,
    dataset: str | None = None,
    splits_dir: Path | str | None = None,
    layout: str | None = None,
    on_found: Callable[[int], None] = lambda found: None,
    beside: Beside | None = None,
) -> Listing:
    """The videos of a source with what was understood of it; paths are absolute or URIs, and need not exist.

    Args:
        source: a csv; a folder with a manifest.csv; a folder of class folders (below or above folders of splits
            where it has these, see `layout`); or the root of `dataset`. A csv or folder may be remote, as a URI.
        dataset: None, or one of `harray.videos.datasets.DATASETS`.
        splits_dir: the folder of the dataset's official split lists.
        layout: what the levels of folders below the source are, such as "split/class"; None to tell by their names.
        on_found: called with the number of videos found in a folder so far, now and then.

    Raises:
        InputError: nothing at `source`, nothing in it, folders that are not understood, or a csv that is not what
            its header says.
    """
    source = str(source) if is_uri(source) else os.path.abspath(source)
    beside = beside or Beside()
    is_folder = _is_folder(source, "name a folder of class folders or a manifest.csv")
    if dataset not in (None, *DATASETS):
        raise InputError(
            f"dataset {dataset!r}: expected one of {', '.join(DATASETS)}; others go through a manifest.csv"
        )
    _check_beside(beside, dataset)
    if splits_dir is not None and dataset is None:
        raise InputError(
            f"split lists {splits_dir}: they need a dataset; add --dataset, such as ucf101, or leave them out"
        )
    manifest = joined(source, MANIFEST_NAME)
    has_manifest = dataset is None and is_folder and stamp_of(manifest) is not None
    if layout is not None and (dataset or has_manifest or not is_folder):
        what = f"the dataset {dataset}" if dataset else manifest if has_manifest else source
        raise InputError(
            f"--layout {layout}: it is for folders, and {what} says by itself what is what; leave it out"
        )
    asked = Asked(
        root=Path(source),
        lists=None if splits_dir is None else Path(splits_dir),
        protocol=beside.protocol,
        classes=beside.classes,
        fps=beside.fps,
        on_found=on_found,
    )
    if dataset is not None or (not is_folder and not is_uri(source) and is_list(Path(source))):
        return DATASETS[dataset or "lists"](asked)
    if beside.segments is not None:
        return _of_segments(source, is_folder, beside, on_found)
    if not is_folder and source.lower().endswith(".json"):
        raise InputError(
            f"source {source}: a JSON file is no list of videos; give the videos' folder, and the file by "
            "--segments where it "
            "names parts of them, or write a manifest.csv with path,label"
        )
    if not is_folder:
        return read_manifest(source)
    if has_manifest:
        return read_manifest(manifest)
    return _of_folders(tree_below(source, on_found), layout, beside.fps)


def list_videos(
    source: Path | str,
    dataset: str | None = None,
    splits_dir: Path | str | None = None,
    on_found: Callable[[int], None] | None = None,
) -> pa.Table:
    """The manifest alone of `survey`, sorted by path."""
    return survey(source, dataset, splits_dir, on_found=on_found or (lambda found: None)).manifest


def videos_among(names: Iterable[str], on_message: Callable[[str], None] = lambda message: None) -> list[str]:
    """Files as they are, folders as the videos in them, sorted; by path or URI.

    Args:
        on_message: called with a line for each folder in which something was left out.

    Raises:
        InputError: nothing of that name, or a folder without videos.
    """
    videos: list[str] = []
    for name in names:
        if (
            not _is_folder(part_of(name).file, "give videos or folders of videos")
            or part_of(name).file != name
        ):
            videos.append(name)
            continue
        tree = tree_below(name)
        if (
            not tree.videos
            and not is_uri(name)
            and len(frame_files(name)) >= FEWEST
            and len(tree.left_out) == 1
        ):
            on_message(f"{name}: its {len(frame_files(name))} numbered pictures are taken as one video")
            videos.append(name)
            continue
        if not tree.videos:
            raise InputError(f"folder {name}: no videos in it{_but(tree)}")
        if tree.left_out:
            on_message(f"left out of {name}: {left_out_line(tree.left_out)}")
        videos += sorted(map(tree.full, tree.videos))
    return videos


def _check_beside(beside: Beside, dataset: str | None) -> None:
    """Raises InputError: options that do not go together."""
    if beside.protocol is not None and dataset is None:
        raise InputError(f"--protocol {beside.protocol}: it is of a dataset; add --dataset, such as ntu60")
    if beside.segments is not None and dataset is not None:
        raise InputError(
            f"--segments {beside.segments}: a dataset has its own lists; leave --dataset {dataset} out"
        )
    if beside.tier is not None and beside.segments is None:
        raise InputError(f"--tier {beside.tier}: it is of a file of segments; add --segments FILE.eaf")
    if beside.fps is not None and not 0 < beside.fps < 1000:
        raise InputError(f"--frame-rate {beside.fps:g}: expected frames per second, such as 25")
    for path in (beside.classes, beside.segments):
        if path is not None and not path.is_file():
            raise InputError(f"{path}: no such file")


def _of_segments(source: str, is_folder: bool, beside: Beside, on_found: Callable[[int], None]) -> Listing:
    folder = source if is_folder else os.path.dirname(source)
    found = with_frame_folders(tree_below(folder, on_found), beside.fps)
    if not is_folder:
        name = os.path.basename(source)
        found = Found(tree=found.tree, paths=[path for path in found.paths if path == name], fps=beside.fps)
    assert beside.segments is not None
    wanted = SegmentsWanted(file=beside.segments, fps=beside.fps, tier=beside.tier, classes=beside.classes)
    return list_segments(found, wanted)


def _of_folders(there: Tree, layout: str | None, fps: float | None) -> Listing:
    """Raises InputError: no videos, none in a class folder, or folders that are not understood."""
    found = with_frame_folders(there, fps)
    tree, source = found.tree, there.folder
    folders = [tuple(path.split("/")[:-1]) for path in found.paths]
    levels = guess_layout(source, set(folders)) if layout is None else parse_layout(layout)
    rows = rows_of([found.full(path) for path in found.paths], folders, levels, source)
    if not any(row["label"] for row in rows):
        what = f"{len(rows)} videos without a class folder" if there.videos else f"no videos{_but(there)}"
        raise InputError(
            f"source {source}: {what}; expected class folders with videos in them, such as "
            f"{os.path.basename(source)}/run/1.mp4, or a manifest.csv with the columns path,label"
        )
    derived = derive_groups(rows)
    return Listing(
        manifest=manifest_table(rows),
        read_as=f"folders {'/'.join(levels)}",
        left_out=tree.left_out,
        without_videos=tree.without_videos,
        notes=[*found.notes(), *derived, *notes_of(source, folders, levels, is_guess=layout is None)],
    )


def _but(tree: Tree) -> str:
    return f" (there are {left_out_line(tree.left_out)})" if tree.left_out else ""


def _is_folder(source: str, advice: str) -> bool:
    """Raises InputError: nothing is there."""
    if is_uri(source):
        try:
            info = remote_info(source)
        except OSError as error:
            raise InputError(
                f"source {source}: cannot be asked for ({str(error).splitlines()[0]})"
            ) from error
        exists, is_folder = info.type.name != "NotFound", not info.is_file
    else:
        exists, is_folder = os.path.exists(source), os.path.isdir(source)
    if not exists:
        raise InputError(f"source {source}: no such file or folder; {advice}")
    return is_folder
