"""The losses of a training step: recognition by pose and scene, together and alone; scene attention; completion.

Every clip contributes the losses of all three, weighted as configured. That is the expectation of
dropping modalities at random, without its noise, and costs little, since the pose is encoded once.

Where motion already tells the class, fusion's scene attention would get no gradient and could lie anywhere.
So a KL divergence draws it towards the attention of the scene alone, in every clip.

Letters: B batch, E members of MME, D features, A action classes, S scene tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harray.features.augment import Augmented
from harray.features.config import AugmentationConfig
from harray.features.rowrandom import RowRandom
from harray.model.cfn import SceneView
from harray.model.losses import (
    attention_loss,
    classification_loss,
    completion_loss,
    gate_loss,
    hidden_on_purpose,
    prediction_loss,
)
from harray.model.network import FusionNetwork, Pose
from harray.training.config import TrainingConfig


class TrainingStep(nn.Module):
    """Losses as a module, so that DistributedDataParallel sees one forward per step."""

    def __init__(
        self,
        network: FusionNetwork,
        config: TrainingConfig,
        augmentation: AugmentationConfig,
        class_weight_A: Tensor | None = None,
    ):
        super().__init__()
        self.network = network
        self.class_weight_A = class_weight_A  # of losses of recognition; None: all alike
        self.config = config
        self.augmentation = augmentation

    def forward(self, batch: Augmented, labels_B: Tensor, random: RowRandom) -> dict[str, Tensor]:
        """Losses per clip `[B]` by name; `total` is what training minimises."""
        network, config = self.network, self.config
        motion_BED, poses = network.look([(x.keypoints_BPTKC, x.visible_BPTK) for x in batch.streams], random)
        losses = {"pose": self._recognition(network.classify(motion_BED, None, random), labels_B)}
        total = config.pose_weight * losses["pose"]
        if network.cfn is not None and batch.tokens_BSD is not None:
            strength = self.augmentation
            replaced_B = random.chance(
                "scene.replaced", strength.scene_replaced_probability * strength.enabled
            )
            tokens_BSD, kept_BS = network.cfn.tokens(
                batch.tokens_BSD,
                random,
                dropout=strength.token_dropout * strength.enabled,
                noise=strength.token_noise * strength.enabled,
                replaced_B=replaced_B,
            )
            probe_BA = None if batch.probe_BA is None else batch.probe_BA * ~replaced_B[:, None]
            both, alone = (
                network.cfn(tokens_BSD, kept_BS, motion_BD, probe_BA)
                for motion_BD in (motion_BED.mean(dim=1), None)
            )
            losses["fusion"] = self._recognition(network.classify(motion_BED, both, random), labels_B)
            losses["scene"] = self._recognition(network.classify(None, alone, random), labels_B)
            if probe_BA is not None:
                losses["look"] = self._looks(motion_BED, both, alone, labels_B, random)
                losses["gate"] = gate_loss(both.gate_B, ~replaced_B) + gate_loss(alone.gate_B, ~replaced_B)
                total = total + config.scene_weight * (losses["look"] + losses["gate"])
            losses["scene_attention"] = attention_loss(both.attention_BS, alone.attention_BS)
            total = total + config.fusion_weight * losses["fusion"] + config.scene_weight * losses["scene"]
            total = total + config.scene_attention_weight * losses["scene_attention"]
        else:
            total = total + config.fusion_weight * losses["pose"]
        completion, weighted = completion_losses(network, poses, batch, config)
        losses, total = losses | completion, total + weighted
        return {"total": total} | losses

    def _looks(
        self, motion_BED: Tensor, both: SceneView, alone: SceneView, labels_B: Tensor, random: RowRandom
    ) -> Tensor:
        """With a probe in place, attention learns by what it adds to the detached motion logits, and alone."""
        network = self.network
        known_BA = network.classify(motion_BED, None, random).detach().mean(dim=1)
        looks = [known_BA + network.classify_look(both, random), network.classify_look(alone, random)]
        return self._recognition(torch.stack(looks, dim=1), labels_B) * len(looks)

    def _recognition(self, logits_BEA: Tensor, labels_B: Tensor) -> Tensor:
        """The members' mean loss: each learns to answer by itself."""
        smoothing = self.config.label_smoothing
        each = [classification_loss(logits_BA, labels_B, smoothing) for logits_BA in logits_BEA.unbind(dim=1)]
        mean_B = torch.stack(each).mean(dim=0)
        return mean_B if self.class_weight_A is None else mean_B * self.class_weight_A[labels_B.clamp(min=0)]


def completion_losses(
    network: FusionNetwork, poses: Sequence[Pose], batch: Augmented, config: TrainingConfig
) -> tuple[dict[str, Tensor], Tensor]:
    """PCM's losses per clip `[B]` by name, means over streams, and their weighted sum; {} and 0 without PCM.

    What was hidden on purpose counts, of each frame's prediction all. People who were not encoded are left out.
    """
    if network.pcm is None:
        return {}, batch.target_BPTKC.new_zeros(len(batch.target_BPTKC))
    found = []
    for pose, seen in zip(poses, batch.streams, strict=True):
        known_BPTK = seen.known_BPTK & pose.present_BP[:, :, None, None]
        hidden = hidden_on_purpose(known_BPTK, seen.visible_BPTK)
        completion_B = completion_loss(pose.refined_BPTKC, pose.expected_BPTKC, seen.target_BPTKC, hidden)
        found.append((completion_B, prediction_loss(pose.predicted_BPTKC, seen.target_BPTKC, known_BPTK)))
    completions, predictions = zip(*found, strict=True)
    losses = {
        "completion": torch.stack(completions).mean(dim=0),
        "prediction": torch.stack(predictions).mean(dim=0),
    }
    weighted = (
        config.completion_weight * losses["completion"] + config.prediction_weight * losses["prediction"]
    )
    return losses, weighted


def class_weights(counts_A: Tensor, balance: float) -> Tensor:
    """Weights `[A]` of classes with so many training clips each, whose mean over those clips is 1; 0 without clips.

    >>> class_weights(torch.tensor([30.0, 10.0]), 1.0)
    tensor([0.6667, 2.0000])
    """
    weight_A = torch.where(counts_A > 0, counts_A.clamp(min=1) ** -balance, 0.0)
    return weight_A * counts_A.sum() / (weight_A * counts_A).sum().clamp(min=1e-9)
