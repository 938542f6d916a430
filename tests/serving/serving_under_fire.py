"""A server under fire: everything that guests and machines do to it, while good guests go on.

    python tests/serving/serving_under_fire.py [--keep DIR]

Trains two little models, registers them, serves models:/actions@champion with the challenger in its shadow, and then at
the same time: garbage uploads, malformed messages, a guest who never reads, sockets opened and dropped, a replica
killed, the alias moved. Prints one JSON object of what was found; exits with 1 where a bar is missed.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harray.synth.render import write_video
from tests.clusters import free_ports
from tests.serving.guests import behave, never_read, open_and_drop, talk_nonsense
from tests.serving.models import frames_of, jpegs_of, little_checkpoint
from tests.serving.registries import point, registered
from tests.serving.servers import Server

LABEL = "jumping_jacks"
NUM_GARBAGE, NUM_DROPPED, NUM_NONSENSE = 200, 20, 200
MAX_GROWTH = 1.10
CHANGE_OVER_SEC = 60.0


def memory_bytes(server: Server) -> dict[str, int]:
    """What each process holds for itself, and their sum; by the title that Ray gives them."""
    held: dict[str, int] = {}
    for process in server.processes():
        try:
            held[" ".join(process.cmdline()[:1])[-40:] + f" {process.pid}"] = process.memory_full_info().uss
        except psutil.Error:
            continue
    return held


def registered_models(folder: Path) -> str:
    """Two versions of `actions`; the tracking URI."""
    return registered(folder, [little_checkpoint(folder / f"model{seed}", seed=seed) for seed in (7, 14)])


async def good_uploads(url: str, video: bytes, stop: asyncio.Event) -> dict[str, int]:
    """A good request again and again; asks again where it is told to come back."""
    counts = {"asked": 0, "answered": 0, "right": 0, "asked_again": 0}
    async with httpx.AsyncClient(timeout=120) as client:
        while not stop.is_set():
            counts["asked"] += 1
            for _ in range(120):
                try:
                    said = await client.post(
                        f"{url}/predict", content=video, headers={"Content-Type": "video/mp4"}
                    )
                except httpx.HTTPError:
                    said = None
                if said is not None and said.status_code == 200:
                    counts["answered"] += 1
                    counts["right"] += said.json()["label"] == LABEL
                    break
                counts["asked_again"] += 1
                await asyncio.sleep(0.5)
            await asyncio.sleep(1.0)
    return counts


async def garbage(url: str, video: bytes) -> dict[str, int]:
    """Uploads that are none, of many kinds; how often each status came."""
    rng, statuses = random.Random(1), {}
    async with httpx.AsyncClient(timeout=120) as client:
        for _ in range(NUM_GARBAGE):
            damaged = bytearray(video)
            for _ in range(60):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            body, kind = rng.choice(
                [
                    (rng.randbytes(rng.randrange(1, 50_000)), "video/mp4"),
                    (video[: rng.randrange(10, len(video))], "video/mp4"),
                    (bytes(damaged), "video/mp4"),
                    (b"", "video/mp4"),
                    (b'{"keypoints": ' + b"[" * 5000, "application/json"),
                    (b'{"keypoints": [[[[1e999]]]], "height_px": -3, "width_px": "a"}', "application/json"),
                    (rng.randbytes(500), "multipart/form-data; boundary=x"),
                    (b"\0" * 300, "text/plain"),
                ]
            )
            for _ in range(200):
                try:
                    said = await client.post(f"{url}/predict", content=body, headers={"Content-Type": kind})
                    status = str(said.status_code)
                except httpx.HTTPError as error:
                    status = type(error).__name__
                if status not in ("429", "503"):
                    break
                await asyncio.sleep(0.2)
            statuses[status] = statuses.get(status, 0) + 1
    return statuses


async def under_fire(server: Server, uri: str, video: bytes) -> dict:
    jpegs, url, stop = jpegs_of(frames_of(LABEL)), server.url, asyncio.Event()
    good = [asyncio.create_task(behave(url, jpegs, stop, 10.0)) for _ in range(2)]
    uploads = asyncio.create_task(good_uploads(url, video, stop))
    await asyncio.sleep(15)  # until everything is loaded and has been used
    before = memory_bytes(server)
    fire = [
        asyncio.create_task(garbage(url, video)),
        asyncio.create_task(never_read(url, jpegs, 30.0)),
        asyncio.create_task(talk_nonsense(url, NUM_NONSENSE)),
        asyncio.create_task(open_and_drop(url, jpegs, NUM_DROPPED)),
    ]
    await asyncio.sleep(5)
    server.replica("Networks").kill()
    killed_at = time.monotonic()
    await asyncio.sleep(10)
    point(uri, 2)
    moved_at, changed_sec = time.monotonic(), None
    async with httpx.AsyncClient(timeout=20) as client:
        while time.monotonic() - moved_at < 2 * CHANGE_OVER_SEC and changed_sec is None:
            try:
                if (await client.get(f"{url}/healthz")).json()["version"] == "2":
                    changed_sec = time.monotonic() - moved_at
            except (httpx.HTTPError, KeyError, ValueError):
                pass
            await asyncio.sleep(1)
    statuses, _, closed, _ = await asyncio.gather(*fire)
    await asyncio.sleep(15)
    after = memory_bytes(server)
    stop.set()
    visits = await asyncio.gather(*good)
    return {
        "garbage": statuses,
        "sockets_closed_on_nonsense": closed,
        "killed_and_moved_sec": round(moved_at - killed_at, 1),
        "change_over_sec": changed_sec and round(changed_sec, 1),
        "uploads": await uploads,
        "good_sockets": [
            {
                "answers": visit.num_answers,
                "versions": visit.versions,
                "right": sum(label == LABEL for label in visit.labels),
                "reconnects": visit.reconnects,
                "errors": len(visit.errors),
                "longest_silence_sec": round(visit.longest_silence_sec, 1),
            }
            for visit in visits
        ],
        "memory_mb": [round(sum(each.values()) / 1e6) for each in (before, after)],
        "growth": round(sum(after.values()) / sum(before.values()), 3),
    }


def missed(found: dict) -> list[str]:
    """The bars that were missed."""
    uploads = found["uploads"]
    bars = {
        "memory grew": found["growth"] <= MAX_GROWTH,
        "a good upload was not answered": uploads["answered"] == uploads["asked"],
        "the alias was not followed": (found["change_over_sec"] or 1e9) <= CHANGE_OVER_SEC,
        "garbage was not refused clearly": not any(status.startswith("5") for status in found["garbage"])
        and all(status.isdigit() for status in found["garbage"]),
        "a socket was lost": all(each["reconnects"] == 0 for each in found["good_sockets"]),
        "the new version answered no socket": all(
            each["versions"][-1:] == ["2"] for each in found["good_sockets"]
        ),
    }
    return [name for name, is_met in bars.items() if not is_met]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path, help="folder for models and logs; else a temporary one")
    folder = parser.parse_args().keep or Path(tempfile.mkdtemp(prefix="fire-"))
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "mlflow.db"
    uri = f"sqlite:///{database}" if database.exists() else registered_models(folder)
    point(uri, 1)
    write_video(folder / "good.mp4", frames_of(LABEL))
    (port,) = free_ports(1)
    flags = ("--tracking-uri", uri, "--shadow", "models:/actions@challenger", "--min-precision", "0.95")
    server = Server("models:/actions@champion", port, folder / "serve", flags).start()
    try:
        found = asyncio.run(under_fire(server, uri, (folder / "good.mp4").read_bytes()))
    finally:
        code = server.stop()
    found |= {"exit_code": code, "missed": missed(found)}
    print(json.dumps(found, indent=1))
    return bool(found["missed"])


if __name__ == "__main__":
    sys.exit(main())
