"""Which of the clips train: a validation part is carved out, whole groups at a time, or a few of a class are drawn."""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence


def carve_val(
    labels: Sequence[int], groups: Sequence[str | None], names: Sequence[str], *, share: float, seed: int
) -> list[int]:
    """Places of the clips to validate with, ascending; the rest trains.

    Whole groups are taken in an order that depends on their names and the seed alone, until `share` of the clips
    are taken. A group is passed over when it would leave a class without training clips or take half as much
    again as wanted. A clip without a group is its own.

    Args:
        names: of the clips, such as clip ids; they stand in for missing groups, so clips of one name stay together.
        share: in [0, 1).
    """
    members: dict[str, list[int]] = {}
    for place, (group, name) in enumerate(zip(groups, names, strict=True)):
        members.setdefault(f"group {group}" if group is not None else f"clip {name}", []).append(place)
    wanted = share * len(labels)
    left, taken = Counter(labels), []
    for group in sorted(members, key=lambda group: _lot(group, seed)):
        if len(taken) >= math.floor(wanted):
            break
        places = members[group]
        counts = Counter(labels[place] for place in places)
        if len(taken) + len(places) <= 1.5 * wanted and all(left[k] > n for k, n in counts.items()):
            left -= counts
            taken += places
    return sorted(taken)


def few_of_each(
    labels: Sequence[int], groups: Sequence[str | None], names: Sequence[str], *, most: int, seed: int
) -> list[int]:
    """Places of at most so many clips of every class, ascending, drawn by their names and the seed alone.

    A group gives a second clip of a class only when every group has given one. Clips without a label (below 0) are
    left out.
    """
    rounds, taken = Counter[tuple[int, str | None]](), dict[int, list[tuple[int, int]]]()
    for place in sorted(range(len(labels)), key=lambda place: _lot(names[place], seed)):
        label, group = labels[place], groups[place]
        key = (label, f"clip {names[place]}" if group is None else f"group {group}")
        taken.setdefault(label, []).append((rounds[key], place))
        rounds[key] += 1
    chosen = [
        sorted(of_class, key=lambda pair: pair[0])[:most] for label, of_class in taken.items() if label >= 0
    ]
    return sorted(place for of_class in chosen for _, place in of_class)


def _lot(group: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed} {group}".encode(), digest_size=8).digest()
