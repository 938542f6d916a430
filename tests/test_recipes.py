"""Recipes: every name makes a whole config, and nothing else is one."""

import pytest

from harray import recipes
from harray.config import from_dict, to_dict
from harray.errors import InputError
from harray.experiment import ExperimentConfig


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_a_config_that_its_own_bounds_allow(name):
    recipe = recipes.recipe_named(name)
    assert from_dict(ExperimentConfig, to_dict(recipe)) == recipe


def test_what_is_no_recipe_is_refused_with_the_nearest():
    assert "recipe_named" not in recipes.names()
    with pytest.raises(InputError, match="nearest: procedural"):
        recipes.recipe_named("procedurl")
