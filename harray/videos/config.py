"""How a video becomes frames."""

from dataclasses import dataclass

from harray.config import Count, Positive


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Which frames of a video are looked at."""

    num_frames: Count = (
        32  # per clip, spaced evenly in time from its first to its last; short clips repeat some
    )
    clip_sec: Positive | None = None  # cut every video into clips of this length; None: a video is one clip
    stride_sec: Positive | None = None  # from one clip's start to the next one's; None: clip_sec, no overlap
    limit_sec: Positive = 300.0  # for reading one video; what takes longer is quarantined
