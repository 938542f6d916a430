"""Losses per clip, by hand."""

import math

import pytest
import torch

from harray.model.losses import attention_loss, classification_loss


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


def test_attention_strays_by_the_divergence_and_its_target_stays():
    # The third token is dropped; in the last row what the target looks at got nothing at all.
    target = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]], requires_grad=True)
    attention = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [0.0, 1.0, 0.0]], requires_grad=True)
    loss = attention_loss(attention, target)
    assert loss[:2].tolist() == pytest.approx([0.0, 0.5 * math.log(2) - 0.5 * math.log(1.5)], abs=1e-6)
    assert loss[2].isfinite()
    assert loss[2] > 10
    loss.sum().backward()
    assert target.grad is None
    assert attention.grad is not None
    assert attention.grad.isfinite().all()
    assert attention.grad[1, 0] < attention.grad[1, 1] < 0  # more to the first
