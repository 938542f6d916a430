"""What the gate says of what was measured."""

import re
from dataclasses import replace

import numpy as np
import pytest

from harray.errors import InputError
from harray.validation.gate import OCCLUDED, Cost, Floors, Gate, Measured, Slice, decide
from harray.validation.paired import compare, holm

COST = Cost(latency_ms=20.0, median_ms=15.0, memory_mb=500.0, calibration_error=0.05)


def difference(won, lost, num_clips, both=0):
    champion, challenger = np.zeros(num_clips, bool), np.zeros(num_clips, bool)
    challenger[:won] = champion[won : won + lost] = True
    champion[num_clips - both :] = challenger[num_clips - both :] = True
    return compare(champion, challenger, [str(clip) for clip in range(num_clips)])


def measured(overall, **slices):
    adjusted = holm({name: found.p_worse for name, found in slices.items()})
    parts = [Slice(name=name, difference=found, p_adjusted=adjusted[name]) for name, found in slices.items()]
    return Measured(overall=overall, slices=parts, too_few=[], champion=COST, challenger=COST)


@pytest.mark.parametrize(
    ("mode", "won", "lost", "num_clips", "passed", "reason"),
    [
        ("better", 30, 5, 300, True, "better: top-1"),
        ("better", 5, 5, 300, False, "not shown to be better: .*these clips could show a difference of 0.0"),
        ("better", 5, 30, 300, False, "not shown to be better"),
        ("better", 5, 0, 5, False, "5 groups are too few to show any difference"),
        ("better", 20, 2, 4000, False, "better, but by less than the margin of 0.01"),
        ("not-worse", 0, 0, 1000, True, "not worse by 0.01 or more"),
        ("not-worse", 0, 0, 40, False, "a loss of 0.01 or more is not ruled out"),
        ("not-worse", 3, 30, 1000, False, "a loss of 0.01 or more is not ruled out"),
    ],
)
def test_a_gate_in_either_mode(mode, won, lost, num_clips, passed, reason):
    verdict = decide(Gate(mode=mode), measured(difference(won, lost, num_clips)))
    assert verdict.passed is passed
    assert len(verdict.reasons) == 1
    assert re.search(reason, verdict.reasons[0])


def test_better_in_the_mean_and_thirty_points_worse_on_one_class_is_refused_by_the_class():
    others = {f"class {number}": difference(12, 0, 40, both=20) for number in range(9)}
    worse = difference(0, 12, 40, both=20)
    verdict = decide(Gate(), measured(difference(108, 12, 400, both=200), **others, **{"class jump": worse}))
    assert not verdict.passed
    (reason,) = verdict.reasons
    assert reason.startswith(
        "worse on class jump: 0.500 against 0.800 (12 clips lost, 0 won of 40; p = 0.0024"
    )


def test_a_slice_that_chance_explains_refuses_nothing():
    found = measured(difference(30, 5, 300), **{"class jump": difference(0, 3, 20)})
    assert decide(Gate(), found).passed


@pytest.mark.parametrize(
    ("floors", "reason"),
    [
        (Floors(max_latency_ms=19), "p95 latency, ms 20 misses --max-latency-ms 19"),
        (Floors(max_memory_mb=499), "peak memory, MiB 500 misses --max-memory-mb 499"),
        (Floors(max_calibration_error=0.04), "calibration error 0.05 misses --max-calibration-error 0.04"),
        (Floors(min_top1=0.2), "top-1 0.1 misses --min-top1 0.2"),
        (Floors(min_occluded=0.9), f"top-1 with {OCCLUDED} 0.5 misses --min-occluded 0.9"),
        (Floors(min_class=0.9), "--min-class 0.9: not measured on these clips"),
        (Floors(max_latency_ms=20, min_top1=0.1, min_occluded=0.5), None),
    ],
)
def test_floors_hold_whatever_the_champion_does(floors, reason):
    found = measured(difference(30, 5, 300), **{OCCLUDED: difference(150, 150, 300)})
    verdict = decide(Gate(floors=floors), found)
    assert verdict.passed is (reason is None)
    assert reason is None or verdict.reasons == (reason,)


def test_costs_of_the_champion_are_no_matter():
    found = replace(measured(difference(30, 5, 300)), champion=replace(COST, latency_ms=1e9))
    assert decide(Gate(floors=Floors(max_latency_ms=20)), found).passed


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="--gate best: expected better or not-worse"):
        Gate(mode="best")
