"""Calibration sees the model the program will be."""

import numpy as np
import pytest
import torch

from pocketvlad.compress.calibrate import calibrated
from pocketvlad.compress.calibrate.views import views_per_photo
from pocketvlad.compress.post_training import as_inputs
from pocketvlad.compress.recipe import INT8, LUT, LayerRecipe, Recipe
from pocketvlad.export.pack import FAST, MIXED, pack

SOME = frozenset({"backbone.3.squeeze", "backbone.12.expand3x3", "head.assignment"})


@pytest.mark.parametrize(
    ("int8", "semantics", "convolutions"),
    [
        (frozenset(), MIXED, LUT),
        (SOME, MIXED, LUT),
        (SOME - {"head.assignment"}, MIXED, LUT),
        (frozenset(), FAST, LUT),
        (frozenset(), MIXED, INT8),
        (frozenset({"head.assignment"}), MIXED, INT8),
    ],
)
def test_the_whitening_is_fitted_to_what_the_program_gives_it(
    model, photos, monkeypatch, int8, semantics, convolutions
):
    seen = {}

    def fit_wide(layer, options, reference, inputs, block, name):
        seen[name] = reference, inputs
        return fit(layer, options, reference, inputs, block, name)

    fit = calibrated.fit_wide
    monkeypatch.setattr(calibrated, "fit_wide", fit_wide)
    monkeypatch.setattr(calibrated, "int8_layers", lambda *arguments: int8)
    layer = LayerRecipe(bits=8, codebook="uniform", row_scale="max", calibrate="gptq")
    recipe = Recipe(1, "test", layer=layer, semantics=semantics, convolutions=convolutions)
    compressed = calibrated.compress_calibrated(model, recipe, as_inputs(photos))
    assert list(seen) == ["whitening"]
    reference, inputs = (each[:: views_per_photo(len(photos))] for each in seen["whitening"])
    program, off = pack(compressed, semantics, convolutions), []
    for photo, vector in zip(photos, inputs, strict=True):
        with torch.no_grad():
            expected = program.head(program.backbone(photo[None]))[0]
        off.append(float((vector - expected).norm()))
    # Sums in another order, as on another processor, may round an activation of a photo to the other side, which puts
    # that photo off by 1e-4; another arithmetic puts every photo off, by 4e-5 and more.
    assert np.quantile(off, 0.25) < 1e-5
    with torch.no_grad():
        assert torch.allclose(reference, model.head(model.backbone(photos)), atol=1e-5)
