"""What lies below a folder, on a disk or in a bucket: the videos, and by reason everything that is left out."""

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Literal

from harray.errors import InputError
from harray.videos.files import is_uri, remote

# What FFmpeg reads under the names that cameras, editors, recorders and the web give; a file that turns out to be
# something else is quarantined with its reason, which is better than a class that vanishes.
ENDINGS = """
    264 265 3g2 3gp 3gp2 3gpp amv asf avi avs2 avs3 dav dif divx dv evo f4v flv gif gxf h261 h263 h264 h265 hevc
    insv ismv ivf m1v m2p m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv mod mov mp4 mp4v mpe mpeg mpg mpv mts mxf nsv
    nut ogg ogm ogv qt rm rmvb roq tod tp trp ts vob vro webm wmv wtv xvid y4m
"""
VIDEO_SUFFIXES = frozenset(f".{ending}" for ending in ENDINGS.split())
HIDDEN = "hidden"  # reasons beside the endings
TWICE = "reached twice through links"
NO_ENDING = "no ending"
SYSTEM_FOLDERS = frozenset(("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"))
TOLD_EVERY = 1000  # videos

TreeEntry = tuple[
    str, Literal["file", "folder", "link"]
]  # path below the folder; a link to a folder listed already


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tree:
    """What was found below a folder; every file is either a video or left out.

    Attributes:
        folder: path or URI, without a slash at its end.
        videos: paths below the folder.
        left_out: why (an ending such as ".txt", or HIDDEN, TWICE, NO_ENDING) -> paths below the folder; what is
            hidden or reached twice may be a whole folder, which then ends in a slash.
        without_videos: folders that hold no video at any depth, the topmost of each such branch.
    """

    folder: str
    videos: list[str]
    left_out: dict[str, list[str]]
    without_videos: list[str]

    def full(self, path: str) -> str:
        """Path or URI of what lies below the folder."""
        return f"{self.folder}/{path}"


def tree_below(folder: str, on_found: Callable[[int], None] = lambda found: None) -> Tree:
    """List a folder; links are followed, each folder is entered once, what is hidden is not looked into.

    A name that is no Unicode text comes with its odd bytes written out, and so will not be found again.

    Args:
        on_found: called with the number of videos found so far, now and then and at the end.

    Raises:
        InputError: a folder that cannot be listed.
    """
    root = folder.rstrip("/") or "/"
    videos: list[str] = []
    left_out: dict[str, dict[str, None]] = {}
    folders: set[str] = set()
    for path, kind in _remote_entries(root) if is_uri(root) else _local_entries(root):
        if hidden := _hidden_part(path, kind == "folder"):
            left_out.setdefault(HIDDEN, {})[hidden] = None
        elif kind == "folder":
            folders.add(path)
        elif kind == "link":
            left_out.setdefault(TWICE, {})[f"{path}/"] = None
        elif (ending := PurePosixPath(path).suffix.lower()) in VIDEO_SUFFIXES:
            videos.append(path)
            if len(videos) % TOLD_EVERY == 0:
                on_found(len(videos))
        else:
            left_out.setdefault(ending or NO_ENDING, {})[path] = None
    on_found(len(videos))
    return Tree(
        folder=_readable(root.removesuffix("/")),
        videos=videos,
        left_out={why: list(paths) for why, paths in left_out.items()},
        without_videos=_without_videos(folders, videos),
    )


def _without_videos(folders: set[str], videos: list[str]) -> list[str]:
    holding = {"", *(parent for path in videos for parent in _parents(path))}
    return sorted(path for path in folders if path not in holding and path.rpartition("/")[0] in holding)


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _hidden_part(path: str, is_folder: bool) -> str | None:
    """The topmost hidden folder, with a slash, or the hidden file itself."""
    parts = path.split("/")
    for depth, part in enumerate(parts, 1):
        if _is_hidden(part):
            return "/".join(parts[:depth]) + "/" * (depth < len(parts) or is_folder)
    return None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_FOLDERS


def _local_entries(root: str) -> Iterator[TreeEntry]:
    """Real folders first, then what links lead to, so that of two ways to a folder its own name rules."""
    entered: set[str] = set()
    waiting = deque([root])
    while waiting:
        for parent, folders, files in os.walk(waiting.popleft(), onerror=_refuse_unlisted):
            if parent != root:
                real = os.path.realpath(parent)
                yield _below(root, parent), "link" if real in entered else "folder"
                if real in entered:
                    folders.clear()
                    continue
            entered.add(os.path.realpath(parent))
            for name in (name for name in folders if _is_hidden(name)):
                yield _below(root, os.path.join(parent, name)), "folder"
            folders[:] = sorted(name for name in folders if not _is_hidden(name))
            paths = [os.path.join(parent, name) for name in folders]
            waiting.extend(path for path in paths if os.path.islink(path))
            for name in sorted(files):
                yield _below(root, os.path.join(parent, name)), "file"


def _below(root: str, path: str) -> str:
    return _readable(path.removeprefix(root.removesuffix("/") + "/"))


def _readable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _refuse_unlisted(error: OSError) -> None:
    raise InputError(
        f"source: folder {error.filename} cannot be listed ({error.strerror}), and its videos would be missing without "
        "a word; make it readable or take it away"
    ) from error


def _remote_entries(root: str) -> Iterator[TreeEntry]:
    from pyarrow.fs import FileSelector, FileType

    try:
        filesystem, inner = remote(root)
        infos = filesystem.get_file_info(FileSelector(inner, recursive=True))
    except OSError as error:
        raise InputError(
            f"source: folder {root} cannot be listed ({str(error).splitlines()[0]}); ask for the right to list it"
        ) from error
    base = inner.removesuffix("/") + "/"
    for info in infos:
        yield info.path.removeprefix(base), "file" if info.type == FileType.File else "folder"
