"""Failures of a video: at which stage, and whether a retry may help."""

import errno
from collections.abc import Callable
from typing import TypeVar

from harray.errors import InputError
from harray.videos.decoding import VideoError

Result = TypeVar("Result")

TRANSIENT_ERRNOS = {
    *(errno.EIO, errno.EAGAIN, errno.EINTR, errno.EBUSY, errno.ESTALE, errno.ENETDOWN, errno.ENETUNREACH),
    *(errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EHOSTUNREACH, errno.ETIMEDOUT),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
}


ACCELERATOR_ERRORS = ("OutOfMemoryError", "AcceleratorError")  # torch's, which need not be imported here
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class ExtractionError(Exception):
    """A clip that cannot be extracted.

    Attributes:
        stage: "open", "decode", "pose" or "scene".
        cause: what went wrong.
    """

    def __init__(self, stage: str, cause: Exception):
        super().__init__(f"{stage}: {cause}")
        self.stage = stage
        self.cause = cause

    @property
    def is_transient(self) -> bool:
        """Whether the same may go well a moment later: a disk, a network or memory failed, not the video."""
        return is_transient(self.cause)


def is_disk_full(error: BaseException) -> bool:
    """Whether the machine's disk is full: then the run must end, not the video be blamed."""
    return getattr(error, "errno", None) in DISK_FULL


def is_transient(error: BaseException) -> bool:
    """Whether an error, or one that led to it, is the machine's and may pass."""
    chain: BaseException | None = error
    while chain is not None:
        is_memory = isinstance(chain, MemoryError) or type(chain).__name__ in ACCELERATOR_ERRORS
        if is_memory or getattr(chain, "errno", None) in TRANSIENT_ERRNOS:
            return True
        chain = chain.__cause__
    return False


def staged(stage: str, work: Callable[[], Result]) -> Result:
    """Run `work`; what it raises becomes an ExtractionError of that stage, or of the stage that it names."""
    try:
        return work()
    except InputError:
        raise
    except VideoError as error:
        raise ExtractionError(error.stage, error) from error
    except Exception as error:  # the boundary at which one bad video must not end the run
        raise ExtractionError(stage, error) from error
