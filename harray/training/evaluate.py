"""Class probabilities of clips, in batches.

Letters: N clips, A action classes.
"""

import numpy as np
import torch
from scipy.special import softmax

from harray.features.tensors import NormalisedClips
from harray.model.network import FusionNetwork


def predict_probabilities(
    network: FusionNetwork,
    clips: NormalisedClips,
    *,
    batch_size: int = 64,
    use_pose: bool = True,
    use_scene: bool = True,
) -> np.ndarray:
    """Float32 `[N, A]`, rows sum to 1; as `predict_logits`."""
    logits_NA = predict_logits(network, clips, batch_size=batch_size, use_pose=use_pose, use_scene=use_scene)
    return softmax(logits_NA, axis=1)


def predict_logits(
    network: FusionNetwork,
    clips: NormalisedClips,
    *,
    batch_size: int = 64,
    use_pose: bool = True,
    use_scene: bool = True,
) -> np.ndarray:
    """Float32 `[N, A]`; the network is put in evaluation mode and runs where its weights are."""
    device = next(network.parameters()).device
    network.eval()
    parts = [np.zeros((0, network.num_classes), np.float32)]
    with torch.inference_mode():
        for rows in torch.arange(len(clips)).split(batch_size):
            batch = clips.select(rows).to(device)
            output = network(*batch.inputs, use_pose, use_scene, batch.second_inputs)
            parts.append(output.logits_BA.float().cpu().numpy())
    return np.concatenate(parts)
