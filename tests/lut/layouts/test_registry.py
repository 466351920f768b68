"""What every layout on the list promises: bytes known ahead, descriptions and numbers that lead back to it."""

import json

import numpy as np
import pytest

from pocketvlad.errors import KernelError
from pocketvlad.lut.layouts import LAYOUTS, Bitmap, Dense, OneOf, described, numbered
from pocketvlad.lut.layouts.base import packed_rows
from pocketvlad.lut.tensor import LutTensor

EVERY = [Dense(), Bitmap(), *(OneOf(block) for block in (2, 4, 8, 16))]
SHAPES = [(1, 1), (37, 300), (16, 128), (6, 5, 3, 3), (4, 70, 1, 1)]
LAYERS = [(layout, shape) for layout in EVERY for shape in SHAPES if layout.packs(shape)]


def example(layout, shape, bits: int) -> LutTensor:
    random = np.random.default_rng(bits)
    rows, columns = shape[0], int(np.prod(shape[1:]))
    weight = random.normal(size=(rows, columns)).astype(np.float32)
    mask = np.abs(weight) > 0.5 if layout.masked else None
    mask = layout.survivors(weight) if layout.group else mask
    codes = random.integers(0, 2**bits, (rows, columns), dtype=np.uint8)
    codes = codes if mask is None else np.where(mask, codes, 0).astype(np.uint8)
    codebook = random.normal(size=(1, 2**bits)).astype(np.float32)
    return LutTensor(shape, bits, codes, codebook, None, mask, layout)


def test_the_list_holds_every_layout():
    assert {type(layout) for layout in EVERY} == set(LAYOUTS.values())
    assert all(name == kind.name for name, kind in LAYOUTS.items())


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize(("layout", "shape"), LAYERS)
def test_bytes_are_known_ahead_and_give_back_the_layer(layout, shape, bits):
    lut = example(layout, shape, bits)
    kept = None if lut.mask is None else np.count_nonzero(lut.mask.reshape(packed_rows(shape)), axis=1)
    assert lut.packed.nbytes == layout.packed_bytes(shape, bits, kept)
    assert layout.mask_bytes(shape) <= lut.packed.packed.nbytes
    codes, mask = layout.unpack(shape, bits, lut.packed)
    np.testing.assert_array_equal(codes, lut.codes)
    assert (mask is None) == (lut.mask is None) and (mask is None or np.array_equal(mask, lut.mask))


@pytest.mark.parametrize("layout", EVERY, ids=lambda layout: layout.label)
def test_descriptions_and_numbers_lead_back(layout):
    assert described(json.loads(json.dumps(layout.describe()))) == layout
    assert all(numbered(number, layout.parameter) == layout for number in layout.numbers)


def test_numbers_and_names_of_layouts_are_their_own():
    numbers = [number for kind in LAYOUTS.values() for number in kind.numbers]
    assert len(set(numbers)) == len(numbers)
    assert len({layout.label for layout in EVERY}) == len(EVERY)


def test_unknown_layouts_are_named():
    with pytest.raises(KernelError, match="dense, sparse, one-of"):
        described({"layout": "csr"})
    with pytest.raises(KernelError, match="dense, sparse, one-of"):
        described({"sparse": False})  # as files said before layouts had names
    with pytest.raises(KernelError, match="99"):
        numbered(99, 0)


@pytest.mark.parametrize("layout", EVERY, ids=lambda layout: layout.label)
def test_a_mask_goes_with_layouts_that_leave_weights_out(layout):
    lut = example(layout, (4, 16), 1)
    wrong = np.ones((4, 16), bool) if lut.mask is None else None
    with pytest.raises(KernelError, match="wrong mask"):
        LutTensor(lut.shape, 1, lut.codes, lut.codebook, None, wrong, layout)
