"""What is said of how fast something goes."""

import pytest

from harray.cli import terminal


def test_the_pace_counts_from_the_first_thing_done_now(monkeypatch):
    clock = iter([0.0, 30.0, 32.0, 34.0])  # half a minute passes before anything is done
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    pace = terminal.Pace()
    said = [pace.per_sec(done) for done in (100, 104, 104, 112)]  # a hundred were done before
    assert said == [None, None, None, pytest.approx(2.0)]
