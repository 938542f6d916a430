"""Aliases that move, the record of it, and the way back."""

from dataclasses import dataclass

import pytest

from harray.errors import InputError
from harray.tracking.cards import MADE, card_text, licences_of, update_cards, write_section
from harray.tracking.history import ChampionChanged, Move, alias_of, move_alias, moves, rollback, way_back
from harray.tracking.location import connect
from harray.tracking.registry import register
from harray.tracking.runs import TrainingRun
from harray.tracking.versions import registered_models

MADE_SECTION = {
    "store": "/data/store",
    "store_digest": "abc",
    "num_clips": 12,
    "num_groups": 3,
    "classes": ["run", "sit", "wave"],
    "skeleton": "coco17",
    "scene": False,
    "recipe": "laptop",
    "seed": "0",
    "harray_version": "1.0",
    "licences": licences_of({"poses.weights": "yolov8n-pose.pt", "scenes.weights": "none"}),
}
SCORES = {
    "num_clips": 40,
    "top1": 0.9,
    "interval": [0.769, 0.96],
    "macro_f1": 0.89,
    "worst_classes": [["sit", 0.7]],
    "slices": {"50% of the joints hidden": 0.8},
}


@dataclass(frozen=True, kw_only=True)
class Config:
    seed: int = 7


def move(version, before, how="by hand", alias="champion"):
    return Move(alias=alias, version=version, before=before, by="ann", when="2026-11-27T22:03:05", how=how)


@pytest.mark.parametrize(
    ("history", "now", "target"),
    [
        ([], 1, None),
        ([move(2, 1)], 2, 1),
        ([move(2, 1), move(3, 2)], 3, 2),
        ([move(2, 1), move(3, 2), move(2, 3, "rollback")], 2, 1),
        ([move(2, 1), move(3, 2), move(2, 3, "rollback"), move(1, 2, "rollback")], 1, None),
        ([move(2, 1), move(1, 2, "rollback"), move(3, 1)], 3, 1),
        ([move(2, 1), move(4, 3)], 4, 3),  # somebody moved it to 3 without a record
        ([move(2, 1)], 5, 2),  # somebody moved it since
        ([move(2, 1), move(9, 8, alias="other")], 2, 1),
    ],
)
def test_a_rollback_undoes_one_promotion_more_each_time(history, now, target):
    assert way_back(history, "champion", now) == target


@pytest.fixture(scope="module")
def three_versions(shared_uri, checkpoint):
    """URI and run of a store with three versions of `actions`, the first of which is champion."""
    with TrainingRun(shared_uri, Config(), tags={"harray.store": "/s", "harray.store_digest": "abc"}) as run:
        model_id = run.log_model(checkpoint)
        run.log_metrics({"test.top1": 0.9, "test.fusion.top1": 0.9, "leaked.train.top1": 1.0}, step=0)
    for _ in range(3):
        register(shared_uri, "actions", model_id)
    return shared_uri, run.run_id


def test_promotions_are_recorded_undone_and_listed(three_versions):
    uri, _ = three_versions
    assert move_alias(uri, "actions", 2, how="gate better", only_from=1).aliases == ("champion",)
    with pytest.raises(ChampionChanged, match="champion is version 2 by now, and version 1 was compared"):
        move_alias(uri, "actions", 3, only_from=1)
    assert alias_of(uri, "actions", "champion") == 2
    move_alias(uri, "actions", 3)
    assert rollback(uri, "actions").version == 2
    assert rollback(uri, "actions").version == 1
    with pytest.raises(InputError, match="no earlier champion is recorded; `harray promote actions VERSION`"):
        rollback(uri, "actions")
    (model,) = registered_models(uri, "actions")
    assert [(found.version, found.before, found.how) for found in model.history] == [
        (2, 1, "gate better"),
        (3, 2, "by hand"),
        (2, 3, "rollback"),
        (1, 2, "rollback"),
    ]
    assert "champion to version 2 from version 1, by " in str(model.history[0])
    assert [(found.version, found.aliases) for found in model.versions] == [
        (3, ("challenger",)),
        (2, ()),
        (1, ("champion",)),
    ]
    latest = model.versions[0]
    assert latest.scores == {"leaked.train": 1.0, "test": 0.9}
    assert (latest.store, latest.store_digest) == ("/s", "abc")
    assert [model.name for model in registered_models(uri)] == ["actions"]


def test_a_tag_that_somebody_else_wrote_is_passed_over():
    assert moves({"harray.alias.champion.x.y": "once", "harray.alias.champion": "{}", "team": "vision"}) == []


def test_a_card_says_what_is_known_of_a_version_and_grows(three_versions):
    uri, run_id = three_versions
    client = connect(uri)
    write_section(client, "actions", 3, MADE, MADE_SECTION)
    assert len(update_cards(uri, run_id, "test", SCORES)) == 3
    text = client.get_model_version("actions", "3").description
    for said in (
        "# actions, version 3",
        "Learned from 12 clips (3 groups) of store /data/store, digest abc.",
        "3 classes: run, sit, wave.",
        "| test | 40 | 0.900 | 0.769 to 0.960 | 0.890 |",
        "On test, classes with the lowest F1: sit 0.70.",
        "50% of the joints hidden 0.800",
        "yolov8n-pose.pt: AGPL-3.0",
        "## Limits",
    ):
        assert said in text
    assert "Learned from" not in client.get_model_version("actions", "2").description


def test_a_gate_stands_in_the_card():
    gate = {
        "verdict": "refused",
        "reasons": ["worse on class sit"],
        "slices": [["all", 40, 0.9, 0.8]],
        "evidence": "runs:/r/promotion/p",
    }
    text = card_text("actions", "2", {"gate": gate})
    assert "## Promotion: refused" in text and "| all | 40 | 0.900 | 0.800 |" in text


def test_weights_of_unknown_origin_are_said_to_be_so():
    assert licences_of({"poses.weights": "/w/mine.pt"}) == [
        "Features by mine.pt: not known to harray, see where it came from"
    ]
    assert licences_of({}) == []
