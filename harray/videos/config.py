"""How a video becomes frames."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideosConfig:
    """Which frames of a video are looked at."""

    num_frames: int = (
        32  # per clip, uniformly spaced from its first to its last frame; short clips repeat some
    )
