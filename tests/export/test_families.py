"""One small network of each family: compressed with and without photos, exported, and the program describes alike."""

import pytest
import torch
from torch.nn import functional

from helpers.checkpoints import tiny_transformers
from helpers.families import FAMILIES, network
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.errors import ExportError
from pocketvlad.export.program import export_program
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.runner import ProgramRunner

__all__ = ["tiny_transformers"]  # a fixture


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.parametrize(
    "name, recipe",
    [
        *((name, "compact-4x") for name in FAMILIES),
        *((name, "paper-8bit") for name in ("cosplace", "salad", "boq")),
    ],
)
def test_a_family_compresses_exports_and_runs(tiny_transformers, tmp_path, name, recipe):
    model = network(name)
    photos = torch.randn(4, 3, *model.config.size, generator=torch.Generator().manual_seed(1))
    compressed = compress_network(model, load_recipe(recipe), calibration=photos)
    assert set(compressed.layers) == set(model.roles()) and not compressed.left
    found = compressed.to_torch()(photos)
    assert float(functional.cosine_similarity(found, model(photos)).min()) > 0.99
    save_compressed(tmp_path / "c.safetensors", compressed, {})
    again = load_compressed(tmp_path / "c.safetensors")
    torch.testing.assert_close(again.to_torch()(photos), found, rtol=0, atol=0)
    export_program(again, tmp_path / "c.pte")  # refuses ops that the phone lacks
    described = torch.from_numpy(ProgramRunner(tmp_path / "c.pte")(photos[0].numpy()))
    assert float(functional.cosine_similarity(described, found[0], dim=0)) > 0.999


@torch.no_grad()
@pytest.mark.parametrize("name", ["salad", "boq"])
def test_an_uncompressed_program_describes_alike(tiny_transformers, tmp_path, name):
    """XNNPACK in float32, what a compressed program is compared with."""
    model = network(name)
    photo = torch.randn(1, 3, *model.config.size)
    export_program(model, tmp_path / "m.pte")
    found = torch.from_numpy(ProgramRunner(tmp_path / "m.pte")(photo[0].numpy()))
    assert float(functional.cosine_similarity(found, model(photo)[0], dim=0)) > 0.99999


def test_a_program_of_another_size_is_refused(tiny_transformers, tmp_path):
    with pytest.raises(
        ExportError, match=r"size in its weights; found 70x70; allowed: 56x70; import .* again"
    ):
        export_program(network("boq"), tmp_path / "m.pte", preprocess=Preprocess(70, 70))
