"""What is served, to whom, and how much of it."""

import dataclasses
import socket
from dataclasses import dataclass, field

from harray.config import Count, Positive
from harray.live.config import LiveConfig

AUTO = "auto"
LOCALHOST = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a guest may ask for; beyond it there is a clear refusal, never a crash."""

    max_sockets: Count = 32
    """Open at a time, of one ingress replica."""

    max_frame_bytes: Count = 1 << 20
    """Of one JPEG on a socket."""

    max_frame_px: Count = 1920
    """px of the longer side of a frame, on a socket or in a video."""

    max_frames_per_sec: Positive = 30.0
    """Of a socket; frames wait that come faster, and a newer one takes the place of one that waits."""

    max_unread: Count = 8
    """Answers that a guest may leave unread before frames are skipped."""

    max_idle_sec: Positive = 60.0
    """Without a message, or with answers unread, after which a socket is closed."""

    hello_sec: Positive = 10.0
    """In which a socket must introduce itself."""

    max_errors: Count = 20
    """Malformed messages in a row after which a socket is closed."""

    max_upload_bytes: Count = 64 << 20
    """Of a video or of keypoints sent to /predict."""

    max_upload_sec: Positive = 120.0
    """Length of a video sent to /predict."""

    upload_sec: Positive = 60.0
    """In which an upload must have arrived."""

    max_uploads: Count = 2
    """Videos worked on at a time, of one ingress replica; others are told to come back."""


@dataclass(frozen=True, kw_only=True)
class ServingConfig:
    """One served model."""

    model: str = ""
    """Checkpoint folder (absolute), runs:/RUN or models:/NAME@ALIAS; an alias is followed."""

    tracking_uri: str = ""
    """Where the registry is; unused for a folder."""

    shadow: str | None = None
    """A second model that sees the same windows; how often it disagrees goes to MLflow, its answers to nobody."""

    token: str | None = dataclasses.field(default=None, repr=False)
    """What guests must know; None lets everyone in."""

    replicas: str = AUTO
    """Of the networks: a number, or "auto" for as many as there is work and room for."""

    poll_sec: Positive = 10.0
    """How often the registry is asked whether the alias has moved."""

    browser_poses: bool = False
    """Let guests run the pose network in their browser, so that keypoints alone leave it. ONNX Runtime's build for
    browsers is downloaded once, and served from here."""

    live: LiveConfig = field(default_factory=LiveConfig)
    """How each socket is followed, and when the answer is "unsure"."""

    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens."""

    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def is_local(self) -> bool:
        return self.host in LOCALHOST

    @property
    def url(self) -> str:
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname(), "::1": "[::1]"}.get(
            self.host, self.host
        )
        return f"http://{host}:{self.port}"
