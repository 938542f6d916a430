"""`harray live` as a person starts it, on folders, pipes and network cameras, to the end or to Ctrl-C; its window."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import av
import numpy as np
import pytest

from harray.errors import InputError
from harray.live.recording import Window
from harray.synth.render import write_video
from tests.clusters import free_ports
from tests.live.cameras import NetworkCamera, write_film
from tests.serving.models import frames_of

pytestmark = pytest.mark.slow
PATIENCE_SEC = 120.0
COMMAND = (sys.executable, "-c", "from harray.cli import main; main()", "live")


@pytest.fixture(scope="module")
def jacks() -> np.ndarray:
    """Somebody who does jumping jacks."""
    return frames_of("jumping_jacks")


class Watcher:
    """A running `harray live`, its events in a file, its annotated recording in another."""

    def __init__(self, model: Path, source: object, folder: Path, *flags: str, stdin=None):
        self.events_file, self.saved, self.log = folder / "events.jsonl", folder / "out.mp4", folder / "log"
        outputs = (
            "--events",
            self.events_file,
            "--save",
            self.saved,
            "--out",
            folder / "out",
            "--json",
            *flags,
        )
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*COMMAND, model, source, *outputs],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def events(self) -> list[dict]:
        text = self.events_file.read_text() if self.events_file.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def wait_for(self, condition, what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SEC
        while not condition():
            assert self.process.poll() is None, f"ended before {what}: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"{what} did not come: {self.log.read_text()}"
            time.sleep(0.1)

    def ended(self) -> dict:
        """Its last line, once it has ended; its exit code is 0."""
        out, _ = self.process.communicate(timeout=PATIENCE_SEC)
        assert self.process.returncode == 0, self.log.read_text()
        return json.loads(out.splitlines()[-1])


def labels_of(events: list[dict]) -> set[str]:
    return {event["label"] for event in events}


def num_frames(recording: Path) -> int:
    with av.open(str(recording)) as container:
        return sum(1 for _ in container.decode(video=0))


def each_begin_has_an_end(events: list[dict]) -> bool:
    begun = [(event["track"], event["label"]) for event in events if event["event"] == "begin"]
    ended = [(event["track"], event["label"]) for event in events if event["event"] == "end"]
    return bool(begun) and sorted(map(str, begun)) == sorted(map(str, ended))


def test_films_of_a_folder_are_watched_one_after_another_each_with_people_of_its_own(
    little_model, jacks, tmp_path
):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / "films" / name, jacks)
    watcher = Watcher(little_model, tmp_path / "films", tmp_path, "--as-fast-as-possible")
    said = watcher.ended()
    assert (said["frames"], said["skipped"], said["cuts"], said["people"]) == (2 * len(jacks), 0, 1, 2)
    assert labels_of(watcher.events()) == {"jumping_jacks"} and each_begin_has_an_end(watcher.events())
    assert num_frames(watcher.saved) >= said["frames"]


def test_a_pipe_is_watched_to_its_end(little_model, jacks, tmp_path):
    with write_film(tmp_path / "film.ts", jacks).open("rb") as film:
        watcher = Watcher(little_model, "-", tmp_path, "--as-fast-as-possible", stdin=film)
        said = watcher.ended()
    assert said["frames"] >= len(jacks) - 2
    assert labels_of(watcher.events()) == {"jumping_jacks"}


def test_a_camera_that_breaks_off_is_connected_again_and_ctrl_c_leaves_everything_whole(
    little_model, jacks, tmp_path
):
    with contextlib.closing(NetworkCamera(jacks)) as camera:
        watcher = Watcher(little_model, camera.url, tmp_path)
        watcher.wait_for(lambda: "jumping_jacks" in labels_of(watcher.events()), "the label")
        camera.hang_up()
        watcher.wait_for(lambda: camera.num_connections == 2, "the second connection")
        again = len(watcher.events())
        watcher.wait_for(
            lambda: any(event["event"] == "begin" for event in watcher.events()[again:]), "a label again"
        )
        watcher.process.send_signal(signal.SIGINT)
        said = watcher.ended()
    log = watcher.log.read_text()
    assert "broke off" in log and "connecting again in 0.5 s" in log and "ended by Ctrl-C" in log
    assert said["cuts"] >= 1 and said["people"] >= 2  # nobody goes on from before the break
    assert each_begin_has_an_end(watcher.events())
    assert num_frames(watcher.saved) >= 10


def test_an_rtsp_camera_is_watched_and_tried_again_once_it_is_switched_off(little_model, jacks, tmp_path):
    pytest.importorskip("aio_rtsp_toolkit")
    write_video(tmp_path / "camera" / "1.mp4", np.concatenate([jacks, jacks[::-1]] * 4))
    (port,) = free_ports(1)
    code = f"import asyncio; from aio_rtsp_toolkit import server; asyncio.run(server.serve('.', '127.0.0.1', {port}))"
    camera = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path / "camera",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        watcher = Watcher(little_model, f"rtsp://127.0.0.1:{port}/1.mp4", tmp_path)
        watcher.wait_for(lambda: "jumping_jacks" in labels_of(watcher.events()), "the label")
        camera.kill()
        watcher.wait_for(lambda: "connecting again in 1 s" in watcher.log.read_text(), "a second try")
        watcher.process.send_signal(signal.SIGINT)
        watcher.ended()
    finally:
        camera.kill()
        camera.wait()
    assert each_begin_has_an_end(watcher.events())


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SEC
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")


def test_a_camera_that_does_not_answer_is_told_in_a_line(harray, little_model, tmp_path):
    ended = harray("live", little_model, "http://127.0.0.1:9/none", "--out", tmp_path)
    assert ended.code == 2
    assert "http://127.0.0.1:9/none: cannot be opened (Connection refused)" in ended.err.splitlines()[-1]


@contextlib.contextmanager
def display(monkeypatch) -> Generator[None]:
    """A screen that nobody sees."""
    if (path := shutil.which("Xvfb")) is None:
        pytest.skip("no Xvfb on this machine; `apt-get install xvfb`")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        [path, "-displayfd", str(writer), "-screen", "0", "1280x960x24"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    try:
        with os.fdopen(reader) as told:
            monkeypatch.setenv("DISPLAY", f":{told.readline().strip()}")
        yield
    finally:
        os.close(writer)
        server.terminate()
        server.wait(10)


def test_a_window_shows_frames_until_somebody_closes_it(monkeypatch):
    pytest.importorskip("tkinter")
    with display(monkeypatch):
        window = Window()
        assert window.show(np.full((240, 320, 3), 200, np.uint8))
        assert (window._label.winfo_width(), window._label.winfo_height()) == (320, 240)
        assert window._picture.get(5, 5) == (200, 200, 200)
        window._root.focus_force()
        window._root.update()
        window._root.event_generate("<Escape>")
        assert not window.show(np.zeros((240, 320, 3), np.uint8))
        window.close()


def test_without_a_display_the_line_says_what_to_use_instead(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(InputError, match=r"--show: .*; use --save out\.mp4"):
        Window()
