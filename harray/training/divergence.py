"""Where a training ends that can only get worse: `train`, a trial, a fold and a repetition alike."""

import math
from collections.abc import Mapping

from harray.errors import InputError


class Diverged(InputError):
    """The loss is no longer a finite number, so that no weights of this training are worth keeping."""


def check_finite(epoch: int, losses: Mapping[str, float | None]) -> None:
    """Refuse to go on from an epoch whose loss is not a finite number, before anybody sees or keeps it.

    Raises:
        Diverged: one of the losses is NaN or infinite.
    """
    if wrong := [name for name, value in losses.items() if not math.isfinite(value or 0.0)]:
        raise Diverged(
            f"NaN: the loss of epoch {epoch} is not a finite number ({', '.join(wrong)}); lower "
            "training.learning_rate, or look for broken keypoints by `harray store verify`"
        )
