"""One video to the features of a clip: decode once, find people, link them, encode the scene.

    video --> 32 frames --> people per frame --> tracks [P, T, K, C + 1]
                       \\--> some frames --> scene tokens [F, S, D]

Letters: P people, T frames, K joints, C coordinates, F scene frames, S scene tokens, D features.
"""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harray.config import with_overrides
from harray.extraction.config import ExtractionConfig, needed_pictures
from harray.extraction.faults import staged
from harray.extraction.reader import clip_frames
from harray.networks.backends import make_ready, settled_precision
from harray.networks.precision import AUTO
from harray.poses.cuts import cut_frames
from harray.poses.detector import NUM_JOINTS, PoseDetector
from harray.poses.spec import PoseNetworkSpec
from harray.poses.tracks import track_people
from harray.scenes.config import NONE
from harray.scenes.encoder import SceneEncoder, scene_frame_indices, scene_shape
from harray.scenes.spec import SceneNetworkSpec
from harray.skeleton import COCO17
from harray.videos.decoding import Video
from harray.videos.files import local_copy
from harray.videos.frames import Frames
from harray.videos.segments import part_of

if TYPE_CHECKING:
    import numpy as np

SKELETON = COCO17.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipFeatures:
    """Features of a clip; the columns of the clips table without clip_id.

    Attributes:
        frame_index_T: int32 [T], source frames.
        frame_sec_T: float64 [T], their presentation times.
        keypoints_PTKC1: float32 [P, T, 17, 3], x px, y px, confidence in [0, 1]; absent = all 0.
        scene_tokens_FSD: float16 [F, grid * grid, 2048], or None without a scene branch.
        notes: what is to be said of the video, by kind (`Video.notes`).
    """

    frame_index_T: "np.ndarray"
    frame_sec_T: "np.ndarray"
    height_px: int
    width_px: int
    keypoints_PTKC1: "np.ndarray"
    scene_tokens_FSD: "np.ndarray | None"
    notes: dict[str, str] = dataclasses.field(default_factory=dict)

    def row(self, clip_id: str) -> dict[str, Any]:
        """As a row of the clips table."""
        row = {
            "clip_id": clip_id,
            "frame_index": self.frame_index_T,
            "frame_sec": self.frame_sec_T,
            "height_px": self.height_px,
            "width_px": self.width_px,
            "keypoints": self.keypoints_PTKC1,
        }
        return row if self.scene_tokens_FSD is None else {**row, "scene_tokens": self.scene_tokens_FSD}


class ClipExtractor:
    """Extracts clips. Networks are loaded at the first use, or by `load`, and kept."""

    def __init__(self, config: ExtractionConfig, device: str = "cpu", num_threads: int | None = None):
        self.config = config
        self.poses = PoseDetector(config.poses, device, num_threads)
        has_scenes = config.scenes.weights != NONE
        self.scenes = SceneEncoder(config.scenes, device, num_threads) if has_scenes else None

    def load(self) -> "ClipExtractor":
        """Load the networks now.

        Raises:
            InputError: weights that are nowhere, or are not what they should be.
        """
        assert self.poses.network is not None
        assert self.scenes is None or self.scenes.network is not None
        return self

    def extract(self, path: Path | str) -> list[ClipFeatures]:
        """Features of every clip of a video: one, or as many as `videos.clip_sec` cuts.

        Raises:
            ExtractionError: the video cannot be read, or a network failed on it.
            InputError: weights, as `load`.
        """
        with contextlib.ExitStack() as held:
            file = staged("open", lambda: held.enter_context(local_copy(path)))
            part = part_of(str(path))
            video = Video(file, self.config.videos.limit_sec, part.fps)
            clips = clip_frames(video, self.config.videos, needed_pictures(self.config), part.span)
            features = [self.extract_frames(frames) for frames in clips]
            return [dataclasses.replace(of_clip, notes=video.notes) for of_clip in features]

    def extract_frames(self, frames: Frames) -> ClipFeatures:
        """Features of a clip whose frames are decoded; the stages pose and scene."""
        keypoints = staged("pose", lambda: self._keypoints(frames))
        tokens = None if self.scenes is None else staged("scene", lambda: self._tokens(frames))
        return ClipFeatures(
            frame_index_T=frames.index_T,
            frame_sec_T=frames.time_sec_T,
            height_px=frames.height_px,
            width_px=frames.width_px,
            keypoints_PTKC1=keypoints,
            scene_tokens_FSD=tokens,
        )

    def _keypoints(self, frames: Frames) -> "np.ndarray":
        keypoints_PTKC1 = track_people(
            self.poses.detect(frames.rgb_THWC),
            self.config.poses.max_people,
            time_sec_T=frames.time_sec_T,
            is_cut_T=cut_frames(frames.rgb_THWC),
        )
        height, width = frames.rgb_THWC.shape[1:3]
        if (height, width) != (frames.height_px, frames.width_px):  # shrunk while it was decoded
            keypoints_PTKC1[..., 0] *= frames.width_px / width
            keypoints_PTKC1[..., 1] *= frames.height_px / height
        return keypoints_PTKC1

    def _tokens(self, frames: Frames) -> "np.ndarray":
        assert self.scenes is not None
        chosen = scene_frame_indices(len(frames.rgb_THWC), self.config.scenes.num_frames)
        return self.scenes.encode(frames.rgb_THWC[chosen])


def with_settled_precisions(
    config: ExtractionConfig, device: str, on_message: Callable[[str], None]
) -> ExtractionConfig:
    """The config with `auto` precisions replaced by those in which the networks would run on this machine.

    Raises:
        InputError: as `make_networks_ready`.
    """
    settled = {
        f"{spec.room}.precision": settled_precision(spec, spec.config.backend, device, on_message)
        for spec in _network_specs(config)
        if spec.precision == AUTO
    }
    return with_overrides(config, settled)


def make_networks_ready(config: ExtractionConfig, device: str) -> list[str]:
    """Export the networks for the runtimes that are to run them, where this machine has not done so before.

    Returns:
        what must be said aloud: which runtime could not take a network.

    Raises:
        InputError: a backend that is not to be had, or weights, as `ClipExtractor.load`.
    """
    specs = _network_specs(config)
    return [message for spec in specs for message in make_ready(spec, spec.config.backend, device)]


def _network_specs(config: ExtractionConfig) -> list[PoseNetworkSpec | SceneNetworkSpec]:
    """Of the networks that are used."""
    scenes = [] if config.scenes.weights == NONE else [SceneNetworkSpec(config.scenes)]
    return [PoseNetworkSpec(config.poses), *scenes]


def keypoints_shape(config: ExtractionConfig) -> tuple[int, int, int, int]:
    """[people, frames, joints, coordinates + 1] of every clip."""
    return config.poses.max_people, config.videos.num_frames, NUM_JOINTS, 3


def clip_scene_shape(config: ExtractionConfig) -> tuple[int, int, int] | None:
    """[scene_frames, grid * grid, channels] of every clip, or None."""
    return scene_shape(config.scenes)
