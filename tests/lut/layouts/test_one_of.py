"""One of every M weights: round trips, the order inside a tile, refusals."""

import numpy as np
import pytest

from pocketvlad.errors import KernelError
from pocketvlad.lut import packing
from pocketvlad.lut.layouts import OneOf
from pocketvlad.lut.layouts.one_of import BLOCKS, pack_tiles, tile_bytes, unpack_tiles
from pocketvlad.lut.tensor import LutTensor


def one_of(shape: tuple[int, int], block: int, seed: int = 0) -> np.ndarray:
    """A mask that keeps the weight of the largest random number of every block."""
    keys = np.random.default_rng(seed).random(shape)
    mask = np.zeros(shape, bool)
    for start in range(0, shape[1], block):
        best = keys[:, start : start + block].argmax(axis=1)
        mask[np.arange(shape[0]), start + best] = True
    return mask


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("shape", [(1, 1), (16, 64), (37, 1001), (5, 130)])
def test_block_layers_survive_packing(block, shape):
    mask = one_of(shape, block)
    codes = np.where(mask, np.random.default_rng(1).integers(0, 4, shape), 0).astype(np.uint8)
    codebook = np.array([[-2, -1, 1, 2]], np.float32)
    lut = LutTensor(shape, 2, codes, codebook, None, mask, OneOf(block))
    back = LutTensor.from_packed(lut.packed, shape, 2, codebook, None, OneOf(block))
    np.testing.assert_array_equal(back.mask, mask)
    np.testing.assert_array_equal(back.dequantize(), np.where(mask, codebook[0][codes], 0))
    assert lut.packed.nbytes == -(-shape[0] // 16) * tile_bytes(shape[1], 2, block)


def test_a_tile_holds_four_blocks_of_row_after_row():
    """Code q * 64 + r * 4 + b is row r's in block 4 q + b: position below, level above."""
    mask, codes = np.zeros((2, 32), bool), np.zeros((2, 32), np.uint8)
    kept = [3, 4, 9, 14, 19, 20, 26, 31]  # one of every 4
    mask[:, kept] = True
    codes[1, kept] = 1
    packed = pack_tiles(mask, codes, 1, 4)
    found = packing.unpack_codes(packed, 3, 128)[0]
    positions = np.array(kept) % 4
    np.testing.assert_array_equal(found[:4], positions[:4])
    np.testing.assert_array_equal(found[4:8], positions[:4] + 4)
    np.testing.assert_array_equal(found[64:68], positions[4:])
    assert not found[8:64].any()


def test_a_position_past_the_last_column_is_refused():
    packed = packing.pack_codes(np.full((1, 64), 3, np.uint8), 3)
    with pytest.raises(KernelError, match="past the last column"):
        unpack_tiles(packed, 16, 14, 1, 4)


@pytest.mark.parametrize(
    "change",
    [{"layout": OneOf(3)}, {"bits": 6, "codebook": np.zeros((1, 64), np.float32)}, {"shape": (2, 2, 2, 2)}],
)
def test_wrong_block_layers_are_refused(change):
    good = {
        "shape": (2, 8),
        "bits": 1,
        "codes": np.zeros((2, 8), np.uint8),
        "codebook": np.zeros((1, 2), np.float32),
        "mask": one_of((2, 8), 4),
        "layout": OneOf(4),
    }
    LutTensor(**good)
    with pytest.raises(KernelError, match="blocks|matrices"):
        LutTensor(**{**good, **change})
    with pytest.raises(KernelError, match="one weight of every block"):
        LutTensor(**{**good, "mask": np.ones((2, 8), bool)})
