"""How a video becomes frames."""

from dataclasses import dataclass

from harray.config import Count, Positive


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Which frames of a video are read."""

    num_frames: Count = 32
    """Frames per clip, evenly spaced in time from its first to its last; short clips repeat some."""
    clip_sec: Positive | None = None
    """Length of the clips that every video is cut into, seconds. None: a video is one clip."""
    stride_sec: Positive | None = None
    """Time from the start of one clip to the start of the next, seconds. None: `clip_sec`, without overlap."""
    limit_sec: Positive = 300.0
    """Time after which reading a video is given up and the video quarantined, seconds."""
