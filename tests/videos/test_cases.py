"""Videos that went wrong, kept beside the repository."""

import numpy as np
import pytest

from harray.videos.frames import read_frames
from harray.videos.spans import read_spans


@pytest.fixture(scope="module")
def cases(shared_data):
    return shared_data.parent / "cases"


def test_a_mirrored_film_is_that_of_the_upright_file(cases):
    mirrored = read_frames(cases / "mirrored-metadata/mirrored.mp4", 8).rgb_THWC.astype(int)
    upright = read_frames(cases / "mirrored-metadata/upright.mp4", 8).rgb_THWC
    assert np.abs(mirrored - upright).mean() < 4  # each was encoded by itself
    assert np.abs(mirrored[:, ::-1] - upright).mean() > 10


@pytest.mark.parametrize(
    ("name", "starts"),
    [("clip-gap/gap20.mkv", [0, 21]), ("clip-restarted-clock/joined.ts", [0, 1, 2, 3])],
)
def test_clips_are_where_there_are_frames(cases, name, starts):
    clips = list(read_spans(cases / name, 5, clip_sec=1.0, stride_sec=1.0))
    for start, clip in zip(starts, clips, strict=True):
        np.testing.assert_allclose(
            clip.time_sec_T, start + np.array([0.12, 0.32, 0.52, 0.72, 0.92]), atol=1e-6
        )


def test_frames_are_spaced_evenly_in_time_where_the_rate_varies(cases):
    varying = read_frames(cases / "vfr/vfr.mp4", 32).time_sec_T
    constant = read_frames(cases / "vfr/constant.mp4", 32).time_sec_T
    assert (varying < constant[-1] / 3).sum() == pytest.approx((constant < constant[-1] / 3).sum(), abs=1)
    assert np.abs(varying - constant).max() < 0.33  # the longest time between two frames that are left


@pytest.mark.parametrize(
    ("name", "num_frames", "length_sec"),
    [
        ("colon-name/12:30:01.mp4", 50, 1.96),
        ("endings/VIDEOS/walk/1.m2ts", 50, 1.96),
        ("endings/VIDEOS/jump/1.gif", 10, 1.8),
    ],
)
def test_files_of_any_name_are_read(cases, monkeypatch, name, num_frames, length_sec):
    monkeypatch.chdir((cases / name).parent)
    frames = read_frames((cases / name).name, 32)
    assert (frames.num_source_frames, frames.time_sec_T[-1]) == (num_frames, pytest.approx(length_sec))
