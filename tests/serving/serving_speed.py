"""How fast the page is: frames a second and latency in a real browser, and eight sockets at a time.

    python tests/serving/serving_speed.py [--model MODEL] [--seconds 20]

Worth reading on an idle machine only. Prints one JSON object.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.clusters import free_ports
from tests.serving.browser import browser
from tests.serving.guests import Visit, behave
from tests.serving.models import frames_of, jpegs_of, little_checkpoint, write_mjpeg
from tests.serving.servers import Server

LABEL = "jumping_jacks"


def page_speed(url: str, camera: Path, seconds: float) -> dict[str, float]:
    """What the page shows after so many seconds of one camera."""
    with browser(camera) as opened:
        page = opened.new_page()
        page.goto(url)
        page.get_by_role("button", name="Camera").click()
        page.locator(".person").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1000 * seconds)
        shown = {name: page.locator(f"#{name}").inner_text() for name in ("fps", "p50", "p95")}
    return {name: float(text.removesuffix(" ms")) for name, text in shown.items()}


async def sockets(url: str, count: int, seconds: float) -> list[Visit]:
    """So many sockets at a time, each sending as soon as it is answered, at most 15 frames a second."""
    stop, jpegs = asyncio.Event(), jpegs_of(frames_of(LABEL))
    visits = [asyncio.create_task(behave(url, jpegs, stop, 15.0)) for _ in range(count)]
    await asyncio.sleep(seconds)
    stop.set()
    return await asyncio.gather(*visits)


def summary(visit: Visit, seconds: float) -> dict[str, float]:
    latencies = sorted(visit.latencies_ms)
    return {
        "frames_per_sec": round(visit.num_answers / seconds, 1),
        "p50_ms": round(latencies[len(latencies) // 2]),
        "p95_ms": round(latencies[int(0.95 * len(latencies))]),
        "longest_silence_sec": round(visit.longest_silence_sec, 2),
        "reconnects": visit.reconnects,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="else a little one is trained")
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="speed-"))
    model = arguments.model or str(little_checkpoint(folder))
    (port,) = free_ports(1)
    server = Server(model, port, folder / "serve").start()
    try:
        camera = write_mjpeg(folder / "camera.mjpeg", frames_of(LABEL))
        found = {"page": page_speed(server.url, camera, arguments.seconds)}
        for count in (1, 8):
            visits = asyncio.run(sockets(server.url, count, arguments.seconds))
            found[f"sockets_{count}"] = [summary(visit, arguments.seconds) for visit in visits]
    finally:
        server.stop()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
