"""Every space against the config that it varies: keys, types, and networks at the ends of every range."""

import optuna
import pytest
import torch

from harray import recipes, search_spaces
from harray.config import flatten, with_overrides
from harray.errors import InputError
from harray.experiment import ExperimentConfig
from harray.model.network import FusionNetwork
from harray.search_spaces import Drawing, config_values, first_point, moved, search_named, space_of

SHAPE = {"num_people": 2, "num_frames": 32, "num_joints": 17, "num_coordinates": 2, "scene_dim": 12}
optuna.logging.set_verbosity(optuna.logging.WARNING)


class Ends:
    """Draws the lowest or the highest of everything, and the `turn`-th of what has no order."""

    def __init__(self, end: str, turn: int):
        self.end = end
        self.turn = turn
        self.drawn = {}

    def suggest_float(self, name, low, high, *, step=None, log=False):
        assert low < high and (low > 0 or not log)
        self.drawn[name] = low if self.end == "low" else high
        return self.drawn[name]

    suggest_int = suggest_float

    def suggest_categorical(self, name, choices):
        assert len(set(choices)) == len(choices) > 1
        self.drawn[name] = choices[self.turn % len(choices)]
        return self.drawn[name]


@pytest.mark.parametrize("name", search_spaces.names())
@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("turn", range(4))
def test_the_ends_of_every_range_fit_the_config_and_make_a_network_that_learns(name, end, turn):
    draw = Ends(end, turn)
    search_named(name)(draw)
    values = config_values(draw.drawn, ExperimentConfig())
    assert all(
        type(values[key]) is type(value)
        for key, value in flatten(ExperimentConfig()).items()
        if key in values
    )
    config = with_overrides(ExperimentConfig(), values)
    assert {key: flatten(config)[key] for key in values} == values
    network = FusionNetwork(config.model, **SHAPE, num_classes=3, bones=((0, 1),))
    keypoints = torch.rand(2, 2, 32, 17, 2)
    output = network(keypoints, torch.rand(2, 2, 32, 17) > 0.2, torch.rand(2, 8, 12))
    output.logits_BA.sum().backward()
    assert output.logits_BA.isfinite().all()


def test_all_is_the_other_spaces_together_and_none_touches_what_stands_in_the_store():
    draws = {name: Ends("low", 0) for name in search_spaces.names()}
    for name, draw in draws.items():
        search_named(name)(draw)
    assert set(draws) == {"pcm", "mme", "cfn", "optimisation", "all"}
    parts = [set(draws[name].drawn) for name in draws if name != "all"]
    assert sum(len(part) for part in parts) == len(draws["all"].drawn)
    assert set.union(*parts) == set(draws["all"].drawn)
    assert all(key.startswith(search_spaces.SEARCHED) for key in draws["all"].drawn)


@pytest.mark.parametrize("recipe", ["default", "laptop", "pose_only", "procedural"])
def test_a_sweep_begins_with_the_recipe_itself(recipe):
    base = recipes.recipe_named(recipe)
    point = first_point(search_named("all"), base)
    assert with_overrides(base, config_values(point, base)) == base


def test_a_value_outside_the_space_begins_at_its_nearest_end():
    base = with_overrides(ExperimentConfig(), {"training.learning_rate": 1.0, "model.mme.width": 100})
    point = first_point(search_named("all"), base)
    assert point["training.learning_rate"] == 1.5e-2
    assert point["model.mme.width"] == 96


def test_what_the_space_does_not_hold_begins_at_the_nearest_choice_and_is_named():
    base = recipes.recipe_named("ucf101")
    point = first_point(search_named("optimisation"), base)
    assert moved(point, base) == {"training.batch_size": (64, 32)}
    assert moved(first_point(search_named("all"), ExperimentConfig()), ExperimentConfig()) == {}


def test_conditional_keys_are_drawn_only_where_they_mean_something():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        search_named("all")(trial)
        drawn = trial.params
        assert ("model.mme.num_heads" in drawn) == (drawn["model.mme.head"] == "transformer")
        assert ("model.pcm.fill" in drawn) == (not drawn["model.pcm.enabled"])
        assert ("model.cfn.width" in drawn) == drawn["model.cfn.enabled"]


def test_what_the_command_line_fixes_is_not_drawn_and_decides_what_depends_on_it():
    base = with_overrides(ExperimentConfig(), {"model.mme.head": "transformer"})
    trial = optuna.create_study().ask()
    search_named("mme")(Drawing(trial, base, ["model.mme.head", "model.mme.width"]))
    assert "model.mme.head" not in trial.params
    assert "model.mme.width" not in trial.params
    assert "model.mme.num_heads" in trial.params


def test_a_space_from_a_users_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text('def mine(draw):\n    draw.suggest_categorical("model.mme.lags", ["[1]", "[1, 3]"])\n')
    point = first_point(search_named(f"{file}:mine"), ExperimentConfig())
    assert config_values(point, ExperimentConfig()) == {"model.mme.lags": (1,)}


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (None, "mm", "unknown search 'mm'; nearest: mme"),
        (None, "nowhere.py:mine", "no such file"),
        ("x = 1", "FILE:x", "no function 'x'"),
        ("import nothing_of_that_name", "FILE:x", "ModuleNotFoundError"),
        (
            'def x(draw): draw.suggest_float("training.learn_rate", 0, 1)',
            "FILE:x",
            "nearest: training.learning_rate",
        ),
        ('def x(draw): draw.suggest_int("videos.num_frames", 8, 64)', "FILE:x", "cannot be searched"),
        ('def x(draw): draw.suggest_int("training.seed", 0, 9)', "FILE:x", "by what luck"),
        (
            'def x(draw): draw.suggest_categorical("model.mme.head", ["convolution"])',
            "FILE:x",
            "model.mme.head",
        ),
        ("def x(draw): pass", "FILE:x", "nothing is left to draw"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_anything_starts(tmp_path, content, name, said):
    file = tmp_path / "mine.py"
    file.write_text(content or "")
    with pytest.raises(InputError, match=said):
        first_point(search_named(name.replace("FILE", str(file))), ExperimentConfig())


def one(draw):
    """A comment."""
    draw.suggest_float("training.learning_rate", 1e-3, 1e-2, log=True)
    if draw.suggest_categorical("model.cfn.enabled", [True, False]):
        draw.suggest_int("model.cfn.num_queries", 1, 4)


def the_same_in_other_words(draw):
    enabled = draw.suggest_categorical("model.cfn.enabled", [True, False])
    if enabled:
        draw.suggest_int("model.cfn.num_queries", low=1, high=4)
    draw.suggest_float("training.learning_rate", low=0.001, high=0.01, log=True)


def wider(draw):
    one(draw)
    draw.suggest_float("model.dropout", 0.0, 0.5)


def other_bound(draw):
    draw.suggest_float("training.learning_rate", 1e-3, 2e-2, log=True)
    if draw.suggest_categorical("model.cfn.enabled", [True, False]):
        draw.suggest_int("model.cfn.num_queries", 1, 4)


def other_branch(draw):
    draw.suggest_float("training.learning_rate", 1e-3, 1e-2, log=True)
    if not draw.suggest_categorical("model.cfn.enabled", [True, False]):
        draw.suggest_int("model.cfn.num_queries", 1, 8)


def other_choices(draw):
    draw.suggest_float("training.learning_rate", 1e-3, 1e-2, log=True)
    if draw.suggest_categorical("model.cfn.enabled", [False, True]):
        draw.suggest_int("model.cfn.num_queries", 1, 4)


def other_manner(draw):
    draw.suggest_float("training.learning_rate", 1e-3, 1e-2)
    if draw.suggest_categorical("model.cfn.enabled", [True, False]):
        draw.suggest_int("model.cfn.num_queries", 1, 4)


@pytest.mark.parametrize(
    ("space", "is_same"),
    [
        (one, True),
        (the_same_in_other_words, True),
        (wider, False),
        (other_bound, False),
        (other_branch, False),
        (other_choices, False),
        (other_manner, False),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_space_is_told_by_what_it_draws_from(space, is_same):
    base = ExperimentConfig()
    assert (space_of(space, base) == space_of(one, base)) == is_same


def test_the_named_spaces_differ_and_what_is_fixed_is_not_drawn():
    base = ExperimentConfig()
    found = {name: space_of(search_named(name), base) for name in search_spaces.names()}
    assert len(set(found.values())) == len(found)
    assert set(found["all"]) == set().union(*(set(lines) for name, lines in found.items() if name != "all"))
    assert "training.learning_rate" in str(space_of(one, base))
    assert "training.learning_rate" not in str(space_of(one, base, ["training.learning_rate"]))
