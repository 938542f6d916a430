"""NTU RGB+D: videos by their names SsssCcccPpppRrrrAaaa; cross-subject, cross-view and cross-setup; missing lists."""

from pathlib import Path

from harray.errors import InputError
from harray.videos.datasets.asked import Asked, check_protocol, chosen, found_below, listing
from harray.videos.listing import Listing
from harray.videos.named import NTU60_ACTIONS, NTU60_SETUPS, ntu_parts


def list_ntu60(asked: Asked) -> Listing:
    """Setups 1 to 17 and actions 1 to 60: xsub, xview."""
    return _ntu(asked, "ntu60", ("xsub", "xview"))


def list_ntu120(asked: Asked) -> Listing:
    """All setups and actions: xsub, xset."""
    return _ntu(asked, "ntu120", ("xsub", "xset"))


def _ntu(asked: Asked, name: str, protocols: tuple[str, ...]) -> Listing:
    check_protocol(asked, protocols)
    found = found_below(asked)
    if not found.paths and (skeletons := found.tree.left_out.get(".skeleton")):
        raise InputError(
            f"source {asked.root}: {len(skeletons)} .skeleton files and no videos; take them by "
            f"`harray skeleton import {asked.root} --store STORE`"
        )
    missing = missing_samples(asked)
    rows, unused = [], dict[str, list[str]]()
    for path in found.paths:
        stem = found.stem_of(path)
        parts = ntu_parts(stem)
        if parts is None:
            unused.setdefault("named otherwise than NTU's samples", []).append(path)
        elif name == "ntu60" and (parts.setup > NTU60_SETUPS or parts.action > NTU60_ACTIONS):
            unused.setdefault("of NTU120, not of NTU60", []).append(path)
        elif stem[:20] in missing:
            unused.setdefault("in the lists of missing skeletons", []).append(path)
        else:
            splits = [split for split in parts.splits() if split.startswith(protocols)]
            row = {"path": found.full(path), "label": parts.label, "group": parts.group, "dataset": name}
            rows.append({**row, "splits": chosen(splits, asked.protocol)})
    notes = ["groups are the performers; performers of other cameras and setups are the same people"]
    return listing(asked, found, rows, name, notes, unused)


def missing_samples(asked: Asked) -> set[str]:
    """Names in the lists of samples without skeletons; lines of prose in them are passed over."""
    names: set[str] = set()
    for file in asked.list_files("*missing*.txt"):
        names |= samples_in(file)
    return names


def samples_in(file: Path) -> set[str]:
    """The samples that a text file names, a line each."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    return {line[:20] for line in lines if len(line.split()) == 1 and ntu_parts(line)}
