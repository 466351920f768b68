"""The plans that ship, for those who have the weights: each reads a file of its project's layout."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from helpers import checkpoints
from helpers.checkpoints import in_sequence, resnet, tiny_transformers, under
from helpers.runs import write_plan
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.errors import RecipeError
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.model.network import load_model, save_model
from pocketvlad.pipeline.plan import load_plan
from pocketvlad.pipeline.source import ModelSource
from pocketvlad.progress import quiet
from pocketvlad.resources import resource_dir

__all__ = ["tiny_transformers"]  # a fixture
PLANS = sorted((resource_dir("calibration") / "plans").glob("*.toml"))


def gem(dim):
    return under("backbone.", in_sequence(resnet(stages=4))) | checkpoints.gem_head(dim, 512)


MADE = {
    "cosplace": lambda: gem(512),
    "eigenplaces": lambda: gem(2048),
    "mixvpr": lambda: under("backbone.model.", resnet().state_dict()) | checkpoints.mixvpr_head(256),
    "salad": lambda: under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head(),
    "megaloc": lambda: under("backbone.", checkpoints.transformer()) | checkpoints.megaloc_head(),
}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_is_valid_and_its_recipes_ship(path):
    plan = load_plan(path)
    assert all(load_recipe(name).name == name for name in plan.compress.recipes)


@pytest.mark.parametrize("name", MADE)
def test_a_plan_takes_its_projects_file_as_it_is(tiny_transformers, tmp_path, monkeypatch, name):
    """From where the plan says, at the size it says; random weights, small transformers."""
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = load_plan(resource_dir("calibration") / f"plans/{name}.toml")
    file = plan.resolve(plan.model.checkpoint)
    assert file.parent == tmp_path / "pocketvlad"
    file.parent.mkdir()
    tensors = MADE[name]()
    if name == "megaloc":
        del tensors["backbone.mask_token"]
    if file.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in tensors.items()}, file)
    else:
        torch.save(tensors, file)
    source = ModelSource(plan, lambda *said: pytest.fail(f"{said}"))
    made = source.make(None, tmp_path / "m.safetensors", quiet)
    size = plan.model.size or "320x320"
    assert made.photos == 0
    assert load_model(tmp_path / "m.safetensors").config.size == tuple(map(int, size.split("x")))


def whole_checkpoint(folder):
    torch.save(MADE["cosplace"](), folder / "model.pth")
    return 'checkpoint = "model.pth"'


def model_of_ours(folder):
    whole_checkpoint(folder)
    save_model(folder / "model.safetensors", import_checkpoint(folder / "model.pth").model, {})
    return 'checkpoint = "model.safetensors"'


def backbone(folder):
    return 'backbone = "squeezenet1_1"'


@pytest.mark.parametrize(
    ("kind", "keys", "line"),
    [
        (whole_checkpoint, "height = 240\nwidth = 320", 'model.height, model.width .* size = "HEIGHTxWIDTH"'),
        (whole_checkpoint, "dim = 128", "model.dim would decide nothing; found a whole model;"),
        (
            whole_checkpoint,
            'whitening = "full"\nviews = 3',
            "model.views, model.whitening would decide nothing",
        ),
        (
            model_of_ours,
            'size = "240x320"',
            "model.size would decide nothing; found .* of pocketvlad's; leave",
        ),
        (model_of_ours, "clusters = 16", "model.clusters would decide nothing"),
        (backbone, 'size = "240x320"', "model.size would decide nothing; .* height and width"),
        (backbone, 'preprocess = "hloc"', "model.preprocess would decide nothing"),
    ],
)
def test_a_key_that_would_decide_nothing_is_refused(tmp_path, kind, keys, line):
    """Before, a whole checkpoint took its layout's own size, whatever height and width said."""
    plan = write_plan(tmp_path, model=f"{kind(tmp_path)}\n{keys}\n")
    source = ModelSource(load_plan(plan), lambda *said: pytest.fail(f"{said}"))
    with pytest.raises(RecipeError, match=line):
        source.require_possible()
        source.make(None, tmp_path / "made.safetensors", quiet)
    assert not (tmp_path / "made.safetensors").exists()
