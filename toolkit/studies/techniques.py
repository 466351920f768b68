r"""What each technique beside the paper's is worth at equal bytes: scales, groups, calibration, vectors, teachers.

Cross-fitted as studies.crossfit does it. Prints one table and writes out/studies/techniques/techniques.json; a second
run keeps what has not changed:

    PYTHONPATH=toolkit .venv/bin/python -m studies.techniques --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from pocketvlad.compress.codes.assignment import row_scale
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe, load_recipe
from pocketvlad.compress.sizes import model_bytes
from pocketvlad.compress.train_recipe import TrainRecipe
from studies import palettized
from studies.contenders import Contender, Study, by_recipe
from studies.folds import Describe, Fold, whitening_of
from studies.scores import Tested

PAIRS, SAMPLES = 16, 200_000  # centroids of two weights each, and pairs they are clustered from
STEPS = 40
TRIPLET_RATE = 1e-3  # alone, at the rate of the others, it destroys the model
NOTE = f"""\
MB is the whole .pte, run by ExecuTorch; pairs of weights, which no kernel of ours computes, are measured by torch in
float32. In the first group all other layers have 8-bit k-means codes, in the second the whitening layer has 8 bits and
a scale per row; a row of the first three has what its name says and nothing of the rows before it. Convolutions compute
in float32. "Centroids weighted": by the second moments of the layer's real inputs, biases corrected. "Errors
compensated": that, and each weight's rounding error, or loss, is made up for by the weights still to come (GPTQ).
Fine-tuning: {STEPS} steps, the whitening layer frozen; each row adds to the one before, the triplet loss alone at a
tenth of the rate and twenty times its weight beside the teachers."""


def _recipe(key: str, rest: LayerRecipe, rule: LayerRule) -> Recipe:
    """The layers that the rule matches by its options, the others by ``rest``."""
    return Recipe(1, key, layer=rest, rule=(rule,), int8_loss=0.0)


def whitening() -> Iterator[Contender]:
    """The whitening layer at 2 bits a weight."""
    group, rest = "whitening layer, 2 bits a weight", LayerRecipe(8)

    def row(key: str, name: str, softer: float = 0.0, **options: Any) -> Contender:
        rule = LayerRule("whitening", **{"bits": 2, "pin_zero": False, **options})
        return by_recipe(group, name, _recipe(f"whitening-{key}", rest, rule), softer=softer)

    scaled: dict[str, Any] = {"row_scale": "soft"}
    compensated = {**scaled, "calibrate": "gptq"}
    yield row("paper", "k-means per tensor (the paper's)")
    yield row("scaled", "a scale per output row", **scaled)
    yield row("grouped", "a codebook per 16 rows", rows_per_codebook=16)
    yield row("both", "a scale per row and a codebook per 16 rows", rows_per_codebook=16, **scaled)
    yield pairs(group, f"a scale per row, {PAIRS} centroids of two weights each")
    yield row("moments", "a scale per row, centroids weighted", **scaled, calibrate="moments")
    yield row("gptq", "a scale per row, errors compensated", **compensated)
    pruned: dict[str, Any] = {"sparsity": 0.5, "layout": "sparse"}
    yield row("pruned", "the same, half of the weights pruned (a bit each)", **compensated, **pruned)
    yield row("zero", "errors compensated, one centroid is 0", **compensated, pin_zero=True)
    yield row("soft", "errors compensated, whitening softened by 0.005", 0.005, **compensated)


def convolutions() -> Iterator[Contender]:
    """The convolutions at 4 bits a weight."""
    group, rest = "convolutions, 4 bits a weight", LayerRecipe(8, row_scale="soft")

    def row(key: str, name: str, **options: Any) -> Contender:
        rule = LayerRule("backbone.*", bits=4, pin_zero=False, **options)
        return by_recipe(group, name, _recipe(f"convolutions-{key}", rest, rule))

    scaled: dict[str, Any] = {"row_scale": "max"}
    yield row("paper", "k-means per tensor (the paper's)")
    yield row("uniform", "an even grid per tensor", codebook="uniform")
    yield row("scaled", "a scale per output channel", **scaled)
    yield row("grouped", "a codebook per 16 channels", rows_per_codebook=16)
    yield row("moments", "a scale per channel, centroids weighted", **scaled, calibrate="moments")
    yield row("gptq", "a scale per channel, errors compensated", **scaled, calibrate="gptq")


def pruned() -> Iterator[Contender]:
    """Half of every layer pruned, 5 bits."""
    group, base = "half of every layer pruned, 5 bits", load_recipe("paper-half")

    def row(key: str, name: str, **options: Any) -> Contender:
        recipe = replace(base, name=f"pruned-{key}", int8_loss=0.0, layer=replace(base.layer, **options))
        return by_recipe(group, name, recipe)

    yield row("paper", "k-means per tensor (the paper's)")
    yield row("scaled", "a scale per output row", row_scale="soft")
    yield row("moments", "centroids weighted", calibrate="moments")
    yield row("gptq", "errors compensated", calibrate="gptq")


def teachers() -> Iterator[Contender]:
    """What fine-tuning learns from, after convolutions at 4 bits on an even grid."""
    group, base = f"convolutions at 4 bits on an even grid, {STEPS} steps", load_recipe("conv-4bit-trained")
    train = replace(base.train or TrainRecipe(), steps=STEPS)

    def row(key: str, name: str, **options: Any) -> Contender:
        return by_recipe(group, name, replace(base, name=f"trained-{key}", train=replace(train, **options)))

    yield by_recipe(group, "not fine-tuned", load_recipe("conv-4bit"))
    alone = {"triplet": 1.0, "distill": 0.0, "distill_features": 0.0, "learning_rate": TRIPLET_RATE}
    yield row("triplet", "triplet loss (the paper's)", **alone)
    yield row("descriptors", "and the uncompressed model's descriptors", distill_features=0.0)
    yield row("stages", "and the outputs of its backbone's stages")


def pairs(group: str, name: str) -> Contender:
    """Whitening codes of 4 bits for two weights of a row each."""
    key = "whitening-pairs"
    scaled = LayerRule("whitening", bits=2, row_scale="soft", pin_zero=False)
    recipe = Recipe(1, key, layer=LayerRecipe(8), rule=(scaled,))

    def test(fold: Fold) -> Tested:
        def build() -> tuple[Describe, int]:
            network = fold.network()
            compressed = compress_network(network, recipe)
            found = compressed.to_torch()
            with torch.no_grad():
                whitening_of(found).weight.copy_(by_pairs(whitening_of(network).weight.detach()))
            more = 4 * (2 * PAIRS - 4)  # of the codebook
            return palettized.described_by(found), model_bytes(compressed) + more

        return fold.test_peer(key, {"centroids": PAIRS, "samples": SAMPLES}, build)

    return Contender(group, key, name, test)


def by_pairs(weight: Tensor) -> Tensor:
    """Float32 [O, I], I even: each two weights of a row, over its scale, become the nearest of ``PAIRS`` centroids."""
    kept = row_scale(weight.numpy(), "soft")
    scale = torch.ones(len(weight)) if kept is None else torch.from_numpy(kept)
    scaled = (weight / scale[:, None]).reshape(-1, 2)
    chosen = np.random.default_rng(0).choice(len(scaled), SAMPLES, replace=False)
    centroids = KMeans(PAIRS, n_init=1, random_state=0).fit(scaled[chosen].numpy()).cluster_centers_
    centres = torch.from_numpy(centroids.astype(np.float32))
    parts = [centres[torch.cdist(part, centres).argmin(dim=1)] for part in scaled.split(1 << 20)]
    return torch.cat(parts).reshape(weight.shape) * scale[:, None]


STUDY = Study("techniques", str(__doc__), "technique by technique", NOTE, "240x320")


def main(arguments: Sequence[str]) -> None:
    everyone = [*whitening(), *convolutions(), *pruned(), *teachers()]
    STUDY.run(*STUDY.chosen(everyone, arguments), arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
