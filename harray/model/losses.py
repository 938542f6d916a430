"""The training losses. Each is a value per clip, so that batches split over workers add up.

Letters: B batch, P people, T frames, K joints, C coordinates, A action classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

SMALL_ERROR = 0.02  # body sizes; about the error of a pose detector
ROUNDING = 0.001  # body sizes; radius within which distances are smoothed, so that gradients stay bounded
LEAST_ERROR = 0.005  # body sizes; floor of the expected error that refinement is compared with


def classification_loss(logits_BA: Tensor, labels_B: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with label smoothing (Szegedy et al., 2016), `[B]`; 0 where the label is unknown (-1)."""
    return functional.cross_entropy(
        logits_BA.float(), labels_B, reduction="none", label_smoothing=smoothing, ignore_index=-1
    )


def completion_loss(
    refined_BPTKC: Tensor, expected_BPTKC: Tensor, target_BPTKC: Tensor, counted_BPTK: Tensor
) -> Tensor:
    """Error of the refinement on counted joints, relative to that of the expectation, `[B]`; 0 where none counts.

    A ratio of mean distances; 1 is no better than the expectation. A ratio, since joints that are hidden throughout a
    clip err ten times as far as those hidden in a frame, and would dominate. The expectation gets no gradient.
    """
    counted = counted_BPTK.to(target_BPTKC.dtype)
    left_B, expected_B = (
        (((x.float() - target_BPTKC).square().sum(-1) + ROUNDING**2).sqrt() * counted).sum(dim=(1, 2, 3))
        for x in (refined_BPTKC, expected_BPTKC.detach())
    )
    return left_B / (expected_B + LEAST_ERROR * counted.sum(dim=(1, 2, 3))).clamp(min=LEAST_ERROR)


def prediction_loss(predicted_BPTKC: Tensor, target_BPTKC: Tensor, counted_BPTK: Tensor) -> Tensor:
    """Mean distance from prediction to truth over the counted joints of each clip, `[B]`; 0 where none counts.

    The distance is Huber's, quadratic below `SMALL_ERROR`, so that a wrong detection does not dominate.
    """
    error = functional.smooth_l1_loss(
        predicted_BPTKC.float(), target_BPTKC, reduction="none", beta=SMALL_ERROR
    ).sum(-1)
    counted = counted_BPTK.to(error.dtype)
    return (error * counted).sum(dim=(1, 2, 3)) / counted.sum(dim=(1, 2, 3)).clamp(min=1)


def attention_loss(attention_BS: Tensor, target_BS: Tensor) -> Tensor:
    """KL divergence of attention from the target, `[B]`, nats.

    The target gets no gradient. Both sum to 1 over the tokens; a token that is dropped has 0 in both.
    """
    attention_BS, target_BS = attention_BS.float(), target_BS.detach().float()
    least = torch.finfo(attention_BS.dtype).tiny  # attention below it counts as this, and gets no gradient
    return (target_BS.xlogy(target_BS) - target_BS.xlogy(attention_BS.clamp(min=least))).sum(dim=-1)


def gate_loss(gate_B: Tensor, is_scene_B: Tensor) -> Tensor:
    """Binary cross-entropy of the gate, `[B]`: open for a scene, shut for noise in its place."""
    gate_B = gate_B.float().clamp(1e-6, 1 - 1e-6)
    return -torch.where(is_scene_B, gate_B, 1 - gate_B).log()


def hidden_on_purpose(known_BPTK: Tensor, visible_BPTK: Tensor) -> Tensor:
    """Joints whose true place is known and that were hidden from the model: those that completion is scored on."""
    return torch.logical_and(known_BPTK, ~visible_BPTK)
