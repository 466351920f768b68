"""Constants at 8 bits: a scale for each row."""

import numpy as np

from pocketvlad.lut.rows import QuantizedRows


def test_values_take_eight_bits_and_are_off_by_half_a_step_of_their_row():
    matrix = np.random.default_rng(0).standard_normal((5, 40)).astype(np.float32)
    matrix[2] = 0
    rows = QuantizedRows.of(matrix)
    assert rows.values.dtype == np.int8 and rows.scale.dtype == np.float32
    assert (np.abs(rows.dequantize() - matrix).max(axis=1) <= rows.scale / 2 * 1.001).all()
    assert not rows.dequantize()[2].any()
    assert (np.abs(rows.values).max(axis=1)[[0, 1, 3, 4]] == 127).all()
