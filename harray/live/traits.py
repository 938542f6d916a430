"""What a stream must know of the model that decides about it; plain values, which may travel between processes."""

from dataclasses import dataclass

from harray.live.config import LiveConfig
from harray.training.checkpoint import Checkpoint

DEFAULT_SEC = 3.0  # of a window, where the checkpoint does not know how long its clips were


@dataclass(frozen=True, kw_only=True)
class ModelTraits:
    """Of one model."""

    window_sec: float
    num_frames: int
    num_people: int  # looked at together; 2: each person with the nearest other
    num_joints: int
    num_scene_frames: int  # 0 without a scene branch
    min_confidence: float  # of a joint that counts as seen
    threshold: float = 0.0  # probability below which the answer is "unsure"

    @classmethod
    def of(cls, checkpoint: Checkpoint, config: LiveConfig) -> "ModelTraits":
        """Those of a checkpoint, as far as the config does not say otherwise."""
        num_people, num_frames, num_joints, _ = checkpoint.network.shape
        grid = checkpoint.scene_grid if checkpoint.network.cfn is not None else None
        return cls(
            window_sec=config.window_sec or checkpoint.clip_sec or DEFAULT_SEC,
            num_frames=num_frames,
            num_people=min(checkpoint.num_people or num_people, num_people),
            num_joints=num_joints,
            num_scene_frames=grid[0] if grid else 0,
            min_confidence=checkpoint.features.min_confidence,
            threshold=checkpoint.calibration.threshold(config.min_precision),
        )
