"""Two clips are one film where they agree in what moves, not only in what stands still."""

import cv2
import numpy as np
import pytest

from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import write_video
from harray.validation.same_film import SIZE_HW, same_films, small_frames


def frames(seed, moving, room=0):
    """Six small frames of a room in which something moves."""
    still = np.random.default_rng(room).uniform(0, 255, SIZE_HW)
    return still + np.random.default_rng(seed).normal(0, moving, (6, *SIZE_HW))


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (frames(1, 10), frames(1, 10) + np.random.default_rng(9).normal(0, 3, (6, *SIZE_HW)), "again"),
        (frames(1, 10), 0.8 * frames(1, 10) + 20, "again"),
        (frames(1, 10), frames(2, 10), None),
        (frames(1, 10), frames(1, 10, room=5), None),
        (frames(1, 0.5), frames(2, 0.5), "again"),
        (frames(1, 0.5), frames(1, 0.5, room=5), None),
        (frames(1, 10), frames(1, 10)[:, :, ::-1], "mirrored"),
    ],
)
def test_pairs_of_one_film(first, second, same):
    again, mirrored = same_films(np.stack([frames(3, 10, room=3), first, second]))
    assert again == ([(1, 2)] if same == "again" else [])
    assert mirrored == ([(1, 2)] if same == "mirrored" else [])


def test_a_video_that_is_gone_says_nothing(tmp_path):
    assert small_frames(str(tmp_path / "gone.mp4"), np.arange(8)) is None
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    assert small_frames(str(tmp_path / "broken.mp4"), np.arange(8)) is None


def test_rendered_videos_that_were_encoded_again_or_mirrored_are_found(tmp_path):
    specs = clip_specs(SynthConfig(clips_per_action=1))[:6]
    films, index = [render_clip(spec, range(12))[0] for spec in specs], np.arange(12)
    smaller = [[cv2.resize(frame, (256, 192)) for frame in film] for film in films[:3]]
    mirrored = [film[:, :, ::-1] for film in films[3:]]
    paths = []
    for number, film in enumerate([*films, *smaller, *mirrored]):
        paths.append(tmp_path / f"{number:02}.mp4")
        write_video(paths[-1], np.ascontiguousarray(film))
    seen = [small_frames(str(path), index) for path in paths]
    assert same_films(np.stack(seen)) == ([(0, 6), (1, 7), (2, 8)], [(3, 9), (4, 10), (5, 11)])
