"""Bitmap rows: round trips, and files that lie."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.errors import KernelError
from pocketvlad.lut.layouts import Bitmap, PackedLut
from pocketvlad.lut.layouts.bitmap import pack_sparse, unpack_sparse


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 400), st.integers(1, 8), st.floats(0, 1))
def test_sparse_round_trip(rows, count, bits, density):
    codes = np.random.default_rng(rows).integers(0, 2**bits, (rows, count), dtype=np.uint8)
    mask = np.random.default_rng(count).random((rows, count)) < density
    packed, offsets = pack_sparse(mask, codes, bits)
    assert offsets[-1] == packed.size and not (offsets % 16).any()
    found_mask, found = unpack_sparse(packed, offsets, bits, count)
    np.testing.assert_array_equal(found_mask, mask)
    np.testing.assert_array_equal(found, np.where(mask, codes, 0))


def test_row_offsets_of_other_rows_are_refused():
    layout, mask, codes = Bitmap(), np.ones((3, 40), bool), np.zeros((3, 40), np.uint8)
    packed = layout.pack((3, 40), 2, codes, mask)
    short = PackedLut(packed.packed, packed.row_offsets[:-1])
    with pytest.raises(KernelError, match="row offsets"):
        layout.unpack((3, 40), 2, short)
