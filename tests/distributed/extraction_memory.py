"""Peak memory of extraction's driver and workers, with few videos and with ten times as many.

    uv run python tests/distributed/extraction_memory.py --clips 200 2000

The videos are small, and so are the frames that the embedded network sees: what is measured is whether memory
grows with the number of videos. Takes about four minutes on two cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import psutil

SETTINGS = ["poses.weights=embedded", "poses.image_size=64", "videos.num_frames=8", "scenes.weights=none"]


def write_videos(folder: Path, count: int) -> None:
    """Videos of six frames of noise, no two alike."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % 10}" / f"{number:05}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 64
            for _ in range(6):
                image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())


def peak_mb(process: psutil.Process) -> float:
    """High-water mark of a process's resident memory; 0 once it has gone."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def measure(root: Path, count: int) -> dict[str, float]:
    write_videos(root / "videos", count)
    harray = Path(sys.executable).with_name("harray")
    command = [
        harray,
        "extract",
        root / "videos",
        "--store",
        root / "store",
        "--out",
        root,
        "--json",
        *SETTINGS,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        driver, peak = psutil.Process(running.pid), 0.0
        while running.poll() is None:
            peak = max(peak, peak_mb(driver))
            time.sleep(0.2)
        assert running.stdout is not None
        said = json.loads(running.stdout.read().splitlines()[-1])
    assert said["extracted"] == count, said
    return {"clips": count, "driver_mb": round(peak), "worker_mb": round(said["worker_peak_mb"])}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, nargs=2, default=[200, 2000])
    few, many = parser.parse_args().clips
    found = []
    for count in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(Path(folder), count))
            print(found[-1], flush=True)
    for name in ("driver_mb", "worker_mb"):
        print(f"{name}: {many} clips take {found[1][name] / found[0][name]:.2f} times as much as {few}")


if __name__ == "__main__":
    main()
