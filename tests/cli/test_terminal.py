"""What is said of how fast something goes, and that it is said while nothing happens."""

import io
import time

import pytest

from harray.cli import terminal


def test_the_pace_counts_from_the_first_thing_done_now(monkeypatch):
    clock = iter([0.0, 30.0, 32.0, 34.0])  # half a minute passes before anything is done
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    pace = terminal.Pace()
    said = [pace.per_sec(done) for done in (100, 104, 104, 112)]  # a hundred were done before
    assert said == [None, None, None, pytest.approx(2.0)]


@pytest.mark.parametrize(
    ("per_sec", "unit", "said"),
    [
        (None, "clips", ""),
        (12.34, "clips", "12.3 clips/s"),
        (1.0, "files", "1.0 files/s"),
        (0.4, "clips", "2.5 s/clip"),
        (0.02, "models", "50.0 s/model"),
        (0.001, "trials", "1000.0 s/trial"),
    ],
)
def test_what_is_slow_is_told_in_seconds_a_piece(per_sec, unit, said):
    assert terminal.speed(per_sec, unit) == said


def test_a_jobs_log_hears_of_work_that_reports_nothing(monkeypatch):
    monkeypatch.setattr(terminal, "SAY_EVERY_SEC", 0.02)
    said = io.StringIO()
    with terminal.Terminal(err=said).progress("evaluating", "steps") as update:
        while said.getvalue().count("evaluating: ") < 2:
            time.sleep(0.01)
        update(3, 9, "scores")
        while "evaluating: 3/9, " not in said.getvalue():
            time.sleep(0.01)
    assert "s so far, scores" in said.getvalue()
