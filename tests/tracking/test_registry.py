from dataclasses import dataclass

import pytest

from harray.errors import InputError
from harray.tracking.history import move_alias
from harray.tracking.location import connect
from harray.tracking.registry import check_model_name, register, resolve_model, run_of_model
from harray.tracking.runs import TrainingRun


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 7


@pytest.fixture(scope="module")
def model_id(shared_uri, checkpoint) -> str:
    with TrainingRun(shared_uri, Config()) as run:
        model_id = run.log_model(checkpoint)
    register(shared_uri, "actions", model_id)
    return model_id


@pytest.fixture(scope="module")
def registered(shared_uri, model_id) -> str:
    """The URI of a store with one version of `actions`, which is champion and challenger."""
    return shared_uri


def test_the_first_version_is_champion_and_the_next_is_challenger_only(shared_uri, model_id):
    first = register(shared_uri, "steps", model_id)
    assert (first.version, first.aliases, first.uri) == (
        1,
        ("challenger", "champion"),
        "models:/steps@champion",
    )
    second = register(shared_uri, "steps", model_id)
    assert (second.version, second.aliases, second.uri) == (2, ("challenger",), "models:/steps@challenger")
    assert move_alias(shared_uri, "steps", 2).aliases == ("challenger", "champion")
    assert connect(shared_uri).get_model_version_by_alias("steps", "champion").version == 2


def test_every_way_to_name_a_model_leads_to_its_checkpoint(registered, model_id, checkpoint, monkeypatch):
    run_id = connect(registered).get_logged_model(model_id).source_run_id
    references = [
        "models:/actions@champion",
        "models:/actions@challenger",
        "models:/actions/1",
        "models:/actions/latest",
        f"models:/{model_id}",
        f"runs:/{run_id}",
        f"runs:/{run_id}/model",
    ]
    for reference in references:
        folder = resolve_model(reference, registered)
        assert folder.is_absolute()
        for file in ("model.safetensors", "checkpoint.yaml"):
            assert (folder / file).read_bytes() == (checkpoint / file).read_bytes(), reference
    monkeypatch.chdir(checkpoint.parent)
    assert resolve_model("best", registered) == checkpoint


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("nowhere", "model nowhere: no such folder; expected a checkpoint folder of `harray train`, .*"),
        ("{tmp}", "model .*: no model.safetensors in it; expected a checkpoint folder .*"),
        ("{tmp}/file.txt", "model .*file.txt: not a folder; .*"),
        ("models:/hands@champion", "model 'hands': not in sqlite:.*; models: actions(, steps)?"),
        (
            "models:/actions@best",
            r"model 'actions': no alias 'best'; aliases: challenger \(version 1\), champion .*",
        ),
        ("models:/actions/7", "model 'actions': no version '7'; versions: 1; .*"),
        (
            "models:/actions",
            "model 'actions': no version or alias named; versions: 1; or models:/actions@ALIAS",
        ),
        ("models:/m-0123456789abcdef", "model m-0123456789abcdef: not in sqlite:.*"),
        ("runs:/0123456789abcdef0123456789abcdef", "run '0123.*': not in sqlite:.*; see --tracking-uri"),
        ("runs:/{run}/other", "run .*: it logged no model 'other'; its models: model"),
    ],
)
def test_a_model_that_is_not_there_is_answered_with_what_is(registered, model_id, tmp_path, reference, line):
    run_id = connect(registered).get_logged_model(model_id).source_run_id
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError, match=f"^{line}$") as caught:
        resolve_model(reference.format(tmp=tmp_path, run=run_id), registered)
    assert "\n" not in str(caught.value)


def test_a_run_without_a_model_is_said_to_have_none(uri):
    with TrainingRun(uri, Config()) as run:
        pass
    with pytest.raises(InputError, match="it logged no model; its models: none"):
        resolve_model(f"runs:/{run.run_id}", uri)


def test_promoting_an_unknown_version_lists_those_that_exist(registered):
    with pytest.raises(InputError, match="no version '3'; versions: 1"):
        move_alias(registered, "actions", 3)


@pytest.mark.parametrize("name", ["", "a b", "a@b", "a/b", "a:b", "it's"])
def test_a_name_that_a_model_uri_cannot_spell_is_refused(name):
    check_model_name("ucf101-split.1")
    with pytest.raises(InputError, match="expected letters"):
        check_model_name(name)


def test_files_that_were_moved_away_are_said_to_be_gone(uri, checkpoint, tmp_path):
    with TrainingRun(uri, Config()) as run:
        run.log_model(checkpoint)
    (tmp_path / "mlartifacts").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no such folder"):
        resolve_model(f"runs:/{run.run_id}", uri)


def test_the_run_behind_a_model_is_known_by_every_name_and_by_the_file_beside_a_folder(
    registered, model_id, tmp_path
):
    run_id = connect(registered).get_logged_model(model_id).source_run_id
    for reference in (
        "models:/actions@champion",
        "models:/actions/1",
        f"models:/{model_id}",
        f"runs:/{run_id}",
    ):
        assert run_of_model(reference, registered) == run_id
    assert run_of_model(str(tmp_path / "checkpoint"), registered) is None
    (tmp_path / "run_id").write_text(run_id)
    assert run_of_model(str(tmp_path / "checkpoint"), registered) == run_id
