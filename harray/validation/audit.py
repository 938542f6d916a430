"""What is wrong with a store's data, before anything learns from it: doubles, leaks, labels, empty and odd clips.

    store -> clips, ledger -> findings by kind, the worst first -> which clips to drop, which to relabel

Nothing is changed; what is proposed are clips to look at.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from harray.evaluation.occlusion import size_of
from harray.features.config import FeaturesConfig
from harray.features.tensors import ClipTensors, load_clips, normalised
from harray.inference.evidence import NOBODY, OK, evidence_of
from harray.store import FeatureStore
from harray.store.leaks import ledger_rows, overlap_of_splits
from harray.store.test_part import scored_split, test_splits
from harray.training.floors import ties_of
from harray.validation.contradicted import contradicted
from harray.validation.doubles import AGAIN, EXACT, MIRRORED, Double, find_doubles
from harray.validation.same_film import same_films, small_frames
from harray.validation.trimmed import find_trimmed

FEWEST_CLIPS, FEWEST_GROUPS = 10, 3  # of a class
TINY_SHARE = 0.08  # of the frame's height
ODD_TIMES = 4.0  # longer or shorter than the median clip
ODD_RATE = 0.25  # off the store's commonest rate, as a share of it
DROP, RELABEL = "drop", "relabel"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, with the clips it is about."""

    paths: tuple[str, ...]  # those to be looked at first
    said: str
    drop: tuple[str, ...] = ()  # of them
    relabel: Mapping[str, str] = field(default_factory=dict)  # path -> label
    shown: bool = True  # whether pictures help


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Findings of one kind, the worst first."""

    name: str
    means: str  # what it is, and why it matters
    findings: tuple[Finding, ...]
    num_clips: int  # that they are about


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Everything that was found in a store."""

    store: str
    store_digest: str
    num_clips: int
    num_groups: int
    labels: Mapping[str, int]
    splits: Mapping[str, int]
    chapters: tuple[Chapter, ...]

    @property
    def drop(self) -> dict[str, str]:
        """Path -> why, of the clips to drop."""
        return {
            path: f"{chapter.name}: {finding.said}"
            for chapter in reversed(self.chapters)
            for finding in chapter.findings
            for path in finding.drop
        }

    @property
    def relabel(self) -> dict[str, tuple[str, str]]:
        """Path -> label and why, of the clips to relabel; none of those to drop."""
        dropped = self.drop
        return {
            path: (label, finding.said)
            for chapter in self.chapters
            for finding in chapter.findings
            for path, label in finding.relabel.items()
            if path not in dropped
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "store_digest": self.store_digest,
            "num_clips": self.num_clips,
            "findings": {chapter.name: len(chapter.findings) for chapter in self.chapters},
            "clips": {chapter.name: chapter.num_clips for chapter in self.chapters},
            "num_drop": len(self.drop),
            "num_relabel": len(self.relabel),
        }


@dataclass(frozen=True, kw_only=True)
class Material:
    """What the checks look at; lists have an entry per clip."""

    store: FeatureStore
    clips: ClipTensors
    rows: Sequence[Mapping[str, Any]]  # of the ledger, one per input
    splits: list[tuple[str, ...]]
    frame_index: list[list[int]]
    frame_sec: list[list[float]]


def audit(store: FeatureStore, on_step: Callable[[str], None] = lambda note: None) -> Audit:
    """Look at everything in a store once.

    Args:
        on_step: called with what comes next, `NUM_STEPS` times.

    Raises:
        InputError: no clips in it.
    """
    on_step("reading")
    clips = load_clips(store)
    table = store.read(columns=["frame_index", "frame_sec"])
    material = Material(
        store=store,
        clips=clips,
        rows=ledger_rows(store),
        splits=[tuple(splits) for splits in table["splits"].to_pylist()],
        frame_index=table["frame_index"].to_pylist(),
        frame_sec=table["frame_sec"].to_pylist(),
    )
    on_step("doubles")
    doubles, ties = _doubles(material)
    on_step("labels")
    chapters = [
        doubles,
        _leaks(material),
        _labels(material, ties, doubles),
        _nobody(material),
        _hardly_seen(material),
    ]
    chapters += [_small_classes(material), _odd(material)]
    return Audit(
        store=str(store.path),
        store_digest=store.digest(),
        num_clips=len(clips),
        num_groups=len({row["group"] for row in material.rows} - {None}),
        labels=dict(sorted(Counter(row["label"] for row in material.rows if row["label"]).items())),
        splits=dict(sorted(Counter(split for row in material.rows for split in row["splits"]).items())),
        chapters=tuple(chapters),
    )


NUM_STEPS = 3


def _doubles(material: Material) -> tuple[Chapter, list[str]]:
    """Doubles, and for each clip a name of what must be held out together: its group and its doubles'."""
    clips, splits = material.clips, material.splits
    sets, ties = DisjointSet(range(len(clips))), ties_of(clips)
    tied = DisjointSet(ties)
    findings = []
    for pair in _pairs(material):
        is_known = sets.connected(pair.first, pair.second)
        sets.merge(pair.first, pair.second)
        tied.merge(ties[pair.first], ties[pair.second])
        if is_known:
            continue  # the third of three is said once
        first, second = pair.first, pair.second
        labels = {clips.classes[number] for number in clips.labels_N[[first, second]].tolist() if number >= 0}
        worse = _straddle(splits[first], splits[second])
        said = (
            pair.kind if pair.kind == EXACT else f"{pair.kind}, by {'poses' if pair.distance else 'frames'}"
        )
        said += f"; labels {' and '.join(sorted(labels))}" if len(labels) > 1 else ""
        said += f"; splits {'+'.join(splits[first])} and {'+'.join(splits[second])}" if worse else ""
        spare = _spare(material, first, second)
        paths = clips.paths[first], clips.paths[second]
        finding = Finding(paths=paths, said=said, drop=(clips.paths[spare],))
        findings.append((not worse, len(labels) < 2, pair.distance, finding))
    findings.sort(key=lambda entry: entry[:3])
    chapter = Chapter(
        name="doubles",
        means="the same film twice: what is learned counts twice, and what is tested may have been learned",
        findings=tuple(finding for *_, finding in findings),
        num_clips=sum(len(subset) for subset in sets.subsets() if len(subset) > 1),
    )
    roots = {tie: sorted(map(str, subset))[0] for subset in tied.subsets() for tie in subset}
    return chapter, [roots[tie] for tie in ties]


def _spare(material: Material, first: int, second: int) -> int:
    """Which of two doubles to drop: a test clip stays, or scores of before and after would be of other clips; else the
    one of the larger group stays, which has its place in the data."""
    splits, groups = material.splits, material.clips.groups
    in_test = [bool(test_splits(splits[place])) for place in (first, second)]
    if in_test[0] != in_test[1]:
        return first if in_test[1] else second
    sizes = [0 if groups[place] is None else groups.count(groups[place]) for place in (first, second)]
    return first if sizes[0] < sizes[1] else second


def _pairs(material: Material) -> list[Double]:
    """Doubles by their frames where the videos still are, else by poses and scenes; trimmed copies by poses."""
    clips = material.clips
    with ThreadPoolExecutor() as pool:  # decoding leaves Python to others
        frames = list(pool.map(small_frames, clips.paths, map(np.asarray, material.frame_index)))
    places = [place for place, found in enumerate(frames) if found is not None]
    found = {
        (pair.first, pair.second): pair
        for pair in find_doubles(clips)
        if pair.kind == EXACT or frames[pair.first] is None or frames[pair.second] is None
    }
    if len(places) > 1:
        known = np.stack([found for found in frames if found is not None])
        for kind, pairs in zip((AGAIN, MIRRORED), same_films(known), strict=True):
            for first, second in ((places[first], places[second]) for first, second in pairs):
                if clips.paths[first] != clips.paths[second]:  # clips of one video are no doubles
                    found.setdefault(
                        (first, second), Double(first=first, second=second, kind=kind, distance=0.0)
                    )
    for pair in find_trimmed(clips, material.frame_sec):
        found.setdefault((pair.first, pair.second), pair)
    return [found[places] for places in sorted(found)]


def _straddle(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return set(first).isdisjoint(second) and bool(first or second)


def _leaks(material: Material) -> Chapter:
    """Groups and clips on both sides of a split and the one that scores it."""
    names = material.store.splits()
    findings, num_clips = [], 0
    for learned in names:
        scored = scored_split(names, learned)
        if scored is None or "train" not in learned:
            continue
        found = overlap_of_splits(material.store, [learned], scored)
        num_clips += found.num_clips + found.num_of_groups
        for group in found.groups:
            of_group = [row for row in material.rows if row["group"] == group]
            of_test = tuple(row["path"] for row in of_group if scored in row["splits"])
            num_learned = sum(learned in row["splits"] for row in of_group)
            said = f"group {group}: {len(of_test)} clips in {scored}, {num_learned} in {learned}"
            findings.append(Finding(paths=of_test, said=said, shown=False))
        if found.num_clips:
            said = f"{found.num_clips} clips stand in {scored} and in {learned}"
            findings.append(Finding(paths=(), said=said, shown=False))
    return Chapter(
        name="groups across splits",
        means="an actor or source video that is learned from and tested: scores are too high",
        findings=tuple(findings),
        num_clips=num_clips,
    )


def _labels(material: Material, ties: Sequence[str], doubles: Chapter) -> Chapter:
    """Doubles that are to be dropped are not asked for their labels."""
    dropped = {path for finding in doubles.findings for path in finding.drop}
    paths = material.clips.paths
    findings = [
        Finding(
            paths=(paths[doubt.place],),
            said=f"{doubt.label} ({doubt.probability:.1%}) looks like {doubt.instead} "
            f"({doubt.probability_instead:.0%})",
            relabel={paths[doubt.place]: doubt.instead} if doubt.is_sure else {},
        )
        for doubt in contradicted(material.clips, ties)
        if paths[doubt.place] not in dropped
    ]
    return Chapter(
        name="labels contradicted",
        means="linear probes that learned from the other groups' clips expect another label, the most doubtful first; "
        "of those that are beyond doubt another label is proposed: look before you relabel",
        findings=tuple(findings),
        num_clips=sum(bool(finding.relabel) for finding in findings),
    )


def _nobody(material: Material) -> Chapter:
    verdicts = _verdicts(material.clips)
    paths = [path for path, verdict in zip(material.clips.paths, verdicts, strict=True) if verdict == NOBODY]
    findings = [Finding(paths=(path,), said="nobody is seen", drop=(path,)) for path in dict.fromkeys(paths)]
    return Chapter(
        name="nobody seen",
        means="poses say nothing of these clips; only a scene could",
        findings=tuple(findings),
        num_clips=len(paths),
    )


def _hardly_seen(material: Material) -> Chapter:
    """People of whom little is seen, and tiny ones; worth a look, not to be dropped."""
    clips = material.clips
    height_N = clips.frame_size_N2[:, 0].numpy().astype(float)
    share_N = np.where(height_N > 0, size_of(clips).numpy() / np.maximum(height_N, 1), np.inf)
    findings = []
    for place, verdict in enumerate(_verdicts(clips)):
        if verdict == NOBODY:
            continue
        if verdict != OK:
            findings.append(
                (0.0, Finding(paths=(clips.paths[place],), said="few joints with enough confidence"))
            )
        elif share_N[place] < TINY_SHARE:
            said = f"people {share_N[place]:.1%} of the frame's height"
            findings.append((float(share_N[place]), Finding(paths=(clips.paths[place],), said=said)))
    findings.sort(key=lambda entry: entry[0])
    return Chapter(
        name="hardly seen",
        means="low confidence, or tiny people: a larger image size, or other weights, may see more",
        findings=tuple(finding for _, finding in findings),
        num_clips=len(findings),
    )


def _verdicts(clips: ClipTensors) -> list[str]:
    """`ok`, `unsure` or `nobody` for each clip, by either of its keypoints."""
    config = FeaturesConfig()
    found = [evidence_of(visible).verdict for visible in normalised(clips, config).visible_NPTK.numpy()]
    if clips.second is None:
        return found
    others = _verdicts(clips.second)
    order = [OK, "unsure", NOBODY]
    return [min(pair, key=order.index) for pair in zip(found, others, strict=True)]


def _small_classes(material: Material) -> Chapter:
    counts = Counter(row["label"] for row in material.rows if row["label"])
    groups: dict[str, set[str]] = {}
    for row in material.rows:
        if row["label"] and row["group"] is not None:
            groups.setdefault(row["label"], set()).add(row["group"])
    findings = []
    for label, count in sorted(counts.items(), key=lambda item: item[1]):
        if count < FEWEST_CLIPS:
            findings.append(Finding(paths=(), said=f"{label}: {count} clips", shown=False))
        elif label in groups and len(groups[label]) < FEWEST_GROUPS:
            said = f"{label}: {count} clips of {len(groups[label])} groups"
            findings.append(Finding(paths=(), said=said, shown=False))
    if len(counts) > 1 and max(counts.values()) > 5 * min(counts.values()):
        most, least = counts.most_common(1)[0], counts.most_common()[-1]
        said = f"{most[0]} has {most[1]} clips, {least[0]} {least[1]}"
        findings.append(Finding(paths=(), said=said, shown=False))
    return Chapter(
        name="small classes",
        means=f"fewer than {FEWEST_CLIPS} clips or {FEWEST_GROUPS} groups, or far fewer than others",
        findings=tuple(findings),
        num_clips=sum(counts[label] for label in counts if counts[label] < FEWEST_CLIPS),
    )


def _odd(material: Material) -> Chapter:
    """Clips much longer or shorter than the others, of another rate, or of fewer frames than they keep."""
    length_N = np.array([sec[-1] - sec[0] if len(sec) > 1 else 0.0 for sec in material.frame_sec])
    index_N = np.array([index[-1] - index[0] if index else 0 for index in material.frame_index])
    rate_N = np.where(length_N > 0, index_N / np.maximum(length_N, 1e-9), 0.0)
    timed_N = (length_N > 0) & (index_N > 0)
    if not timed_N.any():
        return Chapter(name="odd lengths and rates", means="no times are known", findings=(), num_clips=0)
    usual_sec, usual_rate = float(np.median(length_N[timed_N])), float(np.median(rate_N[timed_N]))
    findings = []
    for place in range(len(length_N)):
        path, said = material.clips.paths[place], []
        off = abs(np.log(max(length_N[place], 1e-3) / usual_sec))
        if off > np.log(ODD_TIMES):
            said.append(f"{length_N[place]:.2f} s, where the median clip has {usual_sec:.2f} s")
        if timed_N[place] and abs(rate_N[place] / usual_rate - 1) > ODD_RATE:
            said.append(f"{rate_N[place]:.1f} frames/s, where the median clip has {usual_rate:.1f}")
        if (num := len(set(material.frame_index[place]))) <= len(material.frame_index[place]) // 2:
            said.append(f"{num} different frames of {len(material.frame_index[place])}")
        if said:
            findings.append((-off, Finding(paths=(path,), said="; ".join(said), shown=False)))
    findings.sort(key=lambda entry: entry[0])
    return Chapter(
        name="odd lengths and rates",
        means="frames are taken evenly over a clip, so its length sets the speed that is seen",
        findings=tuple(finding for _, finding in findings),
        num_clips=len(findings),
    )
