"""A sweep without Ray: trials run here, one after another, and drivers vanish between any two writes."""

import dataclasses
import json
import math

import mlflow  # noqa: F401  here: scikit-learn, in these trials, trips over what the sender's thread is importing
import pytest
import torch

from harray.store import FeatureStore
from harray.tracking.sweeps import JOURNAL_FILE, Journal, SweepLog
from harray.training.divergence import Diverged
from harray.training.run import origin_of, training_clips
from harray.tuning.figures import write_figures
from harray.tuning.settings import SweepSettings
from harray.tuning.study import FAILED, FINISHED, STOPPED, WORKER_DIED, Sweep, ranking
from harray.tuning.trial import (
    STATE_FILE,
    TrialJob,
    from_arrays,
    reason_of,
    to_arrays,
    trial_steps,
)
from tests.toys import tiny_experiment, tiny_store

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:9"  # nothing is sent: what would be is in the journal


def hopeless(draw):
    """Mostly rates that learn nothing, so that trials fall behind the first, which is the recipe."""
    draw.suggest_float("training.learning_rate", 1e-9, 2e-2, log=True)
    draw.suggest_float("model.dropout", 0.0, 0.5)


class Vanished(BaseException):
    """The driver is killed."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    store = FeatureStore.open(tiny_store(tmp_path_factory.mktemp("sweep") / "store"))
    return store, *training_clips(tiny_experiment().learning, store)


class Driver:
    """Opens a sweep in a folder and runs its trials; a second one in the same folder goes on."""

    def __init__(self, folder, clips, **settings):
        store, self.train, self.val = clips
        self.settings = SweepSettings(num_trials=5, num_epochs=6, search="hopeless", **settings)
        self.base = tiny_experiment()
        self.folder = folder
        self.job = TrialJob(
            folder=folder / "trials", store=store.path, base=self.base, origin=origin_of(store),
            measures_latency=not self.settings.prunes,
        )  # fmt: skip
        self.epochs_run = []
        self.sweep = None

    def run(self, vanish_at=math.inf, epochs=math.inf):
        """All that is left; vanishes before the `vanish_at`-th write to journal or study.

        Args:
            epochs: after which time is up.
        """
        until = len(self.epochs_run) + epochs
        with SweepLog(self.folder, NOWHERE, "s") as log:
            self.sweep = Sweep(self.folder, self.settings, hopeless, self.base, log)
            self._count_writes(log, vanish_at)
            while plan := self.sweep.next():
                for result in trial_steps(self.job, plan, self.train, self.val, torch.device("cpu")):
                    if "outcome" not in result and "went_on_after" not in result:
                        self.epochs_run.append((plan.number, result["num_epochs"]))
                    if len(self.epochs_run) >= until:
                        self.sweep.deadline = 0.0
                    if "outcome" in result or self.sweep.told(plan.number, result):
                        if self.sweep.ended(plan.number, result):
                            (self.job.folder_of(plan.number) / STATE_FILE).unlink()
                        break
        return self

    def _count_writes(self, log, vanish_at):
        left = [vanish_at]
        backend = self.sweep.study._storage._backend

        def counted(write):
            def wrapped(*values, **named):
                left[0] -= 1
                if left[0] < 0:
                    raise Vanished
                return write(*values, **named)

            return wrapped

        log._journal.append = counted(log._journal.append)
        backend.append_logs = counted(backend.append_logs)


def journal_of(folder):
    journal = Journal(folder / JOURNAL_FILE)
    journal.close()
    return [event for _, event in journal.events]


def told(folder):
    """Trial -> epochs in the journal, and the trials that it starts and ends."""
    epochs, starts, ends = {}, [], []
    for event in journal_of(folder):
        if event["event"] == "metrics":
            epochs.setdefault(event["trial"], []).append(event["step"])
        {"start": starts, "end": ends}.get(event["event"], []).append(event["trial"])
    return epochs, starts, ends


def without_times(rows):
    return [dataclasses.replace(row, seconds=0, checkpoint="") for row in rows]


@pytest.fixture(scope="module")
def calm(tmp_path_factory, clips):
    return Driver(tmp_path_factory.mktemp("calm"), clips).run()


def test_trials_finish_or_are_stopped_early_and_the_first_is_the_recipe(calm):
    rows = calm.sweep.rows()
    assert [row.number for row in rows] == [0, 1, 2, 3, 4]
    assert {row.state for row in rows} == {FINISHED, STOPPED}
    assert rows[0].params["training.learning_rate"] == tiny_experiment().training.learning_rate
    for row in rows:
        assert (row.num_epochs == 6) == (row.state == FINISHED)
        assert ("not among the best" in row.reason) == (row.state == STOPPED)
        assert len(row.values) == 1 and 0 <= row.values[0] <= 1
    best = calm.sweep.best()
    assert best == ranking(rows, ["maximize"])[:1]
    epochs, starts, ends = told(calm.folder)
    assert starts == ends == [0, 1, 2, 3, 4]
    assert epochs == {row.number: list(range(1, row.num_epochs + 1)) for row in rows}


def test_a_driver_that_vanishes_at_any_write_leaves_what_its_successor_needs(calm, clips, tmp_path):
    """Twelve drivers in turn, each killed a few writes farther than it began; a write is never half done."""
    driver = Driver(tmp_path, clips)
    kills, run = [9, 14, 3, 17, 25, 5, 31, 13, 40, 22, 7, 26], []
    for writes in kills:
        try:
            driver.run(writes)
        except Vanished:
            run += driver.epochs_run
            driver.epochs_run = []
            continue
        break
    else:
        driver.run()
    run += driver.epochs_run
    assert len(driver.sweep.rows()) == 5
    epochs, starts, ends = told(tmp_path)
    assert sorted(starts) == sorted(ends) == [0, 1, 2, 3, 4]
    for row in driver.sweep.rows():
        assert epochs[row.number] == list(range(1, row.num_epochs + 1))
    assert without_times(driver.sweep.rows())[0] == without_times(calm.sweep.rows())[0]
    repeated = len(run) - len(set(run))
    assert repeated == 0, "the state is kept before an epoch is told"


def test_a_trial_that_fails_is_told_to_optuna_with_its_reason_and_too_many_end_the_sweep(clips, tmp_path):
    driver = Driver(tmp_path, clips, max_failed=0.2)
    with SweepLog(tmp_path, NOWHERE, "s") as log:
        sweep = Sweep(tmp_path, driver.settings, hopeless, driver.base, log)
        sweep.ended(sweep.next().number, {"failed": "NaN: the loss of epoch 1 is not a finite number"})
        sweep.ended(sweep.next().number, None)
        assert sweep.next() is None
        assert sweep.has_failed()
        assert [(row.state, row.values) for row in sweep.rows()] == [(FAILED, ()), (FAILED, ())]
        assert sweep.rows()[1].reason == WORKER_DIED
        assert sweep.best() == []
    ends = [event for event in journal_of(tmp_path) if event["event"] == "end"]
    assert [event["status"] for event in ends] == ["FAILED", "FAILED"]
    assert "NaN" in ends[0]["tags"]["harray.reason"]


def test_time_that_is_up_ends_no_trial_and_begins_none(calm, clips, tmp_path):
    driver = Driver(tmp_path, clips)
    with SweepLog(tmp_path, NOWHERE, "s") as log:
        sweep = Sweep(tmp_path, driver.settings, hopeless, driver.base, log)
        plan = sweep.next()
        sweep.deadline = 0.0
        result = next(trial_steps(driver.job, plan, driver.train, driver.val, torch.device("cpu")))
        assert sweep.told(plan.number, result)
        assert not sweep.ended(plan.number, result)
        assert sweep.next() is None
        assert sweep.rows() == []
        assert (sweep.num_under_way(), sweep.num_ended()) == (1, 0)
    (pause,) = (event for event in journal_of(tmp_path) if event["event"] == "pause")
    assert (pause["status"], pause["tags"]) == ("KILLED", {"harray.state": "interrupted"})
    driver.run()
    assert without_times(driver.sweep.rows())[0] == without_times(calm.sweep.rows())[0]
    epochs, starts, _ = told(tmp_path)
    assert starts == [0, 1, 2, 3, 4]
    assert epochs[0] == list(range(1, 7))
    assert (0, 1) not in driver.epochs_run, "its first epoch was kept"


@pytest.mark.parametrize("budget", [1, 2, 3, 5])
def test_a_sweep_is_finished_by_starts_of_so_few_epochs_each(clips, tmp_path, budget):
    """Whatever the time budget cuts, as long as an epoch fits into it."""
    driver, starts = Driver(tmp_path, clips), 0
    while not driver.sweep or driver.sweep.num_ended() < 5:
        driver.run(epochs=budget)
        starts += 1
        assert starts < 60
    assert {row.state for row in driver.sweep.rows()} <= {FINISHED, STOPPED}
    epochs, begun, ended = told(tmp_path)
    assert sorted(begun) == sorted(ended) == [0, 1, 2, 3, 4]
    for row in driver.sweep.rows():
        assert epochs[row.number] == list(range(1, row.num_epochs + 1))
    assert len(driver.epochs_run) == len(set(driver.epochs_run)), "no epoch was trained twice"


def test_a_trial_that_ends_when_time_is_up_has_ended(clips, tmp_path):
    driver = Driver(tmp_path, clips)
    with SweepLog(tmp_path, NOWHERE, "s") as log:
        sweep = Sweep(tmp_path, driver.settings, hopeless, driver.base, log)
        plan = sweep.next()
        for result in trial_steps(driver.job, plan, driver.train, driver.val, torch.device("cpu")):
            if "outcome" not in result:
                sweep.told(plan.number, result)
        sweep.deadline = 0.0
        assert sweep.ended(plan.number, result)
        assert [row.state for row in sweep.rows()] == [FINISHED]


def test_a_renamed_sweep_names_its_checkpoints_where_they_are(clips, tmp_path):
    driver = Driver(tmp_path / "then", clips).run()
    before = driver.sweep.best()[0].checkpoint
    (tmp_path / "then").rename(tmp_path / "now")
    with SweepLog(tmp_path / "now", NOWHERE, "s") as log:
        sweep = Sweep(tmp_path / "now", driver.settings, hopeless, driver.base, log)
        after = sweep.best()[0].checkpoint
    assert after == before.replace("/then/", "/now/")
    assert all(row.checkpoint.startswith(str(tmp_path / "now")) for row in sweep.rows() if row.checkpoint)


def test_two_objectives_give_a_front_and_stop_nothing_early(clips, tmp_path):
    driver = Driver(tmp_path, clips, objective="accuracy-latency").run()
    assert {row.state for row in driver.sweep.rows()} == {FINISHED}
    front = driver.sweep.best()
    for row in driver.sweep.rows():
        f1, latency = row.values
        assert latency > 0
        assert row in front or any(other.values[0] >= f1 and other.values[1] <= latency for other in front)
    figures = write_figures(driver.sweep.study, driver.settings, tmp_path)
    assert "pareto.png" in [figure.name for figure in figures]
    assert all(figure.stat().st_size > 5000 for figure in figures)


def test_clips_in_the_object_store_are_the_same_clips(clips):
    _, train, _ = clips
    again = from_arrays(to_arrays(train))
    assert again.keypoints_NPTKC.data_ptr() == train.keypoints_NPTKC.data_ptr()
    assert (again.classes, again.scene_grid, again.paths) == (train.classes, train.scene_grid, train.paths)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\nTried"), "out of memory: CUDA out of memory. Tried"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: DefaultCPU"),
        (Diverged("NaN: it is"), "NaN: it is"),
        (ValueError("x"), "ValueError: x"),
    ],
)
def test_the_reason_of_a_failure_in_a_line(error, reason):
    assert reason_of(error).startswith(reason)
    assert json.dumps(reason_of(error))
