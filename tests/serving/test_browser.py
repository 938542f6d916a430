"""The page in a real browser, served by Ray Serve, its camera playing somebody whose action is known."""

import os
import re
import signal
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from harray.errors import InputError
from harray.serving.browser_poses import runtime_files
from tests.clusters import free_ports
from tests.serving.browser import browser, chromium
from tests.serving.models import frames_of, write_mjpeg
from tests.serving.servers import Server

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.browser]

LABEL = "jumping_jacks"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 1000}
PATIENCE_MS = 90_000
DRAWN = """() => {
  const canvas = document.getElementById("overlay");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let [drawn, white] = [0, 0];
  for (let i = 0; i < pixels.length; i += 4) {
    drawn += pixels[i + 3] > 200;
    white += pixels[i + 3] > 200 && Math.min(pixels[i], pixels[i + 1], pixels[i + 2]) > 240;
  }
  return { drawn, white, all: pixels.length / 4 };
}"""


def has_runtime() -> bool:
    """Whether what runs the pose network in a browser is in the cache or can be fetched."""
    try:
        return bool(runtime_files())
    except InputError:
        return False


@pytest.fixture(scope="module")
def server(little_model, tmp_path_factory):
    chromium()  # skips before anything is started
    (port,) = free_ports(1)
    flags = ("--poses-in-browser",) if has_runtime() else ()
    server = Server(str(little_model), port, tmp_path_factory.mktemp("serve"), flags)
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory) -> Path:
    """Where pictures of the page go: $HARRAY_SCREENSHOTS, to be looked at."""
    folder = Path(os.environ.get("HARRAY_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_the_page_tells_what_the_camera_shows_and_goes_on_after_a_restart(server, screenshots, tmp_path):
    camera = write_mjpeg(tmp_path / "camera.mjpeg", frames_of(LABEL))
    errors, hosts = [], set()
    with browser(camera) as opened:
        page = opened.new_page(viewport=DESK)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(server.url)
        page.screenshot(path=screenshots / "start.png")
        label = page.locator(".person .label", has_text="jumping jacks").first

        page.get_by_role("button", name="Camera").focus()
        page.keyboard.press("Enter")
        label.wait_for(timeout=PATIENCE_MS)
        page.wait_for_timeout(2500)  # until the speed is shown and the label said aloud
        drawn = page.evaluate(DRAWN)
        assert 0.005 < drawn["drawn"] / drawn["all"] < 0.3  # a skeleton and a name, not more
        assert drawn["white"] > 100  # joints that are seen
        for figure in ("p50", "p95"):
            assert re.fullmatch(r"\d+ ms", page.locator(f"#{figure}").inner_text())
        assert float(page.locator("#fps").inner_text()) > 0
        assert "jumping jacks" in page.locator("#said").inner_text()
        assert "jumping jacks" in page.locator("#overlay").get_attribute("aria-label")
        page.screenshot(path=screenshots / "light.png")

        page.get_by_label("Skeleton").uncheck()
        page.wait_for_timeout(300)
        assert page.evaluate(DRAWN)["drawn"] == 0
        page.get_by_label("Skeleton").check()

        page.emulate_media(color_scheme="dark")
        page.screenshot(path=screenshots / "dark.png")
        page.set_viewport_size(PHONE)
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.screenshot(path=screenshots / "phone.png", full_page=True)

        server.stop()
        page.locator("#status[data-state=lost]").wait_for(timeout=PATIENCE_MS)
        assert label.count() == 0  # what was seen is no longer known to be so
        page.screenshot(path=screenshots / "lost.png")
        server.start()
        page.locator("#status[data-state=open]").wait_for(timeout=PATIENCE_MS)
        label.wait_for(timeout=PATIENCE_MS)

        page.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Demo clip").click()
        page.locator(".person").first.wait_for(timeout=PATIENCE_MS)
    assert errors == []
    assert hosts - {""} == {urlsplit(server.url).netloc}  # data: and blob: have none


def test_only_keypoints_leave_the_browser_where_somebody_wants_it_so(server, screenshots, tmp_path):
    if not has_runtime():
        pytest.skip("ONNX Runtime's build for browsers cannot be fetched")
    if server.health() is None:
        server.start()
    camera, errors, sent = write_mjpeg(tmp_path / "camera.mjpeg", frames_of(LABEL)), [], []
    with browser(camera) as opened:
        page = opened.new_page(viewport=DESK)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
        page.goto(server.url)
        page.get_by_label("Only keypoints leave this browser").check()
        page.get_by_role("button", name="Camera").click()
        page.locator(".person .label", has_text="jumping jacks").first.wait_for(timeout=PATIENCE_MS)
        page.wait_for_timeout(2500)
        assert 0.005 < page.evaluate(DRAWN)["drawn"] / page.evaluate(DRAWN)["all"] < 0.3
        assert float(page.locator("#fps").inner_text()) > 0
        page.screenshot(path=screenshots / "only-keypoints.png")
    pictures = [frame for frame in sent if isinstance(frame, bytes) and frame[12] == 0]
    poses = [frame for frame in sent if isinstance(frame, bytes) and frame[12] == 1]
    assert errors == [] and pictures == [] and len(poses) > 10


def test_ctrl_c_ends_it_with_130_and_leaves_no_process(server):
    if server.health() is None:
        server.start()
    started = server.processes()
    assert len(started) > 3
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 130
    assert "interrupted" in server.log.read_text()
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []
