"""An exported model at work on its own: a clip of one person in, the likeliest action out.

python run_exported.py FOLDER FRAMES.npy    uint8 RGB [frames, height, width, 3]; see pose.image_size in model.json
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder, frames = Path(sys.argv[1]), np.load(sys.argv[2])
about = json.loads((folder / "model.json").read_text())
people, num_frames, num_joints, _ = about["streams"][0]["shape"]


def run(name, **inputs):
    return onnxruntime.InferenceSession(folder / f"{name}.onnx").run(None, inputs)[0]


# Grey around the frames up to sides that the pose network takes; of each frame its surest person.
grey = [divmod(-side % about["pose"]["stride"], 2) for side in frames.shape[1:3]]
around = [(0, 0), *((half, half + odd) for half, odd in grey), (0, 0)]
found = run("pose", frames=np.pad(frames, around, constant_values=about["pose"]["border"]))
best = found[np.arange(len(frames)), :, found[:, 4].argmax(axis=1)]
joints = best[:, 5:].reshape(-1, num_joints, 3) - np.array([grey[1][0], grey[0][0], 0], np.float32)
joints[..., :2] = joints[..., :2].clip(0, frames.shape[2:0:-1])
keypoints = np.zeros((1, people, num_frames, num_joints, 3), np.float32)
keypoints[0, 0] = joints * (best[:, 4] > about["pose"]["min_box_confidence"])[:, None, None]
inputs = {"keypoints": keypoints}
if scene := about.get("scene"):
    chosen = ((np.arange(scene["frames"]) + 0.5) * num_frames / scene["frames"]).astype(int)
    rows, columns = (
        np.arange(scene["image_size"]) * side // scene["image_size"] for side in frames.shape[1:3]
    )
    tokens = run("scene", frames=frames[chosen][:, rows][:, :, columns])
    inputs |= {"scene_tokens": tokens.reshape(1, -1, tokens.shape[-1]), "use_scene": np.array([True])}
[probabilities] = run("fusion", **inputs)
print(about["classes"][probabilities.argmax()], f"{probabilities.max():.4f}")
