"""Bit planes: round trips, the bytes of each, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.errors import KernelError
from pocketvlad.lut import packing


def _codes(rows: int, count: int, bits: int) -> np.ndarray:
    return np.random.default_rng(rows * 1000 + count).integers(0, 2**bits, (rows, count)).astype(np.uint8)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 4), st.integers(1, 400), st.integers(1, 8))
def test_dense_round_trip(rows, count, bits):
    codes = _codes(rows, count, bits)
    packed = packing.pack_codes(codes, bits)
    assert packed.shape == (rows, packing.row_bytes(count, bits))
    np.testing.assert_array_equal(packing.unpack_codes(packed, bits, count), codes)


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_code_position_by_hand(bits):
    """One code set at a time: the specification read literally, bit by bit."""
    for position in (0, 1, 15, 16, 31, 32, 63, 64, 95, 127, 128, 200):
        codes = np.zeros((1, 256), np.uint8)
        codes[0, position] = 2**bits - 1
        packed = packing.pack_codes(codes, bits)[0]
        block, j = divmod(position, 128)
        base, expected = block * 16 * bits, np.zeros(32 * bits, np.uint8)
        if bits == 8:
            expected[base + j] = 255
        if bits & 4 and bits != 8:
            expected[base + j % 64] = 0x0F << (4 * (j // 64))
            base += 64
        if bits & 2:
            expected[base + j % 32] = 0x03 << (2 * (j // 32))
            base += 32
        if bits & 1:
            expected[base + j % 16] = 0x01 << (j // 16)
        np.testing.assert_array_equal(packed, expected)


def test_a_code_that_does_not_fit_is_refused():
    with pytest.raises(KernelError, match="a code does not fit its bits"):
        packing.pack_codes(np.array([[4]], np.uint8), 2)
