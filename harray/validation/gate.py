"""Whether a challenger has earned a champion's place. Pure: what was measured -> a verdict with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from harray.config import Fraction
from harray.errors import InputError
from harray.validation.paired import LEVEL, Difference

BETTER, NOT_WORSE = "better", "not-worse"
OCCLUDED = "half of the joints hidden"


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What the challenger must reach whatever the champion does; None: anything."""

    max_latency_ms: float | None = None
    """95th percentile of answering one clip."""
    max_memory_mb: float | None = None
    """Peak memory of a process (on a GPU: of the card) that answers one clip, in MiB."""
    max_calibration_error: float | None = None
    """Expected calibration error, in [0, 1]."""
    min_top1: float | None = None
    """Top-1 on the compared clips."""
    min_occluded: float | None = None
    """Top-1 with half of the joints hidden."""
    min_class: float | None = None
    """Top-1 of the worst class that has enough clips."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is asked of a challenger."""

    mode: Literal["better", "not-worse"] = BETTER
    """`better`: beyond chance, and by the margin; `not-worse`: the interval leaves no loss of the margin or more."""
    margin: Fraction = 0.01
    """Of top-1."""
    floors: Floors = field(default_factory=Floors)
    """Limits that hold by themselves."""

    def __post_init__(self) -> None:
        if self.mode not in (BETTER, NOT_WORSE):
            raise InputError(f"--gate {self.mode}: expected {BETTER} or {NOT_WORSE}")


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The comparison on some of the clips, or on all of them changed."""

    name: str
    difference: Difference
    p_adjusted: float  # one-sided for a loss, corrected for the number of slices

    @property
    def is_worse(self) -> bool:
        """Worse beyond chance."""
        return self.p_adjusted < 1 - LEVEL and self.difference.difference < 0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an answer costs and how honest its probability is."""

    latency_ms: float  # 95th percentile over single clips
    median_ms: float
    memory_mb: float  # peak, MiB
    calibration_error: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Both models on the same clips."""

    overall: Difference
    slices: Sequence[Slice]
    too_few: Sequence[str]  # slices of too few clips to say anything of
    champion: Cost
    challenger: Cost

    def slice_named(self, name: str) -> Difference | None:
        """The difference on one slice; None where it was not compared."""
        return next((part.difference for part in self.slices if part.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's answer."""

    passed: bool
    reasons: tuple[str, ...]  # why not, the weightiest first; or why

    def to_json(self) -> dict[str, Any]:
        return {"verdict": "promoted" if self.passed else "refused", "reasons": list(self.reasons)}


def decide(gate: Gate, found: Measured) -> Verdict:
    """Refused for any one of: not shown better (or not worse), worse on a slice, a floor not reached."""
    reasons = [*_overall(gate, found.overall), *_slices(found.slices), *_floors(gate.floors, found)]
    if reasons:
        return Verdict(passed=False, reasons=tuple(reasons))
    said = "better" if gate.mode == BETTER else f"not worse by {gate.margin:g} or more"
    return Verdict(passed=True, reasons=(f"{said}: {found.overall}",))


def _overall(gate: Gate, overall: Difference) -> list[str]:
    if gate.mode == NOT_WORSE:
        if overall.low > -gate.margin:
            return []
        return [f"a loss of {gate.margin:g} or more is not ruled out: {overall}"]
    if overall.p_value >= 1 - LEVEL or overall.difference <= 0:
        return [f"not shown to be better: {overall}; {_could_show(overall)}"]
    if overall.difference < gate.margin:
        return [f"better, but by less than the margin of {gate.margin:g}: {overall}"]
    return []


def _could_show(overall: Difference) -> str:
    if overall.smallest is None:
        return f"{overall.num_groups} groups are too few to show any difference"
    return f"these clips could show a difference of {overall.smallest:.3f}"


def _slices(slices: Sequence[Slice]) -> list[str]:
    worse = sorted((part for part in slices if part.is_worse), key=lambda part: part.p_adjusted)
    return [
        f"worse on {part.name}: {part.difference.challenger:.3f} against {part.difference.champion:.3f} "
        f"({part.difference.lost} clips lost, {part.difference.won} won of {part.difference.num_clips}; "
        f"p = {part.p_adjusted:.2g} corrected for {len(slices)} slices)"
        for part in worse
    ]


def _floors(floors: Floors, found: Measured) -> list[str]:
    occluded = found.slice_named(OCCLUDED)
    by_class = {
        part.name: part.difference.challenger for part in found.slices if part.name.startswith("class ")
    }
    worst = min(by_class, key=by_class.__getitem__, default=None)
    measured: Mapping[str, tuple[str, float | None]] = {
        "max_latency_ms": ("p95 latency, ms", found.challenger.latency_ms),
        "max_memory_mb": ("peak memory, MiB", found.challenger.memory_mb),
        "max_calibration_error": ("calibration error", found.challenger.calibration_error),
        "min_top1": ("top-1", found.overall.challenger),
        "min_occluded": (f"top-1 with {OCCLUDED}", None if occluded is None else occluded.challenger),
        "min_class": (f"top-1 of {worst}", None if worst is None else by_class[worst]),
    }
    assert set(measured) == {item.name for item in fields(floors)}
    reasons = []
    for name, limit in asdict(floors).items():
        if limit is None:
            continue
        what, value = measured[name]
        option = f"--{name.replace('_', '-')} {limit:g}"
        if value is None:
            reasons.append(f"{option}: not measured on these clips")
        elif value > limit if name.startswith("max") else value < limit:
            reasons.append(f"{what} {value:.4g} misses {option}")
    return reasons
