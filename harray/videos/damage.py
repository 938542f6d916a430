"""How much of a video is damaged. Pure.

Decoders conceal what they cannot read and mark the frames in which they do so; the frames after these, up to the
next key frame, are predicted from them. HEVC, VP9 and AV1 do not mark damage: there only lost packets and frames count.
"""

import dataclasses
from array import array
from collections.abc import Sequence

import numpy as np

HEAVY_SHARE = 0.5  # of the frames damaged, or predicted from damaged ones;
HEAVY_DIRECT_SHARE = 0.1  # and damaged themselves: a video beyond both is rejected


@dataclasses.dataclass
class Damage:
    """What decoding reported, frame by frame."""

    places: array = dataclasses.field(default_factory=lambda: array("q"))  # on the timeline
    damaged: bytearray = dataclasses.field(default_factory=bytearray)
    after_loss: bytearray = dataclasses.field(default_factory=bytearray)  # a packet before it gave none
    keys: bytearray = dataclasses.field(default_factory=bytearray)
    num_lost_packets: int = 0
    _is_lost: bool = False

    def lose_packet(self) -> None:
        self.num_lost_packets += 1
        self._is_lost = True

    def add_frame(self, place: int, *, is_damaged: bool, is_key: bool) -> None:
        self.places.append(place)
        self.damaged.append(is_damaged)
        self.after_loss.append(self._is_lost)
        self.keys.append(is_key)
        self._is_lost = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class DamageNote:
    """The verdict.

    Attributes:
        note: a sentence for the user; empty if nothing is damaged.
        is_heavy: whether too much of the video is damaged to use it.
    """

    note: str
    is_heavy: bool


def damage_of(damage: Damage) -> DamageNote:
    """The verdict on a whole video."""
    if not damage.num_lost_packets and not any(damage.damaged):
        return DamageNote(note="", is_heavy=False)
    lost_before = _lost_before(damage.places)
    lost = max(damage.num_lost_packets, sum(lost_before))
    direct, total = sum(damage.damaged) + lost, len(damage.places) + lost
    more = _num_predicted_from_damage(damage, lost_before)
    note = f"{direct} of {total} frames are damaged or lost"
    note += f", and {more} more are predicted from those" if more else ""
    is_heavy = direct + more > HEAVY_SHARE * total and direct > HEAVY_DIRECT_SHARE * total
    return DamageNote(note=note, is_heavy=is_heavy)


def _num_predicted_from_damage(damage: Damage, lost_before: list[int]) -> int:
    """How many frames are not damaged themselves, but follow a damaged or lost one before the next key frame."""
    count, is_dirty = 0, False
    for is_damaged, is_key, is_after_loss, lost in zip(
        damage.damaged, damage.keys, damage.after_loss, lost_before, strict=True
    ):
        is_dirty = is_damaged or ((is_dirty or is_after_loss or lost > 0) and not is_key)
        count += is_dirty and not is_damaged
    return count


def _lost_before(places: Sequence[int]) -> list[int]:
    """For every frame, how many are missing before it: places skipped beyond the usual step between frames (a frame
    of two fields may be two packets)."""
    if len(places) < 2:
        return [0] * len(places)
    passed = np.diff(places)
    usual = max(1, int(np.median(passed)))
    return [0, *(np.maximum(0, passed // usual - 1)).tolist()]
