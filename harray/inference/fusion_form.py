"""The fusion model as runtimes take it: keypoints in px -> probabilities, normalisation and calibration inside.

Letters: N clips, P people, T frames, K joints, C coordinates, S scene tokens, D channels, A action classes.
"""

import copy
import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from harray.features.tensors import ClipTensors, normalised
from harray.inference.operators import ExportableOperators
from harray.inference.predictor import in_pixels
from harray.inference.products import ConditionalMean
from harray.networks.portable import Signature
from harray.training.checkpoint import Checkpoint

OUTPUTS = ("probabilities", "completed_keypoints", "visible", "attention_time")


class FusionForm(nn.Module):
    """A checkpoint's network with what stands before and behind it; `has_loops` as of `ConditionalMean`."""

    def __init__(self, checkpoint: Checkpoint, *, has_loops: bool = True):
        super().__init__()
        self.checkpoint = checkpoint
        self.network = copy.deepcopy(checkpoint.network).eval().requires_grad_(False)
        for branch in self.network.branches:
            if branch.pcm is not None and branch.pcm.prior is not None:
                branch.pcm.add_module("prior", ConditionalMean(branch.pcm.prior, has_loops=has_loops))

    @property
    def signature(self) -> Signature:
        """Inputs are the arguments of `forward`."""
        second = ("second_keypoints",) if self.network.second is not None else ()
        scene = ("scene_tokens", "use_scene") if self.network.cfn is not None else ()
        return Signature(inputs=("keypoints", *second, *scene), outputs=OUTPUTS, varying={0: "clips"})

    def arguments(self, clips: ClipTensors, *, use_scene: bool = True) -> list[Tensor]:
        """Clips as the arguments of `forward`."""
        streams = clips.looked_at(self.checkpoint.features.keypoints).streams[: len(self.network.branches)]
        given = [torch.cat([x.keypoints_NPTKC, x.confidence_NPTK[..., None]], dim=-1) for x in streams]
        if self.network.cfn is not None:
            assert clips.tokens_NSD is not None, "a model with a scene branch is given scene tokens"
            given += [clips.tokens_NSD.float(), torch.full((len(clips),), use_scene)]
        return given

    def named(self, clips: ClipTensors, *, use_scene: bool = True) -> dict[str, np.ndarray]:
        """Clips as the inputs of a runtime."""
        given = self.arguments(clips, use_scene=use_scene)
        return {name: x.numpy() for name, x in zip(self.signature.inputs, given, strict=True)}

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The values of `OUTPUTS`.

        Args:
            inputs: as `signature` names them: keypoints `[N, P, T, K, C + 1]`, px and confidence in [0, 1], and of the
                second stream alike; scene tokens `[N, S, D]`; whether a clip's scene counts `[N]`, bool.
        """
        with ExportableOperators():
            return self._answer(dict(zip(self.signature.inputs, inputs, strict=True)))

    def _answer(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        kept, network = self.checkpoint, self.network
        clips = self._clips(given)
        seen = normalised(clips, kept.features)
        motion_BED, [pose, *_] = network.look([stream.inputs[:2] for stream in seen.streams])
        logits_NA = network.classify(motion_BED, None).mean(dim=1)
        if network.cfn is not None:
            tokens = given["scene_tokens"]
            scene = network.cfn(
                *network.cfn.tokens(tokens, None), motion_BED.mean(dim=1), network.cfn.probed(tokens)
            )
            with_scene_NA = network.classify(motion_BED, scene).mean(dim=1)
            logits_NA = torch.where(given["use_scene"][:, None], with_scene_NA, logits_NA)
        return (
            (logits_NA / kept.calibration.temperature).softmax(dim=-1),
            in_pixels(pose.completed_BPTKC, clips, seen.visible_NPTK),
            seen.visible_NPTK,
            pose.attention_time_BT,
        )

    def _clips(self, given: dict[str, Tensor]) -> ClipTensors:
        names = ["keypoints", "second_keypoints"][: len(self.checkpoint.layouts)]
        streams = [
            ClipTensors(
                keypoints_NPTKC=given[name][..., :-1],
                confidence_NPTK=given[name][..., -1],
                frame_size_N2=torch.zeros(0),  # is not looked at
                tokens_NSD=None,
                scene_grid=None,
                labels_N=torch.zeros(0),
                clip_ids=[],
                paths=[],
                groups=[],
                classes=self.checkpoint.classes,
                skeleton=layout,
            )
            for name, layout in zip(names, self.checkpoint.layouts, strict=True)
        ]
        return streams[0] if len(streams) == 1 else dataclasses.replace(streams[0], second=streams[1])
