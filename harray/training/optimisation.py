"""The optimizer, the learning rate's schedule and the decay of the weights' moving average."""

import itertools
import math
from collections.abc import Collection

import torch

from harray.model.network import FusionNetwork
from harray.training.config import TrainingConfig


def rate_at(done: float, warmup_share: float) -> float:
    """The learning rate's factor in [0, 1] at a share of all steps: linear warm-up, then half a cosine to 0.

    >>> rate_at(0.1, 0.1), round(rate_at(0.55, 0.1), 6), rate_at(1.0, 0.1)
    (1.0, 0.5, 0.0)
    """
    if done < warmup_share:
        return 0.04 + 0.96 * done / warmup_share
    return (1 + math.cos(math.pi * (done - warmup_share) / (1 - warmup_share))) / 2


def decay_at(num_steps: int, greatest: float) -> float:
    """The decay of the weights' moving average after so many steps.

    It remembers about a tenth of the steps so far, as TensorFlow's ExponentialMovingAverage does by `num_updates`,
    up to the largest decay, so that a short training is not dominated by its start.

    >>> decay_at(0, 0.99), round(decay_at(90, 0.99), 6), decay_at(10_000, 0.99)
    (0.1, 0.91, 0.99)
    """
    return min(greatest, (1 + num_steps) / (10 + num_steps))


def new_optimizer(
    network: FusionNetwork, config: TrainingConfig, old: Collection[str] = ()
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) that decays weight matrices only; PCM and old weights have their rates.

    Args:
        old: names of the weights that another model has learned before.
    """
    groups = []
    for is_pcm, is_old, is_matrix in itertools.product((False, True), (False, True), (True, False)):
        chosen = [
            weight
            for name, weight in network.named_parameters()
            if ("pcm" in name.split(".")) == is_pcm
            and (name in old) == is_old
            and (weight.dim() > 1) == is_matrix
        ]
        factor = (config.pcm_rate_factor if is_pcm else 1.0) * (config.init_rate_factor if is_old else 1.0)
        decay = config.weight_decay if is_matrix else 0.0
        if chosen:
            groups.append({"params": chosen, "weight_decay": decay, "rate_factor": factor})
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
