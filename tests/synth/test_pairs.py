"""Two actors in one picture: who is chosen, and where they stand."""

import numpy as np

from harray.synth.actions import ACTIONS
from harray.synth.clips import clip_specs
from harray.synth.config import SynthConfig
from harray.synth.pairs import pairs_of, render_pair

SPECS = clip_specs(SynthConfig(clips_per_action=5, num_actors=5))


def test_two_of_a_pair_share_a_scene_and_differ_by_motion_alone():
    for pair in pairs_of(SPECS, 40):
        one, other = ACTIONS[pair.left.action], ACTIONS[pair.right.action]
        assert one.motion is not other.motion
        assert pair.scene in one.scenes and pair.scene in other.scenes
        assert one.object is None and other.object is None
        assert pair.left.actor != pair.right.actor


def test_each_half_of_the_picture_holds_one_who_moves_and_the_middle_nobody():
    [pair] = pairs_of(SPECS, 1)
    frames = render_pair(pair)
    assert frames.shape[1:] == (240, 320, 3)
    moves_HW = np.ptp(frames.astype(int), axis=0).max(axis=-1) > 30
    assert moves_HW[:, :140].any() and moves_HW[:, 180:].any() and not moves_HW[:, 158:162].any()


def test_the_same_pair_looks_the_same_again():
    [pair] = pairs_of(SPECS, 1)
    assert (render_pair(pair) == render_pair(pair)).all()
