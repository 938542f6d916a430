"""Weights files: an explicit path, else the cache, else the official download, verified by its SHA-256."""

import dataclasses
import hashlib
import urllib.error
import urllib.request
from pathlib import Path

from harray.errors import InputError
from harray.files import cache_dir, write_atomically

TIMEOUT_SEC = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release:
    """A published file."""

    name: str
    url: str
    sha256: str


def weights_cache() -> Path:
    """The folder of the cache that holds weights; a file put there by hand is taken as downloaded."""
    return cache_dir() / "weights"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def whereabouts(release: Release) -> str:
    """Where `fetch` would take a release from, in words; fetches nothing."""
    file = weights_cache() / release.name
    return f"{file} (in the cache)" if file.is_file() else f"{release.url} (to be downloaded to {file})"


def fetch(release: Release, key: str) -> Path:
    """The cached file of a release, downloaded first if it is not there.

    Nothing stands in the cache under its final name before its digest is verified.

    Args:
        key: the config key that the user would change, for the message.

    Raises:
        InputError: the cached file is another one, or it cannot be downloaded.
    """
    file = weights_cache() / release.name
    if file.is_file():
        return _verified(file, release, key)

    def download(part: Path) -> None:
        _download(release.url, part)
        _verified(part, release, key)

    try:
        write_atomically(file, download)
    except (urllib.error.URLError, OSError) as error:
        raise InputError(
            f"weights {release.name}: not in the cache, and {release.url} cannot be reached "
            f"({getattr(error, 'reason', error)}); put the file at {file} or set {key}=PATH"
        ) from error
    return file


def _download(url: str, file: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SEC) as response, file.open("wb") as out:
        while block := response.read(1 << 20):
            out.write(block)


def _verified(file: Path, release: Release, key: str) -> Path:
    found = sha256_of(file)
    if found != release.sha256:
        raise InputError(
            f"weights {file}: sha256 {found[:16]}…, expected {release.sha256[:16]}… of {release.url}; "
            f"remove the file, or set {key}={file} if it is what you want"
        )
    return file
