"""A rendered clip for whoever has no camera at hand: three actions, drawn when it is first asked for."""

import tempfile
from pathlib import Path

import numpy as np

from harray.synth.actions import ACTION_NAMES
from harray.synth.clips import clip_specs, render_clip
from harray.synth.config import SynthConfig
from harray.synth.render import write_video

ACTIONS = ("jumping_jacks", "wave_hand", "lift_box")
SEED = 2026


def demo_clip() -> bytes:
    """MP4, H.264, 320x240, 25 frames a second, about ten seconds."""
    specs = clip_specs(SynthConfig(clips_per_action=3, num_actors=3, seed=SEED, second_person_share=0.0))
    chosen = [next(s for s in specs if ACTION_NAMES[s.action] == name and not s.occluder) for name in ACTIONS]
    frames = np.concatenate([render_clip(spec)[0] for spec in chosen])
    with tempfile.TemporaryDirectory() as folder:
        write_video(path := Path(folder) / "demo.mp4", frames)
        return path.read_bytes()
