"""Watch a camera, a stream or a recording with a model: who does what, now."""

import contextlib
import json
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harray.api.models import Model, load
from harray.api.session import working
from harray.errors import InputError
from harray.live.config import LiveConfig
from harray.live.recogniser import Recogniser, Step, Summary
from harray.reporting import Reporter
from harray.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is wanted of it, beside the steps."""

    events: str | Path | None = None  # file of JSON lines that are added
    save: Path | None = None  # annotated recording
    show: bool = False  # in a window

    @property
    def draws(self) -> bool:
        return self.save is not None or self.show


def watch(
    model: str | Path | Model,
    source: str | Path | int,
    *,
    config: LiveConfig | None = None,
    own_speed: bool = True,
    outputs: Outputs | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    workspace: Workspace | None = None,
    reporter: Reporter | None = None,
) -> Summary:
    """Watch to the source's end, or until Ctrl-C, which is how one leaves a camera: what was begun is finished.

    Args:
        source: a camera's number or device, a file, a folder, `rtsp://` or `http(s)://`, or "-".
        own_speed: play films as fast as they were taken; else as fast as it goes.
        on_step: called with each frame's step.

    Raises:
        InputError: a source that cannot be opened, weights that are missing, an output that cannot be written.
    """
    outputs = outputs or Outputs()
    with working(workspace, reporter) as (place, told):
        recogniser = Recogniser(load(model, workspace=place).predictor, config)
        steps = recogniser.watch(
            str(source), own_speed=own_speed, wants_full=outputs.draws, on_message=told.say
        )
        with contextlib.closing(steps), _taken(outputs, recogniser) as take:
            try:
                for step in steps:
                    on_step(step)
                    if not take(step):
                        break
                else:
                    return recogniser.summary
            except KeyboardInterrupt:
                told.say("ended by Ctrl-C")
            steps.close()
            if (step := recogniser.broken_off()) is not None:
                on_step(step)
                take(step)
    return recogniser.summary


@contextlib.contextmanager
def _taken(outputs: Outputs, recogniser: Recogniser) -> Generator[Callable[[Step], bool]]:
    """What takes every step; False once nobody looks any more."""
    with contextlib.ExitStack() as held:
        lines = held.enter_context(_lines(outputs.events))
        draw = held.enter_context(_drawing(outputs, recogniser)) if outputs.draws else None

        def take(step: Step) -> bool:
            for event in step.events:
                if lines is not None:
                    print(json.dumps(event), file=lines, flush=True)
            return draw is None or draw(step)

        yield take


@contextlib.contextmanager
def _lines(name: str | Path | None) -> Generator[IO[str] | None]:
    if name is None:
        yield None
        return
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(Path(name).open("a"))
        except OSError as error:
            raise InputError(f"--events {name}: cannot be written ({error.strerror})") from error
        yield file


@contextlib.contextmanager
def _drawing(outputs: Outputs, recogniser: Recogniser) -> Generator[Callable[[Step], bool]]:
    from harray.live.drawing import drawn
    from harray.live.recording import Recording, Window

    skeleton = recogniser.predictor.checkpoint.skeleton
    window = Window() if outputs.show else None
    recording = Recording(outputs.save) if outputs.save else None
    times: list[float] = []

    def draw(step: Step) -> bool:
        times.append(time.monotonic())
        del times[:-30]
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
        full_HWC: Any = step.frame.full_HWC
        picture = drawn(full_HWC, step.view, skeleton, rate)
        if recording is not None:
            recording.add(picture, step.frame.time_sec)
        return window is None or window.show(picture)

    try:
        yield draw
    finally:
        if recording is not None:
            recording.close()
        if window is not None:
            window.close()
