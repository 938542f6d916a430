import re
from pathlib import Path

import numpy as np
import pytest

from harray.errors import InputError
from harray.interchange.annotations import Annotation
from harray.interchange.conventions import is_marked, to_ours
from harray.interchange.pickles import SkeletonFile

PATH = Path("clips.pkl")


def random(*shape, low=0.0, high=1.0):
    return np.random.default_rng(len(shape)).uniform(low, high, shape)


def px(*, people=1, frames=6, joints=17):
    """In a picture of 240 x 320."""
    return random(people, frames, joints, 2, low=5, high=235)


def with_last(keypoints, last):
    return np.concatenate([keypoints, np.broadcast_to(last, keypoints.shape[:-1])[..., None]], axis=-1)


def annotation(keypoints, scores=None, name="a", size_hw=(240, 320)):
    scores = None if scores is None else np.broadcast_to(scores, np.shape(keypoints)[:3])
    return Annotation(
        frame_dir=name, label=0, size_hw=size_hw, keypoints_MTVC=np.array(keypoints), scores_MTV=scores
    )


@pytest.mark.parametrize(
    ("scores", "expected", "words"),
    [
        (random(1, 6, 17), random(1, 6, 17), None),
        (random(1, 6, 17) * 1.06, random(1, 6, 17) * 1.06, None),  # peaks of heatmaps
        (random(1, 6, 17) * 100, random(1, 6, 17), "per cent"),
        (
            np.round(random(1, 6, 17) * 100).astype(np.int64),
            np.round(random(1, 6, 17) * 100) / 100,
            "per cent",
        ),
        (
            random(1, 6, 17) * 6,
            random(1, 6, 17) * 6,
            "scores reach 5.*from 1 up they count as 1",
        ),  # AlphaPose
        (np.arange(17) % 3, np.arange(17) % 3, "COCO marks visibility"),
        (0.0, None, "all scores are 0"),
        (-1.0, None, "all scores are 0"),
        (np.nan, None, "all scores are 0"),
        (None, None, None),
    ],
)
def test_scores_become_shares_of_1(scores, expected, words):
    (found,), said = to_ours(PATH, [annotation(px(), scores)])
    if expected is None:
        assert found.scores_MTV is None
    else:
        np.testing.assert_allclose(found.scores_MTV, np.broadcast_to(expected, (1, 6, 17)), rtol=1e-6)
    check(said, words)


def test_where_others_have_scores_a_clip_of_zeros_shows_nobody_and_is_told_of():
    some = [annotation(px(), random(1, 6, 17)), annotation(px(), 0.0, "b"), annotation(px(), None, "c")]
    found, said = to_ours(PATH, some)
    assert found == some
    check(said, "1 clips have scores of 0 throughout, so that nobody is seen")


@pytest.mark.parametrize(
    ("keypoints", "coordinates", "scores", "words"),
    [
        (with_last(px(), random(1, 6, 17)), 2, random(1, 6, 17), "3 values a joint, the last 0 to 1:"),
        (with_last(px(), random(1, 6, 17) * 100), 2, random(1, 6, 17), "3 values a joint, the last 0 to 100:"),
        (with_last(px(), random(1, 6, 17) * 1.07), 2, random(1, 6, 17) * 1.07, "the last 0 to 1:"),  # OpenPose
        (with_last(px(), np.arange(17) % 3), 2, np.arange(17) % 3 * np.ones((1, 6, 1)), "the last 0, 1 or 2:"),
        (with_last(px(), 0.0), 2, None, "the last of 3 values a joint is always 0"),
        (with_last(px(), random(1, 6, 17, low=200, high=400)), 3, None, None),  # a depth in cm
        (random(1, 6, 20, 3, low=-1, high=1), 3, None, None),
        (random(1, 6, 25, 3, low=0, high=3), 3, None, None),
        (with_last(random(1, 6, 25, 3, low=0, high=3), random(1, 6, 25)), 3, random(1, 6, 25), "4 values a joint"),
    ],
)  # fmt: skip
def test_scores_that_stand_in_the_last_coordinate_are_told_from_a_third_one(
    keypoints, coordinates, scores, words
):
    (found,), said = to_ours(PATH, [annotation(keypoints)])
    np.testing.assert_array_equal(found.keypoints_MTVC, keypoints[..., :coordinates])
    if scores is None:
        assert found.scores_MTV is None
    else:
        assert found.scores_MTV is not None
        np.testing.assert_allclose(found.scores_MTV, scores, rtol=1e-6)
    check(said[:1], words)


def test_scores_that_stand_there_twice_are_taken_once():
    scores = random(1, 6, 17)
    (found,), said = to_ours(PATH, [annotation(with_last(px(), scores), scores)])
    assert found.keypoints_MTVC.shape == (1, 6, 17, 2)
    np.testing.assert_array_equal(found.scores_MTV, scores)
    check(said, "repeats keypoint_score")


def test_3d_with_scores_stays_3d_whatever_its_third_coordinate():
    keypoints = random(1, 6, 17, 3)
    (found,), said = to_ours(PATH, [annotation(keypoints, 1.0)])
    assert (found.keypoints_MTVC.shape, said) == ((1, 6, 17, 3), [])


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ([annotation(px(), random(1, 6, 17) * 255)], "scores up to 24.*, expected 0 to 1 or 0 to 100"),
        (
            [annotation(px(), random(1, 6, 17) * 99), annotation(px(), random(1, 6, 17), "b")],
            "up to 9.* in a and up to 0.9.* in b; give all",
        ),
        ([annotation(random(1, 6, 17, 3))], "x, y, score or x, y, z"),
        (
            [annotation(with_last(px(), random(1, 6, 17, high=6)))],
            "third from 0.0.* to 5.*: is it x, y, score",
        ),
        ([annotation(with_last(px(), random(1, 6, 17)), size_hw=(0, 0))], "img_shape: found none"),
        ([annotation(random(1, 6, 17, 4, low=-1))], "4 values a joint, the last from -"),
    ],
)
def test_numbers_that_may_mean_two_things_are_asked_about(annotations, words):
    with pytest.raises(InputError, match=words):
        to_ours(PATH, annotations)


@pytest.mark.parametrize(
    ("keypoints", "size_hw", "factor", "words"),
    [
        (px() / [320, 240], (240, 320), [320, 240], "shares of img_shape"),
        (px() / [320, 240], (1, 1), [1, 1], None),
        (px(), (240, 320), [1, 1], None),
        (px() / [160, 120] - 1, (240, 320), [1, 1], "lie about 0 and are no pixels"),
    ],
)
def test_shares_of_a_picture_become_pixels(keypoints, size_hw, factor, words):
    (found,), said = to_ours(PATH, [annotation(keypoints, size_hw=size_hw)])
    np.testing.assert_allclose(found.keypoints_MTVC, keypoints * factor, rtol=1e-5)
    check(said, words)


def test_what_is_missing_stays_marked_when_coordinates_become_pixels():
    keypoints = px() / [320, 240]
    keypoints[0, 0, :3] = [[0, 0], [-1, -1], [np.nan, 0.5]]
    (found,), _ = to_ours(PATH, [annotation(keypoints)])
    assert is_marked(found.keypoints_MTVC)[0, 0].tolist() == [True] * 3 + [False] * 14


def test_different_joints_at_one_place_are_asked_about():
    keypoints = px(frames=20)
    keypoints[0, ::2, :5] = [-12.5, 0]  # zeros from before a shift
    (found,), said = to_ours(PATH, [annotation(keypoints)])
    np.testing.assert_array_equal(found.keypoints_MTVC, keypoints)
    check(said, r"15% of the joints lie at \(-12.5, 0\), 5 different ones; .* give them a score of 0")
    still = np.repeat(px(frames=1), 20, axis=1)
    check(to_ours(PATH, [annotation(still)])[1], None)


@pytest.mark.parametrize(
    ("shift", "origin"),
    [(0.0, [0]), (3.0, [])],
)
@pytest.mark.parametrize("coordinates", [2, 3])
@pytest.mark.parametrize("scores", [None, 1.0])
def test_a_joint_that_is_always_0_amid_the_others_is_their_origin(shift, origin, coordinates, scores):
    keypoints = random(1, 6, 17, coordinates, low=-1, high=1) + shift
    keypoints[..., 0, :] = 0
    keypoints[:, 1:5, 4] = 0  # lost for most of the time
    assert SkeletonFile(annotations=[annotation(keypoints, scores)]).origin_joints == origin


def check(said, words):
    assert len(said) == bool(words), said
    if words:
        assert re.search(words, said[0]), said
