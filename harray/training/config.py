"""How long and how hard to train."""

from dataclasses import dataclass, field
from typing import Literal

from harray.config import Count, Fraction
from harray.features.config import FeaturesConfig
from harray.model.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    train_split: str = "train"  # several as `train+val`; a store without any split trains on all its clips
    val_split: str = "val"  # scored after each epoch; `val_share` is carved out where the store lacks it
    num_epochs: Count = 60
    epoch_clips: Count = (
        1  # in an epoch; fewer clips are gone through as often as that takes, up to five times
    )
    batch_size: Count = 16  # over all workers
    learning_rate: float = 4e-3  # the highest, after warm-up
    pcm_rate_factor: float = 2.0  # PCM's learning rate, in learning rates
    warmup_share: Fraction = 0.1  # of all steps
    weight_decay: float = 0.05  # of weight matrices; AdamW
    label_smoothing: Fraction = 0.1
    max_grad_norm: float = 1.0
    average_decay: Fraction = 0.99  # of the weights' moving average, per step; less at first
    fusion_weight: float = 1.0  # of the loss when pose and scene decide together
    pose_weight: float = 0.5  # of the loss when the pose decides alone
    scene_weight: float = 0.5  # of the loss when the scene decides alone
    scene_attention_weight: float = (
        1.0  # of the motion's look at the scene straying from the scene's own, nats
    )
    completion_weight: float = 0.1  # of hidden joints' error, relative to that of PCM's prior
    prediction_weight: float = 1.0  # of PCM's error in predicting a frame from the others, in body sizes
    patience: int = (
        0  # epochs without a lower val loss before stopping; 0: all epochs run, and the last counts
    )
    val_share: Fraction = (
        0.0  # of the train clips, carved by group where there is no val split; sweeps take 0.15
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_threads: Count = 1  # of torch on a CPU; so small a network gains next to nothing from more
    mixed_precision: bool = True  # bfloat16 on a GPU
    state_sec: float = 5.0  # at least, between savings of what resuming needs; 0 saves after each epoch
    seed: int = 0

    @property
    def train_splits(self) -> list[str]:
        """The names in `train_split`."""
        return self.train_split.split("+")


@dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """What a training needs of an experiment; the rest decided what stands in the store."""

    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
