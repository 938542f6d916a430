"""Config keys: each has a meaning, and is found by its name, its section or a word of it."""

from dataclasses import dataclass, field

import pytest

from harray.config_keys import Key, default_text, field_docstrings, keys_named, keys_of
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.recipes import recipe_named
from harray.synth.config import SynthConfig


@dataclass(frozen=True, kw_only=True)
class Inner:
    lags: tuple[int, ...] = (1, 2)
    """Time lags,
    frames."""


@dataclass(frozen=True, kw_only=True)
class Outer:
    size: int | None = None
    """Side, px. None: as it comes."""
    inner: Inner = field(default_factory=Inner)
    """A section."""
    bare: bool = True


def test_the_meaning_of_a_key_is_the_docstring_under_its_field():
    assert keys_of(Outer) == [
        Key(name="size", type="int or null", default=None, meaning="Side, px. None: as it comes."),
        Key(name="inner.lags", type="list of int", default=(1, 2), meaning="Time lags, frames."),
        Key(name="bare", type="true or false", default=True, meaning=""),
    ]


@pytest.mark.parametrize("config", [ExperimentConfig, SynthConfig])
def test_no_key_is_without_a_meaning(config):
    assert [key.name for key in keys_of(config) if not key.meaning.endswith(".")] == []


def test_no_section_is_without_a_meaning():
    assert set(field_docstrings(ExperimentConfig)) == set(ExperimentConfig.__dataclass_fields__)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("training.seed", {"training.seed"}),
        ("videos", {f"videos.{name}" for name in ("num_frames", "clip_sec", "stride_sec", "limit_sec")}),
        ("_deg", {f"features.augmentation.{name}_deg" for name in ("rotation", "turn")}),
    ],
)
def test_a_key_is_found_by_its_name_its_section_or_a_word_of_it(word, found):
    assert {key.name for key in keys_named(keys_of(ExperimentConfig), word)} == found


def test_an_unknown_key_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown key 'training.num_epoks'; nearest: training.num_epochs"):
        keys_named(keys_of(ExperimentConfig), "training.num_epoks")


@pytest.mark.parametrize(
    ("value", "typed"),
    [(None, "null"), (True, "true"), ((9, 0), "[9, 0]"), (4e-3, "0.004"), ("auto", "auto")],
)
def test_a_default_is_shown_as_it_would_be_typed(value, typed):
    assert default_text(value) == typed


def test_the_command_lists_every_key_with_the_values_of_a_recipe(harray):
    ending = harray("config", "--recipe", "skeleton", "--json")
    keys = {key["name"]: key for key in ending.json["keys"]}
    assert set(keys) == {key.name for key in keys_of(ExperimentConfig)}
    assert keys["training.num_epochs"]["default"] == recipe_named("skeleton").training.num_epochs


def test_the_command_finds_a_key_by_the_name_that_other_programs_give_it(harray):
    assert harray("config", "lr").out.splitlines()[0] == "training.learning_rate=0.004  (float)"


def test_the_command_refuses_what_is_no_key(harray):
    ending = harray("config", "learning_rato")
    assert (ending.code, "training.learning_rate" in ending.err) == (2, True)
