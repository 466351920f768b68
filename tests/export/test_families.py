"""One small network of each family: compressed with and without photos, exported, and the program describes alike."""

import pytest
import torch
from torch.nn import functional

from helpers.checkpoints import tiny_transformers
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import load_recipe
from pocketvlad.errors import ExportError
from pocketvlad.export.program import export_program
from pocketvlad.model.backbones import random_backbone
from pocketvlad.model.heads import head_class
from pocketvlad.model.heads.boq import BoqOptions
from pocketvlad.model.heads.convap import ConvApOptions
from pocketvlad.model.heads.gem import GemOptions
from pocketvlad.model.heads.mixvpr import MixVprOptions
from pocketvlad.model.heads.netvlad import NetVladOptions
from pocketvlad.model.heads.salad import SaladOptions
from pocketvlad.model.network import Network, NetworkConfig
from pocketvlad.model.preprocess import Preprocess
from pocketvlad.runtime.runner import ProgramRunner

__all__ = ["tiny_transformers"]  # a fixture
CUT, TINY = "resnet18_layer3", "dinov2_tiny14"
# backbone, head, its options, input size, whether what follows the backbone's last layer stays
FAMILIES = {
    "cosplace": (CUT, "gem", GemOptions(32, 2.7), (64, 64), True),
    "benchmark": (CUT, "netvlad", NetVladOptions(4), (64, 64), True),
    "convap": (CUT, "convap", ConvApOptions(16), (96, 96), True),
    "mixvpr": (CUT, "mixvpr", MixVprOptions(8, 2, 32, 3), (128, 128), True),
    "salad": (f"{TINY}_class", "salad", SaladOptions(20, 8, 6, 10, 24), (56, 70), True),
    "megaloc": (f"{TINY}_reg_class", "salad", SaladOptions(20, 8, 6, 10, 24, 16), (56, 70), True),
    "boq": (TINY, "boq", BoqOptions(128, 8, 2, 4), (56, 70), False),
    "boq-resnet": (CUT, "boq", BoqOptions(64, 8, 2, 4), (64, 64), True),
    "netvlad-on-a-transformer": (TINY, "netvlad", NetVladOptions(4), (56, 70), False),
}


def network(name):
    backbone, head, options, size, kept = FAMILIES[name]
    config = NetworkConfig(backbone, Preprocess(*size), head, options, last_activation=kept)
    torch.manual_seed(0)
    features = random_backbone(backbone, last_activation=kept, size=size)
    return Network(config, features, head_class(head)(config.channels, options)).eval()


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
