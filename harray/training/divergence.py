"""Where a training ends that can only get worse: `train`, a trial, a fold and a repetition alike."""

import math
from typing import TYPE_CHECKING

from harray.errors import InputError

if TYPE_CHECKING:
    from harray.training.loop import EpochReport


class Diverged(InputError):
    """The loss is no longer a finite number, so that no weights of this training are worth keeping."""


def check_finite(report: "EpochReport") -> None:
    """Refuse to go on from an epoch whose loss is not a finite number, before anybody sees or keeps it.

    Raises:
        Diverged: one of the losses is NaN or infinite.
    """
    losses = {**report.losses, "val": 0.0 if report.val_loss is None else report.val_loss}
    if wrong := [name for name, value in losses.items() if not math.isfinite(value)]:
        raise Diverged(
            f"NaN: the loss of epoch {report.epoch} is not a finite number ({', '.join(wrong)}); lower "
            "training.learning_rate, or look for broken keypoints by `harray store verify`"
        )
