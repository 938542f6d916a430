import numpy as np
import pytest

from harray.config import with_overrides
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import ClipExtractor
from harray.poses.cuts import CutDetector, cut_frames
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.videos.frames import Frames, read_frames

SPECS = clip_specs(SynthConfig(clips_per_action=2, occluder_share=0.0, second_person_share=0.0))


def shot(number, num_frames=16):
    """Frames of a rendered clip, an eighth of a second apart."""
    spec = SPECS[number % len(SPECS)]
    return render_clip(spec, np.arange(num_frames) * 3)[0]


def scene(seed, num_frames=16):
    """A picture of patches, larger than what a camera shows of it, and the frames of one that stands still."""
    random = np.random.default_rng(seed)
    tint = random.uniform(0, 255, 3)
    small = np.clip(tint + random.normal(0, 40, (30, 60, 3)), 0, 255)
    large = np.kron(small, np.ones((16, 16, 1))).astype(np.uint8)  # 480 x 960
    return large, np.repeat(large[None, :240, :320], num_frames, axis=0)


def panned(seed, step_px):
    large, _ = scene(seed)
    return np.stack([large[:240, step_px * t : step_px * t + 320] for t in range(640 // step_px)])


def lit(frames, gains):
    return np.stack(
        [np.clip(f.astype(float) * g, 0, 255).astype(np.uint8) for f, g in zip(frames, gains, strict=True)]
    )


@pytest.mark.parametrize(
    ("frames", "cuts"),
    [
        (np.concatenate([scene(1)[1], scene(2)[1]]), [16]),
        (np.concatenate([scene(1)[1], scene(2)[1], scene(3)[1]]), [16, 32]),
        (np.concatenate([scene(1)[1], scene(2)[1], scene(1)[1]]), [16, 32]),
        (np.concatenate([scene(1, 1)[1], scene(2)[1]]), [1]),
        (np.concatenate([panned(1, 20), scene(2)[1]]), [32]),
        (np.concatenate([scene(1)[1], np.zeros_like(scene(1)[1]), scene(2)[1]]), [16, 32]),  # through black
        (scene(1)[1], []),
        (scene(1, 1)[1], []),
        (panned(1, 20), []),
        (panned(1, 60), []),
        (lit(scene(1)[1], np.linspace(1, 0.4, 16)), []),
        (lit(scene(1)[1], [1] * 8 + [1.4] + [1] * 7), []),  # a flash
        (np.full((8, 240, 320, 3), 90, np.uint8), []),
    ],
)
def test_a_cut_is_found_and_nothing_that_one_camera_does(frames, cuts):
    assert np.flatnonzero(cut_frames(frames)).tolist() == cuts


def test_frame_by_frame_is_the_same_whatever_the_size():
    frames = np.concatenate([scene(1, 4)[1], scene(2, 4)[1]])
    detector = CutDetector()
    assert [detector.update(frame) for frame in frames] == cut_frames(frames).tolist()
    assert cut_frames(frames[:, ::2, ::2]).tolist() == cut_frames(frames).tolist()


@pytest.mark.parametrize("number", range(0, 24, 4))
def test_rendered_films_are_cut_where_two_clips_meet(number):
    first, second = shot(number), shot(number + 4)
    assert not cut_frames(first).any()
    assert np.flatnonzero(cut_frames(np.concatenate([first, second]))).tolist() == [16]


@pytest.mark.parametrize(
    "part", ["ucf101_9/Punch", "ucf101_9/HighJump", "fight_surv/fight", "ut_interaction"]
)
def test_films_of_one_shot_have_no_cut(part, shared_data):
    films = sorted(
        path for path in (shared_data / "videos" / part).rglob("*") if path.suffix in (".avi", ".mp4")
    )
    for film in films[::10]:
        assert not cut_frames(read_frames(film, 32).rgb_THWC).any(), film


def test_a_cut_in_a_film_of_one_shows_both_shots_and_mixes_them_in_no_track():
    frames = np.concatenate([shot(0), shot(10)])
    config = with_overrides(
        ExtractionConfig(), {"poses.weights": "embedded", "scenes.weights": "none", "poses.max_people": 2}
    )
    features = ClipExtractor(config).extract_frames(
        Frames(
            rgb_THWC=frames,
            index_T=np.arange(32, dtype=np.int32),
            time_sec_T=np.arange(32) / 8,
            fps=8.0,
            num_source_frames=32,
            height_px=frames.shape[1],
            width_px=frames.shape[2],
        )
    )
    seen_PT = features.keypoints_PTKC1.any(axis=(2, 3))
    shots = sorted(np.flatnonzero(seen_T).tolist() for seen_T in seen_PT)
    assert len(shots[0]) >= 14
    assert len(shots[1]) >= 14
    assert max(shots[0]) < 16 <= min(shots[1])
