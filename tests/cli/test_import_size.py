"""``import --size``: a transformer's position embedding is made for the size asked for."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import checkpoints
from helpers.checkpoints import tiny_transformers, under
from helpers.refusals import refused
from pocketvlad.errors import ArtifactError
from pocketvlad.model.network import load_model
from pocketvlad.model.preprocess import Preprocess, photo_tensor
from pocketvlad.runtime.runner import ProgramRunner

__all__ = ["tiny_transformers"]  # a fixture


def test_a_size_is_taken_or_refused_with_one_that_is_possible(run, tiny_transformers, tmp_path):
    tensors = under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head()
    torch.save(tensors, tmp_path / "salad.ckpt")
    out = tmp_path / "m.safetensors"
    code, printed, _ = run("import", tmp_path / "salad.ckpt", "--out", out, "--size", "126x140", "--json")
    assert code == 0 and json.loads(printed)["layout"] == "serizba/salad"
    model = load_model(out)
    assert model.config.size == (126, 140) and model.config.options.patches == 90
    result = run("import", tmp_path / "salad.ckpt", "--out", tmp_path / "n", "--size", "100x140")
    refused(result, "salad.ckpt", "found 100x140", "multiples of 14, such as 98x140")
    assert not (tmp_path / "n").exists()


def test_an_import_shows_what_the_model_takes_and_gives(run, tiny_transformers, tmp_path):
    tensors = under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head()
    torch.save(tensors, tmp_path / "salad.ckpt")
    _, shown, _ = run(
        "import", tmp_path / "salad.ckpt", "--out", tmp_path / "m.safetensors", "--size", "126x140"
    )
    lines = [line.split() for line in shown.splitlines()]
    for line in ("input 126x140", "head name salad", "descriptor 37"):
        assert line.split() in lines, shown
    torch.save(checkpoints.transformer(), tmp_path / "vit.pth")
    _, shown, _ = run("import", tmp_path / "vit.pth", "--out", tmp_path / "b.safetensors")
    assert not {"input", "head", "descriptor"} & {line.split()[0] for line in shown.splitlines()}


def stored_and_turned(folder):
    """A photo of a wide scene, and the same pixels of which EXIF says that they lie on their side."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 18, 3), np.uint8)
    picture, exif = Image.fromarray(pixels).resize((180, 120), Image.Resampling.BICUBIC), Image.Exif()
    exif[274] = 6
    picture.save(folder / "stored.png")
    picture.save(folder / "turned.png", exif=exif)
    return folder / "stored.png", folder / "turned.png"


@pytest.mark.parametrize(
    ("rule", "asked", "size", "same"),
    [
        ("ours", "126x140", [126, 140], False),
        ("vpr-evaluation", "120x146", [126, 140], True),
        ("hloc", "1500x2000", [770, 1022], True),
    ],
)
def test_photos_as_another_project_sees_them(run, tiny_transformers, tmp_path, rule, asked, size, same):
    """EXIF ignored or not, the long side bounded, the sides of whole patches; in the file and in the program."""
    tensors = under("backbone.model.", checkpoints.transformer()) | checkpoints.salad_head()
    torch.save(tensors, tmp_path / "salad.ckpt")
    out, program = tmp_path / "m.safetensors", tmp_path / "m.pte"
    code, *_ = run(
        "import", tmp_path / "salad.ckpt", "--out", out, "--size", asked, "--preprocess", rule, "--json"
    )
    model = load_model(out)
    assert code == 0 and list(model.config.size) == size and model.config.preprocess.upright != same
    stored, turned = stored_and_turned(tmp_path)
    tensors = [photo_tensor(path, model.config.preprocess) for path in (stored, turned)]
    assert np.array_equal(*tensors) == same
    if asked != "1500x2000":  # a large program takes long
        run("export", out, "--out", program)
        runner = ProgramRunner(program)
        assert runner.preprocess.upright == model.config.preprocess.upright
        assert np.array_equal(runner.describe(stored), runner.describe(turned)) == same


def test_the_file_of_a_model_that_turns_photos_is_as_it_was():
    """Models from before the choice keep their fingerprints."""
    assert "upright" not in Preprocess().to_json() and Preprocess(upright=False).to_json()["upright"] is False
    assert Preprocess.from_json(Preprocess(upright=False).to_json()) == Preprocess(upright=False)
    with pytest.raises(ArtifactError, match="how it wants its photos"):
        Preprocess.from_json({**Preprocess().to_json(), "upright": "no"})


def test_an_unknown_rule_is_refused_with_those_there_are(run, tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pth")
    result = run("import", tmp_path / "x.pth", "--out", tmp_path / "m", "--preprocess", "delf")
    refused(result, "preprocess", "'delf'", "ours, hloc, vpr-evaluation")
