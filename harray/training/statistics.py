"""What is measured once on the training clips before training: PCM's prior, and the scales of what is read.

Letters: N clips, M rows (people of clips), T frames, S scene tokens, D channels.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from harray.features.augment import Augmented
from harray.model.network import FusionNetwork, about_own_centre
from harray.training.workers import Team

LEAST_KNOWN = 0.3  # share of somebody's joints that must be known to learn from
SMALLEST_STD = 1e-4  # a channel that varies less counts as constant and is left unscaled


def fit_priors(network: FusionNetwork, batches: Iterable[Augmented], team: Team) -> None:
    """One step of expectation maximisation for the prior of each PCM, on augmented clips of all workers."""
    priors = [branch.pcm.prior for branch in network.branches if branch.pcm and branch.pcm.prior]
    if not priors:
        return
    moments = [torch.zeros_like(prior.precision_CDD, dtype=torch.float64) for prior in priors]
    num_people = torch.zeros(len(priors), device=moments[0].device)
    with torch.no_grad():
        for batch in batches:
            for number, (prior, stream) in enumerate(zip(priors, batch.streams, strict=True)):
                keypoints_MTKC, known_MTK = _people(stream)
                moments[number] += prior.moments(keypoints_MTKC, known_MTK)
                num_people[number] += len(known_MTK)
    for prior, moments_CDD, count in zip(priors, moments, team.summed(num_people).tolist(), strict=True):
        if count:
            prior.fit(team.summed(moments_CDD), int(count))


def _people(batch: Augmented) -> tuple[Tensor, Tensor]:
    """Keypoints about their own centre, and which are known, of all people of whom enough is."""
    row, person = (batch.known_BPTK.float().mean(dim=(2, 3)) >= LEAST_KNOWN).nonzero(as_tuple=True)
    known_MTK = batch.known_BPTK[row, person]
    return about_own_centre(batch.target_BPTKC[row, person], known_MTK)[0], known_MTK


def measure(network: FusionNetwork, batches: Iterable[Augmented], team: Team) -> None:
    """Set the network's standardisation buffers from augmented clips of all workers, each clip once."""
    network.eval()
    poses, scene = [_Moments() for _ in network.branches], _Moments()
    with torch.inference_mode():
        for batch in batches:
            for pose, branch, seen in zip(poses, network.branches, batch.streams, strict=True):
                pose.add(branch.streams(seen.keypoints_BPTKC, seen.visible_BPTK))
            if network.cfn is not None and batch.tokens_BSD is not None:
                scene.add(batch.tokens_BSD)
    for pose, branch in zip(poses, network.branches, strict=True):
        pose.store(branch.mme.mean_D, branch.mme.std_D, team)
    if network.cfn is not None:
        scene.store(network.cfn.mean_D, network.cfn.std_D, team)


class _Moments:
    """Sums of the first and second power per channel, in float64."""

    def __init__(self) -> None:
        self.sums_3D: Tensor | None = None

    def add(self, x: Tensor) -> None:
        x_ND = x.flatten(0, -2).double()
        count_D = x_ND.new_full((x_ND.shape[-1],), len(x_ND))
        sums_3D = torch.stack([count_D, x_ND.sum(0), x_ND.square().sum(0)])
        self.sums_3D = sums_3D if self.sums_3D is None else self.sums_3D + sums_3D

    def store(self, mean_D: Tensor, std_D: Tensor, team: Team) -> None:
        sums_3D = self.sums_3D
        if sums_3D is None:  # a worker whose share is empty
            sums_3D = torch.zeros(3, len(mean_D), dtype=torch.float64, device=mean_D.device)
        count_D, first_D, second_D = team.summed(sums_3D)
        average_D = first_D / count_D
        spread_D = (second_D / count_D - average_D.square()).clamp(min=0).sqrt()
        mean_D.copy_(average_D)
        std_D.copy_(torch.where(spread_D > SMALLEST_STD, spread_D, torch.ones_like(spread_D)))
