"""A file's identity and its frames, with retries for transient faults and a time limit for all else.

    path --local copy--> digest of its bytes --> clip_id --known already?--> nothing to decode
                                                                  \\--> frames of each clip, as they are decoded

Reading runs in a thread of its own, so that a disk or a codec that never answers costs one thread and one video,
not the run; and while the networks work on one clip the next is decoded.
"""

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator

from harray.extraction.config import clip_id
from harray.extraction.faults import ExtractionError, staged
from harray.videos.config import VideosConfig
from harray.videos.decoding import Video
from harray.videos.files import Stamp, content_digest, local_copy, stamp_of
from harray.videos.frames import Frames, segment_frames, uniform_frames
from harray.videos.picture import Needed
from harray.videos.segments import Part, Span, part_of
from harray.videos.spans import span_frames

MAX_ATTEMPTS = 3  # at what may pass
PAUSE_SEC = 0.5  # before the second attempt, doubled before the third
GRACE_SEC = 5.0  # beyond `videos.limit_sec`, before a reading that does not answer is left behind


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
    """Which file it was.

    Attributes:
        stamp: size and time when it was taken; None where it could not be asked.
        clip_id: None where its bytes could not be read.
        attempts: how often its bytes were asked for.
    """

    stamp: Stamp | None
    clip_id: str | None
    attempts: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipFrames:
    """The frames of one clip of a video, and whether it is the video's last clip.

    Attributes:
        notes: with the last clip, what is to be said of the video, by kind (`Video.notes`).
    """

    frames: Frames
    is_last: bool
    notes: dict[str, str] = dataclasses.field(default_factory=dict)


class VideoReading:
    """A file that is being read; `identity` first, then `clips`, then `close`.

    Args:
        settings: of `Provenance.digest`.
        is_known: whether the features of a clip_id are there already; then nothing is decoded.
        needed: of `needed_pictures`; None for frames as large as they are.
    """

    def __init__(
        self,
        path: str,
        config: VideosConfig,
        settings: str,
        is_known: Callable[[str], bool],
        needed: Needed | None = None,
    ):
        self._path = path
        self._needed = needed
        self._config = config
        self._settings = settings
        self._is_known = is_known
        self._items: queue.Queue[Identity | ClipFrames | ExtractionError | None] = queue.Queue(maxsize=2)
        self._failure: ExtractionError | None = None
        self._num_told = 0
        self._is_closed = threading.Event()
        threading.Thread(target=self._read, name="read", daemon=True).start()

    def identity(self) -> Identity:
        """Which file it is; its failure shows in `clips`."""
        try:
            item = self._next()
        except ExtractionError as error:
            self._failure = error
            return Identity(stamp=None, clip_id=None, attempts=1)
        assert isinstance(item, Identity)
        return item

    def clips(self) -> Iterator[ClipFrames]:
        """The clips in order of time; none where they are known already.

        Raises:
            ExtractionError: the file cannot be read, or does not answer within `videos.limit_sec`.
        """
        if self._failure is not None:
            raise self._failure
        while isinstance(item := self._next(), ClipFrames):
            yield item
            if item.is_last:
                return

    def close(self) -> None:
        """Stop reading; the rest is not wanted."""
        self._is_closed.set()

    def _next(self) -> Identity | ClipFrames | None:
        limit_sec = self._config.limit_sec + GRACE_SEC
        try:
            item = self._items.get(timeout=limit_sec)
        except queue.Empty:
            self.close()
            cause = TimeoutError(f"reading did not answer for {limit_sec:g} s; it was given up")
            raise ExtractionError("decode", cause) from None
        if isinstance(item, ExtractionError):
            raise item
        return item

    def _read(self) -> None:
        """What the thread does; what may pass is tried again, as long as no clip was handed out."""
        stamp, attempts = stamp_of(self._path), 0
        while True:
            attempts += 1
            try:
                self._read_file(stamp, attempts)
                return
            except ExtractionError as error:
                failure = error
            except Exception as error:  # must reach the caller, whatever it is
                failure = ExtractionError("decode", error)
            if not failure.is_transient or attempts == MAX_ATTEMPTS or self._num_told > 1:
                self._tell_identity(Identity(stamp=stamp, clip_id=None, attempts=attempts))
                self._put(failure)
                return
            time.sleep(PAUSE_SEC * 2 ** (attempts - 1))

    def _read_file(self, stamp: Stamp | None, attempts: int) -> None:
        with contextlib.ExitStack() as held:
            file = staged("open", lambda: held.enter_context(local_copy(self._path)))
            content = staged("open", lambda: content_digest(file))
            part = part_of(self._path)
            identity = clip_id(content_of_part(content, part), self._settings)
            self._tell_identity(Identity(stamp=stamp, clip_id=identity, attempts=attempts))
            if self._is_known(identity):
                self._put(None)
                return
            video, ahead = Video(file, self._config.limit_sec, part.fps), None
            for frames in clip_frames(video, self._config, self._needed, part.span):
                if self._is_closed.is_set():
                    return
                if ahead is not None:
                    self._put(ClipFrames(frames=ahead, is_last=False))
                ahead = frames
            assert ahead is not None
            self._put(ClipFrames(frames=ahead, is_last=True, notes=video.notes))

    def _tell_identity(self, identity: Identity) -> None:
        """Once; a later attempt has the same."""
        if not self._num_told:
            self._put(identity)

    def _put(self, item: Identity | ClipFrames | ExtractionError | None) -> None:
        """Wait for room, but not for a caller who has gone."""
        self._num_told += 1
        while not self._is_closed.is_set():
            try:
                self._items.put(item, timeout=1.0)
                return
            except queue.Full:
                continue


def content_of_part(content: str, part: Part) -> str:
    """The digest of a video's bytes, and which part of it is meant."""
    return content if part == Part(part.file) else f"{content} {part.span} {part.fps}"


def clip_frames(
    video: Video, config: VideosConfig, needed: Needed | None = None, span: Span | None = None
) -> Iterator[Frames]:
    """Frames of the whole video or a part of it, or of each of its spans; the notes are complete after the last.

    Raises:
        ExtractionError: stage "open" or "decode".
    """
    if config.clip_sec is None and span is not None:
        yield staged("decode", lambda: segment_frames(video, config.num_frames, span, needed))
        return
    if config.clip_sec is None:
        yield staged("decode", lambda: uniform_frames(video, config.num_frames, needed))
        return
    stride_sec = config.stride_sec or config.clip_sec
    clips = span_frames(video, config.num_frames, config.clip_sec, stride_sec, needed, span)
    while (frames := staged("decode", lambda: next(clips, None))) is not None:
        yield frames
