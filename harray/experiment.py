"""ExperimentConfig: everything that a training depends on, composed of the configs that stand beside their owners."""

from dataclasses import dataclass, field

from harray.extraction.config import ExtractionConfig
from harray.features.config import FeaturesConfig
from harray.model.config import ModelConfig
from harray.poses.config import PosesConfig
from harray.scenes.config import ScenesConfig
from harray.training.config import LearningConfig, TrainingConfig
from harray.videos.config import VideosConfig


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """One experiment, from video to model; every leaf has one dotted name everywhere."""

    videos: VideosConfig = field(default_factory=VideosConfig)
    """Frames of a video."""
    poses: PosesConfig = field(default_factory=PosesConfig)
    """Keypoints of people."""
    scenes: ScenesConfig = field(default_factory=ScenesConfig)
    """Tokens of the scene."""
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    """The model's input, and augmentation."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """The network."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The optimisation."""

    @property
    def extraction(self) -> ExtractionConfig:
        """The part that decides what stands in a store."""
        return ExtractionConfig(videos=self.videos, poses=self.poses, scenes=self.scenes)

    @property
    def learning(self) -> LearningConfig:
        """The part that decides what is learned from a store."""
        return LearningConfig(features=self.features, model=self.model, training=self.training)
