"""The prior over motion: what it expects of hidden joints, by nothing, by formula, and by what it learned."""

import pytest
import torch

from harray.model import prior as module
from harray.model.prior import MotionPrior


def unfitted(frames=5, joints=2, coordinates=2) -> MotionPrior:
    return MotionPrior(num_frames=frames, num_joints=joints, num_coordinates=coordinates)


def fitted(keypoints, visible, steps=4) -> MotionPrior:
    _, frames, joints, coordinates = keypoints.shape
    prior = unfitted(frames, joints, coordinates)
    for _ in range(steps):
        prior.fit(prior.moments(keypoints * visible[..., None], visible), len(keypoints))
    return prior


def waves(rows, frames=16, joints=3):
    """Joints that swing together, each a little later and less far than the one before; x only."""
    phase, size = torch.rand(rows, 1, 1) * 6.3, 0.2 + 0.2 * torch.rand(rows, 1, 1)
    angle = 0.5 * torch.arange(frames)[None, :, None] + phase - 0.7 * torch.arange(joints)
    return (size * angle.sin() / (1 + torch.arange(joints)))[..., None]


def test_an_unfitted_prior_interpolates_linearly_and_holds_at_the_ends():
    keypoints = torch.tensor([0.0, 0, 0, 0.3, 0]).reshape(1, 5, 1, 1).expand(1, 5, 2, 2)
    visible = torch.tensor([True, False, False, True, False]).reshape(1, 5, 1).expand(1, 5, 2)
    expected, error = unfitted()(keypoints, visible)
    assert expected[0, :, 1, 0].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.3], abs=0.005)
    assert (error[~visible] == 0).all()


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_expectation_is_the_gaussians_conditional_mean(share):
    torch.manual_seed(0)
    prior = fitted(waves(200), torch.rand(200, 16, 3) < 0.8)
    keypoints, visible = waves(4), torch.rand(4, 16, 3) < share
    expected, _ = prior(keypoints * visible[..., None], visible)
    covariance = prior.covariance_CDD[0].double()
    for row in range(4):
        seen = visible[row].flatten()
        weights = covariance[~seen][:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
        by_formula = weights @ keypoints[row].flatten()[seen].double()
        assert expected[row].flatten()[~seen] == pytest.approx(by_formula.float(), abs=2e-3)
    assert torch.equal(expected[visible], keypoints[visible])


def test_a_row_does_not_depend_on_the_others():
    torch.manual_seed(0)
    prior = fitted(waves(50), torch.rand(50, 16, 3) < 0.8)
    visible = torch.rand(6, 16, 3) < 0.5
    keypoints = waves(6) * visible[..., None]
    together, _ = prior(keypoints, visible)
    alone = torch.cat([prior(keypoints[i : i + 1], visible[i : i + 1])[0] for i in range(6)])
    assert together == pytest.approx(alone, abs=1e-5)


def test_it_learns_from_clips_with_missing_joints_what_joints_and_times_tell_of_each_other():
    torch.manual_seed(0)
    train_seen = torch.rand(300, 16, 3) < 0.6
    train_seen[:150, :, 2] = False  # of half of the people the last joint is never known
    prior = fitted(waves(300), train_seen)
    truth, visible = waves(100), torch.ones(100, 16, 3, dtype=torch.bool)
    visible[..., 2] = False  # never seen: only the other joints tell
    visible[:, 5:9] = False  # nobody seen: only other times tell
    expected, _ = prior(truth * visible[..., None], visible)
    interpolated, _ = unfitted(16, 3, 1)(truth * visible[..., None], visible)
    for hidden in ((slice(None), slice(None), 2), (slice(None), slice(5, 9))):
        error, baseline = ((x - truth)[hidden].abs().mean() for x in (expected, interpolated))
        assert error < 0.3 * baseline


def test_errors_point_at_the_joint_that_is_elsewhere():
    torch.manual_seed(0)
    prior = fitted(waves(200), torch.ones(200, 16, 3, dtype=torch.bool))
    keypoints, visible = waves(5), torch.ones(5, 16, 3, dtype=torch.bool)
    keypoints[:, 7, 1] += 0.2
    _, error = prior(keypoints, visible)
    assert (error[..., 0].flatten(1).abs().argmax(dim=1) == 7 * 3 + 1).all()
    assert error[:, 7, 1, 0] == pytest.approx(torch.full((5,), 0.2), abs=0.05)


def test_a_joint_that_is_never_known_stays_unknown_and_breaks_nothing():
    torch.manual_seed(0)
    visible = torch.ones(40, 16, 3, dtype=torch.bool)
    visible[..., 2] = False
    prior = fitted(waves(40), visible)
    expected, _ = prior(waves(5) * visible[:5, ..., None], visible[:5])
    assert expected.isfinite().all()
    assert expected[..., 2, :].abs().max() < 0.2


def test_being_drawn_towards_stationarity_keeps_a_stationary_covariance_as_it_is():
    steps = torch.arange(8, dtype=torch.float64)
    cosine = torch.cos(torch.pi * 2 * (steps + 0.5) / 8)  # one frequency of the transform, all of it kept
    covariance = torch.outer(cosine, cosine)[None] + torch.eye(8)
    assert module._more_stationary(covariance, 8) == pytest.approx(covariance, abs=1e-9)
    lopsided = torch.outer(steps, steps)[None]
    assert not torch.allclose(module._more_stationary(lopsided, 8), lopsided)
