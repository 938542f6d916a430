"""What is estimated once from the training clips before training: PCM's prior, and the standardisation of inputs.

Letters: N clips, M rows (people of clips), T frames, S scene tokens, D channels, F principal components,
G mixture components.
"""

from collections.abc import Callable, Iterable

import torch
from scipy.cluster.vq import kmeans2, vq
from torch import Tensor

from harray.features.augment import Augmented
from harray.model.network import FusionNetwork, about_own_centre
from harray.model.prior import MotionPrior
from harray.training.workers import WorkerGroup

LEAST_KNOWN = 0.3  # share of somebody's joints that must be known to learn from
SMALLEST_STD = 1e-4  # a channel that varies less counts as constant and is left unscaled
CLIPS_OF_SINGLE = (1000, 1000, 1000)  # augmented, for each step of fitting PCM's prior; then ...
CLIPS_OF_MIXTURE = (2000, 8000)  # ... with all components; the last is what counts
CLIPS_PER_COMPONENT = 12  # at least; fewer clips make fewer components
SHARED_CLIPS = 30  # of all components, from which each one is estimated beside its own

Variants = Callable[[int], Iterable[Augmented]]  # so many augmented clips, of which this worker has its share
Poses = tuple[Tensor, Tensor]  # keypoints `[M, T, K, C]`, and which are known


def fit_priors(network: FusionNetwork, variants: Variants, num_clips: int, group: WorkerGroup) -> None:
    """Expectation maximisation for the prior of each PCM, on augmented clips of all workers.

    First a single Gaussian. The clips' principal component scores under it are clustered, which gives the first
    assignment to mixture components.

    Args:
        num_clips: there are on all workers.
    """
    priors = [branch.pcm.prior for branch in network.branches if branch.pcm and branch.pcm.prior]
    for stream, prior in enumerate(priors):
        num_components = min(prior.num_components, num_clips // CLIPS_PER_COMPONENT)
        for num_variants in CLIPS_OF_SINGLE:
            people = _people(variants(num_variants), stream, prior)
            _fit(prior, people, _single_component(people), num_clips, group)
        for number, num_variants in enumerate(CLIPS_OF_MIXTURE):
            people = _people(variants(num_variants), stream, prior)
            if num_components < 2:
                component_M = _single_component(people)
            elif number == 0:
                component_M = _clusters(prior.principal_components(*people), num_components, group)
            else:
                component_M = prior.components(*people)
            _fit(prior, people, component_M, num_clips, group)


def _people(batches: Iterable[Augmented], stream: int, prior: MotionPrior) -> Poses:
    """Everybody of whom enough joints are known, relative to their own centre."""
    nobody = torch.zeros(0, *prior.shape, device=prior.covariance_GCDD.device)
    keypoints, known = [nobody], [nobody[..., 0] > 0]
    for batch in batches:
        target_BPTKC, known_BPTK = batch.streams[stream].target_BPTKC, batch.streams[stream].known_BPTK
        row, person = (known_BPTK.float().mean(dim=(2, 3)) >= LEAST_KNOWN).nonzero(as_tuple=True)
        known.append(known_BPTK[row, person])
        keypoints.append(about_own_centre(target_BPTKC[row, person], known[-1])[0])
    return torch.cat(keypoints), torch.cat(known)


def _single_component(people: Poses) -> Tensor:
    return torch.zeros(len(people[1]), dtype=torch.long, device=people[1].device)


def _fit(prior: MotionPrior, people: Poses, component_M: Tensor, num_clips: int, group: WorkerGroup) -> None:
    """One step of expectation maximisation, if there is anybody to learn from; variants of a clip count as one."""
    moments_GCDD, num_rows_G = (group.summed(x) for x in prior.moments(*people, component_M))
    if num_rows := float(num_rows_G.sum()):
        prior.fit(moments_GCDD, num_rows_G, num_shared=SHARED_CLIPS / num_clips * num_rows)


def _clusters(place_MF: Tensor, num_clusters: int, group: WorkerGroup) -> Tensor:
    """The cluster of each row `[M]`, by k-means over all workers' rows; independent of the number of workers."""
    everyone_MF = group.collected(place_MF.cpu()).numpy()
    if len(everyone_MF) < num_clusters:
        return torch.zeros_like(place_MF[:, 0], dtype=torch.long)
    in_order = everyone_MF[
        everyone_MF[:, 0].argsort(kind="stable")
    ]  # independent of which worker computed a row
    centres_GF, _ = kmeans2(in_order, num_clusters, minit="++", rng=0)
    nearest_M, _ = vq(place_MF.cpu().numpy(), centres_GF)
    return torch.from_numpy(nearest_M).long().to(place_MF.device)


def fit_standardisation(network: FusionNetwork, batches: Iterable[Augmented], group: WorkerGroup) -> None:
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
        pose.store(branch.mme.mean_D, branch.mme.std_D, group)
    if network.cfn is not None:
        scene.store(network.cfn.mean_D, network.cfn.std_D, group)


class _Moments:
    """Sums of the first and second power per channel, in float64."""

    def __init__(self) -> None:
        self.sums_3D: Tensor | None = None

    def add(self, x: Tensor) -> None:
        x_ND = x.flatten(0, -2).double()
        count_D = x_ND.new_full((x_ND.shape[-1],), len(x_ND))
        sums_3D = torch.stack([count_D, x_ND.sum(0), x_ND.square().sum(0)])
        self.sums_3D = sums_3D if self.sums_3D is None else self.sums_3D + sums_3D

    def store(self, mean_D: Tensor, std_D: Tensor, group: WorkerGroup) -> None:
        sums_3D = self.sums_3D
        if sums_3D is None:  # this worker's share is empty
            sums_3D = torch.zeros(3, len(mean_D), dtype=torch.float64, device=mean_D.device)
        count_D, first_D, second_D = group.summed(sums_3D)
        average_D = first_D / count_D
        spread_D = (second_D / count_D - average_D.square()).clamp(min=0).sqrt()
        mean_D.copy_(average_D)
        std_D.copy_(torch.where(spread_D > SMALLEST_STD, spread_D, torch.ones_like(spread_D)))
