"""Every verb takes a path as text and as `Path`, and refuses one where nothing is before it leaves anything behind."""

from pathlib import Path

import pytest

from harray.api.cross_validate import cross_validate
from harray.api.evaluate import evaluate
from harray.api.extract import estimate, extract, list_source, retry
from harray.api.keypoints import export_keypoints, import_keypoints
from harray.api.models import load
from harray.api.predict import PredictOptions, predict
from harray.api.stores import Store, as_store
from harray.api.train import train
from harray.errors import InputError
from harray.workspace import Workspace
from tests.toys import arm_store

VERBS = {
    "list_source": lambda named, place: list_source(named("nothing")),
    "extract": lambda named, place: extract(named("nothing"), named("store"), workspace=place),
    "estimate": lambda named, place: estimate(named("nothing"), named("store"), workspace=place),
    "retry": lambda named, place: retry(named("nothing"), workspace=place),
    "train": lambda named, place: train(named("nothing"), workspace=place),
    "cross_validate": lambda named, place: cross_validate(named("nothing"), workspace=place),
    "evaluate": lambda named, place: evaluate(named("nothing"), named("store"), workspace=place),
    "load": lambda named, place: load(named("nothing"), workspace=place),
    "predict": lambda named, place: predict(
        named("nothing"),
        [named("nothing.mp4")],
        options=PredictOptions(explain_to=named("why")),
        workspace=place,
    ),
    "import_keypoints": lambda named, place: import_keypoints(named("nothing.pkl"), named("store")),
    "export_keypoints": lambda named, place: export_keypoints(named("nothing"), named("file.pkl")),
}


@pytest.mark.parametrize("named", [str, Path])
@pytest.mark.parametrize("verb", VERBS)
def test_a_path_where_nothing_is_is_refused_in_one_line_and_nothing_is_left(
    verb, named, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="nothing"):
        VERBS[verb](named, Workspace(named("out")))
    assert {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".log"} == set()


def test_a_store_is_the_same_by_text_by_path_and_as_itself(tmp_path, monkeypatch):
    rows = [{"path": f"/{number}.mp4", "splits": ["train"]} for number in range(4)]
    arm_store(tmp_path / "store", rows)
    monkeypatch.chdir(tmp_path)
    store = as_store("store")
    assert as_store(store) is store
    assert store.path == as_store(Path("store")).path == tmp_path / "store"
    assert "4 = 4 extracted + 0 quarantined" in Store("store")._repr_html_()
