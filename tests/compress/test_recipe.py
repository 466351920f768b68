"""Recipes: every value checked at the door, errors that name the remedy."""

import dataclasses

import pytest

from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe, load_recipe, shipped_recipes
from pocketvlad.errors import RecipeError

HEAD = 'version = 1\nname = "x"\n'


def write(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(HEAD + text)
    return path


def test_every_shipped_recipe_loads():
    names = shipped_recipes()
    assert {"paper-8bit", "paper-5bit"} <= set(names)
    for name in names:
        assert load_recipe(name).name == name


def test_rules_override_the_defaults_and_later_ones_win(tmp_path):
    rules = '[layer]\nbits = 5\n[[rule]]\nmatch = "backbone.*"\nbits = 8\n'
    rules += '[[rule]]\nmatch = "*.expand*"\nbits = 6\n'
    recipe = load_recipe(write(tmp_path, rules))
    found = [recipe.for_layer(n).bits for n in ("whitening", "backbone.0", "backbone.3.expand1x1")]
    assert found == [5, 8, 6]
    assert recipe.for_layer("backbone.0").codebook == "kmeans"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[layer]\nbit = 5\n", "did you mean 'bits'"),
        ("[layer]\nbits = 9\n", "1 to 8"),
        ("[layer]\nbits = 0\n", "1 to 8"),
        ('[layer]\nbits = "5"\n', "wrong type"),
        ("[layer]\nbits = true\n", "wrong type"),
        ("[layer]\nsparsity = 1.0\n", "0 up to but not 1"),
        ("[layer]\nthreshold = -1.0\n", "0 or more"),
        ("[layer]\nthreshold = 0.1\nsparsity = 0.5\n", "one of them"),
        ('[layer]\ncodebook = "kmean"\n', "kmeans, uniform"),
        ('[layer]\nlayout = "csr"\n', "auto, dense, sparse"),
        ("[layer]\nblock = 3\n", "2, 4, 8, 16"),
        ('[layer]\nlayout = "one-of"\n', "2, 4, 8, 16"),
        ("[layer]\nblock = 8\nbits = 5\n", "1 to 4"),
        ("[layer]\nblock = 8\nbits = 1\nsparsity = 0.5\n", "one of them"),
        ('[layer]\nblock = 8\nbits = 1\nlayout = "dense"\n', "one of them"),
        ("[[rule]]\nbits = 3\n", "'match' is missing"),
        ('[[rule]]\nmatch = "*"\nbits = 12\n', "1 to 8"),
        ('convolutions = "int4"\n', "lut, int8, measured"),
        ('convolutions = "int8"\n[train]\n', "one of them"),
        ("[layer\n", "not TOML"),
    ],
)
def test_bad_values_are_one_clear_line(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(write(tmp_path, text))
    assert "\n" not in str(error.value) and "r.toml" in str(error.value)


def test_unknown_names_and_versions(tmp_path):
    with pytest.raises(RecipeError, match="paper-8bit"):
        load_recipe("paper-7bit")
    with pytest.raises(RecipeError, match="does not exist"):
        load_recipe(tmp_path / "none.toml")
    path = tmp_path / "v.toml"
    path.write_text('version = 2\nname = "x"\n')
    with pytest.raises(RecipeError, match="version"):
        load_recipe(path)


def test_rules_can_override_every_option():
    options = {f.name for f in dataclasses.fields(LayerRecipe)}
    assert {f.name for f in dataclasses.fields(LayerRule)} == options | {"match"}


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe(1, "x").name = "y"
