"""The search for a size or an accuracy, and what it knows of the layers."""

import itertools

import pytest
import torch
from torch import nn

from helpers.models import make_model, make_photos
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.compressed import save_compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.ratio import PROJECTIONS, layer_bytes
from pocketvlad.compress.recipe import LayerRecipe, check_recipe
from pocketvlad.compress.search import sensitivity
from pocketvlad.compress.search.budget import (
    Judged,
    Measured,
    ladder,
    most_accurate_within,
    predicted_bytes,
    smallest_losing_at_most,
    thinned,
)
from pocketvlad.compress.search.kept import KeptSearch
from pocketvlad.compress.search.sensitivity import Option, allocate, measure_sensitivity
from pocketvlad.compress.sizes import model_bytes
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.metrics import Difference

MODEL = make_model(clusters=8, dim=64)
PHOTOS = make_photos(4)
OVERHEAD = 5000
OPTIONS = ladder(MODEL)


def judge(candidate) -> Judged:
    """As if a program took OVERHEAD bytes more, and the drop were the share of the bytes saved in points."""
    drop = 10 * (1 - candidate.bytes / OPTIONS[0].bytes)
    return Judged(candidate, Measured(candidate.bytes + OVERHEAD, Difference(drop, drop, drop), 1.0))


def test_sizes_are_known_before_compressing():
    assert [c.bytes for c in OPTIONS] == sorted((c.bytes for c in OPTIONS), reverse=True)
    for candidate in OPTIONS[:: len(OPTIONS) // 2]:
        check_recipe(candidate.recipe, "search")
        made = model_bytes(compress_network(MODEL, candidate.recipe, calibration=PHOTOS))
        assert predicted_bytes(MODEL, candidate.recipe) == pytest.approx(made, rel=0.03)


LINEAR, CONVOLUTION = nn.Linear(512, 64), nn.Conv2d(32, 64, 3, bias=False)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        *itertools.product(
            [LINEAR, CONVOLUTION],
            [
                LayerRecipe(3, row_scale="rms"),
                LayerRecipe(4, rows_per_codebook=16),  # a codebook each, not one in all
                LayerRecipe(4, sparsity=0.8),  # auto: the smaller of dense and sparse
                LayerRecipe(4, sparsity=0.8, layout="dense"),
                LayerRecipe(2, sparsity=0.6, layout="sparse"),
            ],
        ),
        (LINEAR, LayerRecipe(2, block=8, rows_per_codebook=16)),
    ],
)
def test_a_layers_bytes_are_those_of_its_packed_arrays(layer, options):
    lut = quantize_layer(layer.weight.detach().numpy(), options)
    arrays = [lut.codebook, lut.row_scale, None if layer.bias is None else layer.bias.detach().numpy()]
    made = lut.packed.nbytes + sum(array.nbytes for array in arrays if array is not None)
    uneven = options.sparsity and options.layout != "dense"  # rows are taken as equally dense
    assert layer_bytes(layer, options) == (pytest.approx(made, rel=0.1) if uneven else made)


def test_a_size_is_that_of_the_measured_file():
    limit = OPTIONS[len(OPTIONS) // 2].bytes  # fits until the file is measured
    found = most_accurate_within(OPTIONS, limit, judge)
    assert limit - 0.1 * limit < found.measured.bytes <= limit
    straight = most_accurate_within(OPTIONS, limit, judge, OVERHEAD)
    assert straight.measured.bytes == found.measured.bytes


def test_an_accuracy_is_kept_by_the_smallest_that_does():
    found = smallest_losing_at_most(OPTIONS, 3.0, judge)
    passing = [c.bytes for c in OPTIONS if judge(c).measured.drop.mean <= 3.0]
    assert found.measured.bytes == min(passing) + OVERHEAD


def test_what_cannot_be_had_is_said():
    with pytest.raises(RecipeError, match="or more"):
        most_accurate_within(OPTIONS, 1000, judge)
    with pytest.raises(RecipeError, match="at best"):
        smallest_losing_at_most(OPTIONS, -1.0, judge)


def test_a_candidate_that_is_kept_is_not_judged_again(tmp_path):
    """It comes back to the bit; a damaged one, and one of another search, are judged again."""
    calls, candidate = [], OPTIONS[-1]
    measured = Measured(12345, Difference(1 / 3, -0.1, 2 / 3), 0.1 + 0.2)

    def search(about=1) -> Judged:
        def work() -> Judged:
            calls.append(about)
            return Judged(compress_network(MODEL, candidate.recipe, calibration=PHOTOS), measured)

        return KeptSearch(tmp_path, {}, {"search": about}).judged(candidate, work)

    made, again = search(), search()
    assert calls == [1] and again.measured == made.measured == measured
    for number, each in enumerate((made, again)):
        save_compressed(tmp_path / f"{number}", each.compressed, {})
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes()
    file = next(tmp_path.glob("search-*/candidate-*"))
    file.write_bytes(file.read_bytes()[:-5])
    assert search().measured == measured and calls == [1, 1]
    search(2)
    assert calls == [1, 1, 2] and len(list(tmp_path.glob("search-*"))) == 1


def test_bytes_are_saved_where_they_cost_least():
    def option(bits: int, size: int, loss: float) -> Option:
        return Option(sensitivity.convolution(bits), size, loss)

    # layer a: 100 bytes at 0.001 a byte, then at 0.01; layer b: at 0.004; b's middle setting is above its hull
    measured = {
        "a": [option(8, 300, 0.0), option(6, 200, 0.1), option(4, 100, 1.1)],
        "b": [option(8, 300, 0.0), option(6, 250, 0.9), option(4, 100, 0.8)],
    }
    path = allocate(MODEL, measured)
    bits = [tuple(c.recipe.for_layer(name).bits for name in "ab") for c in path]
    assert bits == [(8, 8), (6, 8), (6, 4), (4, 4)]


def test_sensitivity_orders_every_layer_and_leaves_the_model_alone(monkeypatch):
    monkeypatch.setattr(sensitivity, "BITS", (8, 4))
    monkeypatch.setattr(sensitivity, "PROJECTIONS", (PROJECTIONS[0], PROJECTIONS[9]))
    before = {name: tensor.clone() for name, tensor in MODEL.state_dict().items()}
    seen = []
    found = measure_sensitivity(MODEL, PHOTOS, PHOTOS[:2], progress=lambda *step: seen.append(step))
    assert all(torch.equal(before[name], tensor) for name, tensor in MODEL.state_dict().items())
    assert seen[-1][0] == seen[-1][1] == sum(len(options) for options in found.values())
    fine, coarse = (sum(options[i].loss for options in found.values()) for i in (0, 1))
    assert fine < coarse and set(found) == set(sensitivity.compressible_layers(MODEL))
    path = allocate(MODEL, found)
    assert [c.bytes for c in path] == sorted((c.bytes for c in path), reverse=True)
    assert len(thinned(path)) < len(path)
