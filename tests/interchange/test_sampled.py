import numpy as np
import pytest

from harray.config import with_overrides
from harray.interchange.annotations import Annotation
from harray.interchange.pickles import read_skeletons
from harray.interchange.sampled import people_order, sample_clip, with_confidence
from harray.poses.config import PosesConfig
from harray.poses.detector import PoseDetector
from harray.poses.tracks import track_people
from harray.videos.frames import read_frames


def annotation(keypoints, scores=None, **changes):
    values = {"frame_dir": "a", "label": 0, "size_hw": (240, 320), "scores_MTV": scores, **changes}
    return Annotation(keypoints_MTVC=np.asarray(keypoints), **values)


def test_frames_are_taken_evenly_and_their_times_follow_from_the_rate():
    x = np.arange(1, 10)[None, :, None, None] * np.ones((1, 9, 2, 2))
    clip = sample_clip(annotation(x), num_frames=5, max_people=2, fps=50)
    assert clip.frame_index_N.tolist() == [0, 2, 4, 6, 8]
    assert clip.frame_sec_N.tolist() == [0, 0.04, 0.08, 0.12, 0.16]
    assert clip.keypoints_PNVC1.shape == (2, 5, 2, 3)
    assert clip.keypoints_PNVC1.dtype == np.float32
    assert clip.keypoints_PNVC1[0, :, 0].tolist() == [[v, v, 1] for v in (1, 3, 5, 7, 9)]
    assert not clip.keypoints_PNVC1[1].any()


def test_a_short_clip_repeats_frames():
    clip = sample_clip(annotation([[[[1, 1]], [[2, 2]]]]), num_frames=4, max_people=1, fps=25)
    assert clip.frame_index_N.tolist() == [0, 0, 1, 1]
    assert clip.keypoints_PNVC1[0, :, 0, 0].tolist() == [1, 1, 2, 2]


def test_frames_that_name_their_source_keep_their_numbers_and_times():
    named = annotation(
        np.ones((1, 3, 1, 2)), frame_index_T=np.array([3, 7, 9]), frame_sec_T=np.array([0.1, 0.5, 0.75])
    )
    clip = sample_clip(named, num_frames=2, max_people=1, fps=25)
    assert clip.frame_index_N.tolist() == [3, 9]
    assert clip.frame_sec_N.tolist() == [0.1, 0.75]


@pytest.mark.parametrize(
    ("scores", "order"),
    [
        ([[0.2, 0.2], [0.9, 0.9], [0.5, 0.5]], [1, 2, 0]),
        ([[0.5, 0.5], [0.9, 0.0], [0.5, 0.5]], [0, 2, 1]),  # sure, but only for a moment; ties stay
        ([[0.0, 0.0], [0.1, 0.0], [0.0, 0.0]], [1, 0, 2]),
    ],
)
def test_people_stand_in_order_of_how_much_is_seen_of_them(scores, order):
    assert people_order(np.array(scores)[..., None]).tolist() == order


def test_people_beyond_the_number_wanted_are_dropped_and_ranked_ones_stay_in_place():
    keypoints = np.array([1, 2, 3])[:, None, None, None] * np.ones((3, 1, 2, 2))
    scores = np.array([0.2, 0.9, 0.5])[:, None, None] * np.ones((3, 1, 2))
    kept = sample_clip(annotation(keypoints, scores), num_frames=1, max_people=2, fps=25)
    assert kept.keypoints_PNVC1[:, 0, 0, 0].tolist() == [2, 3]
    kept = sample_clip(annotation(keypoints, scores), num_frames=1, max_people=2, fps=25, people_ranked=True)
    assert kept.keypoints_PNVC1[:, 0, 0, 0].tolist() == [1, 2]


def bodies(*shifts, frames=10):
    """People in the same pose, moved by so many px; a body is 100 px tall."""
    pose = np.random.default_rng(0).uniform(0, 100, (1, frames, 17, 2)) + 50
    return np.concatenate([pose + shift for shift in shifts])


@pytest.mark.parametrize(
    ("keypoints", "scores", "kept"),
    [
        (bodies(0, 0), [0.5, 0.9], [1]),
        (bodies(0, 2, 1), [0.9, 0.8, 0.5], [0]),
        (bodies(0, 20), [0.9, 0.8], [0, 1]),  # somebody close by
        (bodies(0, 200, 200), [0.9, 0.8, 0.7], [0, 1]),
        (np.concatenate([bodies(0), bodies(0)[:, ::-1]]), [0.9, 0.8], [0, 1]),
    ],
)
def test_who_stands_there_twice_is_taken_once_with_the_better_scores(keypoints, scores, kept):
    scores = np.array(scores)[:, None, None] * np.ones(keypoints.shape[:3])
    clip = sample_clip(annotation(keypoints, scores), num_frames=10, max_people=3, fps=25)
    np.testing.assert_allclose(clip.keypoints_PNVC1[: len(kept), ..., :2], keypoints[kept], rtol=1e-5)
    assert not clip.keypoints_PNVC1[len(kept) :].any()
    ranked = sample_clip(
        annotation(keypoints, scores), num_frames=10, max_people=3, fps=25, people_ranked=True
    )
    assert ranked.keypoints_PNVC1.any(axis=(1, 2, 3)).sum() == len(keypoints)


def test_a_clip_without_anybody_is_a_clip_of_absent_people():
    clip = sample_clip(annotation(np.zeros((0, 4, 17, 2))), num_frames=2, max_people=2, fps=25)
    assert clip.keypoints_PNVC1.shape == (2, 2, 17, 3)
    assert not clip.keypoints_PNVC1.any()


@pytest.mark.parametrize(
    ("joints", "scores", "confidence"),
    [
        ([[3, 4], [0, 0]], None, [1, 0]),  # without scores, zero is how a joint is missing
        ([[3, 4], [np.nan, 1]], None, [1, 0]),
        ([[3, 4], [0, 0]], [0.5, 0.9], [0.5, 0]),  # as ultralytics writes what it did not find
        ([[3, 4], [-1, -1]], [0.5, 0.9], [0.5, 0]),
        ([[3, 4], [-1, -1]], None, [1, 0]),
        ([[3, 0], [-1, 2]], [0.5, 0.25], [0.5, 0.25]),  # in one coordinate alone they are places
        ([[0, 0], [0, 0]], [0.5, 0.25], [0, 0]),
        ([[-1, -1], [-1, -1]], [0.5, 0.25], [0, 0]),
        ([[3, 4], [np.inf, 5]], [0.5, 0.25], [0.5, 0]),
        ([[3, 4], [1e300, 5]], [0.5, 0.25], [0.5, 0]),  # no float32
        ([[3, 4], [5, 6]], [1.5, np.nan], [1, 0]),
        ([[3, 4], [5, 6]], [-0.5, np.inf], [0, 0]),
        ([[1, 2, 3], [0, 0, 0]], None, [1, 0]),
        ([[1, 2, 3], [0, 0, 0]], [1, 1], [1, 0]),
    ],
)
def test_a_missing_joint_has_confidence_0_and_nothing_stays_that_is_not_finite(joints, scores, confidence):
    scores = None if scores is None else np.array(scores)[None, None]
    found = with_confidence(np.array(joints, np.float64)[None, None], scores)
    assert found.dtype == np.float32
    assert found[0, 0, :, -1].tolist() == confidence
    assert np.isfinite(found).all()


def test_half_precision_is_widened_and_normalised_coordinates_stay_as_they_are():
    found = with_confidence(np.array([[[[0.25, -0.125], [300.5, 8]]]], np.float16), None)
    assert found[0, 0, :, :2].tolist() == [[0.25, -0.125], [300.5, 8]]


@pytest.mark.slow
@pytest.mark.parametrize("image_size", [320, 640])
def test_our_keypoints_agree_with_those_published_for_the_same_video(shared_data, image_size):
    video = shared_data / "videos" / "ucf101" / "ApplyEyeMakeup" / "v_ApplyEyeMakeup_g01_c01.avi"
    published = read_skeletons(shared_data / "skeleton" / "example_UCF101_skeleton.pkl").annotations[0]
    theirs_TKC1 = with_confidence(published.keypoints_MTVC, published.scores_MTV)[0]
    weights = str(shared_data / "weights" / "yolov8n-pose.pt")
    config = with_overrides(PosesConfig(), {"weights": weights, "image_size": image_size})
    frames = read_frames(video, 32)
    both = frames.index_T < len(theirs_TKC1)  # their decoder found one frame less
    ours_TKC1 = track_people(PoseDetector(config).detect(frames.rgb_THWC), 1)[0][both]
    theirs_TKC1 = theirs_TKC1[frames.index_T[both]]
    height, width = published.size_hw  # the published clip was enlarged
    scale = np.array([frames.rgb_THWC.shape[2] / width, frames.rgb_THWC.shape[1] / height])
    sure_TK = (ours_TKC1[..., 2] >= 0.5) & (theirs_TKC1[..., 2] >= 0.5)
    distance_px = np.linalg.norm(ours_TKC1[..., :2] - theirs_TKC1[..., :2] * scale, axis=-1)[sure_TK]
    assert both.sum() == 31
    assert len(distance_px) > 100
    assert np.median(distance_px) <= 8
