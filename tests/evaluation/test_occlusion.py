"""What each kind of occlusion hides, and what it leaves."""

import pytest
import torch

from harray.evaluation.occlusion import KINDS, as_in_other_clips, occluded, size_of
from harray.features.tensors import clips_from_arrays
from harray.skeleton import PENN13

CLIPS, FRAMES = 40, 20


def clips(missing=None):
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(CLIPS, 1, FRAMES, 13, 3, generator=generator) * 100
    keypoints[..., 2] = 0.9
    if missing is not None:
        keypoints[..., 2][missing] = 0.0
    return clips_from_arrays(keypoints.numpy(), skeleton=PENN13)


def hidden(kind, share):
    return occluded(clips(), kind, share).confidence_NPTK[:, 0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_changes_at_share_zero_and_the_arguments_never(kind):
    before, given = clips(), clips()
    after = occluded(given, kind, 0.0)
    occluded(given, kind, 0.7)
    for same in (after, given):
        assert torch.equal(same.keypoints_NPTKC, before.keypoints_NPTKC)
        assert torch.equal(same.confidence_NPTK, before.confidence_NPTK)


@pytest.mark.parametrize("kind", ["joints", "whole_joints", "limbs", "spans"])
def test_what_a_smaller_share_hides_a_larger_one_hides_too(kind):
    little, much = hidden(kind, 0.3), hidden(kind, 0.6)
    assert (much | ~little).all()
    assert much.sum() > little.sum() > 0


def test_a_share_of_the_joints_is_hidden():
    assert hidden("joints", 0.5).float().mean() == pytest.approx(0.5, abs=0.02)


def test_a_limb_is_hidden_as_a_whole_for_one_run_of_frames():
    gone = hidden("limbs", 0.5)
    arm = list(PENN13.limbs[0])
    assert (gone[..., arm].all(dim=-1) == gone[..., arm].any(dim=-1)).all()
    assert not gone[..., 0].any()  # the head is no limb
    length_N = gone[..., arm[0]].sum(dim=1)
    assert set(length_N.tolist()) == {0, 10}
    began_N = (gone[:, 1:, arm[0]] & ~gone[:, :-1, arm[0]]).sum(dim=1) + gone[:, 0, arm[0]]
    assert (began_N <= 1).all()


def test_a_span_hides_everybody_for_one_run_of_frames():
    gone = hidden("spans", 0.3)
    assert (gone.all(dim=-1) == gone.any(dim=-1)).all()
    assert (gone[..., 0].sum(dim=1) == 6).all()


def test_a_misdetected_joint_is_the_farther_off_the_less_sure_it_is_and_missing_ones_stay_missing():
    missing = torch.zeros(CLIPS, 1, FRAMES, 13, dtype=torch.bool)
    missing[:, :, :, 3] = True
    before = clips(missing)
    after = occluded(before, "confidence", 0.5)
    assert (after.confidence_NPTK[missing] == 0).all()
    away = (after.keypoints_NPTKC - before.keypoints_NPTKC).norm(dim=-1)
    away = away / size_of(before)[:, None, None, None]
    changed = after.confidence_NPTK != before.confidence_NPTK
    assert changed[~missing].float().mean() == pytest.approx(0.5, abs=0.02)
    assert (away[~changed] == 0).all()
    sure = after.confidence_NPTK > 0.8
    assert away[changed & ~sure].mean() > 2 * away[changed & sure].mean()


def test_real_occlusion_is_another_clips_frame_by_frame():
    missing = torch.zeros(CLIPS, 1, FRAMES, 13, dtype=torch.bool)
    missing[0, :, 4:9, 2:6], missing[1, :, 10:, 5:7] = True, True
    given = clips(missing)
    after = as_in_other_clips(given, 0.3)
    assert after is not None
    patterns = {tuple(gone.flatten().tolist()) for gone in (after.confidence_NPTK == 0)[2:]}
    assert patterns == {tuple(missing[i].flatten().tolist()) for i in (0, 1)}
    assert (after.confidence_NPTK[0] == 0).equal(missing[0] | missing[1])
    assert as_in_other_clips(clips(), 0.3) is None
