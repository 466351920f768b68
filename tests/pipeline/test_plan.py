"""Plan files: paths as their writer means them, and files that do not write over one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.runs import write_plan
from pocketvlad.errors import RecipeError
from pocketvlad.pipeline.plan import load_plan


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


@pytest.mark.parametrize(
    "recipes",
    [("model.toml",), ("float32.toml",), ("a/x.toml", "b/x.toml"), ("paper-8bit", "a/paper-8bit.toml")],
)
def test_recipes_that_would_share_a_file_are_refused(tmp_path, recipes):
    with pytest.raises(RecipeError, match=r"would write files of one name; found '\w.*'; rename a recipe"):
        load_plan(write_plan(tmp_path, recipes=recipes))
