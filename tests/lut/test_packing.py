"""The packed format: round trips, the bytes of each plane, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketvlad.errors import KernelError
from pocketvlad.lut import packing
from pocketvlad.lut.tensor import LutTensor


def _codes(rows: int, count: int, bits: int) -> np.ndarray:
    return np.random.default_rng(rows * 1000 + count).integers(0, 2**bits, (rows, count)).astype(np.uint8)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 4), st.integers(1, 400), st.integers(1, 8))
def test_dense_round_trip(rows, count, bits):
    codes = _codes(rows, count, bits)
    packed = packing.pack_codes(codes, bits)
    assert packed.shape == (rows, packing.row_bytes(count, bits))
    np.testing.assert_array_equal(packing.unpack_codes(packed, bits, count), codes)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 400), st.integers(1, 8), st.floats(0, 1))
def test_sparse_round_trip(rows, count, bits, density):
    codes = _codes(rows, count, bits)
    mask = np.random.default_rng(count).random((rows, count)) < density
    packed, offsets = packing.pack_sparse(mask, codes, bits)
    assert offsets[-1] == packed.size and not (offsets % 16).any()
    found_mask, found = packing.unpack_sparse(packed, offsets, bits, count)
    np.testing.assert_array_equal(found_mask, mask)
    np.testing.assert_array_equal(found, np.where(mask, codes, 0))


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


@pytest.mark.parametrize("shape", [(5, 300), (6, 3, 3, 3)])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_tensor_round_trip_and_weights(shape, sparse, groups):
    random = np.random.default_rng(1)
    rows, columns = shape[0], int(np.prod(shape[1:]))
    mask = random.random((rows, columns)) < 0.4 if sparse else None
    codes = random.integers(0, 8, (rows, columns)).astype(np.uint8)
    codes = codes if mask is None else np.where(mask, codes, 0).astype(np.uint8)
    codebook = random.standard_normal((groups, 8)).astype(np.float32)
    scale = random.random(rows).astype(np.float32)
    lut = LutTensor(shape, 3, codes, codebook, scale, mask)
    back = LutTensor.from_packed(lut.packed, shape, 3, codebook, scale, sparse)
    np.testing.assert_array_equal(back.dequantize(), lut.dequantize())
    step = -(-rows // groups)
    for row in range(rows):
        for column in range(columns):
            expected = codebook[row // step, codes[row, column]] * scale[row]
            if mask is not None and not mask[row, column]:
                expected = 0
            assert lut.dequantize().reshape(rows, columns)[row, column] == np.float32(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.zeros((2, 3), np.int32)}, "wrong codes"),
        ({"codebook": np.zeros((1, 5), np.float32)}, "wrong codebook"),
        ({"row_scale": np.zeros(3, np.float32)}, "wrong row_scale"),
        ({"mask": np.zeros((2, 4), bool)}, "wrong mask"),
    ],
)
def test_inconsistent_tensors_are_refused(change, message):
    good = {
        "shape": (2, 3),
        "bits": 2,
        "codes": np.zeros((2, 3), np.uint8),
        "codebook": np.zeros((1, 4), np.float32),
    }
    with pytest.raises(KernelError, match=message):
        LutTensor(**{**good, **change})
