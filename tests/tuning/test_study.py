"""A sweep without Ray: trials run here, one after another, and drivers vanish between any two writes."""

import dataclasses
import json
import math

import pytest
import torch

from harray.store import FeatureStore
from harray.training.divergence import Diverged
from harray.training.run import origin_of, training_clips
from harray.tuning.config import SweepConfig
from harray.tuning.figures import write_figures
from harray.tuning.records import records_of
from harray.tuning.study import COMPLETE, FAILED, PRUNED, open_study, ranking, read_study
from harray.tuning.sweep import WORKER_DIED, StudySweep
from harray.tuning.trial import (
    STATE_FILE,
    TrialJob,
    TrialStep,
    failure_of,
    from_arrays,
    to_arrays,
    trial_steps,
)
from tests.toys import tiny_experiment, tiny_store

pytestmark = pytest.mark.slow


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

    def __init__(self, folder, clips, **choices):
        store, self.train, self.val = clips
        self.config = SweepConfig(
            store=str(store.path), experiment=tiny_experiment(), num_trials=5, search="hopeless", **choices
        )
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self.job = TrialJob(config=self.config, folder=folder / "trials", origin=origin_of(store))
        self.epochs_run = []

    def open(self):
        self.sweep = StudySweep(open_study(self.folder, self.config), self.folder, self.config, hopeless)
        return self.sweep

    def steps(self, plan):
        return trial_steps(self.job, plan, self.train, self.val, torch.device("cpu"))

    def run(self, vanish_at=math.inf, epochs=math.inf):
        """All that is left; vanishes before the `vanish_at`-th write to the study.

        Args:
            epochs: after which time is up.
        """
        until = len(self.epochs_run) + epochs
        self.open()
        self._count_writes(vanish_at)
        with self.sweep as sweep:
            while plan := sweep.ask():
                for step in self.steps(plan):
                    if step.reports and not step.resumed_after:
                        self.epochs_run.append((plan.number, step.reports[-1].epoch))
                    if len(self.epochs_run) >= until:
                        sweep.deadline = 0.0
                    if step.is_last or sweep.report(plan.number, step):
                        if sweep.finish(plan.number, step):
                            (self.job.folder_of(plan.number) / STATE_FILE).unlink()
                        break
            sweep.set_status("FINISHED")
        return self

    def _count_writes(self, vanish_at):
        left = [vanish_at]
        backend = self.sweep.study._storage._backend
        write = backend.append_logs

        def counted(*values, **named):
            left[0] -= 1
            if left[0] < 0:
                raise Vanished
            return write(*values, **named)

        backend.append_logs = counted

    def records(self):
        """What MLflow is to show, by trial."""
        records = {
            record.key: record for record in records_of(self.folder, self.config, read_study(self.folder))
        }
        del records["sweep"]
        return {int(key): record for key, record in records.items()}

    def told(self):
        """Trial -> the epochs that MLflow is to show."""
        return {
            number: [measured.step for measured in record.metrics() if measured.name == "train.epoch_sec"]
            for number, record in self.records().items()
        }


def without_times(rows):
    return [dataclasses.replace(row, seconds=0, checkpoint="") for row in rows]


@pytest.fixture(scope="module")
def calm(tmp_path_factory, clips):
    return Driver(tmp_path_factory.mktemp("calm"), clips).run()


def test_trials_complete_or_are_pruned_and_the_first_is_the_recipe(calm):
    rows = calm.sweep.rows()
    assert [row.number for row in rows] == [0, 1, 2, 3, 4]
    assert {row.state for row in rows} == {COMPLETE, PRUNED}
    assert rows[0].params["training.learning_rate"] == tiny_experiment().training.learning_rate
    for row in rows:
        assert (row.num_epochs == 6) == (row.state == COMPLETE)
        assert ("not among the best" in row.reason) == (row.state == PRUNED)
        assert len(row.values) == 1 and 0 <= row.values[0] <= 1
    best = calm.sweep.best()
    assert best == ranking(rows, ["maximize"])[:1]
    assert calm.told() == {row.number: list(range(1, row.num_epochs + 1)) for row in rows}
    assert [record.tags["harray.state"] for record in calm.records().values()] == [row.state for row in rows]


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
    assert driver.told() == {row.number: list(range(1, row.num_epochs + 1)) for row in driver.sweep.rows()}
    assert without_times(driver.sweep.rows())[0] == without_times(calm.sweep.rows())[0]
    repeated = len(run) - len(set(run))
    assert repeated == 0, "the state is kept before an epoch is told"


def test_a_trial_that_fails_says_why_and_too_many_end_the_sweep(clips, tmp_path):
    driver = Driver(tmp_path, clips, max_failed=0.2)
    with driver.open() as sweep:
        nan = TrialStep(failure="NaN: the loss of epoch 1 is not a finite number")
        assert sweep.finish(sweep.ask().number, nan)
        assert sweep.finish(sweep.ask().number, None)
        assert sweep.ask() is None
        assert sweep.has_failed()
        assert [(row.state, row.values) for row in sweep.rows()] == [(FAILED, ()), (FAILED, ())]
        assert sweep.rows()[1].reason == WORKER_DIED
        assert sweep.best() == []
    records = driver.records()
    assert [record.status for record in records.values()] == ["FAILED", "FAILED"]
    assert "NaN" in records[0].tags["harray.reason"]


def test_time_that_is_up_ends_no_trial_and_begins_none(calm, clips, tmp_path):
    driver = Driver(tmp_path, clips)
    with driver.open() as sweep:
        plan = sweep.ask()
        sweep.deadline = 0.0
        step = next(driver.steps(plan))
        assert sweep.report(plan.number, step)
        assert not sweep.finish(plan.number, step)
        assert sweep.ask() is None
        assert sweep.rows() == []
        assert (sweep.num_under_way(), sweep.num_over()) == (1, 0)
        sweep.set_status("FINISHED")
    record = driver.records()[0]
    assert (record.status, record.tags["harray.state"]) == ("KILLED", "interrupted")
    driver.run()
    assert without_times(driver.sweep.rows())[0] == without_times(calm.sweep.rows())[0]
    assert driver.told()[0] == list(range(1, 7))
    assert (0, 1) not in driver.epochs_run, "its first epoch was kept"


@pytest.mark.parametrize("budget", [1, 2, 3, 5])
def test_a_sweep_is_finished_by_starts_of_so_few_epochs_each(clips, tmp_path, budget):
    """Whatever the time budget cuts, as long as an epoch fits into it."""
    driver, starts, num_over = Driver(tmp_path, clips), 0, 0
    while num_over < 5:
        num_over = driver.run(epochs=budget).sweep.num_over()
        starts += 1
        assert starts < 60
    assert {row.state for row in driver.sweep.rows()} <= {COMPLETE, PRUNED}
    assert driver.told() == {row.number: list(range(1, row.num_epochs + 1)) for row in driver.sweep.rows()}
    assert len(driver.epochs_run) == len(set(driver.epochs_run)), "no epoch was trained twice"


def test_a_trial_that_ends_when_time_is_up_has_ended(clips, tmp_path):
    driver = Driver(tmp_path, clips)
    with driver.open() as sweep:
        plan = sweep.ask()
        for step in driver.steps(plan):
            if not step.is_last:
                sweep.report(plan.number, step)
        sweep.deadline = 0.0
        assert sweep.finish(plan.number, step)
        assert [row.state for row in sweep.rows()] == [COMPLETE]


@pytest.mark.parametrize(
    ("ending", "status", "state"),
    [(KeyboardInterrupt(), "KILLED", "interrupted"), (RuntimeError("ours"), "FAILED", "interrupted")],
)
def test_a_sweep_that_breaks_off_says_so_until_it_goes_on(clips, tmp_path, ending, status, state):
    driver = Driver(tmp_path, clips)

    def break_off():
        with driver.open() as sweep:
            sweep.ask()
            raise ending

    def standing():
        parent, nested = records_of(tmp_path, driver.config, read_study(tmp_path))
        return parent.status, nested.status, nested.tags["harray.state"]

    with pytest.raises(type(ending)):
        break_off()
    assert standing() == (status, "KILLED", state)
    with driver.open():
        assert standing() == ("RUNNING", "RUNNING", "running")


def test_a_renamed_sweep_names_its_checkpoints_where_they_are(clips, tmp_path):
    driver = Driver(tmp_path / "then", clips).run()
    before = driver.sweep.best()[0].checkpoint
    (tmp_path / "then").rename(tmp_path / "now")
    driver.folder = tmp_path / "now"
    sweep = driver.open()
    assert sweep.best()[0].checkpoint == before.replace("/then/", "/now/")
    assert all(row.checkpoint.startswith(str(tmp_path / "now")) for row in sweep.rows() if row.checkpoint)


def test_runs_of_a_sweep_say_what_they_are_made_of(calm):
    parent = next(iter(records_of(calm.folder, calm.config, read_study(calm.folder))))
    assert parent.name == "hopeless sweep from training on store, seed 0"
    assert parent.params()["training.num_epochs"] == "6"
    assert parent.params()["sweep.num_trials"] == "5"
    assert {measured.name for measured in parent.metrics()} == {
        "best.val.macro_f1", "best.trial", "trials", "trials.failed",
    }  # fmt: skip
    for number, record in calm.records().items():
        row = calm.sweep.rows()[number]
        assert float(record.params()["training.learning_rate"]) == row.params["training.learning_rate"]
        at_the_end = {measured.name: measured.value for measured in record.metrics() if measured.step == 0}
        assert at_the_end["trial.sec"] == at_the_end["trial.cpu_sec"] == row.seconds > 0


def test_two_objectives_give_a_front_and_stop_nothing_early(clips, tmp_path):
    driver = Driver(tmp_path, clips, objective="accuracy-latency").run()
    assert {row.state for row in driver.sweep.rows()} == {COMPLETE}
    front = driver.sweep.best()
    for row in driver.sweep.rows():
        f1, latency = row.values
        assert latency > 0
        assert row in front or any(other.values[0] >= f1 and other.values[1] <= latency for other in front)
    figures = write_figures(driver.sweep.study, driver.config, tmp_path)
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
def test_the_failure_of_a_failure_in_a_line(error, reason):
    assert failure_of(error).startswith(reason)
    assert json.dumps(failure_of(error))
