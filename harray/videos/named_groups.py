"""Groups that file names tell, where nothing else does: actor, subject or source video."""

import re
from collections.abc import Callable
from typing import Any

from harray.videos.named import hmdb_parts, kinetics_parts, ntu_parts, ucf_parts

MIN_SHARE = 0.9  # of the videos whose names must tell
_KTH = re.compile(r"(person\d{1,3})_[a-z]+_d\d+.*", re.IGNORECASE)
_SUBJECT = re.compile(
    r"(?:.*[_-])?((?:s|sub|subj|subject|p|person|actor)[_-]?\d{1,3})(?:[_-].*)?", re.IGNORECASE
)
_GROUP = re.compile(r".*_(g\d{1,3})_c\d{1,3}")
Way = Callable[[str, str], str | None]  # name without ending, class -> group


def _by(pattern: re.Pattern[str]) -> Way:
    def group(name: str, label: str) -> str | None:
        found = pattern.fullmatch(name)
        return found[1] if found else None

    return group


WAYS: tuple[tuple[str, Way], ...] = (
    ("UCF101's gNN", lambda name, label: (ucf_parts(name) or (None, None))[1]),
    ("NTU's performers", lambda name, label: parts.group if (parts := ntu_parts(name)) else None),
    ("HMDB51's source videos", lambda name, label: (hmdb_parts(name, label) or (None, None))[1]),
    ("Kinetics' YouTube ids", lambda name, label: (kinetics_parts(name) or (None,))[0]),
    ("KTH's persons", _by(_KTH)),
    (
        "gNN of each class",
        lambda name, label: f"{label}_{found[1]}" if (found := _GROUP.fullmatch(name)) else None,
    ),
    ("subjects", _by(_SUBJECT)),
)


def derive_groups(rows: list[dict[str, Any]]) -> list[str]:
    """Give rows without a group the one that their names tell, if nearly all tell one; what is to be said of it."""
    if not rows or any(row.get("group") is not None for row in rows):
        return []
    names = [
        (re.sub(r"\.[A-Za-z0-9]{2,5}$", "", row["path"].rpartition("/")[2]), row.get("label") or "")
        for row in rows
    ]
    for what, way in WAYS:
        groups = [way(name, label) for name, label in names]
        known = [group for group in groups if group]
        if len(known) >= MIN_SHARE * len(rows) and 1 < len(set(known)) < len(rows):
            for row, group in zip(rows, groups, strict=True):
                row["group"] = group
            more = f"; {len(rows) - len(known)} names tell none" if len(known) < len(rows) else ""
            return [f"groups by names: {what}, {len(set(known))} of them{more}"]
    return []
