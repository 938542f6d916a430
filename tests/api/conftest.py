import pickle

import numpy as np
import pytest


@pytest.fixture
def clip_fields():
    """Annotations as other programs write them; content follows from the seed."""

    def fields(frame_dir, seed=0, people=1, frames=5, joints=17, coordinates=2, **changes):
        random = np.random.default_rng(seed)
        values = {
            "frame_dir": frame_dir,
            "total_frames": frames,
            "label": 0,
            "img_shape": (240, 320),
            "original_shape": (240, 320),
            "keypoint": random.uniform(1, 240, (people, frames, joints, coordinates)).astype(np.float16),
            "keypoint_score": random.uniform(0.1, 1, (people, frames, joints)).astype(np.float16),
            **changes,
        }
        return {name: value for name, value in values.items() if value is not None}

    return fields


@pytest.fixture
def saved(tmp_path):
    def save(content, name="clips.pkl"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(content, 2))
        return path

    return save
