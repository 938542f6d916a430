"""Objects in a bucket (`s3://`, `gs://`, `az://`) by obstore, with the credentials of the usual environment variables.

A PUT is whole or nothing, so that a bucket needs neither parts nor renaming. Faults that pass are retried with
exponential back-off for `PATIENCE_SEC`: obstore does so by itself after 5xx, lost connections and time-outs of what may
safely be repeated; the 409 of racing conditional writes, and their time-outs, are retried here.
"""

import functools
import os
import posixpath
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harray.errors import InputError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")
PATIENCE_SEC = 60.0
MAX_BACKOFF_SEC = 5.0
_VARIABLES = ("AWS_", "GOOGLE_", "AZURE_")  # of the environment, which decide how a bucket is reached
_OTHER_WAYS = {  # to credentials than a profile, which obstore takes by itself
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_SKIP_SIGNATURE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
}
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "Account must be specified")
_TRANSIENT = ("409 Conflict", "error sending request", "timed out", "503 ", "500 ", "502 ", "504 ")

T = TypeVar("T")
Version = dict[str, str]  # of an object, as obstore takes it for compare-and-set


class BucketError(InputError, OSError):
    """A bucket refuses, or does not answer for `PATIENCE_SEC`; one line for people."""


@dataclass(frozen=True, order=True)
class BucketPath:
    """The name of an object, or what the names of a folder's objects begin with; joined and read as a `Path` is.

    >>> str(BucketPath("s3://videos", "store") / "clips" / "a.parquet")
    's3://videos/store/clips/a.parquet'
    """

    bucket: str  # "s3://BUCKET"
    key: str  # without a slash at either end; empty: the bucket itself

    @classmethod
    def parse(cls, uri: str) -> "BucketPath":
        """
        Raises:
            InputError: no bucket in it.
        """
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise InputError(f"{uri}: no bucket in it; expected such as {scheme}://BUCKET/store")
        return cls(f"{scheme}://{bucket}", key.strip("/"))

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}" if self.key else self.bucket

    def __truediv__(self, name: str) -> "BucketPath":
        return BucketPath(self.bucket, posixpath.join(self.key, name))

    @property
    def name(self) -> str:
        return posixpath.basename(self.key) or self.bucket.partition("://")[2]

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.key)[1]

    @property
    def parent(self) -> "BucketPath":
        return BucketPath(self.bucket, posixpath.dirname(self.key))

    def with_name(self, name: str) -> "BucketPath":
        return self.parent / name

    def relative_to(self, folder: "BucketPath") -> str:
        """The name below a folder of the same bucket."""
        return self.key.removeprefix(f"{folder.key}/") if folder.key else self.key

    def absolute(self) -> "BucketPath":
        return self

    def is_file(self) -> bool:
        return stat(self) is not None

    def exists(self) -> bool:
        """Whether there is such an object, or any below it."""
        return self.is_file() or any(True for _ in objects(self))

    def read_bytes(self) -> bytes:
        return read(self)[0]

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_text(self, text: str) -> None:
        put(self, text.encode())

    def unlink(self, missing_ok: bool = False) -> None:
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(f"{self}: no such object")
        delete([self])


def read(path: BucketPath) -> tuple[bytes, Version]:
    """An object's bytes, and which version of it they are.

    Raises:
        FileNotFoundError: no such object.
        BucketError: the bucket refuses, or does not answer.
    """

    def get() -> tuple[bytes, Version]:
        found = _client_of(path).get(path.key)
        return bytes(found.bytes()), _version(found.meta)

    return _retried(path, get)


def stat(path: BucketPath) -> Mapping[str, Any] | None:
    """What obstore knows of an object, such as its size; None where there is none.

    Raises:
        BucketError: as `read`.
    """
    try:
        return _retried(path, lambda: _client_of(path).head(path.key)) if path.key else None
    except FileNotFoundError:
        return None


def objects(folder: BucketPath) -> Iterator[tuple[BucketPath, Mapping[str, Any]]]:
    """Every object below a folder, at whatever depth, with what obstore knows of it.

    Raises:
        BucketError: as `read`.
    """

    def names() -> list[Any]:
        return [each for some in _client_of(folder).list(folder.key or None) for each in some]

    for found in _retried(folder, names):
        yield BucketPath(folder.bucket, found["path"]), found


def put(path: BucketPath, content: bytes | Path) -> Version:
    """Write an object, or replace it.

    Args:
        content: bytes, or the local file that has them; a large one goes up in parts, and appears when all are there.

    Raises:
        BucketError: as `read`.
    """
    return _retried(path, lambda: _version(_client_of(path).put(path.key, content)))


def create(path: BucketPath, content: bytes | Path) -> Version | None:
    """Write an object where there is none, else None; of several at once one succeeds.

    After a time-out nobody knows whether it was written: None too, should it have been.

    Raises:
        BucketError: as `read`, or the bucket knows no conditional writes.
    """
    from obstore.exceptions import AlreadyExistsError

    def make() -> Version:
        return _version(_client_of(path).put(path.key, content, mode="create"))

    deadline = time.monotonic() + PATIENCE_SEC
    for wait_sec in _back_off():
        try:
            return _retried(path, make, (AlreadyExistsError,))
        except AlreadyExistsError as error:  # or a 409, which says only that another one was writing too
            if stat(path) is not None:
                return None
            if time.monotonic() > deadline:
                raise _explained(error, path) from error
            time.sleep(wait_sec)
    raise AssertionError


def replace(path: BucketPath, content: bytes, version: Version) -> Version | None:
    """Write an object that is still of this version, else None (compare and set).

    After a time-out nobody knows whether it was written: None too, should it have been.

    Raises:
        BucketError: as `create`.
    """
    from obstore.exceptions import PreconditionError

    def swap() -> Version:
        return _version(_client_of(path).put(path.key, content, mode=cast(Any, version)))

    try:
        return _retried(path, swap, (PreconditionError,))
    except (PreconditionError, FileNotFoundError):
        return None


def copy(path: BucketPath, target: BucketPath) -> None:
    """Give an object a second name in its bucket.

    Raises:
        FileNotFoundError, BucketError: as `read`.
    """
    _retried(path, lambda: _client_of(path).copy(path.key, target.key))


def delete(paths: list[BucketPath]) -> None:
    """Delete objects of one bucket; those that are gone already are none the worse.

    Raises:
        BucketError: as `read`.
    """
    if paths:
        _retried(paths[0], lambda: _client_of(paths[0]).delete([path.key for path in paths]))


def check_conditional(path: BucketPath) -> None:
    """Refuse a bucket that writes over what is to be written only where there is nothing; `path` must exist, and is
    deleted then.

    Raises:
        BucketError: such a bucket.
    """
    if create(path, b"") is not None:
        delete([path])
        raise BucketError(
            f"{path.bucket}: it ignores `If-None-Match`, so that two writers could not be told apart; "
            "use a server with conditional writes (AWS, MinIO, Ceph, R2, Google, Azure have them)"
        )


def _version(meta: Mapping[str, Any]) -> Version:
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name) is not None}


def _client_of(path: BucketPath) -> "ObjectStore":
    variables = {name: value for name, value in os.environ.items() if value and name.startswith(_VARIABLES)}
    return _client(path.bucket, tuple(sorted(variables.items())))


@functools.lru_cache(maxsize=8)
def _client(bucket: str, variables: tuple[tuple[str, str], ...]) -> "ObjectStore":
    from obstore.store import from_url

    told = dict(variables)
    options: dict[str, Any] = {"connect_timeout": "5s", "timeout": "30s"}
    endpoint = told.get("AWS_ENDPOINT_URL_S3") or told.get("AWS_ENDPOINT_URL") or told.get("AWS_ENDPOINT", "")
    if endpoint.startswith("http://"):  # whoever names such a server means it
        options["allow_http"] = True
    retries = {
        "max_retries": 1000,  # time decides
        "retry_timeout": timedelta(seconds=PATIENCE_SEC),
        "backoff": {"max_backoff": timedelta(seconds=MAX_BACKOFF_SEC)},
    }
    asked = _profile(bucket) if bucket.startswith("s3:") and not _OTHER_WAYS & told.keys() else {}
    return from_url(bucket, client_options=cast(Any, options), retry_config=cast(Any, retries), **asked)


def _profile(bucket: str) -> dict[str, Any]:
    """What `~/.aws` or the machine's role says, by boto3, where it is installed; obstore reads no profiles.

    Raises:
        BucketError: nothing does.
    """
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except ValueError as error:
        raise BucketError(f"{bucket}: no credentials; set {_credentials(bucket)}") from error


def _retried(path: BucketPath, call: Callable[[], T], answers: tuple[type[Exception], ...] = ()) -> T:
    """What a call gives, tried again after faults that pass.

    Args:
        answers: errors of obstore that tell the caller what it asked, and are raised.

    Raises:
        FileNotFoundError: no such object.
        BucketError: whatever else.
    """
    from obstore.exceptions import BaseError

    deadline = time.monotonic() + PATIENCE_SEC
    for wait_sec in _back_off():
        try:
            return call()
        except (BucketError, *answers):
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise _explained(error, path) from error
            raise FileNotFoundError(f"{path}: no such object") from error
        except (BaseError, OSError) as error:
            if not any(sign in str(error) for sign in _TRANSIENT) or time.monotonic() > deadline:
                raise _explained(error, path) from error
            time.sleep(wait_sec)
    raise AssertionError


def _back_off() -> Iterator[float]:
    """Seconds to wait, without end: twice as long each time up to a limit, less a random part."""
    longest = 0.1
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(2 * longest, MAX_BACKOFF_SEC)


def _explained(error: Exception, path: BucketPath) -> BucketError:
    """obstore's several lines as one for people."""
    text = str(error).partition("\n\nDebug source")[0]
    if "NoSuchBucket" in text or "ContainerNotFound" in text:
        return BucketError(f"{path.bucket}: no such bucket; make it, or name another one")
    if any(sign in text for sign in _NO_CREDENTIALS):
        return BucketError(f"{path}: no credentials; set {_credentials(path.bucket)}")
    if any(sign in text for sign in ("403 Forbidden", "401 Unauthorized")):
        code = text.partition("<Code>")[2].partition("</Code>")[0]
        why = f" ({code})" if code else ""
        return BucketError(
            f"{path}: access denied{why}; look at {_credentials(path.bucket)} and at what they may do"
        )
    if "501 Not Implemented" in text:
        return BucketError(f"{path.bucket}: it knows no conditional writes; use a server that has them")
    if "error sending request" in text or "timed out" in text:
        server = os.environ.get("AWS_ENDPOINT_URL") if path.bucket.startswith("s3:") else None
        return BucketError(
            f"{path.bucket}: {server or 'the service'} does not answer for {PATIENCE_SEC:.0f} s; "
            "is the address right, and is it up?"
        )
    return BucketError(f"{path}: {' '.join(text.split())[:300]}")


def _credentials(bucket: str) -> str:
    return {
        "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL, where it is not Amazon's)",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS",
        "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    }[bucket.partition(":")[0]]
