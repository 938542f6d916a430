"""Trimmed copies: a clip that shows a part of another one, by where people's joints are and how they move.

    best seen person of a clip -> windows of that length slid over every person of longer clips who could be the same
        -> alike in place all the time, and in movement: a part of that film

Who does not move at all is left alone: a pose that is held tells no film from another.

Letters: N clips, P people, R tracks (people of clips), M of them in longer clips, O windows, T frames, K joints,
D = 2 K coordinates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harray.features.config import FeaturesConfig
from harray.features.interpolation import fill_hidden
from harray.features.normalise import centre_and_size
from harray.features.tensors import ClipTensors, normalised
from harray.validation.doubles import TRIMMED, Double
from harray.videos.segments import part_of

SHORTEST, LONGEST = 0.2, 0.95  # of the longer clip's length
NEAR = 0.05  # body sizes between joints, root mean square; two takes of one person come as near as 0.06
TAKES_APART = 1.5  # times as far as the nearest is another take, of a movement that repeats
NEAR_AT_FIRST = 0.2  # to windows that are not yet well placed
MOVING_ALIKE = 0.9  # correlation of the movements
LEAST_MOVEMENT = 0.02  # body sizes, root mean square
SIZES_APART = 1.5  # of people, as a ratio
NUM_WINDOWS, NUM_FRAMES = 25, 8  # at first; then NUM_FINER windows about the nearest, by all frames
NUM_FINER = 17
TRACKS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Everybody in N clips; lengths are in frame heights (px where these are not known)."""

    clip_R: np.ndarray
    best_N: np.ndarray  # track of the best seen person
    joints_RTD: np.ndarray
    seen_RD: np.ndarray  # bool: a joint that is visible most of the time
    size_R: np.ndarray
    low_R2: np.ndarray  # the least and the largest coordinates that the person's centre takes
    high_R2: np.ndarray
    length_R: np.ndarray  # of the clip, seconds; 0: not known

    @classmethod
    def of(cls, clips: ClipTensors, frame_sec: Sequence[Sequence[float]]) -> "Tracks":
        visible_NPTK = normalised(replace(clips, second=None), FeaturesConfig()).visible_NPTK
        num_clips, num_people = visible_NPTK.shape[:2]
        height_N = clips.frame_size_N2[:, 0].float().clamp(min=1)
        keypoints_RTKC = (clips.keypoints_NPTKC / height_N.view(-1, 1, 1, 1, 1)).flatten(0, 1)
        visible_RTK = visible_NPTK.flatten(0, 1)
        filled_RTKC = fill_hidden(keypoints_RTKC, visible_RTK, "linear")
        _, size_R = centre_and_size(keypoints_RTKC[:, None], visible_RTK[:, None], clips.skeleton)
        seen_RK = visible_RTK.float().mean(dim=1) > 0.5
        weight_R1K1 = seen_RK[:, None, :, None].float()
        centre_RT2 = (filled_RTKC * weight_R1K1).sum(dim=2) / weight_R1K1.sum(dim=2).clamp(min=1)
        best_N = np.arange(num_clips) * num_people + visible_NPTK.sum(dim=(2, 3)).argmax(dim=1).numpy()
        length_N = np.array([sec[-1] - sec[0] if len(sec) > 1 else 0.0 for sec in frame_sec])
        return cls(
            clip_R=np.repeat(np.arange(num_clips), num_people),
            best_N=best_N,
            joints_RTD=filled_RTKC.flatten(2).numpy(),
            seen_RD=seen_RK.repeat_interleave(2, dim=1).numpy(),
            size_R=size_R.numpy(),
            low_R2=centre_RT2.amin(dim=1).numpy(),
            high_R2=centre_RT2.amax(dim=1).numpy(),
            length_R=np.repeat(length_N, num_people),
        )

    def longer(self, track: int) -> np.ndarray:
        """Tracks in longer clips of which this one could be a part."""
        share_R = self.length_R[track] / np.maximum(self.length_R, 1e-9)
        size_R = self.size_R[track] / np.maximum(self.size_R, 1e-9)
        slack_R1 = 2 * NEAR * self.size_R[:, None]
        within_R = (self.low_R2[track] >= self.low_R2 - slack_R1).all(axis=1)
        within_R &= (self.high_R2[track] <= self.high_R2 + slack_R1).all(axis=1)
        alike_R = (size_R > 1 / SIZES_APART) & (size_R < SIZES_APART)
        part_R = (share_R >= SHORTEST) & (share_R <= LONGEST)
        return np.flatnonzero(part_R & within_R & alike_R & self.seen_RD.any(axis=1))


def find_trimmed(clips: ClipTensors, frame_sec: Sequence[Sequence[float]]) -> list[Double]:
    """Pairs of clips of which one is a part of the other; none of keypoints in space, or where no times are known."""
    if clips.keypoints_NPTKC.shape[-1] != 2:
        return []
    tracks, found = Tracks.of(clips, frame_sec), dict[tuple[int, int], Double]()
    for place, track in enumerate(tracks.best_N):
        longer_M = tracks.longer(track) if tracks.seen_RD[track].any() else np.array([], int)
        starts = range(0, len(longer_M), TRACKS_AT_ONCE)
        parts = [_distances(tracks, track, longer_M[start : start + TRACKS_AT_ONCE]) for start in starts]
        apart_M = np.concatenate([np.array([]), *parts])
        near = min(NEAR, TAKES_APART * apart_M.min(initial=np.inf))
        for other in np.flatnonzero((apart_M <= near) & np.isfinite(apart_M)):
            first, second = sorted((place, int(tracks.clip_R[longer_M[other]])))
            if part_of(clips.paths[first]).file != part_of(clips.paths[second]).file:  # segments may overlap
                distance = float(apart_M[other])
                found[first, second] = Double(first=first, second=second, kind=TRIMMED, distance=distance)
    return list(found.values())


def _distances(tracks: Tracks, track: int, others_M: np.ndarray) -> np.ndarray:
    """From a track to the nearest window of longer ones, body sizes `[M]`; infinite where they do not move alike."""
    share_M = tracks.length_R[track] / tracks.length_R[others_M]
    start_MO = (1 - share_M)[:, None] * np.linspace(0, 1, NUM_WINDOWS)
    apart_MO = _apart(tracks, track, others_M, start_MO, share_M, NUM_FRAMES)[0]
    nearest_M = apart_MO.argmin(axis=1)
    found_M = np.full(len(others_M), np.inf)
    near_M = np.flatnonzero(apart_MO.min(axis=1) < NEAR_AT_FIRST)
    if not len(near_M):
        return found_M
    others, share = others_M[near_M], share_M[near_M]
    step_M1 = (1 - share)[:, None] / (NUM_WINDOWS - 1)
    start_MO = start_MO[near_M, nearest_M[near_M]][:, None] + step_M1 * np.linspace(-1, 1, NUM_FINER)
    start_MO = np.clip(start_MO, 0, (1 - share)[:, None])
    apart_MO, alike_MO = _apart(tracks, track, others, start_MO, share, tracks.joints_RTD.shape[1])
    found_M[near_M] = np.where(alike_MO, apart_MO, np.inf).min(axis=1)
    return found_M


def _apart(
    tracks: Tracks,
    track: int,
    others_M: np.ndarray,
    start_MO: np.ndarray,
    share_M: np.ndarray,
    num_frames: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to windows, body sizes, and whether both move, and alike; `[M, O]` each.

    Args:
        start_MO: where the windows begin, as a share of the longer track.
        share_M: their lengths, likewise.
    """
    last = tracks.joints_RTD.shape[1] - 1
    time_T = np.linspace(0, 1, num_frames)
    own_TD = tracks.joints_RTD[track][(time_T * last).round().astype(int)]
    time_T = (time_T * last).round() / last
    at_MOT = (start_MO[:, :, None] + share_M[:, None, None] * time_T) * last
    before_MOT = np.clip(at_MOT.astype(int), 0, last - 1)
    part_MOT1 = (at_MOT - before_MOT)[..., None]
    row_M11 = others_M[:, None, None]
    window_MOTD = (1 - part_MOT1) * tracks.joints_RTD[row_M11, before_MOT]
    window_MOTD += part_MOT1 * tracks.joints_RTD[row_M11, before_MOT + 1]
    seen_M11D = (tracks.seen_RD[others_M] & tracks.seen_RD[track])[:, None, None].astype(np.float32)
    num_MO = np.maximum(seen_M11D.sum(axis=(2, 3)) / 2 * num_frames, 1)
    unit_M1 = np.maximum(tracks.size_R[others_M], 1e-9)[:, None]
    apart_MO = np.sqrt((np.square(window_MOTD - own_TD) * seen_M11D).sum(axis=(2, 3)) / num_MO) / unit_M1
    apart_MO = np.where(seen_M11D.any(axis=(2, 3)), apart_MO, np.inf)
    ours, theirs = (each - each.mean(axis=-2, keepdims=True) for each in (own_TD, window_MOTD))
    ours_MO, theirs_MO = ((np.square(each) * seen_M11D).sum(axis=(2, 3)) for each in (ours, theirs))
    both_MO = (ours * theirs * seen_M11D).sum(axis=(2, 3))
    moves_MO = np.sqrt(np.minimum(ours_MO, theirs_MO) / num_MO) / unit_M1 > LEAST_MOVEMENT
    return apart_MO, moves_MO & (both_MO > MOVING_ALIKE * np.sqrt(ours_MO * theirs_MO))
