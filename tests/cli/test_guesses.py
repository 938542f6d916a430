"""Flags that people try: the refusal says what does the same, and that is accepted."""

import re

import pytest

from harray.cli.guesses import keys_like
from harray.config import leaf_types, parse_overrides
from harray.experiment import ExperimentConfig


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "--store", "S", "--epochs", "40"], "write training.num_epochs=40"),
        (["train", "--store", "S", "--epochs=40"], "write training.num_epochs=40"),
        (["train", "--store", "S", "--lr", "1e-3"], "write training.learning_rate=1e-3"),
        (["train", "--store", "S", "--learning-rate", "0.1"], "write training.learning_rate=0.1"),
        (["train", "--store", "S", "--batch-size", "8"], "write training.batch_size=8"),
        (["tune", "--store", "S", "--batch_size", "8"], "write training.batch_size=8"),
        (["train", "--store", "S", "--device", "cuda"], "write training.device=cuda"),
        (["train", "--store", "S", "--gpus", "2"], "training.device=cuda insists on it"),
        (["train", "--store", "S", "--gpus", "2"], "--workers 2 trains on 2 of them"),
        (["tune", "--store", "S", "--gpu"], "training.device=cuda insists on it"),
        (["train", "--store", "S", "--seed", "3"], "write training.seed=3"),
        (["train", "--store", "S", "--patience"], "write training.patience=..."),
        (["train", "--store", "S", "--weight-decay", "0.1"], "write training.weight_decay=0.1"),
        (["cross-validate", "--store", "S", "--epochs", "5"], "write training.num_epochs=5"),
        (["train", "--store", "S", "--num-workers", "4"], "write --workers 4"),
        (["train", "--store", "S", "--output-dir", "o"], "write --out o"),
        (["train", "--store", "S", "--test-size", "0.2"], "write --test-share 0.2"),
        (["extract", "V", "--store", "S", "--gpus", "2"], "poses.gpus_per_actor=0.25"),
        (["extract", "V", "--store", "S", "--imgsz", "320"], "write poses.image_size=320"),
        (["extract", "V", "--store", "S", "--device", "cuda"], "GPUs are used where the cluster has them"),
        (["evaluate", "m", "--store", "S", "--device", "cuda"], "a GPU is used where there is one"),
    ],
    ids=" ".join,
)
def test_a_flag_of_other_programs_is_refused_with_what_does_it_here(harray, arguments, said):
    ending = harray(*arguments)
    assert ending.code == 2
    (line,) = ending.err.splitlines()
    assert said in line
    assert "see `harray" in line
    for key, value in re.findall(r"([a-z]+\.[\w.]+)=([^ ,;.]\S*?)[ ,;]", line):
        if value != "...":
            assert parse_overrides(ExperimentConfig(), [f"{key}={value}"])


@pytest.mark.parametrize("option", ["--frobnicate", "--wokers", "--store-it"])
def test_what_is_like_nothing_stays_with_the_parsers_own_hint(harray, option):
    ending = harray("train", "--store", "S", option, "3")
    assert ending.code == 2
    assert f"No such option: {option}" in ending.err
    assert "write" not in ending.err


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("epochs", ["training.num_epochs"]),
        ("seed", ["training.seed", "scenes.seed"]),
        ("image_size", ["poses.image_size", "scenes.image_size"]),
        ("training_num_epochs", ["training.num_epochs"]),
        ("nothing", []),
    ],
)
def test_keys_are_found_by_how_they_end(name, keys):
    assert keys_like(name, list(leaf_types(ExperimentConfig))) == keys


@pytest.mark.parametrize(
    "words", [[], ["train"], ["store"], ["store", "info"], ["synth"], ["skeleton", "import"]]
)
def test_h_is_help(harray, words):
    short, long = harray(*words, "-h"), harray(*words, "--help")
    assert (short.code, short.out) == (0, long.out)
    assert short.out.startswith("Usage:")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], {"train"}),
        (["train", "--tr"], {"--tracking-uri"}),
        (["train", "--recipe", "ske"], {"skeleton", "skeleton_small"}),
        (["train", "--store", "S", "training.num_e"], {"training.num_epochs="}),
        (["store", "v"], {"verify"}),
        (["synth", "pose"], {"pose-weights"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_shell_completes(harray, monkeypatch, words, expected):
    monkeypatch.setenv("_HARRAY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(["harray", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    assert set(harray().out.split()) == expected


def test_the_shell_is_told_how_to_complete(harray, monkeypatch):
    monkeypatch.setenv("_HARRAY_COMPLETE", "source_bash")
    assert "complete -o default -F _harray_completion harray" in harray().out


def test_recipes_are_listed_with_data_cost_and_score(harray):
    from harray import recipes

    ending = harray("recipes", "--json")
    assert ending.code == 0
    listed = ending.json["recipes"]
    assert list(listed) == recipes.names()
    assert all(about["paragraphs"] and f"\n{name}\n" in f"\n{ending.err}" for name, about in listed.items())
    measured = listed["procedural"]
    assert measured["data"].startswith("Data: ")
    assert measured["cost"].startswith("Cost: ")
    assert measured["score"].startswith("Score ")
    assert "top-1" in listed["skeleton_small"]["score"]
