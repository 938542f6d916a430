"""Frames of any number of streams through the pose and scene networks. Nothing is remembered between calls.

Letters: B frames of a batch, H height, W width, S scene tokens of a frame, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harray.extraction.extractor import ClipExtractor
from harray.poses.cuts import Look, look_of
from harray.poses.detector import FrameDetections


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame on its way into the networks."""

    rgb_HWC: np.ndarray  # uint8, upright, pixels square
    time_sec: float  # on the stream's clock, which never runs backwards
    size_hw: tuple[int, int] | None = None  # px of the source, where the frame was shrunk; None: as the frame
    wants_scene: bool = False  # whether scene tokens are due (`Stream.wants_scene`)


@dataclass(frozen=True, kw_only=True)
class SeenFrame:
    """What the networks say of one frame; plain arrays, which may travel between processes."""

    time_sec: float
    height_px: int  # of the source
    width_px: int
    people: FrameDetections  # px of the source, the most confident first
    tokens_SD: np.ndarray | None  # float16; None where no scene was asked for, or the model has none
    look: Look | None = None  # by which the stream finds camera cuts; None: no cuts are looked for


class FrameNetworks:
    """The networks that made the model's training store, for single frames.

    Args:
        extractor: of `Predictor.extractor`.
    """

    def __init__(self, extractor: ClipExtractor):
        self.extractor = extractor

    def load(self) -> "FrameNetworks":
        """Load the networks now rather than with the first frame.

        Raises:
            InputError: weights that are nowhere, or are not what they should be.
        """
        self.extractor.load()
        return self

    def see(self, pictures: Sequence[Picture]) -> list[SeenFrame]:
        """What there is in each picture, in their order; those of one size pass the networks together."""
        people = self._by_size(pictures, list(range(len(pictures))), self.extractor.poses.detect)
        tokens = {}
        if self.extractor.scenes is not None:
            wanted = [i for i, picture in enumerate(pictures) if picture.wants_scene]
            tokens = self._by_size(pictures, wanted, self.extractor.scenes.encode)
        return [_seen(picture, people[i], tokens.get(i)) for i, picture in enumerate(pictures)]

    def _by_size(self, pictures: Sequence[Picture], places: list[int], network) -> dict:
        """Place -> what a network says of its frame; the network takes frames of one size at a time."""
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i in places:
            by_size.setdefault(pictures[i].rgb_HWC.shape, []).append(i)
        said = {}
        for alike in by_size.values():
            said |= zip(alike, network(np.stack([pictures[i].rgb_HWC for i in alike])), strict=True)
        return said


def _seen(picture: Picture, people: FrameDetections, tokens_SD: np.ndarray | None) -> SeenFrame:
    height, width = picture.rgb_HWC.shape[:2]
    height_px, width_px = picture.size_hw or (height, width)
    if (height_px, width_px) != (height, width):
        scale_2 = np.array([width_px / width, height_px / height], np.float32)
        keypoints = people.keypoints_NKC1.copy()
        keypoints[..., :2] *= scale_2
        people = replace(people, boxes_N4=people.boxes_N4 * np.tile(scale_2, 2), keypoints_NKC1=keypoints)
    return SeenFrame(
        time_sec=picture.time_sec,
        height_px=height_px,
        width_px=width_px,
        people=people,
        tokens_SD=tokens_SD,
        look=look_of(picture.rgb_HWC),
    )
