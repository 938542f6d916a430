"""Clips to compare an exported model with torch on: people who move as the model expects, and joints hidden.

Letters: N clips, P people, T frames, K joints, C coordinates, D = T * K.
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from harray.features.tensors import ClipTensors, clips_from_arrays
from harray.model.network import PoseBranch
from harray.training.checkpoint import Checkpoint

HIDDEN_SHARES = (0.0, 0.3, 0.6, 0.9)
CLIPS_EACH = 3
BODY_PX, APART_PX = 120.0, 150.0


def sample_clips(checkpoint: Checkpoint, seed: int = 0) -> ClipTensors:
    """Clips with everybody and some joints hidden, with the first person alone, and with nobody."""
    random = torch.Generator().manual_seed(seed)
    count = CLIPS_EACH * (len(HIDDEN_SHARES) + 2)
    first, *others = [
        clips_from_arrays(
            _keypoints(branch, count, random).numpy(), skeleton=layout, classes=checkpoint.classes
        )
        for branch, layout in zip(checkpoint.network.branches, checkpoint.layouts, strict=True)
    ]
    tokens = None
    if checkpoint.network.cfn is not None:
        num_tokens = int(np.prod(checkpoint.scene_grid or (1, 1))) * (checkpoint.scene_grid or (1, 1))[1]
        cfn = checkpoint.network.cfn
        drawn = torch.randn(count, num_tokens, len(cfn.mean_D), generator=random)
        tokens = (cfn.mean_D + cfn.std_D * drawn).clamp(min=0).half()
    return dataclasses.replace(first, second=others[0] if others else None, tokens_NSD=tokens)


def _keypoints(branch: PoseBranch, count: int, random: torch.Generator) -> Tensor:
    """`[N, P, T, K, C + 1]`, px and confidence."""
    people, frames, joints, _ = branch.shape
    moved_NPTKC = _movements(branch, count * people, random).view(count, *branch.shape)
    centre_P = APART_PX * torch.arange(1, people + 1)[:, None, None, None]
    confidence_NPTK1 = torch.ones(count, people, frames, joints, 1)
    for number, share in enumerate(HIDDEN_SHARES):
        rows = slice(number * CLIPS_EACH, (number + 1) * CLIPS_EACH)
        hidden = torch.rand(confidence_NPTK1[rows].shape, generator=random) < share
        confidence_NPTK1[rows] *= ~hidden
    confidence_NPTK1[-2 * CLIPS_EACH :, 1:] = 0.0  # one person alone
    confidence_NPTK1[-CLIPS_EACH:] = 0.0  # nobody
    return torch.cat([BODY_PX * moved_NPTKC + centre_P, confidence_NPTK1], dim=-1)


def _movements(branch: PoseBranch, count: int, random: torch.Generator) -> Tensor:
    """People about their centre, in body sizes, drawn from PCM's prior; without one they walk at random."""
    _, frames, joints, coordinates = branch.shape
    drawn_NCD = torch.randn(count, coordinates, frames * joints, generator=random)
    if branch.pcm is None or branch.pcm.prior is None:
        steps = drawn_NCD.view(count, coordinates, frames, joints)
        return (steps[:, :, :1] + 0.03 * steps.cumsum(dim=2)).permute(0, 2, 3, 1)
    factor_CDD = torch.linalg.cholesky(branch.pcm.prior.covariance_GCDD[0].double()).float()
    moved_NCD = torch.einsum("cde,nce->ncd", factor_CDD, drawn_NCD)
    return moved_NCD.view(count, coordinates, frames, joints).permute(0, 2, 3, 1)
