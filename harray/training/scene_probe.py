"""Fit CFN's linear probe before training, with out-of-fold logits for the training clips.

    pooled tokens of all clips -> probes on all folds but one -> logits of that one --+-> temperature
                               -> probe on all clips ----------- divided by it -------+-> the network's buffers

A network trained beside the probe's logits on the probe's own clips would learn that the scene is always right. So it
is trained on held-out ones (stacked generalisation; Wolpert, 1992), calibrated by one temperature (Guo et al., 2017):
a scene that tells nothing of other groups' clips says nothing. Nor does noise, of which the probe is shown some.

Letters: N clips, D channels, A action classes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import Tensor

from harray.features.rowrandom import RowRandom
from harray.features.tensors import NormalisedClips
from harray.model.cfn import CFN, pooled_tokens
from harray.model.network import FusionNetwork
from harray.training.probes import LinearProbe, dealt, strength_for
from harray.training.workers import WorkerGroup

ROWS_AT_ONCE = 32  # of scene tokens, which are large
CLIPS_PER_NOISE = 10  # training clips for each scene of noise
TEMPERATURES = (0.1, 100.0)  # least and greatest


def fit_scene_probe(
    network: FusionNetwork, clips: NormalisedClips, ties: Sequence[str], workers: WorkerGroup
) -> Tensor | None:
    """Fit the network's probe; the calibrated held-out logits `[n, A]` of this worker's clips, None without a probe.

    Args:
        clips: this worker's share.
        ties: of all workers' clips: a name for each, alike for clips that are held out together.
    """
    cfn = network.cfn
    if cfn is None or cfn.probe is None or clips.tokens_NSD is None:
        return None
    device = cfn.mean_D.device
    pooled = torch.cat([pooled_tokens(tokens.to(device)) for tokens in clips.tokens_NSD.split(ROWS_AT_ONCE)])
    features_ND = workers.gathered(pooled, len(ties)).cpu().numpy()
    labels_N = workers.gathered(clips.labels_N.to(device), len(ties)).cpu().numpy()
    size = (len(ties) + pooled.shape[1] + 1, network.num_classes)
    found = torch.zeros(size, device=pooled.device)
    if workers.rank == 0:
        noise_MD = (
            _noise(cfn, clips.tokens_NSD[:1].to(device), -(-len(ties) // CLIPS_PER_NOISE)).cpu().numpy()
        )
        found = torch.from_numpy(_fitted(features_ND, labels_N, ties, network.num_classes, noise_MD)).to(
            found
        )
    held_out_NA, weight_DA, bias_1A = workers.summed(found).split([len(ties), pooled.shape[1], 1])
    cfn.probe.load(weight_DA, bias_1A[0])
    return held_out_NA[clips.rows_N.to(held_out_NA.device)]


def _noise(cfn: CFN, tokens_1SD: Tensor, num_scenes: int) -> Tensor:
    """Pooled tokens `[num_scenes, D]` of scenes of noise."""
    rows = torch.arange(num_scenes, device=tokens_1SD.device).split(ROWS_AT_ONCE)
    scenes = (cfn.noise_like(tokens_1SD, RowRandom(0, 0, numbers)) for numbers in rows)
    return torch.cat([pooled_tokens(scene) for scene in scenes])


def _fitted(
    features_ND: np.ndarray, labels_N: np.ndarray, ties: Sequence[str], num_classes: int, noise_MD: np.ndarray
) -> np.ndarray:
    """Held-out logits, weights and bias, one below the other, `[N + D + 1, A]`; zeros where there is but one clip."""
    num_clips, size = features_ND.shape
    found = np.zeros((num_clips + size + 1, num_classes))
    known_N = labels_N >= 0
    known_ties = [tie for tie, known in zip(ties, known_N, strict=True) if known]
    x_ND, y_N = features_ND[known_N], labels_N[known_N]
    fold_N, num_folds = dealt(y_N.tolist(), known_ties)
    if num_folds < 2:
        return found
    strength = strength_for(x_ND, y_N, known_ties, num_classes)
    logits_NA = np.zeros((len(y_N), num_classes))
    for fold in range(num_folds):
        rest_N = fold_N != fold
        probe = LinearProbe.fit(
            x_ND[rest_N], y_N[rest_N], num_classes, strength=strength, neutral_MD=noise_MD
        )
        logits_NA[~rest_N] = probe.logits(x_ND[~rest_N])
    temperature = temperature_of(logits_NA, y_N)
    probe = LinearProbe.fit(x_ND, y_N, num_classes, strength=strength, neutral_MD=noise_MD)
    found[:num_clips][known_N] = logits_NA / temperature
    found[num_clips:-1], found[-1] = probe.weight_DA / temperature, probe.bias_A / temperature
    return found


def temperature_of(logits_NA: np.ndarray, labels_N: np.ndarray) -> float:
    """The temperature that minimises the loss of held-out clips."""

    def loss(log_temperature: float) -> float:
        log_NA = log_softmax(logits_NA / np.exp(log_temperature), axis=1)
        return -float(np.take_along_axis(log_NA, labels_N[:, None], axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
