"""A compressed layer: its weights by hand, through its packed form, refusals."""

import numpy as np
import pytest

from pocketvlad.errors import KernelError
from pocketvlad.lut.layouts import Bitmap, Dense
from pocketvlad.lut.tensor import LutTensor


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
    layout = Bitmap() if sparse else Dense()
    lut = LutTensor(shape, 3, codes, codebook, scale, mask, layout)
    back = LutTensor.from_packed(lut.packed, shape, 3, codebook, scale, layout)
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
