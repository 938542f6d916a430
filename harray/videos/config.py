"""How a video becomes frames."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Which frames of a video are looked at."""

    num_frames: int = 32  # per clip, evenly spaced from its first to its last; short clips repeat some
    clip_sec: float | None = None  # cut every video into clips of this length; None: a video is one clip
    stride_sec: float | None = None  # from one clip's start to the next one's; None: clip_sec, no overlap
    limit_sec: float = 300.0  # for reading one video; what takes longer is quarantined
