"""A few frames with people, for checks that need pictures and not videos."""

import numpy as np

from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig

SEED = 77


def sample_frames(count: int) -> np.ndarray:
    """uint8 RGB [count, 240, 320, 3], each of another action; always the same."""
    specs = clip_specs(SynthConfig(clips_per_action=1, seed=SEED))
    return np.concatenate([render_clip(spec, [8])[0] for spec in specs[:count]])
