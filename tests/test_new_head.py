"""The seam for heads: one defined here goes the whole way without a word of it anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketvlad as pv
from helpers.photos import write_places
from pocketvlad.export.pack import pack
from pocketvlad.model import heads
from pocketvlad.model.heads.base import Head, HeadOptions
from pocketvlad.model.preprocess import photo_tensor
from pocketvlad.model.roles import PROJECTION
from pocketvlad.model.unit import unit_length


@dataclass(frozen=True)
class SpreadOptions(HeadOptions):
    """``dim``: of the descriptor."""

    dim: int = 24


class Spread(Head):
    """Mean and largest value of every channel through a linear layer, beside learned anchors; unit length."""

    Options = SpreadOptions

    def __init__(self, channels: int, options: SpreadOptions):
        super().__init__(channels, options)
        self.outputs = options.dim
        self.mix = nn.Linear(2 * channels, options.dim)
        self.anchors = nn.Parameter(torch.zeros(3, options.dim))

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.mix(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))
        return unit_length(mixed - self.anchors.mean(dim=0))

    def roles(self) -> dict[str, str]:
        return {"mix": PROJECTION}

    def constants(self) -> tuple[str, ...]:
        return ("anchors",)

    def fit(self, features, seed):
        """Random directions; the anchors' mean is the mean photo."""
        random = torch.Generator().manual_seed(seed)
        self.mix.weight.normal_(generator=random)
        self.mix.bias.zero_()
        vectors = [
            torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1) for x in (f() for f in features)
        ]
        self.anchors.copy_(self.mix(torch.cat(vectors)).mean(dim=0).expand_as(self.anchors))


@pytest.fixture(scope="module")
def place_photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("head") / "photos"
    write_places(folder, places=6, views=3)
    return folder


def test_a_head_of_one_file_goes_the_whole_way(monkeypatch, place_photos, tmp_path):
    monkeypatch.setitem(heads.HEADS, "spread", Spread)
    model = pv.fit("squeezenet1_1", place_photos, head="spread", dim=0, size=(64, 96))
    assert pv.load(pv.save(model, tmp_path / "m.safetensors")).config == model.config

    small = pv.compress(model, "compact-16x", photos=place_photos)
    assert set(small.constants) == {"head.anchors"} and not small.left
    assert small.layers["head.mix"].bits == 2, "the recipe's projection is this head's"
    small = pv.load(pv.save(small, tmp_path / "c.safetensors"))

    program = pv.open_program(pv.export(small, tmp_path / "m.pte"))
    photo = next(place_photos.rglob("*.jpg"))
    tensor = torch.from_numpy(photo_tensor(photo, program.preprocess))[None]
    packed = pack(small, small.recipe.semantics)(tensor)[0].numpy()
    np.testing.assert_allclose(program(photo), packed, atol=1e-5)

    before = pv.open_program(pv.export(model, tmp_path / "float32.pte"))
    found = pv.evaluate(program, place_photos, baseline=before)
    assert found.scores["queries"] == 18 and found.baseline["mAP"] > 0.9 and found.difference.mean > -10
    assert f"mAP of the baseline  {found.baseline['mAP']}" in str(found)
    places = pv.build_index(program, place_photos)
    assert places.search(photo, k=1)[0].photo == photo.name or places.search(photo, k=1)[0].cosine > 0.999
