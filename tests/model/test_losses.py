"""Losses per clip, by hand."""

import math

import pytest
import torch

from harray.model.losses import classification_loss


@pytest.mark.parametrize(
    ("logits", "label", "smoothing", "expected"),
    [
        ([0.0, 0.0], 0, 0.0, math.log(2)),
        ([math.log(3), 0.0], 0, 0.0, math.log(4 / 3)),
        ([math.log(3), 0.0], 1, 0.0, math.log(4)),
        ([math.log(3), 0.0], 0, 0.2, 0.9 * math.log(4 / 3) + 0.1 * math.log(4)),
        ([5.0, 1.0], -1, 0.1, 0.0),
    ],
)
def test_cross_entropy_of_a_clip(logits, label, smoothing, expected):
    loss = classification_loss(torch.tensor([logits]), torch.tensor([label]), smoothing)
    assert loss.tolist() == pytest.approx([expected])
