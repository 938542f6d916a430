"""PCM: what its prediction may see, what it keeps, and that it learns."""

import pytest
import torch

from harray.model.config import PCMConfig
from harray.model.losses import completion_loss, hidden_on_purpose, prediction_loss
from harray.model.pcm import PCM, _apart


def pcm(joints=5, coordinates=2, layers=1, frames=8) -> PCM:
    torch.manual_seed(0)
    module = PCM(
        PCMConfig(hidden_size=16, refine_size=16, num_layers=layers),
        num_frames=frames,
        num_joints=joints,
        num_coordinates=coordinates,
    )
    for parameter in module.parameters():  # away from the start, where corrections are zero
        torch.nn.init.normal_(parameter, std=0.3)
    return module


def clips(rows=3, frames=8, joints=5, coordinates=2):
    keypoints = torch.randn(rows, frames, joints, coordinates)
    visible = torch.rand(rows, frames, joints) < 0.6
    return keypoints * visible[..., None], visible


@pytest.mark.parametrize("frame", [0, 3, 7])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_prediction_of_a_frame_does_not_depend_on_that_frame(frame, layers):
    module = pcm(layers=layers)
    keypoints, visible = clips()
    before = module(keypoints, visible).predicted_MTKC
    keypoints[:, frame], visible[:, frame] = 7.0, ~visible[:, frame]
    after = module(keypoints, visible).predicted_MTKC
    assert torch.equal(after[:, frame], before[:, frame])
    assert not torch.equal(after, before)


def test_the_prediction_of_a_frame_depends_on_every_other_frame():
    module = pcm()
    keypoints, visible = clips()
    keypoints.requires_grad_()
    module(keypoints, visible | True).predicted_MTKC[:, 4].sum().backward()
    gradient_T = keypoints.grad.abs().sum(dim=(0, 2, 3))
    assert gradient_T[4] == 0
    assert (gradient_T[[0, 1, 2, 3, 5, 6, 7]] > 0).all()


def test_the_refinement_sees_the_frames_own_visible_joints():
    module = pcm()
    keypoints, visible = clips()
    visible[:, 4] = torch.tensor([True, False, True, False, True])
    before = module(keypoints, visible).refined_MTKC
    keypoints[:, 4, 0] += 1.0
    assert not torch.equal(module(keypoints, visible).refined_MTKC[:, 4, 1], before[:, 4, 1])


def test_observed_joints_are_kept_exactly_and_hidden_ones_never_read():
    module = pcm()
    keypoints, visible = clips()
    result = module(keypoints, visible)
    assert torch.equal(result.completed_MTKC[visible], keypoints[visible])
    poisoned = torch.where(visible[..., None], keypoints, 1e6)
    assert torch.equal(module(poisoned, visible).completed_MTKC, result.completed_MTKC)
    assert (result.surprise_MTK[~visible] == 0).all()
    assert (result.surprise_MTK[visible] > 0).all()


def gradients(module, loss):
    module.zero_grad()
    loss.backward()
    return {name: weights.grad.clone() for name, weights in module.named_parameters()}


@pytest.mark.parametrize("learns", [[True, False, True], [False, True, True], [True] * 3])
def test_rows_that_do_not_learn_are_completed_alike_and_give_no_gradient(learns):
    module, learns_M = pcm(), torch.tensor(learns)
    keypoints, visible = clips()
    visible[0] = True  # of one, nothing is hidden
    plain, some = module(keypoints, visible), module(keypoints, visible, learns_M)
    for part, same in zip(plain, some, strict=True):
        assert torch.allclose(part, same, atol=1e-5)
    own = module(keypoints[learns_M], visible[learns_M])
    wanted = gradients(module, own.refined_MTKC.square().sum() + own.predicted_MTKC.square().sum())
    found = gradients(module, some.refined_MTKC.square().sum() + some.predicted_MTKC.square().sum())
    elsewhere = _apart(plain, learns_M)  # as on devices that would have to wait for the rows' number
    masked = gradients(
        module, elsewhere.refined_MTKC.square().sum() + elsewhere.predicted_MTKC.square().sum()
    )
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-3)
        assert torch.allclose(masked[name], gradient, rtol=1e-3, atol=1e-3)


def test_where_nobody_learns_every_weight_has_a_gradient_of_nothing():
    module = pcm()
    keypoints, visible = clips()
    completion = module(keypoints, visible, torch.zeros(3, dtype=torch.bool))
    found = gradients(module, completion.refined_MTKC.sum() + completion.predicted_MTKC.sum())
    assert all((gradient == 0).all() for gradient in found.values())


def test_an_untrained_pcm_interpolates():
    module = PCM(PCMConfig(hidden_size=8), num_frames=5, num_joints=1, num_coordinates=1)
    keypoints = torch.tensor([0.0, 9, 9, 3, 9]).reshape(1, 5, 1, 1)
    visible = torch.tensor([True, False, False, True, False]).reshape(1, 5, 1)
    result = module(keypoints, visible)
    assert result.predicted_MTKC.flatten().tolist() == pytest.approx([3, 1, 2, 0, 3])
    assert result.completed_MTKC.flatten().tolist() == pytest.approx([0, 1, 2, 3, 3], abs=0.05)


def test_only_what_was_hidden_on_purpose_and_truly_observed_counts():
    observed = torch.tensor([[[[True, True, False, False]]]])
    visible = torch.tensor([[[[True, False, False, True]]]])
    counted = hidden_on_purpose(observed, visible)
    assert counted.flatten().tolist() == [False, True, False, False]
    target = torch.zeros(1, 1, 1, 4, 1)
    estimate = torch.tensor([5.0, 0.25, 5.0, 5.0]).reshape(1, 1, 1, 4, 1)
    expected = torch.tensor([9.0, 0.5, 9.0, 9.0]).reshape(1, 1, 1, 4, 1)
    assert prediction_loss(estimate, target, counted).tolist() == pytest.approx([0.25 - 0.02 / 2])  # Huber
    assert completion_loss(estimate, expected, target, counted).tolist() == pytest.approx([0.5], abs=0.01)
    for loss in (
        prediction_loss(estimate, target, counted & False),
        completion_loss(estimate, expected, target, counted & False),
    ):
        assert loss.tolist() == [0.0]


def test_completion_counts_alike_whether_much_or_little_is_known_of_a_clip():
    """What is left of each clip's error: a joint never seen does not rule over one hidden in a frame."""
    target, counted = torch.zeros(2, 1, 1, 1, 2), torch.ones(2, 1, 1, 1, dtype=torch.bool)
    expected = target + torch.tensor([0.3, 3.0]).reshape(2, 1, 1, 1, 1)
    refined = (0.8 * expected).requires_grad_()
    loss = completion_loss(refined, expected, target, counted)
    assert loss.tolist() == pytest.approx([0.8, 0.8], rel=0.02)
    assert completion_loss(expected, expected, target, counted).tolist() == pytest.approx(
        [1.0, 1.0], rel=0.02
    )


def test_a_clip_expected_exactly_asks_for_nothing():
    still = torch.zeros(1, 1, 1, 1, 2, requires_grad=True)
    loss = completion_loss(still, still, torch.zeros(1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, dtype=torch.bool))
    loss.sum().backward()
    assert still.grad is not None
    assert loss.item() < 0.2
    assert not still.grad.any()


@pytest.mark.slow
def test_training_beats_interpolation_on_swinging_limbs():
    torch.manual_seed(1)
    module = PCM(PCMConfig(hidden_size=32, refine_size=32), num_frames=24, num_joints=4, num_coordinates=1)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)

    def swing(rows):
        phase, rate = torch.rand(rows, 1, 1) * 6.3, 0.4 + 0.4 * torch.rand(rows, 1, 1)
        angle = rate * torch.arange(24)[None, :, None] + phase + torch.arange(4) * 0.8
        visible = torch.rand(rows, 24, 4) > 0.6
        return angle.sin()[..., None], visible

    for _ in range(150):
        truth, visible = swing(32)
        found = module(truth * visible[..., None], visible)
        refined, expected = found.refined_MTKC[:, None], found.expected_MTKC[:, None]
        loss = completion_loss(refined, expected, truth[:, None], ~visible[:, None]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    truth, visible = swing(200)
    hidden = ~visible
    completed = module(truth * visible[..., None], visible).completed_MTKC
    untrained = PCM(PCMConfig(hidden_size=8), num_frames=24, num_joints=4, num_coordinates=1)
    interpolated = untrained(truth * visible[..., None], visible).completed_MTKC
    error, baseline = ((x - truth).abs()[hidden].mean() for x in (completed, interpolated))
    assert error < 0.7 * baseline
