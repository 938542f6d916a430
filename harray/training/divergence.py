"""Ends a training that has diverged; used by `train`, trials, folds and reruns alike."""

import math
from collections.abc import Mapping

from harray.errors import InputError


class Diverged(InputError):
    """The loss is no longer a finite number, so that no weights of this training are worth keeping."""


def check_finite(epoch: int, losses: Mapping[str, float | None]) -> None:
    """Stop a training whose loss is not finite, before the epoch is reported or saved.

    Raises:
        Diverged: one of the losses is NaN or infinite.
    """
    if wrong := [name for name, value in losses.items() if not math.isfinite(value or 0.0)]:
        raise Diverged(
            f"NaN: the loss of epoch {epoch} is not a finite number ({', '.join(wrong)}); lower "
            "training.learning_rate, or look for broken keypoints by `harray store verify`"
        )
