"""Folders of numbered pictures as videos: which folders are some, their digest, their opening."""

import hashlib
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FEWEST = 2  # pictures
_NUMBER = re.compile(r"\d+(?=\D*$)")


def frame_files(folder: Path | str) -> list[str]:
    """Names of the pictures in a folder, in the order of their last numbers; only those of the commonest ending."""
    names = [name for name in os.listdir(folder) if _NUMBER.search(os.path.splitext(name)[0])]
    by_ending: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if (ending := os.path.splitext(name)[1].lower()) in PICTURES and not name.startswith("."):
            by_ending[ending].append(name)
    return sorted(max(by_ending.values(), key=len, default=[]), key=_place)


def folders_among(pictures: Sequence[str]) -> dict[str, list[str]]:
    """Folders that hold numbered pictures, and what lies in them, of paths below one folder."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in pictures:
        folder, _, name = path.rpartition("/")
        if folder and _NUMBER.search(os.path.splitext(name)[0]):
            found[folder].append(path)
    return {folder: paths for folder, paths in found.items() if len(paths) >= FEWEST}


def folder_digest(folder: Path) -> str:
    """32 hexadecimal digits for the pictures of a folder, in order."""
    state = hashlib.blake2b(digest_size=16)
    for name in frame_files(folder):
        content = (folder / name).read_bytes()
        state.update(len(content).to_bytes(8, "little") + content)
    return state.hexdigest()


@contextmanager
def opened_folder(folder: Path, fps: float) -> Generator[Any]:
    """A folder's pictures as a PyAV container.

    Raises:
        OSError, av.FFmpegError: no pictures, or none that FFmpeg reads.
    """
    import av

    names = frame_files(folder)
    if not names:
        raise FileNotFoundError(2, "no numbered pictures in the folder", str(folder))
    with tempfile.TemporaryDirectory(prefix="frames-") as links:
        ending = os.path.splitext(names[0])[1].lower()
        for number, name in enumerate(names):
            os.symlink(os.path.abspath(folder / name), f"{links}/{number:08d}{ending}")
        options = {"framerate": f"{fps:g}", "start_number": "0"}
        with av.open(f"{links}/%08d{ending}", format="image2", options=options) as container:
            yield container


def _place(name: str) -> tuple[int, str]:
    found = _NUMBER.search(os.path.splitext(name)[0])
    return (int(found[0]) if found else 0, name)
