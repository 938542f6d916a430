"""What is measured before training: the mixture components of PCM's prior."""

import pytest
import torch

from harray.features.augment import Augmented
from harray.model.config import ModelConfig
from harray.model.network import FusionNetwork
from harray.training.statistics import fit_priors
from harray.training.workers import WorkerGroup


def network_of_three_joints() -> FusionNetwork:
    torch.manual_seed(0)
    shape = {"num_people": 1, "num_frames": 16, "num_joints": 3, "num_coordinates": 2}
    return FusionNetwork(ModelConfig(), **shape, bones=(), scene_dim=None, num_classes=2)


def swings(rows: int) -> tuple[Augmented, torch.Tensor]:
    """Three joints that swing slowly or fast, all of them known; and which rows are fast."""
    fast = torch.arange(rows) % 2 == 1
    rate = torch.where(fast, 0.9, 0.3)[:, None, None]
    angle = rate * torch.arange(16)[None, :, None] + 6.3 * torch.rand(rows, 1, 1) - 0.7 * torch.arange(3)
    keypoints = 0.3 * torch.stack([angle.sin(), angle.cos()], dim=-1)[:, None]
    keypoints = keypoints - keypoints.mean(dim=(2, 3), keepdim=True)
    known = torch.ones(keypoints.shape[:-1], dtype=torch.bool)
    return Augmented(keypoints, known, keypoints, known, None), fast


@pytest.mark.slow
def test_kinds_of_motion_are_found_without_labels():
    network = network_of_three_joints()
    fit_priors(network, lambda num: [swings(num // 2)[0], swings(num - num // 2)[0]], 400, WorkerGroup())
    batch, fast = swings(200)
    kind = network.pcm.prior.components(batch.target_BPTKC[:, 0], batch.known_BPTK[:, 0])
    counts = torch.stack([torch.bincount(kind[rows], minlength=8) for rows in (fast, ~fast)])
    assert counts.amax(dim=0).sum() >= 0.85 * 200  # nearly every kind is of one speed


def test_few_clips_are_of_one_kind():
    network = network_of_three_joints()
    fit_priors(network, lambda num: [swings(20)[0]], 20, WorkerGroup())
    first, *others = network.pcm.prior.covariance_GCDD
    assert all(torch.equal(first, other) for other in others)


def test_where_nobody_is_known_the_prior_stays_as_it_was_made():
    network = network_of_three_joints()
    before = network.pcm.prior.covariance_GCDD.clone()
    batch, _ = swings(30)
    nobody = batch._replace(known_BPTK=torch.zeros_like(batch.known_BPTK))
    fit_priors(network, lambda num: [nobody], 30, WorkerGroup())
    assert torch.equal(network.pcm.prior.covariance_GCDD, before)
