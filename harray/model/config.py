"""Sizes and switches of the model's modules."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from harray.config import Count, Fraction


@dataclass(frozen=True, kw_only=True)
class PCMConfig:
    """PCM, the predictive coding module: completes hidden joints."""

    FORMER: ClassVar[dict[str, str]] = {"num_kinds": "num_components"}

    enabled: bool = True
    """Whether hidden joints are completed by PCM; if not, `fill` stands in for them."""
    prior: bool = True
    """Whether completion starts from a mixture of Gaussians over the whole clip; costly beyond about 50 joints."""
    num_components: Count = 8
    """Number of mixture components of the prior; fewer where there are few clips."""
    hidden_size: Count = 64
    """State size of the LSTM, per direction."""
    num_layers: Count = 1
    """Layers of the LSTM, per direction."""
    predict_size: Count = 128
    """Width of the layer between the LSTM's states and the prediction."""
    refine_size: Count = 24
    """Channels of each joint in each frame while the completion is refined."""
    num_blocks: Count = 1
    """Blocks of the refinement."""
    bottleneck_size: Count = 48
    """Width of the bottleneck in which the joints of a frame exchange information."""
    fill: Literal["zero", "hold", "linear"] = "zero"
    """What stands in for hidden joints when PCM is off: zeros, the last visible value, or linear interpolation."""
    learning_share: Fraction = 0.4
    """Share of the people with hidden joints from whom PCM learns at a training step; the others it completes only."""
    surprise: bool = True
    """Whether MME reads PCM's prediction error on visible joints."""


@dataclass(frozen=True, kw_only=True)
class MMEConfig:
    """MME, the micro-movement encoder: each person's joints to one vector, and all people's to the clip's."""

    num_members: Count = 1
    """Encoders that learn side by side and whose answers are averaged: an ensemble that shares completion."""
    width: Count = 96
    """Channels of an encoder and size of its motion vector."""
    num_blocks: Count = 3
    """Residual convolution blocks (or transformer layers)."""
    kernel_size: Count = 5
    """Kernel of the convolutions, frames."""
    head: Literal["conv", "transformer"] = "conv"
    """What encodes the time axis: residual 1D convolutions or a temporal transformer."""
    num_heads: Count = 4
    """Attention heads of the transformer, and of the attention between people."""
    bones: bool = True
    """Whether bone vectors (each joint relative to its parent) are read beside the joints."""
    differences: bool = True
    """Whether movements are read: differences over `lags` and spread within `windows`."""
    lags: tuple[int, ...] = (1, 2, 4)
    """Time lags of the differences, frames."""
    windows: tuple[int, ...] = (9, 0)
    """Windows within which a joint's spread is measured, odd numbers of frames; 0: the whole clip."""
    distances: bool = True
    """Whether distances between each two joints of a person are read."""
    summary: bool = True
    """Whether means and standard deviations of the streams over time go beside what the blocks find: quick to learn
    from a few dozen clips."""
    medians: bool = True
    """Whether the summary over time holds medians beside means and standard deviations."""
    people_distances: bool = False
    """Whether distances to the joints of the nearest other person are read."""
    people_attention: bool = True
    """Whether people attend to each other before they are pooled."""
    dropout: Fraction = 0.05
    """Dropout of channels, of the input streams and in the blocks."""


@dataclass(frozen=True, kw_only=True)
class CFNConfig:
    """CFN, the contextual fusion network: motion attends to the scene's tokens."""

    enabled: bool = True
    """Whether the scene is looked at; if not, the pose decides alone."""
    width: Count = 64
    """Channels of a projected scene token."""
    num_heads: Count = 4
    """Attention heads."""
    num_queries: Count = 2
    """Queries that motion addresses to the scene."""
    gate: bool = True
    """Whether a learned gate can shut the scene out."""
    probe: bool = True
    """Whether a linear probe of the pooled tokens, fitted and calibrated before training, adds its logits."""
    dropout: Fraction = 0.2
    """Dropout of the projected tokens' channels."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network: PCM, MME, CFN and the classifier on top."""

    pcm: PCMConfig = field(default_factory=PCMConfig)
    """Completion of hidden joints."""
    mme: MMEConfig = field(default_factory=MMEConfig)
    """Encoding of movements."""
    cfn: CFNConfig = field(default_factory=CFNConfig)
    """Fusion with the scene."""
    max_people: Count | None = None
    """People per clip that the model reads, best tracks first. None: all in the store."""
    dropout: Fraction = 0.2
    """Dropout of the classifier's input."""
    view_dropout: Fraction = 0.2
    """Probability, in training, of leaving out the 2D or the 3D keypoints of a clip that has both."""
