"""Whether mirrored copies help: a swipe that goes left is no swipe that goes right; a jump is a jump."""

import dataclasses

import numpy as np
import pytest
import torch

from harray.features.tensors import NormalisedClips
from harray.skeleton import PENN13
from harray.training.mirroring import mirrored, try_mirroring

LEFT_WRIST, RIGHT_WRIST = PENN13.joints.index("left_wrist"), PENN13.joints.index("right_wrist")


def swipes(num_clips=48, *, told_by_side: bool) -> NormalisedClips:
    """A wrist, either one, moves left or right (two classes), or moves up or down instead."""
    rng = np.random.default_rng(0)
    keypoints = rng.normal(0, 0.02, (num_clips, 1, 16, 13, 2))
    keypoints[..., 1] += np.linspace(-0.5, 0.5, 13)
    labels = np.arange(num_clips) % 2
    way = np.where(labels, 1, -1)[:, None] * np.linspace(-0.4, 0.4, 16)
    for clip in range(num_clips):
        wrist = RIGHT_WRIST if told_by_side or clip % 4 < 2 else LEFT_WRIST
        keypoints[clip, 0, :, wrist, 0 if told_by_side else 1] += way[clip]
    return NormalisedClips(
        keypoints_NPTKC=torch.tensor(keypoints, dtype=torch.float32),
        visible_NPTK=torch.ones(keypoints.shape[:-1], dtype=torch.bool),
        tokens_NSD=None,
        scene_grid=None,
        labels_N=torch.tensor(labels),
        rows_N=torch.arange(num_clips),
    )


def groups(num_groups: int) -> list[str]:
    return [f"actor {clip // 2 % num_groups}" for clip in range(48)]


@pytest.mark.parametrize("num_groups", [1, 2, 3, 8], ids="of {} groups".format)
def test_mirroring_is_off_where_it_turns_one_class_into_the_other(num_groups):
    clips = swipes(told_by_side=True)
    noisy = dataclasses.replace(clips, keypoints_NPTKC=clips.keypoints_NPTKC * 0.3)
    both = dataclasses.replace(
        noisy, keypoints_NPTKC=noisy.keypoints_NPTKC + mirrored(noisy, [PENN13]).keypoints_NPTKC
    )
    assert try_mirroring(clips, groups(num_groups), [PENN13], 2).num_clips == 48
    found = try_mirroring(
        both, groups(num_groups), [PENN13], 2
    )  # a left and a right wrist that move apart or together
    assert found.helps and found.probability == 0.5  # symmetric: the copy is the clip


def test_few_clips_of_either_hand_are_helped_by_copies():
    clips = swipes(told_by_side=False)
    found = try_mirroring(clips, groups(24), [PENN13], 2)
    assert found.helps, str(found)
    assert str(found).startswith("mirroring is on: of 48 held-out training clips a linear probe lost")


def test_a_test_that_loses_more_than_it_wins_switches_mirroring_off():
    rng = np.random.default_rng(1)
    clips = swipes(told_by_side=True)
    # The right wrist goes left or right amid so much noise that a probe needs all that the sign tells it.
    loud = clips.keypoints_NPTKC + torch.tensor(rng.normal(0, 0.5, clips.keypoints_NPTKC.shape)).float()
    both = loud.clone()
    both[..., LEFT_WRIST, :] = loud[..., RIGHT_WRIST, :]  # either wrist may: mirrored, left is right
    found = try_mirroring(dataclasses.replace(clips, keypoints_NPTKC=both), groups(24), [PENN13], 2)
    assert not found.helps and found.probability == 0.0, str(found)
    assert "mirroring is off" in str(found)


def test_mirroring_twice_gives_the_clips_back():
    clips = swipes(told_by_side=True)
    twice = mirrored(mirrored(clips, [PENN13]), [PENN13])
    assert torch.equal(twice.keypoints_NPTKC, clips.keypoints_NPTKC)


def test_clips_without_a_label_are_left_out():
    clips = swipes(told_by_side=True)
    unlabelled = dataclasses.replace(clips, labels_N=torch.where(torch.arange(48) < 8, -1, clips.labels_N))
    assert try_mirroring(unlabelled, groups(8), [PENN13], 2).num_clips == 40
