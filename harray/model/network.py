"""The fusion network: PCM completes joints, MME encodes movements, CFN attends to the scene.

    keypoints, visible -> PCM -> completed, surprise -> MME (per person) -> people -> motion --+--> classifier
    scene tokens ------------------------------------------------> CFN (motion asks) -> scene -+

MME's members see the same completion; each has people and a classifier of its own and learns by its own loss. Their
logits are averaged, and CFN is asked by their mean motion.

Where clips have two streams of keypoints, 2D and 3D, each has its own PCM, MME and people, and their motion vectors
attend to each other before they are one.

The classifier reads motion and scene apart (a sum of two linear maps), so leaving one out leaves the evidence
of the other as it was; one trained network answers by pose only, by scene only and by both.

Letters: B batch, V streams of keypoints, E members of MME, P people, M rows (people of clips that are present),
T frames, K joints, C coordinates, S scene tokens, D features, A action classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from harray.features.interpolation import fill_hidden
from harray.features.kinematics import people_distances
from harray.features.rowrandom import RowRandom
from harray.model.cfn import CFN, SceneView
from harray.model.config import ModelConfig
from harray.model.dropout import RowDropout
from harray.model.mme import MME
from harray.model.pcm import PCM, Completion
from harray.model.people import People


@dataclass(frozen=True, kw_only=True)
class Pose:
    """What the pose branch found."""

    motion_BED: Tensor
    completed_BPTKC: Tensor  # observed joints as they are
    predicted_BPTKC: Tensor  # PCM's prediction from other frames; equals completed without PCM
    expected_BPTKC: Tensor  # what PCM's estimate starts from; equals completed without PCM
    refined_BPTKC: Tensor  # PCM's estimate of every joint; equals completed without PCM
    surprise_BPTK: Tensor  # 0 where hidden and without PCM
    present_BP: Tensor  # people who were encoded; zeros stand for the others
    attention_time_BT: Tensor  # sums to 1


@dataclass(frozen=True, kw_only=True)
class NetworkOutput:
    """Logits and what explains them; the pose's fields are None with `use_pose=False`, the scene's likewise."""

    logits_BA: Tensor
    completed_BPTKC: Tensor | None
    surprise_BPTK: Tensor | None
    attention_time_BT: Tensor | None
    attention_scene_BS: Tensor | None
    gate_B: Tensor | None


class StreamShape(TypedDict):
    """Of a stream of keypoints."""

    num_people: int
    num_frames: int
    num_joints: int
    num_coordinates: int
    bones: tuple[tuple[int, int], ...]  # (parent, child) joints of the skeleton; empty where it is not known


class PoseBranch(nn.Module):
    """A stream of keypoints -> motion vectors of people."""

    def __init__(self, config: ModelConfig, **shape: Unpack[StreamShape]):
        super().__init__()
        self.config = config
        num_frames, num_joints = shape["num_frames"], shape["num_joints"]
        num_coordinates = shape["num_coordinates"]
        self.shape = (shape["num_people"], num_frames, num_joints, num_coordinates)
        extra = num_coordinates + num_joints**2 * config.mme.people_distances
        self.pcm = None
        if config.pcm.enabled:
            self.pcm = PCM(
                config.pcm,
                num_frames=num_frames,
                num_joints=num_joints,
                num_coordinates=num_coordinates,
            )
        self.mme = MME(
            config.mme,
            num_joints=num_joints,
            num_coordinates=num_coordinates,
            bones=shape["bones"],
            extra_size=extra,
        )
        self.people = nn.ModuleList(
            [People(config.mme, shape["num_people"]) for _ in range(config.mme.num_members)]
        )

    def look_at_pose(
        self, keypoints_BPTKC: Tensor, visible_BPTK: Tensor, random: RowRandom | None = None
    ) -> Pose:
        """Complete and encode everybody who is present; absent people are skipped."""
        present_BP = self._present(visible_BPTK)
        row, person = present_BP.nonzero(as_tuple=True)
        visible_MTK = visible_BPTK[row, person]
        completion, centre_MC = self.complete(
            keypoints_BPTKC[row, person],
            visible_MTK,
            self._learns(visible_MTK, random_of(random, row, person)),
        )
        # Detached, so that PCM learns completion only, and cannot encode the class in hidden joints.
        seen = Completion(*(part.detach() for part in completion))
        streams = self._streams(seen, centre_MC, visible_BPTK, present_BP)
        people_MED, attention_MT = self.mme(streams, random_of(random, row, person))

        def placed(x_M: Tensor) -> Tensor:
            """`[B, P, ...]` from the values of those present; 0 for absent people."""
            if present_BP.shape[1] == 1:
                return x_M.unsqueeze(1)
            return x_M.new_zeros(*present_BP.shape, *x_M.shape[1:]).index_put((row, person), x_M)

        people_BPED, time_BPT = placed(people_MED), placed(attention_MT)
        motion = [join(people_BPED[:, :, e], present_BP) for e, join in enumerate(self.people)]
        shift = centre_MC[:, None, None]
        estimates = (
            completion.completed_MTKC,
            completion.predicted_MTKC,
            completion.expected_MTKC,
            completion.refined_MTKC,
        )
        if self.pcm is None:  # all are one
            everyone = [placed((estimates[0] + shift).to(keypoints_BPTKC.dtype))] * len(estimates)
        else:
            everyone = [placed((x + shift).to(keypoints_BPTKC.dtype)) for x in estimates]
        seen_BPTK1 = visible_BPTK[..., None]
        # On CPUs products with the mask take half the time of `where`.
        completed = keypoints_BPTKC * seen_BPTK1 + everyone[0] * ~seen_BPTK1
        return Pose(
            motion_BED=torch.stack(motion, dim=1),
            completed_BPTKC=completed,
            predicted_BPTKC=everyone[1],
            expected_BPTKC=everyone[2],
            refined_BPTKC=everyone[3],
            surprise_BPTK=placed(completion.surprise_MTK),
            present_BP=present_BP,
            attention_time_BT=time_BPT.sum(dim=1) / present_BP.sum(dim=1, keepdim=True),
        )

    def complete(
        self, keypoints_MTKC: Tensor, visible_MTK: Tensor, learns_M: Tensor | None = None
    ) -> tuple[Completion, Tensor]:
        """Each person about its own centre `[M, C]`, completed by PCM or, without it, filled in.

        Args:
            learns_M: as of PCM.
        """
        own, centre_MC = about_own_centre(keypoints_MTKC, visible_MTK)
        if self.pcm is not None:
            return self.pcm(own, visible_MTK, learns_M), centre_MC
        filled = fill_hidden(own, visible_MTK, self.config.pcm.fill)
        return Completion(filled, filled, filled, filled, torch.zeros_like(own[..., 0])), centre_MC

    def _learns(self, visible_MTK: Tensor, random: RowRandom | None) -> Tensor | None:
        """Rows from which PCM learns in training, `[M]`: a share of those in which there is something to complete."""
        if not self.training or random is None:
            return None
        incomplete_M = ~visible_MTK.flatten(1).all(dim=1)
        return incomplete_M & random.chance("pcm.learns", self.config.pcm.learning_share)

    def streams(
        self, keypoints_BPTKC: Tensor, visible_BPTK: Tensor, present_BP: Tensor | None = None
    ) -> Tensor:
        """MME's input streams of everybody present, `[M, T, D]`, before standardisation.

        Args:
            present_BP: whose streams; None for those of whom a joint is visible.
        """
        present_BP = self._present(visible_BPTK) if present_BP is None else present_BP
        completion, centre_MC = self.complete(keypoints_BPTKC[present_BP], visible_BPTK[present_BP])
        return self._streams(completion, centre_MC, visible_BPTK, present_BP)

    def _streams(
        self, completion: Completion, centre_MC: Tensor, visible_BPTK: Tensor, present_BP: Tensor
    ) -> Tensor:
        num_frames = visible_BPTK.shape[2]
        extra = [centre_MC[:, None].expand(-1, num_frames, -1)]
        if self.config.mme.people_distances:
            joints = completion.completed_MTKC + centre_MC[:, None, None]
            everyone = joints.new_zeros(*visible_BPTK.shape, joints.shape[-1])
            everyone = everyone.index_put(present_BP.nonzero(as_tuple=True), joints)
            extra.append(people_distances(everyone, present_BP)[present_BP])
        surprise = completion.surprise_MTK * float(self.config.pcm.surprise)
        return self.mme.streams(
            completion.completed_MTKC, visible_BPTK[present_BP], surprise, torch.cat(extra, dim=-1)
        )

    def _present(self, visible_BPTK: Tensor) -> Tensor:
        """`[B, P]`; where nobody is seen the first place counts, so that such a clip has a motion vector too."""
        present_BP = visible_BPTK.any(dim=(2, 3))
        if self.config.max_people is not None:
            present_BP[:, self.config.max_people :] = False
        present_BP[:, 0] |= ~present_BP.any(dim=1)
        return present_BP


class FusionNetwork(PoseBranch):
    """A stream of keypoints, where there is one a second beside it, and the scene -> the action.

    Args:
        scene_dim: channels of a scene token, or None where there are none (then no scene branch).
        second: shape of other keypoints of the same clips, or None where there are none.
        shape: of the keypoints.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        scene_dim: int | None,
        num_classes: int,
        second: StreamShape | None = None,
        **shape: Unpack[StreamShape],
    ):
        super().__init__(config, **shape)
        self.scene_dim = scene_dim
        self.num_classes = num_classes
        self.second = None if second is None else PoseBranch(config, **second)
        # Streams are joined as people are: they attend to each other, and empty ones are masked.
        self.views = None if second is None else People(replace(config.mme, people_attention=True), 2)
        width = config.mme.width
        self.cfn = None
        if scene_dim is not None and config.cfn.enabled:
            self.cfn = CFN(config.cfn, motion_size=width, scene_dim=scene_dim, num_classes=num_classes)
        self.drop_motion = RowDropout("motion", config.dropout)
        self.drop_scene = RowDropout("scene", config.dropout)
        self.classify_motion = nn.ModuleList(
            [nn.Linear(width, num_classes) for _ in range(config.mme.num_members)]
        )
        self.classify_scene = nn.Linear(width, num_classes, bias=False) if self.cfn else None

    def forward(
        self,
        keypoints_BPTKC: Tensor,
        visible_BPTK: Tensor,
        tokens_BSD: Tensor | None = None,
        use_pose: bool = True,
        use_scene: bool = True,
        second: tuple[Tensor, Tensor] | None = None,
    ) -> NetworkOutput:
        """Recognise normalised keypoints (hidden joints are never read) and scene tokens.

        Without tokens, or in a network without scene branch, `use_scene` changes nothing. `second` is what is seen
        of the second stream, as the first two arguments are of the first; its place in the answer is the logits.

        Raises:
            ValueError: both pose and scene are switched off.
        """
        use_scene = use_scene and self.cfn is not None and tokens_BSD is not None
        if not (use_pose or use_scene):
            raise ValueError("use_pose=False: this network or batch has no scene to decide by; use the pose")
        motion_BED = pose = None
        if use_pose:
            streams = [(keypoints_BPTKC, visible_BPTK), *([second] if second else [])]
            motion_BED, (pose, *_) = self.look(streams)
        scene = None
        if use_scene and self.cfn is not None and tokens_BSD is not None:
            motion_BD = None if motion_BED is None else motion_BED.mean(dim=1)
            scene = self.cfn(*self.cfn.tokens(tokens_BSD, None), motion_BD, self.cfn.probed(tokens_BSD))
        return NetworkOutput(
            logits_BA=self.classify(motion_BED, scene).mean(dim=1),
            completed_BPTKC=pose.completed_BPTKC if pose else None,
            surprise_BPTK=pose.surprise_BPTK if pose else None,
            attention_time_BT=pose.attention_time_BT if pose else None,
            attention_scene_BS=scene.attention_BS if scene else None,
            gate_B=scene.gate_B if scene else None,
        )

    @property
    def branches(self) -> list[PoseBranch]:
        """One per stream of keypoints; the first is this network's own."""
        return [self] if self.second is None else [self, self.second]

    def look(
        self, streams: Sequence[tuple[Tensor, Tensor]], random: RowRandom | None = None
    ) -> tuple[Tensor, list[Pose]]:
        """Look at the keypoints and visible flags of each stream.

        Returns:
            each member's motion `[B, E, D]` that they show together, and what each branch found by itself.
        """
        seen = list(zip(self.branches, streams, strict=False))
        poses = [branch.look_at_pose(*stream, random) for branch, stream in seen]
        if self.views is None:
            return poses[0].motion_BED, poses
        shown_BV = torch.stack([visible.any(dim=(1, 2, 3)) for _, visible in streams[: len(poses)]], dim=1)
        left_BV = self._views_left(shown_BV, random)
        by_member = torch.stack([pose.motion_BED for pose in poses], dim=2).unbind(dim=1)
        return torch.stack([self.views(motion_BVD, left_BV) for motion_BVD in by_member], dim=1), poses

    def _views_left(self, shown_BV: Tensor, random: RowRandom | None) -> Tensor:
        """Streams that show somebody; in training one of two is dropped at random. Never none."""
        left_BV = shown_BV
        if random is not None and self.training and shown_BV.shape[1] > 1:
            dropped_B1 = random.chance("view", self.config.view_dropout, 1)
            second_B1 = random.chance("view.second", 0.5, 1)
            left_BV = shown_BV & ~(dropped_B1 & torch.cat([~second_B1, second_B1], dim=1))
            left_BV = torch.where(left_BV.any(dim=1, keepdim=True), left_BV, shown_BV)
        first_BV = torch.arange(shown_BV.shape[1], device=shown_BV.device) == 0
        return left_BV | (first_BV & ~left_BV.any(dim=1, keepdim=True))

    def classify(
        self, motion_BED: Tensor | None, scene: SceneView | None, random: RowRandom | None = None
    ) -> Tensor:
        """Each member's logits `[B, E, A]` from motion, scene, or both; from the scene alone `[B, 1, A]`.

        A scene counts by its linear probe where there is one.
        """
        if motion_BED is None:
            biases: list[Tensor] = [each.get_parameter("bias") for each in self.classify_motion]
            logits_BEA = torch.stack(biases).mean(dim=0)[None, None]
        else:
            members = self.drop_motion(motion_BED, random).unbind(dim=1)
            each = zip(self.classify_motion, members, strict=True)
            logits_BEA = torch.stack([classify(motion_BD) for classify, motion_BD in each], dim=1)
        if scene is None:
            return logits_BEA
        if scene.probe_BA is None:
            return logits_BEA + self.classify_look(scene, random)[:, None]
        probe_BA = scene.gate_B.detach()[:, None] * scene.probe_BA
        # Without motion as the probe alone would say it.
        return probe_BA[:, None] + (logits_BEA if motion_BED is not None else 0.0)

    def classify_look(self, scene: SceneView, random: RowRandom | None = None) -> Tensor:
        """Logits `[B, A]` of what CFN's attention found."""
        assert self.classify_scene is not None, "there is a scene only where there is a scene branch"
        return self.classify_scene(self.drop_scene(scene.scene_BD, random))


def about_own_centre(keypoints_MTKC: Tensor, visible_MTK: Tensor) -> tuple[Tensor, Tensor]:
    """Each person about the mean of its visible joints over all frames, 0 where hidden, and that centre `[M, C]`."""
    weight_MTK1 = visible_MTK[..., None].to(keypoints_MTKC.dtype)
    count_M1 = weight_MTK1.sum(dim=(1, 2)).clamp(min=1)
    centre_MC = (keypoints_MTKC * weight_MTK1).sum(dim=(1, 2)) / count_M1
    return (keypoints_MTKC - centre_MC[:, None, None]) * weight_MTK1, centre_MC


def random_of(random: RowRandom | None, row_M: Tensor, person_M: Tensor) -> RowRandom | None:
    """The random streams of people: each has its own."""
    return None if random is None else random.spread(row_M, person_M)
