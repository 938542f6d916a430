"""A checkpoint at work: clips, keypoints or a video in, probabilities and what explains them out.

Letters: N clips, P people, T frames, K joints, C coordinates, S scene tokens, F scene frames, A action classes.
"""

import copy
import html
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from harray.config import parse_overrides
from harray.errors import InputError
from harray.extraction.config import ExtractionConfig
from harray.extraction.extractor import ClipExtractor, ClipFeatures
from harray.features.normalise import centre_and_size
from harray.features.tensors import ClipTensors, clips_from_arrays
from harray.inference.evidence import NOBODY, OK, UNSURE, Evidence, evidence_of, evidence_together
from harray.names import digest_of, is_uri, short_name
from harray.skeleton import SkeletonLayout
from harray.training.checkpoint import Checkpoint, load_checkpoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class ClipPredictions:
    """What the network says of N clips; the pose's fields are None without pose, the scene's without scene."""

    probabilities_NA: np.ndarray
    completed_NPTKC: np.ndarray | None  # px; observed joints as they are, NaN for people who are absent
    visible_NPTK: np.ndarray  # True = observed
    attention_time_NT: np.ndarray | None  # sums to 1
    attention_scene_NS: np.ndarray | None  # sums to 1
    gate_N: np.ndarray | None  # in [0, 1]; 0 shuts the scene out

    def row(self, i: int) -> "ClipPredictions":
        """Of the clip at this place alone, N = 1."""
        return replace(
            self, **{name: None if value is None else value[i : i + 1] for name, value in vars(self).items()}
        )


@dataclass(frozen=True, kw_only=True)
class ClipArrays:
    """One clip or window as the pose and scene networks saw it; the arrays as in `ClipFeatures`."""

    source: str  # of whom or what it is, for people
    keypoints_PTKC1: np.ndarray  # px, then confidence in [0, 1]; absent = all 0
    height_px: int
    width_px: int
    scene_tokens_FSD: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the network says of one clip, or of a video by its clips."""

    source: str
    label: str
    probability: float
    probabilities: dict[str, float]  # every class, the likeliest first
    clips: ClipPredictions  # of one clip, N = 1
    evidence: Evidence
    features: ClipFeatures | None = None  # of a video: its frames' indices and times, keypoints, tokens
    threshold: float = 0.0  # probability below which the answer is "unsure"
    skeleton: SkeletonLayout | None = None  # of the keypoints

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """The k likeliest labels with their probabilities; none where nobody is seen and no scene decides."""
        is_blind = self.evidence.verdict == NOBODY and self.clips.gate_N is None
        return [] if is_blind else list(self.probabilities.items())[:k]

    def headline(self) -> str:
        """The likeliest label with its probability, and what makes it doubtful."""
        said = "".join(f"{label}  {probability:.0%}" for label, probability in self.top(1))
        doubt = {NOBODY: "nobody seen", UNSURE: "unsure"}.get(self.verdict, "")
        return ": ".join(filter(None, (doubt, said)))

    @property
    def verdict(self) -> str:
        """`nobody`; `unsure` where too little was seen or the probability is below the threshold; `ok`."""
        seen = self.evidence.verdict
        return UNSURE if seen == OK and self.probability < self.threshold else seen

    @property
    def keypoints(self) -> Any:
        """The completed keypoints of every frame as `supervision.KeyPoints`, a person each.

        Joints that PCM filled in have the confidence 0; a person who is absent is left out.

        Raises:
            InputError: the package supervision is not installed, or the keypoints are not of the picture plane.
        """
        from harray.inference.keypoints import by_frame

        return by_frame(self)

    def explain(self, folder: Path | str, name: str = "") -> list[Path]:
        """Write overlay video and pictures into a folder, as `inference.explain.explain` does; returns their paths.

        Args:
            name: that the files' names begin with; by default the video's.
        """
        from harray.inference.explain import explain

        return explain(self, Path(folder), name or picture_name(self.source))

    def figure(self) -> "Figure":
        """One page: a drawn frame, where the motion looked in the scene, when, and the likeliest labels."""
        from harray.inference.explain import card

        return card(self)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(label)}</td><td><progress value='{probability:.4f}' max='1'></progress></td>"
            f"<td>{probability:.1%}</td></tr>"
            for label, probability in self.top()
        )
        return f"<b>{html.escape(f'{self.source}: {self.headline()}')}</b><table>{rows}</table>"


def picture_name(video: str) -> str:
    """The video's own name, with a digest of where it lies: another video of that name has other pictures, in this
    call and in the next."""
    where = video if is_uri(video) else os.path.abspath(video)
    return f"{short_name(Path(video).stem)}-{digest_of(where)}"


class Predictor:
    """A loaded checkpoint in evaluation mode, on the GPU where there is one."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        overrides: dict[str, Any] | None = None,
        device: str | None = None,
        num_threads: int | None = None,
    ):
        """Raises InputError: a model that learned without labels, so that it tells no classes."""
        if not checkpoint.classes:
            raise InputError(
                "this model is pretrained without labels and tells no classes; `harray train --from` it"
            )
        self.checkpoint = checkpoint
        self.overrides = overrides or {}
        self.num_threads = num_threads
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = checkpoint.network.eval().to(self.device)

    @classmethod
    def load(
        cls,
        folder: Path | str,
        assignments: Sequence[str] = (),
        device: str | None = None,
        num_threads: int | None = None,
    ) -> "Predictor":
        """Load a checkpoint folder.

        Args:
            assignments: `key=value` texts for the extraction of videos, such as `poses.weights=PATH` where the
                recorded path is not on this machine.
            device: None for the GPU where there is one.
            num_threads: of the extraction's networks on a CPU; None for as many as there are cores.

        Raises:
            InputError: no such folder, not a checkpoint, or an unknown key.
        """
        overrides = parse_overrides(ExtractionConfig(), assignments)
        return cls(load_checkpoint(Path(folder)), overrides, device, num_threads)

    @property
    def classes(self) -> list[str]:
        return list(self.checkpoint.classes)

    @cached_property
    def extractor(self) -> ClipExtractor:
        """The pipeline that made the training store, loaded at the first video.

        Raises:
            InputError: the model learned from imported skeletons, or its weights are not to be had.
        """
        kept = self.checkpoint
        if not kept.provenance:
            raise InputError(
                "this model learned from imported skeletons; give it keypoints, or a store to evaluate"
            )
        config = kept.provenance.config_for_prediction(self.overrides, str(self.device))
        return ClipExtractor(config, str(self.device), self.num_threads)

    def without_pcm(self) -> "Predictor":
        """The same network with linear interpolation in time in PCM's place."""
        network = copy.deepcopy(self.network)
        pcm = replace(network.config.pcm, enabled=False, fill="linear")
        for branch in network.branches:
            branch.pcm, branch.config = None, replace(network.config, pcm=pcm)
        checkpoint = replace(self.checkpoint, network=network)
        return Predictor(checkpoint, self.overrides, str(self.device), self.num_threads)

    def predict_clips(
        self, clips: ClipTensors, *, use_pose: bool = True, use_scene: bool = True
    ) -> ClipPredictions:
        """Predict every clip, a few at a time."""
        clips = clips.looked_at(self.checkpoint.features.keypoints)
        parts: list[ClipPredictions] = []
        temperature = self.checkpoint.calibration.temperature
        for rows in torch.arange(len(clips)).split(ROWS_AT_ONCE):
            batch = clips.select(rows)
            prepared = self.checkpoint.prepared(batch)
            inputs = prepared.to(self.device)
            with torch.inference_mode():
                output = self.network(*inputs.inputs, use_pose, use_scene, inputs.second_inputs)
            completed = output.completed_BPTKC
            if completed is not None:
                completed = in_pixels(completed.cpu(), batch, prepared.visible_NPTK)
            parts.append(
                ClipPredictions(
                    probabilities_NA=_array((output.logits_BA / temperature).softmax(dim=-1)),
                    completed_NPTKC=_array(completed),
                    visible_NPTK=_array(prepared.visible_NPTK),
                    attention_time_NT=_array(output.attention_time_BT),
                    attention_scene_NS=_array(output.attention_scene_BS),
                    gate_N=_array(output.gate_B),
                )
            )
        return _joined(parts)

    def predict_keypoints(self, keypoints_PTKC1: np.ndarray, height_px: int, width_px: int) -> Prediction:
        """Predict from keypoints alone (px, then confidence in [0, 1]); the scene branch stays shut.

        Raises:
            InputError: another shape than the network was built for.
        """
        expected = (*self.network.shape[:3], self.network.shape[3] + 1)
        if keypoints_PTKC1.shape != expected:
            raise InputError(
                f"keypoints: found shape {list(keypoints_PTKC1.shape)}, expected {list(expected)} "
                "[people, frames, joints, coordinates + confidence]"
            )
        clip = ClipArrays(
            source="keypoints", keypoints_PTKC1=keypoints_PTKC1, height_px=height_px, width_px=width_px
        )
        return self.predict_arrays([clip])[0]

    def predict_video(self, path: Path | str) -> Prediction:
        """Extract one video as the training store was, and predict it.

        Of a video that is cut into clips the probabilities are the clips' mean, and the clip that is surest of
        the label stands for the rest.

        Raises:
            ExtractionError: the video cannot be read.
            InputError: weights for extraction are missing.
        """
        extracted = self.extractor.extract(path)
        predictions = self.predict_arrays(
            [
                ClipArrays(
                    source=str(path),
                    keypoints_PTKC1=features.keypoints_PTKC1,
                    height_px=features.height_px,
                    width_px=features.width_px,
                    scene_tokens_FSD=features.scene_tokens_FSD,
                )
                for features in extracted
            ]
        )
        of_clips = [
            replace(prediction, features=features)
            for prediction, features in zip(predictions, extracted, strict=True)
        ]
        mean = {
            label: sum(clip.probabilities[label] for clip in of_clips) / len(of_clips)
            for label in self.classes
        }
        probabilities = dict(sorted(mean.items(), key=lambda item: -item[1]))
        label, probability = next(iter(probabilities.items()))
        surest = max(of_clips, key=lambda clip: clip.probabilities[label])
        evidence = evidence_together([clip.evidence for clip in of_clips])
        return replace(
            surest, label=label, probability=probability, probabilities=probabilities, evidence=evidence
        )

    def predict_arrays(self, clips: Sequence[ClipArrays]) -> list[Prediction]:
        """Predict clips or windows, of one video or of many streams, in one batch; in their order.

        Every way to an answer leads through here: files, keypoints, live windows and timelines. Clips may have
        fewer people than the model has places, and some scene tokens where others have none.
        """
        answers: dict[int, Prediction] = {}
        for has_scene in (True, False):
            places = [i for i, clip in enumerate(clips) if (clip.scene_tokens_FSD is not None) == has_scene]
            if places:
                batch = [clips[i] for i in places]
                answers |= zip(places, self._predict_batch(batch), strict=True)
        return [answers[i] for i in range(len(clips))]

    def _predict_batch(self, clips: Sequence[ClipArrays]) -> list[Prediction]:
        """Predict clips that all have scene tokens, or none of them."""
        num_people = max(len(clip.keypoints_PTKC1) for clip in clips)
        tokens = [clip.scene_tokens_FSD for clip in clips if clip.scene_tokens_FSD is not None]
        tensors = clips_from_arrays(
            np.stack([_with_places(clip.keypoints_PTKC1, num_people) for clip in clips]),
            skeleton=self.checkpoint.skeleton,
            scene_tokens_NFSD=np.stack(tokens) if tokens else None,
            frame_size_N2=np.array([[clip.height_px, clip.width_px] for clip in clips]),
            classes=self.classes,
            paths=[clip.source for clip in clips],
        )
        said = self.predict_clips(tensors)
        return [self._prediction(clip.source, said.row(i)) for i, clip in enumerate(clips)]

    def _prediction(self, source: str, said: ClipPredictions) -> Prediction:
        """What is said of one clip, N = 1."""
        order = np.argsort(-said.probabilities_NA[0], kind="stable")
        probabilities = {self.classes[i]: float(said.probabilities_NA[0, i]) for i in order}
        label, probability = next(iter(probabilities.items()))
        return Prediction(
            source=source,
            label=label,
            probability=probability,
            probabilities=probabilities,
            clips=said,
            evidence=evidence_of(said.visible_NPTK[0]),
            threshold=self.checkpoint.calibration.threshold(),
            skeleton=self.checkpoint.skeleton,
        )


def _with_places(keypoints_PTKC1: np.ndarray, num_people: int) -> np.ndarray:
    """The keypoints with empty places after them, `num_people` together."""
    missing = num_people - len(keypoints_PTKC1)
    return np.pad(keypoints_PTKC1, [(0, missing), (0, 0), (0, 0), (0, 0)])


def in_pixels(completed_NPTKC: Tensor, clips: ClipTensors, visible_NPTK: Tensor) -> Tensor:
    """Undo `normalise`; people who are never seen become NaN."""
    centre_NC, size_N = centre_and_size(clips.keypoints_NPTKC, visible_NPTK, clips.skeleton)
    centre, size = centre_NC[:, None, None, None], size_N[:, None, None, None, None]
    absent = ~visible_NPTK.any(dim=(2, 3))
    return (completed_NPTKC * size + centre).masked_fill(absent[:, :, None, None, None], float("nan"))


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.cpu().numpy()


def _joined(parts: list[ClipPredictions]) -> ClipPredictions:
    columns: dict[str, Any] = {}
    for name in ClipPredictions.__dataclass_fields__:
        values = [getattr(part, name) for part in parts]
        columns[name] = None if values[0] is None else np.concatenate(values)
    return ClipPredictions(**columns)
