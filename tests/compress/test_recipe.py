"""Recipes: every value checked at the door, errors that name the remedy."""

import dataclasses
import json
from pathlib import Path

import pytest

from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe, load_recipe, shipped_recipes
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.errors import RecipeError
from pocketvlad.model.roles import ASSIGNMENT, CONVOLUTION, PROJECTION
from pocketvlad.schema import to_table

HEAD = 'version = 1\nname = "x"\n'
GOLDEN = json.loads((Path(__file__).parents[1] / "golden/recipes.json").read_text())
NAMES = {CONVOLUTION: "backbone.0", ASSIGNMENT: "head.assignment", PROJECTION: "whitening"}


def resolved(recipe):
    """What a recipe comes to: its options, and each role's layer options instead of defaults and rules."""
    layers = {role: to_table(recipe.for_layer(name, role)) for role, name in NAMES.items()}
    table = {key: value for key, value in to_table(recipe).items() if key not in ("layer", "rule")}
    return {**table, "layers": layers}


def write(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(HEAD + text)
    return path


def test_every_shipped_recipe_loads():
    names = shipped_recipes()
    assert {"paper-8bit", "paper-5bit"} <= set(names)
    for name in names:
        assert load_recipe(name).name == name


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_shipped_recipes_come_to_what_was_measured(name):
    assert resolved(load_recipe(name)) == GOLDEN[name]


def test_auto_is_compact_16x():
    auto = load_recipe("auto")
    assert auto.without_photos == "compact-7x" and "compact-16x where" in auto.description
    named = {
        "name": "compact-16x",
        "description": GOLDEN["compact-16x"]["description"],
        "without_photos": None,
    }
    assert resolved(auto) | named == GOLDEN["compact-16x"]


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
        ('[[rule]]\nrole = "whitening"\n', "projection"),
        ("[[rule]]\nbits = 2\nblock = 4\n[[rule]]\nsparsity = 0.5\n", "one of them"),
        ("base = 3\n", "a recipe's name"),
        ('base = "compact-15x"\n', "base is no recipe.*compact-16x"),
        ('base = "r.toml"\n', "its own base"),
        ("[layer]\nblock = 3\n", "2, 4, 8, 16"),
        ('[layer]\nlayout = "one-of"\n', "2, 4, 8, 16"),
        ("[layer]\nblock = 8\nbits = 5\n", "1 to 4"),
        ("[layer]\nblock = 8\nbits = 1\nsparsity = 0.5\n", "one of them"),
        ('[layer]\nblock = 8\nbits = 1\nlayout = "dense"\n', "one of them"),
        ('[[rule]]\nmatch = "*"\nbits = 12\n', "1 to 8"),
        ('convolutions = "int4"\n', "lut, lut-int8, int8, measured"),
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
    assert {f.name for f in dataclasses.fields(LayerRule)} == options | {"match", "role"}


def test_recipes_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe(1, "x").name = "y"


def test_a_rule_is_for_layers_that_fit_its_name_and_its_role():
    rules = (LayerRule(role=PROJECTION, bits=3), LayerRule("backbone.*", ASSIGNMENT, bits=2))
    recipe = Recipe(1, "x", rule=rules)
    layers = [("whitening", PROJECTION), ("whitening", ""), ("backbone.0", ASSIGNMENT), ("pool", ASSIGNMENT)]
    assert [recipe.for_layer(*layer).bits for layer in layers] == [3, 8, 2, 8]


def test_training_tells_layers_apart_by_role():
    train = TrainRecipe(
        learning_rate=2.0, projection_rate=0.5, l1_assignment=3.0, freeze=("projection", "a.*")
    )
    assert [train.rate_of(role) for role in (PROJECTION, "mlp")] == [1.0, 2.0]
    assert [train.l1_of(role) for role in (ASSIGNMENT, PROJECTION)] == [3.0, 0.0]
    frozen = [("whitening", PROJECTION), ("a.1", CONVOLUTION), ("b", CONVOLUTION)]
    assert [train.freezes(*layer) for layer in frozen] == [True, True, False]


def test_a_base_gives_what_is_not_said(tmp_path):
    (tmp_path / "below.toml").write_text(
        'version = 1\nname = "below"\ndescription = "d"\nint8_loss = 0.1\n[layer]\nbits = 5\ncodebook = "uniform"\n'
        "[[rule]]\nmatch = 'a'\nbits = 3\n[train]\nsteps = 7\nseed = 4\n"
    )
    rules = "[[rule]]\nmatch = 'a'\nrow_scale = 'max'\n"
    path = write(tmp_path, f'base = "below.toml"\n[layer]\nbits = 6\n{rules}[train]\nseed = 5\n')
    recipe = load_recipe(path)
    assert (recipe.name, recipe.description, recipe.int8_loss) == ("x", "", 0.1)
    assert (recipe.layer.bits, recipe.layer.codebook) == (6, "uniform")
    assert (recipe.for_layer("a").bits, recipe.for_layer("a").row_scale) == (3, "max")
    assert (recipe.train.steps, recipe.train.seed) == (7, 5)


def test_errors_of_bases(tmp_path):
    (tmp_path / "a.toml").write_text('version = 1\nname = "a"\nbase = "b.toml"\n')
    (tmp_path / "b.toml").write_text('version = 1\nname = "b"\nbase = "a.toml"\n')
    with pytest.raises(RecipeError, match="a.toml -> b.toml -> a.toml"):
        load_recipe(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_text('version = 1\nname = "b"\n[layer]\nbits = 9\n')
    with pytest.raises(RecipeError, match="b.toml: bits"):
        load_recipe(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text('name = "a"\nbase = "compact-7x"\n')
    with pytest.raises(RecipeError, match="a.toml: key 'version' is missing"):
        load_recipe(tmp_path / "a.toml")


def test_a_key_holds_what_is_not_the_default():
    plain = Recipe(1, "x", description="words", layer=LayerRecipe(bits=8, block=0), int8_loss=0.002)
    assert plain.key() == {"name": "x", "version": 1}
    rules = (LayerRule(role="mlp", bits=3),)
    said = Recipe(1, "x", layer=LayerRecipe(bits=5), rule=rules, train=TrainRecipe(seed=2))
    wanted = {"layer": {"bits": 5}, "rule": [{"role": "mlp", "bits": 3}], "train": {"seed": 2}}
    assert said.key() == {"name": "x", "version": 1, **wanted}
    assert Recipe(1, "x", train=TrainRecipe()).key() != plain.key()
    assert list(said.key()) == sorted(said.key()) and json.loads(json.dumps(said.key())) == said.key()


def test_a_long_row_of_bases_is_refused(tmp_path):
    (tmp_path / "0.toml").write_text('version = 1\nname = "r"\n')
    for count in range(1, 1200):
        (tmp_path / f"{count}.toml").write_text(f'version = 1\nname = "r"\nbase = "{count - 1}.toml"\n')
    load_recipe(tmp_path / "10.toml")
    with pytest.raises(
        RecipeError, match="1199.toml: base is not allowed; found a long row of bases; allowed: 16"
    ):
        load_recipe(tmp_path / "1199.toml")
