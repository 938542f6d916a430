"""How long and how hard to train."""

from dataclasses import dataclass, field
from typing import Literal

from harray.config import Count, Fraction
from harray.features.config import FeaturesConfig
from harray.model.config import ModelConfig


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Data, optimiser, losses and machine of a training."""

    train_split: str = "train"
    """Split to learn from; several as `train+val`. A store without any split trains on all its clips."""
    val_split: str = "val"
    """Split that is scored after each epoch."""
    num_epochs: Count = 60
    """Passes over the training clips (see `epoch_clips`)."""
    epoch_clips: Count = 1
    """Clips per epoch, at least: a smaller training set is repeated within an epoch, up to five times."""
    batch_size: Count = 16
    """Clips per step, over all workers."""
    learning_rate: float = 4e-3
    """Highest learning rate (one-cycle schedule)."""
    pcm_rate_factor: float = 2.0
    """PCM's learning rate as a multiple of `learning_rate`."""
    warmup_share: Fraction = 0.1
    """Share of all steps in which the learning rate rises."""
    weight_decay: float = 0.05
    """AdamW's weight decay; weight matrices only."""
    label_smoothing: Fraction = 0.1
    """Label smoothing of the cross-entropy losses."""
    max_grad_norm: float = 1.0
    """Norm to which gradients are clipped."""
    average_decay: Fraction = 0.99
    """Decay per step of the weights' moving average, which is what is saved; less in the first steps."""
    fusion_weight: float = 1.0
    """Loss weight: cross-entropy of pose and scene together."""
    pose_weight: float = 0.5
    """Loss weight: cross-entropy of the pose alone."""
    scene_weight: float = 0.5
    """Loss weight: cross-entropy of the scene alone."""
    scene_attention_weight: float = 1.0
    """Loss weight: KL divergence, in nats, between the attention of the scene alone and that of the fusion."""
    completion_weight: float = 0.1
    """Loss weight: PCM's error on hidden joints, relative to the error of its prior."""
    prediction_weight: float = 1.0
    """Loss weight: PCM's error in predicting a frame from the others, body sizes."""
    masked_share: Fraction = 0.5
    """Share of a clip's time that is masked for MME to predict, where labels are not used."""
    patience: int = 0
    """Epochs without a lower val loss after which training stops, and the best epoch counts. 0: all epochs run, and
    the last counts."""
    val_share: Fraction = 0.0
    """Share of the training clips to carve out as val, whole groups, where the store has no val split. Sweeps take
    0.15 where it is 0."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train. auto: on a GPU if there is one."""
    memory_share: Fraction = 0.25
    """Share of a worker's memory that the features of its clips may take. Larger ones are written to the machine's disk
    once and mapped from there; what is learned is the same."""
    num_threads: Count = 1
    """Torch's threads on a CPU; a network this small gains next to nothing from more."""
    mixed_precision: bool = True
    """Whether to compute in bfloat16 on a GPU."""
    state_sec: float = 5.0
    """Least time between two saves of the state that resuming needs, seconds. 0: after each epoch."""
    use_labels: bool = True
    """Whether classes are learned. If not, PCM and MME learn from the clips alone, labelled or not, as `harray
    pretrain` does, and what comes of it is a model to start from (`init`)."""
    clips_per_class: Count | None = None
    """Clips of each class to learn from, at most, drawn by the seed and from as many groups as there are. None: all."""
    balance: Fraction = 0.0
    """How far rare classes count as common ones do: a class weighs its share of the clips to the power of minus this.
    0: every clip weighs the same; 1: every class does."""
    init: str = ""
    """Model whose weights to start from, by names of layers, joints and classes. Empty: weights are drawn."""
    init_rate_factor: float = 1.0
    """Learning rate of weights taken over from `init`, as a multiple of that of new ones. 0: they stay as they are."""
    allow_leak: bool = False
    """Whether to train although the test part shares clips or groups with what is trained on."""
    seed: int = 0
    """Seed of initialisation, batches and augmentation."""

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
