"""Whatever lies in a folder of videos: each ends extracted or quarantined for a fitting reason, and nothing hangs."""

import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from harray.config import with_overrides
from harray.distributed.extraction import Actors, extract
from harray.distributed.extraction_tally import QuarantineLimit
from harray.errors import InputError
from harray.schema import EXTRACTED
from harray.store import FeatureStore
from harray.store.verify import verify
from harray.videos.sources import list_videos
from tests.distributed.conftest import todo_of, worker_for, write_video
from tests.videos.test_frames import audio_only


def encode(path: Path, codec="mpeg4", size=(64, 48), pixels="yuv420p", frames=6, rate=25, times=None):
    """A video of any codec, size (width, height) and pixel format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for i in range(frames):
            image = np.full((size[1], size[0], 3), 20 * i % 255, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)
            frame.pts = i if times is None else times[i]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def cut(path: Path, share: float, codec="mpeg4"):
    encode(path, codec, frames=40)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def lying_count(path: Path):
    """The header of an AVI says 4,000 frames; there are 6."""
    encode(path)
    data = bytearray(path.read_bytes())
    for tag, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        struct.pack_into("<I", data, data.index(tag) + offset, 4000)
    path.write_bytes(data)


def rotated(path: Path):
    encode(path)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    struct.pack_into(">9i", data, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


READABLE: dict[str, Callable[[Path], object]] = {
    "one frame.mp4": lambda path: encode(path, frames=1),
    "count that lies.avi": lying_count,
    "half.avi": lambda path: cut(path, 0.6),
    "variable rate.mkv": lambda path: encode(path, times=[0, 1, 2, 50, 51, 90]),
    "rotated.mp4": rotated,
    "1x1.avi": lambda path: encode(path, "ffv1", (1, 1), "gray"),
    "8000x20.avi": lambda path: encode(path, size=(8000, 20), frames=2),
    "20x3000.avi": lambda path: encode(path, size=(20, 3000), frames=2),
    "odd sides.avi": lambda path: encode(path, "ffv1", (63, 47), "bgr0"),
    "16 bit.mkv": lambda path: encode(path, "ffv1", pixels="gray16le"),
    "10 bit.mkv": lambda path: encode(path, "ffv1", pixels="yuv420p10le"),
    "gray.mkv": lambda path: encode(path, "ffv1", pixels="gray"),
    "кино 電影 🎬.mp4": encode,
    "two\nlines.mp4": encode,
    " blanks  and 'quotes\".mp4": encode,
}
UNREADABLE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "empty.mp4": (lambda path: path.touch(), "open", "the file is empty"),
    "text.mp4": (lambda path: path.write_text("hello\n" * 99), "open", "not a video"),
    "half.mp4": (lambda path: cut(path, 0.5), "open", "not a video"),  # its index stands at the end
    "header only.avi": (lambda path: cut(path, 0.02), "open", "not a video"),
    "audio only.mp4": (audio_only, "open", "no video stream"),
    "pipe.mp4": (os.mkfifo, "open", "a named pipe"),
    "folder.mp4/x.txt": (lambda path: path.parent.mkdir(exist_ok=True), "", ""),  # not listed at all
    "link to itself.mp4": (lambda path: path.symlink_to(path.name), "open", "symbolic links"),
    "link to nowhere.mp4": (lambda path: path.symlink_to("gone"), "open", "No such file"),
    "disk error.mp4": (lambda path: path.symlink_to("/proc/self/mem"), "open", "Input/output error"),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "class"
    folder.mkdir()
    for name, make in READABLE.items():
        make(folder / name)
    for name, (make, _, _) in UNREADABLE.items():
        make(folder / name)
    encode(folder / "same.mp4", frames=9)
    shutil.copy(folder / "same.mp4", folder / "same again.mp4")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    with open(os.fsencode(folder) + b"/no text \xff.mp4", "wb") as file:
        file.write(b"x")
    return folder.parent


def test_every_input_ends_once_and_for_a_fitting_reason(ray_cluster, corpus, config, tmp_path):
    summary = extract(list_videos(corpus), config, tmp_path / "store", actors=Actors(number=1))
    store = FeatureStore.open(tmp_path / "store")
    rows = {row["path"].removeprefix(f"{corpus}/class/"): row for row in store.ledger().to_pylist()}
    expected = {name: reason for name, (_, *reason) in UNREADABLE.items() if reason[0]}
    assert set(rows) == {*READABLE, *expected, "same.mp4", "same again.mp4", "no text \\xff.mp4"}
    assert {name for name, row in rows.items() if row["status"] == EXTRACTED} == {
        *READABLE,
        "same.mp4",
        "same again.mp4",
    }
    for name, (stage, message) in expected.items():
        assert (rows[name]["stage"], message in rows[name]["message"]) == (stage, True), rows[name]
    assert rows["disk error.mp4"]["attempts"] == 3
    assert rows["text.mp4"]["attempts"] == 1
    assert rows["same.mp4"]["clip_id"] == rows["same again.mp4"]["clip_id"]
    assert summary.inputs == summary.extracted + summary.quarantined == len(rows)
    assert verify(store).problems == []


def test_a_run_that_goes_wrong_wholesale_is_stopped_and_says_why(ray_cluster, config, tmp_path):
    for number in range(30):
        (tmp_path / "videos/run").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"videos/run/{number:02}.mp4").write_text("no video" * number)
    write_video(tmp_path / "videos/run/good.mp4", 10)
    manifest = list_videos(tmp_path / "videos")
    with pytest.raises(
        InputError, match=r"inputs quarantined, more than 20% \(\d+ x open: VideoError: not a video"
    ):
        extract(manifest, config, tmp_path / "store", limit=QuarantineLimit.parse("20%"))
    store = FeatureStore.open(tmp_path / "store")
    assert len(store.ledger()) > 0
    assert verify(store).problems == []


@pytest.mark.slow
def test_a_video_that_takes_too_long_is_given_up_and_the_next_one_is_not(config, tmp_path):
    encode(tmp_path / "videos/run/endless.avi", size=(960, 720), frames=400)
    write_video(tmp_path / "videos/run/good.mp4", 10)
    hasty = with_overrides(config, {"videos.limit_sec": 0.2})
    worker = worker_for(tmp_path / "store", hasty)
    endless, good = worker(todo_of(list_videos(tmp_path / "videos"))).to_pylist()
    assert (endless["status"], endless["stage"]) == ("quarantined", "decode")
    assert "takes longer than 0.2 s" in endless["message"]
    assert good["status"] == "extracted"


@pytest.mark.slow
def test_untrimmed_videos_become_several_clips_of_one_input(config, tmp_path):
    encode(tmp_path / "videos/run/long.mp4", frames=50)
    encode(tmp_path / "videos/sit/short.mp4", frames=5)
    cutting = with_overrides(config, {"videos.clip_sec": 0.8, "videos.stride_sec": 0.4})
    todo = todo_of(list_videos(tmp_path / "videos"))
    assert [row["computed"] for row in worker_for(tmp_path / "store", cutting)(todo).to_pylist()] == [4, 1]
    table = FeatureStore.open(tmp_path / "store").read()
    assert table["span"].to_pylist() == [0, 1, 2, 3, 0]
    starts = [seconds[0] for seconds in table["frame_sec"].to_pylist()]
    assert np.allclose(starts, [0.08, 0.48, 0.88, 1.28, 0.0], atol=0.05)
    clip_ids = table["clip_id"].to_pylist()  # those of one video must not straddle splits
    assert table["group"].to_pylist() == [*clip_ids[:4], None]
    again = worker_for(tmp_path / "store", cutting)(todo).to_pylist()
    assert [(row["status"], row["computed"]) for row in again] == [("extracted", 0)] * 2


@pytest.mark.slow
def test_the_listing_of_many_files_tells_how_far_it_is(tmp_path):
    (tmp_path / "run").mkdir()
    for number in range(20_000):
        (tmp_path / "run" / f"{number}.mp4").touch()
    told = []
    assert len(list_videos(tmp_path, on_found=told.append)) == 20_000
    assert told == [*range(1000, 20_001, 1000), 20_000]
