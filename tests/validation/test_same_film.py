"""Two clips are one film where they agree in what moves, not only in what stands still."""

import numpy as np
import pytest

from harray.validation.same_film import SIZE_HW, same_film, small_frames


def frames(seed, moving, room=0):
    """Six small frames of a room in which something moves."""
    still = np.random.default_rng(room).uniform(0, 255, SIZE_HW)
    return still + np.random.default_rng(seed).normal(0, moving, (6, *SIZE_HW))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (frames(1, 10), frames(1, 10) + np.random.default_rng(9).normal(0, 3, (6, *SIZE_HW)), True),
        (frames(1, 10), 0.8 * frames(1, 10) + 20, True),
        (frames(1, 10), frames(2, 10), False),
        (frames(1, 10), frames(1, 10, room=5), False),
        (frames(1, 0.5), frames(2, 0.5), True),
        (frames(1, 10), frames(1, 10)[:, :, ::-1], False),
    ],
)
def test_same_film(first, second, same):
    assert same_film(first, second) is same


def test_a_video_that_is_gone_says_nothing(tmp_path):
    assert small_frames(str(tmp_path / "gone.mp4"), np.arange(8)) is None
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    assert small_frames(str(tmp_path / "broken.mp4"), np.arange(8)) is None
