import math

import pyarrow as pa
import pytest

from harray.distributed.extraction_tally import ExtractionTally, QuarantineLimit
from harray.distributed.extraction_worker import OUTCOMES
from harray.errors import InputError
from harray.schema import EXTRACTED, QUARANTINED


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("5%", QuarantineLimit(share=0.05)),
        ("0%", QuarantineLimit(share=0.0)),
        ("20", QuarantineLimit(count=20)),
    ],
)
def test_a_limit_is_a_share_or_a_count(text, limit):
    assert QuarantineLimit.parse(text) == limit
    assert str(limit) == text


@pytest.mark.parametrize("text", ["", "%", "many", "-1", "101%", "nan"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(InputError, match="expected a share such as 5%, or a count such as 20"):
        QuarantineLimit.parse(text)


@pytest.mark.parametrize(
    ("limit", "quarantined", "done", "total", "exceeded"),
    [
        (QuarantineLimit(), 1000, 1000, 1000, False),
        (QuarantineLimit(count=2), 2, 2, 1000, False),
        (QuarantineLimit(count=2), 3, 3, 1000, True),
        (QuarantineLimit(share=0.05), 10, 49, 1000, False),  # too early to say
        (QuarantineLimit(share=0.05), 10, 50, 1000, True),
        (QuarantineLimit(share=0.05), 5, 100, 1000, False),
        (QuarantineLimit(share=0.05), 6, 100, 1000, True),
        (QuarantineLimit(share=0.5), 7, 10, 10, True),  # all of a short run
        (QuarantineLimit(share=0.0), 0, 10, 10, False),
    ],
)
def test_when_a_run_is_stopped(limit, quarantined, done, total, exceeded):
    assert limit.is_exceeded(quarantined, done, total) is exceeded


def outcomes(*rows):
    defaults = dict.fromkeys(OUTCOMES.names) | {"computed": 0, "peak_mb": 1.0}
    return pa.Table.from_pylist([{**defaults, **row} for row in rows], schema=OUTCOMES)


GOOD = {"status": EXTRACTED, "computed": 1, "peak_mb": 7.0}
BAD = {"status": QUARANTINED, "stage": "open", "error": "VideoError", "message": "the file is empty"}


def test_kept_outcomes_are_counted_and_not_judged():
    tally = ExtractionTally(12, {EXTRACTED: 1, QUARANTINED: 9}, QuarantineLimit(share=0.5))
    assert tally.done == 10
    tally.add(outcomes(GOOD, BAD))
    assert tally.named() == {EXTRACTED: 2, QUARANTINED: 10, "computed": 1}
    assert (tally.done, tally.worker_peak_mb) == (12, 7.0)


def test_the_commonest_reasons_are_said_first():
    tally = ExtractionTally(9, {}, QuarantineLimit(count=3))
    other = BAD | {"stage": "decode", "message": "no frame"}
    tally.add(outcomes(BAD, other, GOOD, other))
    expected = (
        r"4 of 5 .* more than 3 \(3 x decode: VideoError: no frame; 1 x open: VideoError: the file is empty\)"
    )
    with pytest.raises(InputError, match=expected):
        tally.add(outcomes(other))


def test_without_a_limit_nothing_stops_a_run():
    assert QuarantineLimit().share == math.inf
    ExtractionTally(2, {}, QuarantineLimit()).add(outcomes(BAD, BAD))
