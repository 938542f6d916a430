"""Promotion by evidence: two trained versions on the same clips, verdict, record, alias."""

import json
from dataclasses import replace

import pytest

from harray.api import promote as promotion_room
from harray.api.promote import Question, models, promote, promote_by_evidence
from harray.api.train import train_recorded
from harray.config import with_overrides
from harray.errors import InputError
from harray.recipes import recipe_named
from harray.tracking.location import connect, tracking_uri
from harray.tracking.registry import resolve_model
from harray.training.checkpoint import CLIPS_FILE
from harray.validation.gate import Floors, Gate
from harray.workspace import Workspace
from tests.toys import arm_store

pytestmark = pytest.mark.mlflow

TINY = {
    "model.pcm.hidden_size": 8,
    "model.pcm.refine_size": 8,
    "model.mme.width": 16,
    "model.mme.num_blocks": 1,
    "training.num_epochs": 1,
    "training.batch_size": 8,
    "training.device": "cpu",
}
NUM_TEST = 48


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Workspace and store with two versions of `arms`: the first has hardly learned and is champion."""
    out = tmp_path_factory.mktemp("promotion")
    rows = [{"path": f"/train{n:02}.mp4", "splits": ["train"], "group": f"g{n // 4}"} for n in range(32)]
    rows += [{"path": f"/test{n:02}.mp4", "splits": ["test"], "group": f"t{n // 2}"} for n in range(NUM_TEST)]
    rows += [{"path": f"/leak{n:02}.mp4", "splits": ["test"], "group": "g0"} for n in range(2)]
    store = arm_store(out / "store", rows, scene=False)
    plain = with_overrides(recipe_named("default"), {**TINY, "training.allow_leak": True})
    place = Workspace(out)
    for experiment in (
        with_overrides(plain, {"training.learning_rate": 1e-9}),
        with_overrides(plain, {"training.num_epochs": 30}),
    ):
        train_recorded(store.path, experiment, place, register="arms")
    return place, store


def test_a_better_challenger_is_promoted_with_its_evidence(registry):
    workspace, _ = registry
    asked = Question(name="arms", version=2)
    tried = promote_by_evidence(replace(asked, dry_run=True), workspace=workspace)
    uri = tracking_uri(workspace)
    client = connect(uri)
    assert tried.verdict.passed and tried.registered is None and str(tried).startswith("would be promoted")
    assert "harray.gate.verdict" not in client.get_model_version("arms", "2").tags
    assert client.get_model_version_by_alias("arms", "champion").version == 1

    found = promote_by_evidence(asked, workspace=workspace)
    assert found.duel.measured.overall.num_clips == NUM_TEST
    assert found.duel.left_out.of_their_groups == 2
    assert found.to_json()["verdict"] == "promoted" and found.to_json()["aliases"] == [
        "challenger",
        "champion",
    ]
    tags = client.get_model_version("arms", "2").tags
    assert (tags["harray.gate.verdict"], tags["harray.gate.against"]) == ("promoted", "1")
    assert tags["harray.gate.evidence"] == found.evidence
    run_id, folder = found.evidence.removeprefix("runs:/").split("/", 1)
    assert {file.path.rpartition("/")[2] for file in client.list_artifacts(run_id, folder)} == {
        "promotion.html",
        "promotion.json",
    }
    data = json.loads(found.page.with_suffix(".json").read_text())
    assert set(data["slices"]) >= {"class up", "class down", "half of the joints hidden"}
    page = found.page.read_text()
    assert "<h2>Clips won: " in page and "data:image/jpeg;base64," in page and "http" not in page
    assert "## Promotion: promoted" in client.get_model_version("arms", "2").description
    (model,) = models("arms", workspace)
    assert (model.history[0].version, model.history[0].how) == (2, "gate better")

    with pytest.raises(InputError, match="version 2 is champion already"):
        promote_by_evidence(asked, workspace=workspace)
    back = promote_by_evidence(Question(name="arms", version=1), Gate(mode="not-worse"), workspace)
    assert not back.verdict.passed and "is not ruled out" in str(back)
    assert client.get_model_version_by_alias("arms", "champion").version == 2
    assert client.get_model_version("arms", "1").tags["harray.gate.verdict"] == "refused"
    promote("arms", 1, workspace=workspace)


def test_floors_refuse_whatever_the_difference_is(registry):
    workspace, _ = registry
    gate = Gate(floors=Floors(max_memory_mb=1.0))
    found = promote_by_evidence(Question(name="arms", version=2, dry_run=True), gate, workspace)
    assert not found.verdict.passed and "--max-memory-mb 1" in str(found)


def test_a_champion_that_changed_meanwhile_stays(registry, monkeypatch):
    workspace, _ = registry
    uri = tracking_uri(workspace)
    compared = promotion_room.duel

    def slow(*arguments, **options):
        connect(uri).set_registered_model_alias("arms", "other", "1")
        found = compared(*arguments, **options)
        connect(uri).set_registered_model_alias("arms", "other", "2")
        return found

    connect(uri).set_registered_model_alias("arms", "other", "1")
    monkeypatch.setattr(promotion_room, "duel", slow)
    found = promote_by_evidence(Question(name="arms", version=2, alias="other"), workspace=workspace)
    assert not found.verdict.passed and found.registered is None
    assert "other is version 2 by now, and version 1 was compared" in str(found)


def test_nothing_to_compare_with_or_on_is_said(registry):
    workspace, _ = registry
    with pytest.raises(InputError, match="no version is best, so there is nothing to compare with"):
        promote_by_evidence(Question(name="arms", version=2, alias="best"), workspace=workspace)
    with pytest.raises(InputError, match=r"no clip of split 'train' is left to compare .* 32 learned from"):
        promote_by_evidence(Question(name="arms", version=2, split="train"), workspace=workspace)


def test_what_an_old_checkpoint_learned_from_is_said_to_be_unknown(registry):
    workspace, _ = registry
    uri = tracking_uri(workspace)
    clips = resolve_model("models:/arms/1", uri) / CLIPS_FILE
    kept = clips.read_text()
    clips.unlink()
    try:
        found = promote_by_evidence(Question(name="arms", version=2, dry_run=True), workspace=workspace)
        assert "what the champion learned from is not recorded" in str(found.duel.left_out)
    finally:
        clips.write_text(kept)
