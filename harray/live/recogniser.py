"""One source, watched: frames through the networks and the stream, step by step, with what is to be said of it.

Reader --frames that wait--> FrameNetworks --> Stream --> decide --> Step: frames, view, events
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harray.extraction.config import needed_pictures
from harray.inference.predictor import Predictor
from harray.live.config import LiveConfig
from harray.live.decisions import Event
from harray.live.networks import FrameNetworks, Picture
from harray.live.reader import FILM_WAITS, Arrived, Reader
from harray.live.stream import Stream, decide
from harray.live.traits import ModelTraits
from harray.videos.capture import Captured, captured, source_named

LATENCIES_KEPT = 20_000  # the newest decisions', of which the percentiles are


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one frame led to."""

    frame: Captured
    view: dict[str, Any]  # `harray.live.view`
    events: list[dict[str, Any]]  # `event_values`


@dataclass
class Summary:
    """What was watched, in the end or so far."""

    num_frames: int = 0
    num_skipped: int = 0
    num_decisions: int = 0
    num_people: int = 0
    num_cuts: int = 0
    seconds: float = 0.0
    latencies_sec: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_KEPT))

    def to_json(self) -> dict[str, Any]:
        """Plain values; latencies from a frame's capture to the decision made with it, None without any."""
        known = np.array(self.latencies_sec) * 1000
        p50, p95 = (
            (round(float(x), 1) for x in np.percentile(known, [50, 95])) if len(known) else (None, None)
        )
        return {
            "frames": self.num_frames,
            "skipped": self.num_skipped,
            "decisions": self.num_decisions,
            "people": self.num_people,
            "cuts": self.num_cuts,
            "seconds": round(self.seconds, 3),
            "frames_per_sec": round(self.num_frames / self.seconds, 2) if self.seconds else None,
            "latency_p50_ms": p50,
            "latency_p95_ms": p95,
        }


class Recogniser:
    """Watches sources with one model.

    Attributes:
        summary: of the source that is watched, or was last.
    """

    def __init__(self, predictor: Predictor, config: LiveConfig | None = None):
        self.predictor = predictor
        self.config = config or LiveConfig()
        self.networks = FrameNetworks(predictor.extractor)
        self.traits = ModelTraits.of(predictor.checkpoint, self.config)
        self.summary = Summary()

    def watch(
        self,
        name: str,
        *,
        own_speed: bool = True,
        wants_full: bool = False,
        on_message: Callable[[str], None] = lambda message: None,
    ) -> Generator[Step]:
        """Watch a source to its end, or until the iterator is closed.

        Args:
            name: as `source_named` takes it.
            own_speed: play films as fast as they were taken; else every frame is read as fast as it goes.
            wants_full: whether the steps' frames are wanted in their own size too.

        Raises:
            InputError: a source that cannot be opened, or weights that are missing.
        """
        source = source_named(name)
        self.networks.load()
        self._warm_up()
        frames = captured(
            source,
            needed_pictures(self.networks.extractor.config),
            wants_full=wants_full,
            on_message=on_message,
        )
        waits = 1 if source.comes_by_itself else FILM_WAITS
        drops = source.comes_by_itself or own_speed
        reader = Reader(frames, waits=waits, own_speed=own_speed and source.kind != "camera", drops=drops)
        self.summary = Summary()
        started = time.monotonic()
        self._stream = stream = Stream(self.traits, self.config)
        try:
            while (arrived := reader.take(FILM_WAITS)) is not None:
                for step in self._steps(stream, arrived):
                    self.summary.num_skipped = reader.num_skipped
                    self.summary.seconds = time.monotonic() - started
                    yield step
            if (step := self._last_step(stream)) is not None:
                yield step
        finally:
            reader.close()
            self.summary.num_skipped = reader.num_skipped
            self.summary.seconds = time.monotonic() - started

    def broken_off(self) -> Step | None:
        """What ends because watching was broken off; None where nothing was seen."""
        if not self.summary.num_frames:
            return None
        events = [event_values(event, self._last, None) for event in self._stream.finish()]
        return Step(frame=self._last.frame, view=self._stream.view(), events=events)

    def _warm_up(self) -> None:
        """Let what is slow the first time be slow before the first frame."""
        nothing = Picture(rgb_HWC=np.zeros((64, 64, 3), np.uint8), time_sec=0.0, wants_scene=True)
        stream = Stream(self.traits, LiveConfig(scene=True))
        stream.take(self.networks.see([nothing])[0])
        decide(self.predictor, stream.last())

    def _steps(self, stream: Stream, arrived: list[Arrived]) -> Iterator[Step]:
        pictures, scene_sec = [], None
        for each in arrived:
            frame = each.frame
            wants_scene = stream.wants_scene(frame.time_sec) and (
                scene_sec is None or frame.time_sec - scene_sec >= 1.0 / self.config.scenes_per_sec
            )
            scene_sec = frame.time_sec if wants_scene else scene_sec
            pictures.append(
                Picture(
                    rgb_HWC=frame.rgb_HWC,
                    time_sec=frame.time_sec,
                    size_hw=frame.size_hw,
                    wants_scene=wants_scene,
                )
            )
        for each, seen in zip(arrived, self.networks.see(pictures), strict=True):
            if each.frame.is_new:
                stream.cut()
            stream.take(seen)
            self._last = each
            yield self._step(stream, each, stream.due())

    def _step(self, stream: Stream, arrived: Arrived, windows: list) -> Step:
        events = stream.decided(windows, decide(self.predictor, windows))
        latency_sec = time.monotonic() - arrived.monotonic_sec
        if windows:
            self.summary.latencies_sec.append(latency_sec)
        self.summary.num_frames += 1
        self.summary.num_decisions += len(windows)
        self.summary.num_people, self.summary.num_cuts = stream.num_people, stream.num_cuts
        return Step(
            frame=arrived.frame,
            view=stream.view(),
            events=[event_values(event, arrived, latency_sec) for event in events],
        )

    def _last_step(self, stream: Stream) -> Step | None:
        """What is decided and ends with the last frame."""
        if not self.summary.num_frames:
            return None
        windows = stream.last()
        events = stream.decided(windows, decide(self.predictor, windows))
        self.summary.num_decisions += len(windows)
        view = stream.view()
        return Step(
            frame=self._last.frame,
            view=view,
            events=[event_values(event, self._last, None) for event in [*events, *stream.finish()]],
        )


def event_values(event: Event, arrived: Arrived, latency_sec: float | None) -> dict[str, Any]:
    """An event as a JSON line: what `Event.to_json` says, the source, when its frame was captured (Unix time), and
    the latency from there to the decision (None for what ends with the stream)."""
    return {
        **event.to_json(),
        "source": arrived.frame.name,
        "captured_unix_sec": round(arrived.unix_sec, 3),
        "latency_ms": None if latency_sec is None else round(1000 * latency_sec, 1),
    }
