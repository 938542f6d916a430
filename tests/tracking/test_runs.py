from dataclasses import dataclass, field

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, UNAUTHENTICATED

from harray.config import parse_overrides, with_overrides
from harray.errors import InputError
from harray.tracking import runs
from harray.tracking.location import connect
from harray.tracking.origin import git_commit
from harray.tracking.runs import (
    NotRecorded,
    TrainingRun,
    check_recording,
    mlflow_name,
    outcome_of,
    parameter_texts,
    record_evaluation,
    recording,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 1e-3
    lags: tuple[int, ...] = (1, 2, 4)
    name: str = "null"
    path: str | None = None
    enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Outer:
    model: Inner = field(default_factory=Inner)
    seed: int = 7


def test_parameters_replay_as_overrides():
    config = Outer(model=Inner(rate=0.5, lags=(3,), name="[1]", path="/a b=c", enabled=False), seed=1)
    texts = parameter_texts(config)
    assert texts == {
        "model.rate": "0.5",
        "model.lags": "[3]",
        "model.name": "[1]",
        "model.path": "/a b=c",
        "model.enabled": "false",
        "seed": "1",
    }
    overrides = parse_overrides(Outer(), [f"{name}={value}" for name, value in texts.items()])
    assert with_overrides(Outer(), overrides) == config


def test_a_value_beyond_mlflows_limit_is_cut():
    texts = parameter_texts(Outer(model=Inner(name="x" * 7000)))
    assert texts["model.name"] == "x" * 5999 + "…"


def test_a_run_records_parameters_metrics_tags_and_files(tmp_path, uri):
    (tmp_path / "report.html").write_text("<p>")
    with TrainingRun(
        uri, Outer(), name="default", tags={"harray.store_digest": "abc", "harray.verdict": "good"}
    ) as run:
        for epoch in range(3):
            run.log_metrics({"train.loss": 1 / (epoch + 1), "val.top1": epoch / 2}, step=epoch)
        run.log_artifact(tmp_path / "report.html")

    client = connect(uri)
    recorded = client.get_run(run.run_id)
    assert recorded.info.status == "FINISHED"
    assert client.get_experiment(recorded.info.experiment_id).name == "harray"
    assert recorded.data.params["model.lags"] == "[1, 2, 4]"
    assert [(m.step, m.value) for m in client.get_metric_history(run.run_id, "val.top1")] == [
        (0, 0),
        (1, 0.5),
        (2, 1),
    ]
    tags = recorded.data.tags
    assert (tags["harray.store_digest"], tags["harray.version"], tags["harray.verdict"]) == (
        "abc",
        "0.1.0",
        "good",
    )
    assert tags.get("mlflow.source.git.commit") == git_commit()
    assert recorded.info.artifact_uri.startswith(f"file://{tmp_path}/mlartifacts/")
    assert sorted(f.path for f in client.list_artifacts(run.run_id)) == ["report.html"]


def test_mlflows_process_wide_state_stays_as_it_was(tmp_path, uri, monkeypatch):
    before = mlflow.get_tracking_uri(), mlflow.active_run()
    with TrainingRun(uri, Outer()):
        assert (mlflow.get_tracking_uri(), mlflow.active_run()) == before
    assert (mlflow.get_tracking_uri(), mlflow.active_run()) == before


def test_two_hundred_and_fifty_parameters_go_in_batches_of_a_hundred(uri, monkeypatch):
    from dataclasses import make_dataclass

    wide = make_dataclass("Wide", [(f"p{i}", int, i) for i in range(250)], frozen=True, kw_only=True)
    with TrainingRun(uri, wide()) as run:
        pass
    assert len(connect(uri).get_run(run.run_id).data.params) == 250


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RuntimeError("out of memory"), "FAILED"),
        (InputError("NaN"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(15), "KILLED"),  # Ray's handler of SIGTERM
        (GeneratorExit(), "KILLED"),
    ],
)
def test_a_run_that_breaks_off_says_so(uri, error, status):
    run = TrainingRun(uri, Outer())
    with pytest.raises(type(error)), run:
        raise error
    recorded = connect(uri).get_run(run.run_id)
    assert recorded.info.status == status
    assert recorded.data.tags["harray.error"].startswith(type(error).__name__)


def test_a_run_is_taken_up_again_by_its_id(uri):
    with TrainingRun(uri, Outer()) as first:
        first.log_metrics({"loss": 2.0}, step=0)
    with TrainingRun(uri, Outer(), run_id=first.run_id) as second:
        second.log_metrics({"loss": 1.0}, step=1)
    assert [m.step for m in connect(uri).get_metric_history(first.run_id, "loss")] == [0, 1]


class Flaky:
    """A client whose `log_batch` fails while `down`, and which counts the requests that it took."""

    def __init__(self, client, error_code):
        self.client, self.error_code, self.down, self.taken = client, error_code, False, []

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        if self.down:
            raise MlflowException("away", error_code=self.error_code)
        self.taken.append(len(metrics))
        self.client.log_batch(run_id, metrics, params, tags)

    def __getattr__(self, name):
        return getattr(self.client, name)


def test_an_absent_server_costs_no_metric_and_an_epoch_is_one_request(uri):
    with TrainingRun(uri, Outer()) as run:
        run.client = flaky = Flaky(run.client, error_code=1)  # INTERNAL_ERROR
        run.log_metrics({"a": 0.0, "b": 0.0}, step=0)
        flaky.down = True
        run.log_metrics({"a": 1.0, "b": 1.0}, step=1)
        run.log_metrics({"a": 2.0, "b": 2.0}, step=2)
        flaky.down = False
        run.log_metrics({"a": 3.0, "b": 3.0}, step=3)
    assert flaky.taken == [2, 6]
    assert [m.step for m in connect(uri).get_metric_history(run.run_id, "a")] == [0, 1, 2, 3]


def test_metrics_that_were_never_placed_are_an_error_at_the_end(uri):
    run = TrainingRun(uri, Outer())
    run.__enter__()
    run.client = flaky = Flaky(run.client, error_code=1)
    flaky.down = True
    run.log_metrics({"a": 1.0}, step=0)
    with pytest.raises(NotRecorded, match="away"):
        run.__exit__(None, None, None)


def test_a_run_whose_parameters_are_refused_does_not_stay_open(uri, monkeypatch):
    def refuse(*values, **named):
        raise MlflowException("no such parameter")

    monkeypatch.setattr(runs, "log_batches", refuse)
    run = TrainingRun(uri, Outer())
    with pytest.raises(MlflowException, match="no such parameter"):
        run.__enter__()
    assert connect(uri).get_run(run.run_id).info.status == "FAILED"


def test_an_evaluation_joins_the_run_that_trained_the_model(tmp_path, uri):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<p>")
    with TrainingRun(uri, Outer()) as run:
        pass
    assert record_evaluation(uri, run.run_id, {"test.top1": 0.9}, tmp_path / "report", "evaluation/test")
    client = connect(uri)
    assert client.get_run(run.run_id).data.metrics == {"test.top1": 0.9}
    assert [f.path for f in client.list_artifacts(run.run_id, "evaluation/test")] == [
        "evaluation/test/report.html"
    ]


@pytest.mark.parametrize("split", ["test", "te?st", "a/b", "50%", "ca$h", "跑步", "#1 (new)", "x" * 300])
def test_mlflow_takes_a_split_of_any_name(tmp_path, uri, split):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.html").write_text("<p>")
    name = mlflow_name(split)
    with TrainingRun(uri, Outer()) as run:
        pass
    folder, tags = f"evaluation/{name}", {f"harray.leaked.{name}": "no test"}
    assert record_evaluation(uri, run.run_id, {f"{name}.top1": 0.9}, tmp_path / "report", folder, tags)
    client = connect(uri)
    assert client.get_run(run.run_id).data.metrics == {f"{name}.top1": 0.9}
    assert client.get_run(run.run_id).data.tags[f"harray.leaked.{name}"] == "no test"
    assert [f.path for f in client.list_artifacts(run.run_id, folder)] == [f"{folder}/report.html"]
    assert mlflow_name(split + "!") != name or len(split) > 200


def test_an_evaluation_of_a_model_from_elsewhere_is_recorded_nowhere(tmp_path, uri):
    elsewhere = f"sqlite:///{tmp_path}/other/mlflow.db"
    assert not record_evaluation(elsewhere, "0" * 32, {"test.top1": 0.9}, tmp_path, "evaluation/test")
    assert not (tmp_path / "other").exists()
    assert not record_evaluation(uri, "0" * 32, {"test.top1": 0.9}, tmp_path, "evaluation/test")


def test_no_password_is_kept_with_a_run(uri):
    run = TrainingRun(uri, Outer())
    with pytest.raises(RuntimeError), run:
        raise RuntimeError("no answer from http://me:secret@tracker:5000/api")
    said = connect(uri).get_run(run.run_id).data.tags["harray.error"]
    assert said == "RuntimeError: no answer from http://me:***@tracker:5000/api"


def test_a_deleted_experiment_is_told_before_the_work_with_what_brings_it_back(uri):
    with TrainingRun(uri, Outer()) as run:
        pass
    connect(uri).delete_experiment(run.experiment_id)
    with pytest.raises(
        InputError,
        match=rf"experiment 'harray' was deleted; .*mlflow experiments restore --experiment-id {run.experiment_id}`",
    ):
        TrainingRun(uri, Outer()).__enter__()
    with pytest.raises(InputError, match="experiment 'harray' was deleted"):
        check_recording(uri)
    connect(uri).restore_experiment(run.experiment_id)
    with TrainingRun(uri, Outer()):
        pass


def test_a_run_that_is_deleted_meanwhile_stops_no_epoch_and_is_told_at_the_end(uri):
    run = TrainingRun(uri, Outer())

    def work():
        with run:
            run.log_metrics({"loss": 1.0}, step=1)
            connect(uri).delete_run(run.run_id)
            run.log_metrics({"loss": 0.5}, step=2)

    with pytest.raises(NotRecorded, match=r"run \w+ was deleted; `mlflow runs restore"):
        work()
    with TrainingRun(uri, Outer(), run_id=run.run_id) as again:
        pass
    assert again.run_id != run.run_id


def test_an_evaluation_of_a_deleted_run_is_told_and_recorded_nowhere(tmp_path, uri):
    (tmp_path / "report").mkdir()
    with TrainingRun(uri, Outer()) as run:
        pass
    connect(uri).delete_run(run.run_id)
    with pytest.raises(NotRecorded, match=f"mlflow runs restore --run-id {run.run_id}"):
        record_evaluation(uri, run.run_id, {"test.top1": 0.9}, tmp_path / "report", "evaluation/test")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            MlflowException("The run 7 must be in 'active' state. Current state is deleted."),
            "run 7 was deleted",
        ),
        (MlflowException("not you", error_code=UNAUTHENTICATED), "credentials are missing or wrong (401)"),
        (MlflowException("not this", error_code=PERMISSION_DENIED), "credentials may not do this (403)"),
        (MlflowException("a\nb http://me:pw@x/y"), "tracking store http://me:***@host: a"),
        (OSError("No space left on device"), "No space left on device"),
        (InputError("no answer from http://me:pw@host"), "no answer from http://me:***@host"),
    ],
)
def test_what_a_store_refuses_comes_out_in_a_line_without_password(error, said):
    with pytest.raises(NotRecorded) as caught, recording("http://me:pw@host", "7"):
        raise error
    assert said in str(caught.value)
    assert "pw" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_work_came_to_is_there_though_it_is_not_recorded():
    missed = NotRecorded("away").after(42, "give it again")

    def fail():
        raise missed

    assert outcome_of(lambda: 7) == (7, None)
    assert outcome_of(fail) == (42, missed)
    assert str(missed) == "away; give it again"
    with pytest.raises(NotRecorded), recording("http://host"):
        outcome_of(lambda: (_ for _ in ()).throw(NotRecorded("before any work")))
