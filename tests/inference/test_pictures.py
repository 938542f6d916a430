"""Overlays: every frame is shown when it was shown in its video."""

from fractions import Fraction

import av
import numpy as np
import pytest

from harray.inference.pictures import Film, write_overlay
from harray.skeleton import layout_named


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (np.arange(8) * 2.0, np.arange(8) * 2.0),  # half a frame a second
        (5 + np.arange(12) / 12.4, np.arange(12) / 12.4),
        (np.arange(12) * 1001 / 30000, np.arange(12) * 1001 / 30000),
        (np.arange(12) / 60, np.arange(12) / 60),
        (np.arange(12) / 240, np.arange(12) / 240),
        (np.array([0, 0.1, 0.6, 0.62, 0.92]), np.array([0, 0.1, 0.6, 0.62, 0.92])),  # variable rate
        (np.array([1.0, 1.0, 2.0, 2.0, 3.0]), np.arange(5) / 2),  # fewer pictures than frames: evenly
        (np.zeros(5), np.arange(5) / 8),
        (np.zeros(1), np.zeros(1)),
    ],
)
def test_an_overlay_plays_as_fast_as_its_video(tmp_path, seconds, shown):
    count = len(seconds)
    film = Film(
        frames_THWC=np.zeros((count, 60, 80, 3), np.uint8),
        seconds_T=seconds,
        keypoints_PTKC=np.zeros((1, count, 17, 2)),
        visible_PTK=np.ones((1, count, 17), bool),
        attention_T=np.full(count, 1 / count),
        skeleton=layout_named("coco17"),
    )
    write_overlay(tmp_path / "o.mp4", film, "run  90%")
    with av.open(str(tmp_path / "o.mp4")) as container:
        found = [frame.pts * (frame.time_base or Fraction()) for frame in container.decode(video=0)]
    assert [float(time) for time in found] == pytest.approx(shown.tolist(), abs=1e-3)
