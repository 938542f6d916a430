"""Sizes and switches of the model's modules."""

from dataclasses import dataclass, field
from typing import Literal

from harray.config import Count, Fraction


@dataclass(frozen=True, kw_only=True)
class PCMConfig:
    """Predictive coding: completes hidden joints."""

    enabled: bool = True
    prior: bool = (
        True  # whether completion starts from Gaussians over the clip; costly beyond about 50 joints
    )
    num_kinds: Count = 8  # of motion, which the prior tells apart
    hidden_size: Count = 64  # of each LSTM direction
    num_layers: Count = 1  # of each LSTM direction
    predict_size: Count = 128  # of the layer between LSTM states and the prediction
    refine_size: Count = 24  # of each joint's vector in each frame while the prediction is refined
    num_blocks: Count = 1  # of the refinement
    bottleneck_size: Count = 48  # in which the joints of a frame meet
    fill: Literal["zero", "hold", "linear"] = "zero"  # what stands for hidden joints when PCM is off
    surprise: bool = True  # whether MME sees the prediction's error on visible joints


@dataclass(frozen=True, kw_only=True)
class MMEConfig:
    """Micro-movement encoder: one person's joints -> one vector, and the people's -> the clip's."""

    width: Count = 96  # channels; also the size of the motion vector
    num_blocks: Count = 3
    kernel_size: Count = 5  # frames
    head: Literal["conv", "transformer"] = "conv"
    num_heads: Count = 4  # of the transformer and of the attention between people
    bones: bool = True  # whether joints are also seen from their parent, as bone vectors
    differences: bool = True  # whether movements, over `lags` and within `windows`, are seen
    lags: tuple[int, ...] = (1, 2, 4)  # frames
    windows: tuple[int, ...] = (9, 0)  # odd numbers of frames in which spread is measured; 0 = the whole clip
    distances: bool = True  # whether distances between a person's joints are seen
    medians: bool = True  # whether the summary over time holds medians beside means and deviations
    people_distances: bool = False  # whether distances to the nearest other person's joints are seen
    people_attention: bool = True  # whether people attend to each other
    dropout: Fraction = 0.05  # of the input streams' and of the blocks' channels


@dataclass(frozen=True, kw_only=True)
class CFNConfig:
    """Contextual fusion: motion attends to scene tokens."""

    enabled: bool = True
    width: Count = 64  # channels of a projected scene token
    num_heads: Count = 4
    num_queries: Count = 2
    gate: bool = True  # whether the scene can be shut out
    probe: bool = True  # whether a linear probe of the pooled tokens, fitted before training, decides as well
    dropout: Fraction = 0.2  # of the projected tokens' channels


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    pcm: PCMConfig = field(default_factory=PCMConfig)
    mme: MMEConfig = field(default_factory=MMEConfig)
    cfn: CFNConfig = field(default_factory=CFNConfig)
    max_people: Count | None = None  # looked at, the best tracks first; None: all that the store has
    dropout: Fraction = 0.2  # of what the classifier reads
    view_dropout: Fraction = 0.2  # of leaving out one of two streams of keypoints in training
