"""What training minimises; every loss is a value per clip, so that batches split over workers add up.

Letters: B batch, P people, T frames, K joints, C coordinates, A action classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

SMALL_ERROR = 0.02  # body sizes; about a detector's own error
ROUNDING = 0.001  # body sizes; radius in which a distance has no corner, so that its gradient has a limit
LEAST_ERROR = 0.005  # body sizes; who is expected better is known as well as can be


def classification_loss(logits_BA: Tensor, labels_B: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with label smoothing (Szegedy et al., 2016), `[B]`; 0 where the label is unknown (-1)."""
    return functional.cross_entropy(
        logits_BA.float(), labels_B, reduction="none", label_smoothing=smoothing, ignore_index=-1
    )


def completion_loss(
    refined_BPTKC: Tensor, expected_BPTKC: Tensor, target_BPTKC: Tensor, counted_BPTK: Tensor
) -> Tensor:
    """How much of the expectation's error on the counted joints is left after refinement, `[B]`; 0 where none counts.

    By mean distances, 1 being no better than expected. Relative to that, since joints that are hidden throughout a clip
    err ten times as far as those hidden in a frame, and would rule. What is expected gets no gradient.
    """
    counted = counted_BPTK.to(target_BPTKC.dtype)
    left_B, expected_B = (
        (((x.float() - target_BPTKC).square().sum(-1) + ROUNDING**2).sqrt() * counted).sum(dim=(1, 2, 3))
        for x in (refined_BPTKC, expected_BPTKC.detach())
    )
    return left_B / (expected_B + LEAST_ERROR * counted.sum(dim=(1, 2, 3))).clamp(min=LEAST_ERROR)


def prediction_loss(predicted_BPTKC: Tensor, target_BPTKC: Tensor, counted_BPTK: Tensor) -> Tensor:
    """Mean distance from prediction to truth over the counted joints of each clip, `[B]`; 0 where none counts.

    The distance is Huber's, quadratic below `SMALL_ERROR`, so that a wrong detection does not rule.
    """
    error = functional.smooth_l1_loss(
        predicted_BPTKC.float(), target_BPTKC, reduction="none", beta=SMALL_ERROR
    ).sum(-1)
    counted = counted_BPTK.to(error.dtype)
    return (error * counted).sum(dim=(1, 2, 3)) / counted.sum(dim=(1, 2, 3)).clamp(min=1)


def attention_loss(attention_BS: Tensor, target_BS: Tensor) -> Tensor:
    """How far attention strays from the target, `[B]`: Kullback and Leibler's divergence in nats, 0 where equal.

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
    """Joints whose truth is known and that the model did not see: all that completion is judged by."""
    return torch.logical_and(known_BPTK, ~visible_BPTK)
