"""How a video becomes frames."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Which frames of a video are looked at."""

    num_frames: int = 32  # per clip, evenly spaced from its first to its last; short clips repeat some
