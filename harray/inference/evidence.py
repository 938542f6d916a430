"""How much of a video was seen, and whether an answer can rest on it.

nobody   no joint of anybody was seen, or hardly any: keypoints say nothing, and only a scene could
unsure   less was seen than the networks learn to complete
ok
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

OK, UNSURE, NOBODY = "ok", "unsure", "nobody"
MIN_JOINTS_SEEN = 0.2  # training hides up to four fifths of the joints (features.augmentation.hide_share)
MIN_OF_A_PERSON = (
    0.05  # of the joints of all frames: a body in one frame of 32 is a mistake of the pose network
)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen, a joint being seen where its confidence is enough for the network to take it as observed."""

    num_people_seen: int
    frames_seen_share: float  # of the frames: those in which anybody is seen
    joints_seen_share: float  # of the joints of whoever is seen best, over all frames

    @property
    def verdict(self) -> str:
        """`ok`, `unsure` or `nobody`."""
        if self.num_people_seen == 0:
            return NOBODY
        return OK if self.joints_seen_share >= MIN_JOINTS_SEEN else UNSURE

    def values(self) -> dict[str, Any]:
        """The verdict and what it rests on, as they stand in an entry."""
        return {"verdict": self.verdict, **asdict(self)}


def evidence_of(visible_PTK: np.ndarray) -> Evidence:
    """The evidence of one clip, `visible_PTK` being True where a joint was observed."""
    seen_P = visible_PTK.mean(axis=(1, 2))
    is_person_P = seen_P >= MIN_OF_A_PERSON
    return Evidence(
        num_people_seen=int(is_person_P.sum()),
        frames_seen_share=float(visible_PTK[is_person_P].any(axis=(0, 2)).mean()),
        joints_seen_share=float(seen_P.max()),
    )


def evidence_together(clips: Sequence[Evidence]) -> Evidence:
    """The evidence of a video by that of its clips: the mean, and the most people seen at a time."""
    return Evidence(
        num_people_seen=max(clip.num_people_seen for clip in clips),
        frames_seen_share=sum(clip.frames_seen_share for clip in clips) / len(clips),
        joints_seen_share=sum(clip.joints_seen_share for clip in clips) / len(clips),
    )
