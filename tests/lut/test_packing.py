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


def one_of(shape: tuple[int, int], block: int, seed: int = 0) -> np.ndarray:
    """A mask that keeps the weight of the largest random number of every block."""
    keys = np.random.default_rng(seed).random(shape)
    mask = np.zeros(shape, bool)
    for start in range(0, shape[1], block):
        best = keys[:, start : start + block].argmax(axis=1)
        mask[np.arange(shape[0]), start + best] = True
    return mask


@pytest.mark.parametrize("block", packing.BLOCKS)
@pytest.mark.parametrize("shape", [(1, 1), (16, 64), (37, 1001), (5, 130)])
def test_block_layers_survive_packing(block, shape):
    mask = one_of(shape, block)
    codes = np.where(mask, np.random.default_rng(1).integers(0, 4, shape), 0).astype(np.uint8)
    codebook = np.array([[-2, -1, 1, 2]], np.float32)
    lut = LutTensor(shape, 2, codes, codebook, None, mask, block)
    back = LutTensor.from_packed(lut.packed, shape, 2, codebook, None, True, block)
    np.testing.assert_array_equal(back.mask, mask)
    np.testing.assert_array_equal(back.dequantize(), np.where(mask, codebook[0][codes], 0))
    assert lut.packed.nbytes == -(-shape[0] // 16) * packing.tile_bytes(shape[1], 2, block)


def test_a_tile_holds_four_blocks_of_row_after_row():
    """Code q * 64 + r * 4 + b is row r's in block 4 q + b: position below, level above."""
    mask, codes = np.zeros((2, 32), bool), np.zeros((2, 32), np.uint8)
    kept = [3, 4, 9, 14, 19, 20, 26, 31]  # one of every 4
    mask[:, kept] = True
    codes[1, kept] = 1
    packed = packing.pack_tiles(mask, codes, 1, 4)
    found = packing.unpack_codes(packed, 3, 128)[0]
    positions = np.array(kept) % 4
    np.testing.assert_array_equal(found[:4], positions[:4])
    np.testing.assert_array_equal(found[4:8], positions[:4] + 4)
    np.testing.assert_array_equal(found[64:68], positions[4:])
    assert not found[8:64].any()


def test_a_position_past_the_last_column_is_refused():
    packed = packing.pack_codes(np.full((1, 64), 3, np.uint8), 3)
    with pytest.raises(KernelError, match="past the last column"):
        packing.unpack_tiles(packed, 16, 14, 1, 4)


@pytest.mark.parametrize(
    "change", [{"block": 3}, {"bits": 6, "codebook": np.zeros((1, 64), np.float32)}, {"mask": None}]
)
def test_wrong_block_layers_are_refused(change):
    good = {
        "shape": (2, 8),
        "bits": 1,
        "codes": np.zeros((2, 8), np.uint8),
        "codebook": np.zeros((1, 2), np.float32),
        "mask": one_of((2, 8), 4),
        "block": 4,
    }
    LutTensor(**good)
    with pytest.raises(KernelError, match="blocks"):
        LutTensor(**{**good, **change})
    with pytest.raises(KernelError, match="one weight of every block"):
        LutTensor(**{**good, "mask": np.ones((2, 8), bool)})
