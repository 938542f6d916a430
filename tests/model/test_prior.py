"""The prior over motion: what it expects of hidden joints, by nothing, by formula, and by what it learned."""

import pytest
import torch

from harray.model import prior as module
from harray.model.prior import MotionPrior


def unfitted(frames=5, joints=2, coordinates=2, kinds=1) -> MotionPrior:
    return MotionPrior(
        num_components=kinds, num_frames=frames, num_joints=joints, num_coordinates=coordinates
    )


def fitted(keypoints, visible, steps=4, kind=None) -> MotionPrior:
    """Of as many kinds of motion as `kind` tells apart, one where it tells nothing."""
    _, frames, joints, coordinates = keypoints.shape
    kind = torch.zeros(len(keypoints), dtype=torch.long) if kind is None else kind
    prior = unfitted(frames, joints, coordinates, kinds=int(kind.max()) + 1)
    for _ in range(steps):
        prior.fit(*prior.moments(keypoints * visible[..., None], visible, kind), num_shared=2)
    return prior


def waves(rows, frames=16, joints=3):
    """Joints that swing together, each a little later and less far than the one before; x only."""
    phase, size = torch.rand(rows, 1, 1) * 6.3, 0.2 + 0.2 * torch.rand(rows, 1, 1)
    angle = 0.5 * torch.arange(frames)[None, :, None] + phase - 0.7 * torch.arange(joints)
    return (size * angle.sin() / (1 + torch.arange(joints)))[..., None]


def test_an_unfitted_prior_interpolates_linearly_and_holds_at_the_ends():
    keypoints = torch.tensor([0.0, 0, 0, 0.3, 0]).reshape(1, 5, 1, 1).expand(1, 5, 2, 2)
    visible = torch.tensor([True, False, False, True, False]).reshape(1, 5, 1).expand(1, 5, 2)
    expected = unfitted()(keypoints, visible)
    assert expected[0, :, 1, 0].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.3], abs=0.005)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_expectation_is_the_gaussians_conditional_mean(share):
    torch.manual_seed(0)
    prior = fitted(waves(200), torch.rand(200, 16, 3) < 0.8)
    keypoints, visible = waves(4), torch.rand(4, 16, 3) < share
    expected = prior(keypoints * visible[..., None], visible)
    covariance = prior.covariance_GCDD[0, 0].double()
    for row in range(4):
        seen = visible[row].flatten()
        weights = covariance[~seen][:, seen] @ torch.linalg.inv(covariance[seen][:, seen])
        by_formula = weights @ keypoints[row].flatten()[seen].double()
        assert expected[row].flatten()[~seen] == pytest.approx(by_formula.float(), abs=2e-3)
    assert torch.equal(expected[visible], keypoints[visible])


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8, 1.0])
def test_all_rows_at_once_as_on_a_gpu_give_what_row_by_row_gives(share):
    torch.manual_seed(0)
    prior = fitted(waves(200), torch.rand(200, 16, 3) < 0.8, kind=torch.arange(200) % 2)
    visible, kind = torch.rand(6, 16, 3) < share, torch.arange(6) % 2
    seen_MCD, visible_MD = (waves(6) * visible[..., None]).flatten(1, 2).mT, visible.flatten(1)
    row_by_row = prior._conditional_means(kind, seen_MCD, visible_MD)
    at_once = module._filled_rows(prior.precision_GCDD, kind, seen_MCD, visible_MD)
    assert at_once == pytest.approx(row_by_row, abs=2e-3)
    assert at_once.mT[visible_MD] == pytest.approx(seen_MCD.mT[visible_MD], abs=1e-5)


def test_a_row_does_not_depend_on_the_others():
    torch.manual_seed(0)
    prior = fitted(waves(50), torch.rand(50, 16, 3) < 0.8)
    visible = torch.rand(6, 16, 3) < 0.5
    keypoints = waves(6) * visible[..., None]
    untouched = keypoints.clone()
    together = prior(keypoints, visible)
    assert torch.equal(keypoints, untouched)
    alone = torch.cat([prior(keypoints[i : i + 1], visible[i : i + 1]) for i in range(6)])
    assert together == pytest.approx(alone, abs=1e-5)


def test_it_learns_from_clips_with_missing_joints_what_joints_and_times_tell_of_each_other():
    torch.manual_seed(0)
    train_seen = torch.rand(300, 16, 3) < 0.6
    train_seen[:150, :, 2] = False  # of half of the people the last joint is never known
    prior = fitted(waves(300), train_seen)
    truth, visible = waves(100), torch.ones(100, 16, 3, dtype=torch.bool)
    visible[..., 2] = False  # never seen: only the other joints tell
    visible[:, 5:9] = False  # nobody seen: only other times tell
    expected = prior(truth * visible[..., None], visible)
    interpolated = unfitted(16, 3, 1)(truth * visible[..., None], visible)
    for hidden in ((slice(None), slice(None), 2), (slice(None), slice(5, 9))):
        error, baseline = ((x - truth)[hidden].abs().mean() for x in (expected, interpolated))
        assert error < 0.3 * baseline


def test_a_joint_that_is_never_known_stays_unknown_and_breaks_nothing():
    torch.manual_seed(0)
    visible = torch.ones(40, 16, 3, dtype=torch.bool)
    visible[..., 2] = False
    prior = fitted(waves(40), visible)
    expected = prior(waves(5) * visible[:5, ..., None], visible[:5])
    assert expected.isfinite().all()
    assert expected[..., 2, :].abs().max() < 0.2


def test_being_drawn_towards_stationarity_keeps_a_stationary_covariance_as_it_is():
    steps = torch.arange(8, dtype=torch.float64)
    cosine = torch.cos(torch.pi * 2 * (steps + 0.5) / 8)  # one frequency of the transform, all of it kept
    covariance = torch.outer(cosine, cosine)[None] + torch.eye(8)
    assert module._more_stationary(covariance, 8) == pytest.approx(covariance, abs=1e-9)
    lopsided = torch.outer(steps, steps)[None]
    assert not torch.allclose(module._more_stationary(lopsided, 8), lopsided)


def slow_and_fast(rows):
    """Half of the rows as `waves`, half at a third of their speed; and which."""
    slow = torch.arange(rows) % 2 == 0
    time = torch.where(slow[:, None], torch.arange(16) / 3, torch.arange(16.0))
    angle = 0.9 * time[..., None] + torch.rand(rows, 1, 1) * 6.3 - 0.7 * torch.arange(3)
    return (0.3 * angle.sin())[..., None], slow.long()


def test_kinds_of_motion_are_told_by_what_is_seen_and_each_is_completed_by_its_own_gaussian():
    torch.manual_seed(0)
    everything = torch.ones(200, 16, 3, dtype=torch.bool)
    keypoints, kind = slow_and_fast(200)
    apart, together = fitted(keypoints, everything, kind=kind), fitted(keypoints, everything)
    truth, kind = slow_and_fast(60)
    visible = torch.rand(60, 16, 3) < 0.4
    seen = truth * visible[..., None]
    assert torch.equal(apart.components(seen, visible), kind)
    error, error_of_one = (
        (prior(seen, visible) - truth)[~visible].abs().mean() for prior in (apart, together)
    )
    assert error < 0.8 * error_of_one


def test_the_kind_is_told_by_the_likelihood_of_what_is_seen():
    torch.manual_seed(0)
    keypoints, kind = slow_and_fast(100)
    prior = fitted(keypoints, torch.rand(100, 16, 3) < 0.8, kind=kind)
    keypoints, visible = slow_and_fast(20)[0], torch.rand(20, 16, 3) < 0.2  # fewer than are sampled
    visible[0] = False
    found = prior._log_likelihoods((keypoints * visible[..., None]).flatten(1, 2).mT, visible.flatten(1))
    for row in range(20):
        seen = visible[row].flatten()
        for number, covariance in enumerate(prior.covariance_GCDD[:, 0]):
            normal = torch.distributions.MultivariateNormal(
                torch.zeros(int(seen.sum())), covariance[seen][:, seen]
            )
            shared = seen.sum() * torch.tensor(2 * torch.pi).log() / 2
            by_formula = normal.log_prob(keypoints[row].flatten()[seen]) + shared if seen.any() else 0.0
            assert found[row, number] == pytest.approx(float(by_formula), abs=1e-2)


def test_a_kind_without_rows_is_the_one_of_all_rows():
    torch.manual_seed(0)
    keypoints, everything = waves(40), torch.ones(40, 16, 3, dtype=torch.bool)
    prior = fitted(keypoints, everything, kind=torch.tensor([0, 2] * 20))
    of_all = unfitted(16, 3, 1)
    of_all.fit(*of_all.moments(keypoints, everything, torch.zeros(40, dtype=torch.long)), num_shared=0)
    assert prior.covariance_GCDD[1] == pytest.approx(of_all.covariance_GCDD[0], abs=1e-5)


def test_the_inverse_that_is_not_saved_is_made_anew():
    torch.manual_seed(0)
    prior = fitted(waves(40), torch.ones(40, 16, 3, dtype=torch.bool))
    loaded = unfitted(16, 3, 1)
    loaded.load_state_dict(prior.state_dict())
    assert torch.equal(loaded.precision_GCDD, prior.precision_GCDD)


def test_kinds_that_move_alike_are_the_one_of_all():
    torch.manual_seed(0)
    keypoints, everything = waves(40).repeat(2, 1, 1, 1), torch.ones(80, 16, 3, dtype=torch.bool)
    apart = fitted(keypoints, everything, kind=torch.arange(80) // 40)
    assert apart.covariance_GCDD[1] == pytest.approx(apart.covariance_GCDD[0], abs=1e-6)
    assert apart.covariance_GCDD[0] == pytest.approx(
        fitted(keypoints, everything).covariance_GCDD[0], abs=0.01
    )


@pytest.mark.parametrize("joint", range(4))
def test_the_kind_is_told_by_whichever_joint_tells(joint):
    """Of many joints of many frames only some are looked at, but of every joint some."""
    torch.manual_seed(0)
    kind = torch.arange(200) % 2
    keypoints = 0.02 * torch.randn(200, 32, 17, 1)
    keypoints[kind == 1, :, 4 * joint + 1] += 0.3 * torch.randn(100, 1, 1)
    everything = torch.ones(200, 32, 17, dtype=torch.bool)
    prior = fitted(keypoints, everything, kind=kind)
    assert (prior.components(keypoints, everything) == kind).float().mean() > 0.9
