"""Plan files: paths as their writer means them, and files that do not write over one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.photos import write_places
from helpers.runs import write_plan
from pocketvlad.dataset import open_dataset
from pocketvlad.errors import DatasetError, PocketvladError, RecipeError
from pocketvlad.pipeline.files import open_plan
from pocketvlad.pipeline.plan import load_plan
from pocketvlad.pipeline.run import split_places


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("folder:photos", "folder:{plan}/photos"),
        ("photos", "folder:{plan}/photos"),
        ("utm:/data/a:b/c", "utm:/data/a:b/c"),
        ("a:b/photos", "folder:{plan}/a:b/photos"),
        ("folder:~/x", "folder:{home}/x"),
        ("~/x", "folder:{home}/x"),
        ("folder:../x", "folder:{plan}/../x"),
    ],
)
def test_datasets_lie_beside_the_plan_or_at_home(tmp_path, monkeypatch, spec, found):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "a:b/photos").mkdir(parents=True)
    plan = load_plan(write_plan(tmp_path))
    assert plan.dataset_spec(spec) == found.format(plan=tmp_path, home=tmp_path / "home")


def test_an_unknown_kind_stays_one(tmp_path):
    assert load_plan(write_plan(tmp_path)).dataset_spec("video:x").startswith("video:")


def test_other_paths_are_at_home_too(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_plan(write_plan(tmp_path)).resolve("~/m.pth") == tmp_path / "m.pth"
    assert load_plan(write_plan(tmp_path)).resolve("/m.pth") == Path("/m.pth")


def test_queries_of_another_folder_ask_the_map(tmp_path):
    """As `evaluate --queries` has it: the places of both folders are halves without overlap."""
    map_photos, asked = (write_places(tmp_path / side, places=4, views=2) for side in ("map", "asked"))
    plan = write_plan(tmp_path, datasets='"folder:map"')
    text = plan.read_text()
    plan.write_text(text.replace("[photos]\n", '[photos]\nqueries = "asked"\n'))
    found, wanted = open_plan(plan).dataset, open_dataset(f"folder:{map_photos}", str(asked))
    assert [photo.name for photo in found.photos] == [photo.name for photo in wanted.photos]
    assert (found.queries, found.database) == (wanted.queries, wanted.database)
    fitting, testing = split_places(found, "even")
    assert len(found.queries) == 8 and len(fitting.queries) == len(testing.queries) == 4
    assert not {photo.place for photo in fitting.photos} & {photo.place for photo in testing.photos}
    plan.write_text(text.replace("[photos]\n", '[photos]\nqueries = "none"\n'))
    with pytest.raises(DatasetError, match="none does not exist"):
        open_plan(plan)


def test_queries_ask_one_map(tmp_path):
    plan = write_plan(tmp_path, datasets='"folder:a", "folder:b"')
    plan.write_text(plan.read_text().replace("[photos]\n", '[photos]\nqueries = "asked"\n'))
    with pytest.raises(RecipeError, match="queries asks one map; found 2 datasets"):
        load_plan(plan)


@pytest.mark.parametrize(
    "recipes",
    [("model.toml",), ("float32.toml",), ("a/x.toml", "b/x.toml"), ("paper-8bit", "a/paper-8bit.toml")],
)
def test_recipes_that_would_share_a_file_are_refused(tmp_path, recipes):
    with pytest.raises(RecipeError, match=r"would write files of one name; found '\w.*'; rename a recipe"):
        load_plan(write_plan(tmp_path, recipes=recipes))


@pytest.mark.parametrize("path", ["~nosuchuser/x", "a\\u0000b"])
def test_paths_that_no_file_has(tmp_path, path):
    model = 'backbone = "squeezenet1_1"\n'
    with pytest.raises(PocketvladError, match="is in nobody's home|found a zero in its name"):
        open_plan(write_plan(tmp_path, model=f'{model}weights = "{path}"\n'))
    with pytest.raises(PocketvladError, match="is in nobody's home|does not exist"):
        open_plan(write_plan(tmp_path, datasets=f'"{path}"', model=model))


def test_where_a_plan_lies_is_no_key(tmp_path):
    plan = write_plan(tmp_path)
    plan.write_text(f'folder = "elsewhere"\n{plan.read_text()}')
    with pytest.raises(RecipeError, match="unknown key 'folder'; leave it out"):
        load_plan(plan)


@pytest.mark.parametrize("title", ["", " ", "x" * 101, "\\u202e", "a\\u0007"])
def test_a_title_is_one_that_a_phone_shows(tmp_path, title):
    plan = write_plan(tmp_path)
    plan.write_text(plan.read_text().split("[app]")[0] + f'[app]\ntitle = "{title}"\n')
    with pytest.raises(PocketvladError, match="plan.toml is none Android shows") as caught:
        load_plan(plan)
    assert len(str(caught.value)) < 400
