"""The frames of a video: spaced evenly in time, upright, RGB.

    timeline --wanted times--> cuts --one pass over the decoded frames--> frames of each cut

A cut takes, for each of its wanted times, the frame that a player shows then. Frames pass through one at a time and
become pictures as they are taken: what is kept depends on the number of wanted frames, not on the duration.

Letters: T frames, H height, W width, C colour.
"""

import dataclasses
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harray.videos.decoding import Decoded, Video, VideoError
from harray.videos.picture import Needed, Pictures
from harray.videos.timeline import Span, frames_at

SPARSE_SEC = 0.5  # between two frames of a clip; movements are shorter


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """Some frames of a video.

    Attributes:
        rgb_THWC: uint8 [T, H, W, 3], upright, pixels square; smaller than the video where less was needed.
        index_T: int32 [T], positions among the frames that can be decoded, from 0, never decreasing.
        time_sec_T: float64 [T], when they are shown; 0 at the video's first frame.
        height_px, width_px: of the video as it is shown.
        fps: frames per second as the container states, 25.0 where it states none.
        num_source_frames: how many frames can be decoded; of a span, up to its last one.
    """

    rgb_THWC: np.ndarray
    index_T: np.ndarray
    time_sec_T: np.ndarray
    height_px: int
    width_px: int
    fps: float
    num_source_frames: int


def uniform_indices(num_source_frames: int, num_frames: int) -> np.ndarray:
    """int32 [num_frames], spaced evenly from the first to the last of `num_source_frames` frames.

    Halves round up, as ties to even would make the spacing uneven. Fewer source frames than asked for repeat.
    """
    spaced = np.linspace(0, num_source_frames - 1, num_frames)
    return np.floor(spaced + 0.5).astype(np.int32)


def read_frames(
    path: Path | str, num_frames: int, limit_sec: float | None = None, needed: Needed | None = None
) -> Frames:
    """Frames of a whole video, spaced evenly in time from its first to its last one.

    Raises:
        VideoError: stage "open" (no such file, no film in it) or "decode" (no frame can be decoded, most are damaged,
            or reading takes longer than `limit_sec`).
    """
    return uniform_frames(Video(path, limit_sec), num_frames, needed)


def segment_frames(video: Video, num_frames: int, span: Span, needed: Needed | None = None) -> Frames:
    """Frames of a part of a video, spaced evenly in time from its first to its last one; what follows is not decoded.

    A part that ends after the video is taken up to its end, and its notes say so.

    Raises:
        VideoError: as `read_frames`; or stage "decode": the part begins after the video's end.
    """
    start, end = shown_span(video, span)
    timeline = video.survey.timeline
    wanted = np.linspace(start, max(start, end - timeline.frame_sec), num_frames)
    first = int(frames_at(timeline.shown_sec_N, wanted[:1], timeline.early_sec)[0])
    for from_sec in (start, 0.0) if video.can_seek() else (0.0,):
        for cut in take(video, [Cut(wanted, needed)], array("d"), from_sec):
            if cut.index[0] == first or not from_sec:  # else the file's index led astray
                return cut.frames(video.fps, cut.index[-1] + 1)
    raise VideoError("decode", "no frame of the segment can be decoded")


def shown_span(video: Video, span: Span) -> Span:
    """A part of a video on the clock of shown time, no longer than the video."""
    timeline = video.survey.timeline
    time_N, shown_N = timeline.time_sec_N, timeline.shown_sec_N
    last = float(time_N[-1]) + timeline.frame_sec
    if span[0] >= last:
        raise VideoError("decode", f"the segment begins at {span[0]:g} s, but the video ends at {last:.2f} s")
    if span[1] > last + timeline.frame_sec:
        video.notes["segment"] = f"it ends at {span[1]:g} s, the video at {last:.2f} s; taken up to there"
    shown = []
    for at in (span[0], min(span[1], last)):
        place = max(0, int(np.searchsorted(time_N, at, side="right")) - 1)
        shown.append(float(shown_N[place]) + min(at - float(time_N[place]), timeline.frame_sec))
    return shown[0], max(shown)


def uniform_frames(video: Video, num_frames: int, needed: Needed | None = None) -> Frames:
    """As `read_frames`; warnings about the video are in its notes.

    Which frames to take follows from the packets; where those that can be decoded turn out to be others, they are
    decoded once more.
    """
    timeline = video.survey.timeline
    shown = array("d")
    cut = Cut(np.linspace(0, timeline.shown_sec_N[-1], num_frames), needed)
    for _ in take(video, [cut], shown):
        pass
    shown_N = np.asarray(shown)
    index_T = frames_at(shown_N, np.linspace(shown_N[0], shown_N[-1], num_frames), timeline.early_sec)
    if np.abs(index_T - cut.index_T).max() > 1:
        cut = _read_at(video, index_T, needed)
        if len(cut.index) < num_frames:
            raise VideoError("decode", f"{len(shown)} frames at the first reading, fewer at the second")
    _note_sparse(video, num_frames)
    return cut.frames(video.fps, len(shown))


def read_frames_at(path: Path | str, index_T: np.ndarray, needed: Needed | None = None) -> Frames:
    """Frames at positions that an earlier reading of the same file gave.

    Raises:
        VideoError: the file cannot be read, or has become another.
    """
    video = Video(path)
    cut = _read_at(video, index_T, needed)
    if len(cut.index) < len(index_T):
        raise VideoError("decode", "fewer frames than before: the file has changed")
    return cut.frames(video.fps, int(index_T[-1]) + 1)


def _read_at(video: Video, index_T: np.ndarray, needed: Needed | None) -> "Cut":
    """A cut of the frames at these positions (ascending); shorter if the video ends before."""
    cut, wanted = Cut(index_T.astype(np.float64), needed), set(index_T.tolist())
    for index, decoded in enumerate(video.frames()):
        if index in wanted:
            cut.take(index, decoded, video, until=index + 0.5)
        if index >= index_T[-1]:
            break
    return cut


class Cut:
    """A clip being read: the times at which frames are wanted, and the pictures taken for them so far.

    Args:
        wanted_T: ascending, on the clock of shown time.
        pictures: what makes them; cuts of one pass share it.
    """

    def __init__(self, wanted_T: np.ndarray, needed: Needed | None, pictures: Pictures | None = None):
        self.wanted_T = wanted_T
        self.pictures = pictures or Pictures(needed)
        self.index: list[int] = []
        self.seconds: list[float] = []
        self.rgb_THWC: np.ndarray | None = None

    @property
    def index_T(self) -> np.ndarray:
        return np.asarray(self.index, np.int32)

    @property
    def is_full(self) -> bool:
        return len(self.index) == len(self.wanted_T)

    def take(self, index: int, decoded: Decoded, video: Video, until: float) -> None:
        """Take the frame for every wanted time before `until` that has none yet."""
        start = len(self.index)
        if start == len(self.wanted_T) or self.wanted_T[start] >= until:
            return
        stop = int(np.searchsorted(self.wanted_T, until, side="left"))
        picture = self.pictures.of(decoded.frame, video.aspect)
        if self.rgb_THWC is None:
            self.rgb_THWC = np.empty((len(self.wanted_T), *picture.shape), np.uint8)
        self.rgb_THWC[start:stop] = picture
        self.index += [index] * (stop - start)
        self.seconds += [decoded.time_sec] * (stop - start)

    def repeat_last(self) -> None:
        """Let the last frame that was taken stand for those that are missing."""
        assert self.rgb_THWC is not None
        missing = len(self.wanted_T) - len(self.index)
        self.rgb_THWC[len(self.index) :] = self.rgb_THWC[len(self.index) - 1]
        self.index += self.index[-1:] * missing
        self.seconds += self.seconds[-1:] * missing

    def frames(self, fps: float, num_source_frames: int) -> Frames:
        """What was taken; the cut is full."""
        assert self.rgb_THWC is not None and self.is_full
        height, width = self.pictures.size_hw
        return Frames(
            rgb_THWC=self.rgb_THWC,
            index_T=self.index_T,
            time_sec_T=np.asarray(self.seconds),
            height_px=height,
            width_px=width,
            fps=fps,
            num_source_frames=num_source_frames,
        )


def take(video: Video, cuts: list[Cut], shown: array, from_sec: float = 0.0) -> Iterator[Cut]:
    """Cuts as they become full, in one pass over the video's frames; of those that the video ends before, the ones
    that have begun, their last frame repeated.

    A frame is taken when it comes, for the times before the next one is due; so no frame is kept.

    Args:
        cuts: in order of their first wanted times; emptied on the way.
        shown: empty; the shown time of every frame that was decoded is added to it.
    """
    early_sec = video.survey.timeline.early_sec
    for count, decoded in enumerate(video.frames(from_sec)):
        index = decoded.place if from_sec else count
        shown.append(decoded.shown_sec)
        while cuts and not cuts[0].index and cuts[0].wanted_T[-1] < decoded.shown_sec - early_sec:
            del cuts[0]  # all its frames were lost
        for cut in cuts:
            if cut.wanted_T[0] >= decoded.next_sec - early_sec:
                break  # neither this one nor later ones have begun
            cut.take(index, decoded, video, until=decoded.next_sec - early_sec)
        while cuts and cuts[0].is_full:
            yield cuts.pop(0)
    for cut in cuts:
        if cut.index:
            cut.repeat_last()
            yield cut


def _note_sparse(video: Video, num_frames: int) -> None:
    length_sec = float(video.survey.timeline.shown_sec_N[-1])
    if (apart_sec := length_sec / max(1, num_frames - 1)) > SPARSE_SEC:
        clip_sec = round(SPARSE_SEC * num_frames / 2)
        video.notes["sparse"] = (
            f"{num_frames} frames over {length_sec:.0f} s, one every {apart_sec:.1f} s, and shorter movements are not "
            f"seen; videos.clip_sec={max(1, clip_sec)} cuts it into clips"
        )
