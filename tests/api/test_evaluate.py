"""An evaluation joins the run that trained the model, and a leaked one never passes for a test."""

import pytest

from harray.api.evaluate import EvaluateOptions, evaluate
from harray.api.train import train_recorded
from harray.config import with_overrides
from harray.errors import InputError
from harray.recipes import recipe_named
from harray.tracking.location import connect, tracking_uri
from harray.workspace import Workspace
from tests.toys import TINY, arm_store

pytestmark = pytest.mark.mlflow

SMALL = {
    **TINY,
    "training.num_epochs": 2,
    "training.batch_size": 8,
}
FAST = EvaluateOptions(occlusion=False)
LONG = "s" * 300


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder, store and training of sixteen clips, eight of which train and four of which choose the epoch."""
    out = tmp_path_factory.mktemp("leaks") / "try?a 100%20"
    parts = ["train", "train", "test", "val"]
    rows = []
    for number in range(16):
        part = parts[number // 2 % 4]
        splits = [part, "all of it", *(["te?st/#1", LONG, ".."] if part == "test" else [])]
        rows.append({"path": f"/{number:02}.mp4", "splits": splits})
    store = arm_store(out / "store", rows, scene=False)
    experiment = with_overrides(recipe_named("default"), SMALL)
    return out, store.path, train_recorded(store.path, experiment, Workspace(out))


@pytest.mark.parametrize(
    ("split", "recorded", "num_learned"),
    [
        ("test", "test", 0),
        ("te?st/#1", "te-x3fst-x2f-x231", 0),
        ("..", "-x2e.", 0),
        (LONG, "s" * 200, 0),
        ("train", "leaked.train", 8),
        ("val", "leaked.val", 4),
        ("all of it", "leaked.all of it", 12),
    ],
)
def test_scores_of_clips_that_the_model_learned_from_have_another_name_and_a_tag(
    trained, split, recorded, num_learned
):
    out, store, training = trained
    uri = tracking_uri(Workspace(out))
    model = f"runs:/{training.run_id}"
    report = evaluate(model, store, split=split, options=FAST, workspace=Workspace(out))
    assert report.num_learned == num_learned
    assert report.page.parent.parent == out / "evaluations"
    run = connect(uri).get_run(training.run_id)
    assert run.data.metrics[f"{recorded}.top1"] == report.scores.top1
    assert (f"{split}.fusion.top1" in run.data.metrics) is (recorded == split)
    tag = run.data.tags.get(f"harray.{recorded}")
    clips = f"{num_learned} of {report.scores.num_clips} clips"
    assert tag == (f"no test: {clips} chose the model's weights or epoch" if num_learned else None)
    artifacts = connect(uri).list_artifacts(training.run_id, f"evaluation/{recorded}")
    assert f"evaluation/{recorded}/report.html" in [file.path for file in artifacts]


def test_everything_stays_in_the_folder_that_was_named(trained):
    out, _, _ = trained
    assert [folder.name for folder in out.parent.iterdir()] == [out.name]
    assert {path.name for path in out.iterdir()} >= {"store", "mlflow.db", "mlartifacts", "runs"}


def test_a_test_split_that_shares_clips_with_training_is_refused_unless_it_is_allowed(tmp_path):
    rows = [{"path": f"/{n:02}.mp4", "splits": ["train"], "group": f"g{n // 2}"} for n in range(8)]
    rows += [{"path": f"/{n:02}.mp4", "splits": ["test"], "group": f"g{n // 2 - 1}"} for n in range(8, 12)]
    store = arm_store(tmp_path / "store", rows, scene=False)
    experiment, place = with_overrides(recipe_named("default"), SMALL), Workspace(tmp_path)
    with pytest.raises(InputError, match="of 4 clips of test, 2 are of groups learned from"):
        train_recorded(store.path, experiment, place)
    model = train_recorded(store.path, with_overrides(experiment, {"training.allow_leak": True}), place).model
    with pytest.raises(InputError, match=r"2 are of groups learned from .*, so that this is no test"):
        evaluate(model, store.path, options=FAST, workspace=place)
    report = evaluate(
        model, store.path, options=EvaluateOptions(occlusion=False, allow_leak=True), workspace=place
    )
    assert report.scores.num_clips == 4
