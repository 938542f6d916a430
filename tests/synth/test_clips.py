"""What a set contains, and what a rendered clip shows."""

import dataclasses
from collections import defaultdict

import numpy as np
import pytest

from harray.synth.actions import ACTION_NAMES, ACTIONS
from harray.synth.clips import clip_specs, num_frames, render_clip
from harray.synth.config import SynthConfig

SET = SynthConfig(clips_per_action=10, seed=3)


def test_there_are_at_least_ten_actions_and_five_scenes():
    assert len(set(ACTION_NAMES)) >= 10
    assert {scene for action in ACTIONS for scene in action.scenes} == {
        "gym",
        "street",
        "field",
        "pool",
        "room",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("run_treadmill", "jog_street"),
        ("jog_street", "dribble_ball"),
        ("arm_circles", "swim_crawl"),
        ("lift_barbell", "lift_box"),
    ],
)
def test_pairs_that_share_a_motion_differ_in_scene_or_object(one, other):
    a, b = (ACTIONS[ACTION_NAMES.index(name)] for name in (one, other))
    assert a.motion is b.motion
    assert a.yaw_deg == b.yaw_deg
    assert (a.scenes, a.object) != (b.scenes, b.object)


@pytest.mark.parametrize(("still", "moving"), [("raise_hand", "wave_hand"), ("think", "brush_teeth")])
def test_pairs_that_share_scenes_differ_by_a_small_movement_of_one_forearm(still, moving):
    a, b = (ACTIONS[ACTION_NAMES.index(name)] for name in (still, moving))
    assert (a.scenes, a.object, a.yaw_deg) == (b.scenes, b.object, b.yaw_deg)
    phase = np.linspace(0, 3, 64)
    spans = {}
    for action in (a, b):
        motion = action.motion(phase, np.random.default_rng(0))
        spans[action.name] = {name: np.ptp(angles, axis=0).max() for name, angles in motion.segments.items()}
    assert spans[still]["right_forearm"] < 3
    assert 30 < spans[moving]["right_forearm"] < 90
    others = set(spans[still]) - {"right_forearm", "right_upper_arm"}
    assert all(spans[moving][name] == pytest.approx(spans[still][name]) for name in others)


@pytest.mark.parametrize("clips_per_action", [3, 7, 10, 31])
def test_no_actor_is_in_two_splits_and_every_action_is_in_every_split(clips_per_action):
    splits_of_actor, splits_of_action = defaultdict(set), defaultdict(set)
    for spec in clip_specs(SynthConfig(clips_per_action=clips_per_action)):
        splits_of_actor[spec.actor].add(spec.split)
        splits_of_action[spec.label].add(spec.split)
    assert all(len(splits) == 1 for splits in splits_of_actor.values())
    assert all(splits == {"train", "val", "test"} for splits in splits_of_action.values())
    assert set(splits_of_action) == set(ACTION_NAMES)


def test_about_a_fifth_of_the_clips_has_an_occluder_and_a_fifth_a_second_person():
    specs = clip_specs(SynthConfig(clips_per_action=100))
    assert 0.16 < np.mean([spec.occluder for spec in specs]) < 0.24
    assert 0.16 < np.mean([spec.second_person for spec in specs]) < 0.24


def test_clips_last_two_to_four_seconds():
    lengths = [num_frames(spec) for spec in clip_specs(SET)]
    assert min(lengths) >= 50
    assert max(lengths) <= 100
    assert max(lengths) - min(lengths) > 30


def test_chosen_frames_are_those_of_the_whole_clip():
    spec = dataclasses.replace(clip_specs(SET)[0], occluder=True, second_person=True)
    whole, truth = render_clip(spec)
    some, some_truth = render_clip(spec, [4, 20, 41])
    assert whole.shape == (num_frames(spec), 240, 320, 3)
    np.testing.assert_array_equal(some, whole[[4, 20, 41]])
    np.testing.assert_array_equal(some_truth.keypoints_TPKC, truth.keypoints_TPKC[[4, 20, 41]])
    assert truth.keypoints_TPKC.shape == (num_frames(spec), 2, 17, 2)


def test_the_actor_is_the_larger_and_central_one_of_two():
    for spec in clip_specs(SET)[::10]:
        _, truth = render_clip(dataclasses.replace(spec, second_person=True), [0])
        heights, middles = truth.body_height_P, truth.keypoints_TPKC[0, :, 11:13, 0].mean(1)
        assert 0.5 * 240 <= heights[0] <= 0.85 * 240
        assert heights[1] < 0.8 * heights[0]
        assert abs(middles[0] - 160) < 40 < abs(middles[1] - 160)


def test_the_occluder_hides_joints_for_a_while_only():
    spec = dataclasses.replace(clip_specs(SET)[0], occluder=True, second_person=False)
    _, truth = render_clip(spec)
    share = truth.visible_TPK[:, 0].mean(-1)
    assert share.min() < 0.5 < 0.9 < share.max()
    boxed = ~np.isnan(truth.occluder_box_T4[:, 0])
    assert boxed.any()
    assert not boxed.all()


@pytest.mark.parametrize(
    "action", [action for action in ACTIONS if action.object], ids=lambda action: action.name
)
def test_an_object_is_large_enough_to_be_seen_and_paints_its_box(action):
    spec = clip_specs(SET)[ACTIONS.index(action) * SET.clips_per_action]
    _, truth = render_clip(dataclasses.replace(spec, occluder=False, second_person=False), [10])
    x0, y0, x1, y1 = truth.object_box_T4[0]
    assert x1 - x0 >= 35
    assert y1 - y0 >= 35
    assert (x0 + x1) / 2 > 0
    assert (x0 + x1) / 2 < 320


def test_actions_without_an_object_have_no_object_box():
    _, truth = render_clip(clip_specs(SET)[0], [0])
    assert np.isnan(truth.object_box_T4).all()
