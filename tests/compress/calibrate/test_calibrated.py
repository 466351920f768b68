"""Calibration sees the model the program will be."""

import numpy as np
import pytest
import torch
from pocketvlad.export.fold import FAST, MIXED, fold

from pocketvlad.compress.calibrate import calibrated
from pocketvlad.compress.recipe import INT8, LUT, LayerRecipe, Recipe

SOME = frozenset({"backbone.3.squeeze", "backbone.12.expand3x3", "pool.assignment"})


@pytest.mark.parametrize(
    ("int8", "semantics", "convolutions"),
    [
        (frozenset(), MIXED, LUT),
        (SOME, MIXED, LUT),
        (SOME - {"pool.assignment"}, MIXED, LUT),
        (frozenset(), FAST, LUT),
        (frozenset(), MIXED, INT8),
        (frozenset({"pool.assignment"}), MIXED, INT8),
    ],
)
def test_the_model_calibrated_on_computes_what_the_program_does(
    model, photos, monkeypatch, int8, semantics, convolutions
):
    seen = {}

    def vlad_pairs(reference, compressed, views, tick):
        seen["model"] = compressed
        return pairs(reference, compressed, views, tick)

    pairs = calibrated.vlad_pairs
    monkeypatch.setattr(calibrated, "vlad_pairs", vlad_pairs)
    monkeypatch.setattr(calibrated, "int8_layers", lambda *arguments: int8)
    layer = LayerRecipe(bits=8, codebook="uniform", row_scale="max", calibrate="gptq")
    recipe = Recipe(1, "test", layer=layer, semantics=semantics, convolutions=convolutions)
    compressed = calibrated.compress_calibrated(model, recipe, photos)
    program = fold(compressed, semantics, convolutions)
    off = []
    for photo in photos:
        with torch.no_grad():
            expected = program.pool(program.backbone(photo[None])).numpy()
            found = seen["model"].pool(seen["model"].backbone(photo[None])).numpy()
        off.append(np.linalg.norm(found - expected))
    # Sums in another order may round an activation of a photo to the other side, which puts that photo off by 1e-4;
    # another arithmetic puts every photo off, by 4e-5 and more.
    assert np.median(off) < 1e-5
