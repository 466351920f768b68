"""Layers of awkward shapes, with what NumPy says of them and how far float32 sums may stray from it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pocketvlad.lut import native, reference
from pocketvlad.lut.layouts import Bitmap, Dense, OneOf
from pocketvlad.lut.layouts.one_of import BLOCKS, position_bits
from pocketvlad.lut.reference import MaxPool
from pocketvlad.lut.tensor import LutTensor

UNIT = 2.0**-24  # float32 rounding of one operation
SAME_BITS = 0.0  # int32 sums are exact, and the float32 operations after them are the same everywhere
LINEAR, CONV, VLAD = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Case:
    """One call of an op.

    Attributes:
        budget: per output, the largest absolute difference from ``expected`` that is not a bug.
    """

    name: str
    kind: int
    lut: LutTensor
    bias: np.ndarray | None
    x: np.ndarray
    fast: bool
    activation: int
    expected: np.ndarray
    budget: np.ndarray
    conv: dict = field(default_factory=dict)
    centroids: np.ndarray | None = None
    centroid_scale: np.ndarray | None = None

    def run(self) -> np.ndarray:
        """The kernels' answer, on the instruction set in force."""
        if self.kind == LINEAR:
            return native.lut_linear(self.x, self.lut, self.bias, fast=self.fast, activation=self.activation)
        if self.kind == CONV:
            return native.lut_conv2d(
                self.x, self.lut, self.bias, fast=self.fast, activation=self.activation, **self.conv
            )
        return native.vlad_pool(
            self.x, self.lut, self.bias, self.centroids, self.centroid_scale, fast=self.fast
        )

    def failures(self, y: np.ndarray) -> int:
        """How many outputs are out of budget (or not a number)."""
        return int(y.size - np.sum(np.abs(y - self.expected) <= self.budget))


def float32_sum_budget(terms: int, absolute: np.ndarray) -> np.ndarray:
    """Error of a float32 sum of ``terms`` products whose absolute values sum to ``absolute``.

    Worst case ``terms * UNIT * absolute`` in any order; the roundings are independent enough for
    ``4 * sqrt(terms)`` (Higham and Mary, 2019), twice for two sums that differ, plus scale, bias and the
    rounding of the centroid times its row scale.
    """
    return (8 * np.sqrt(terms) + 8) * UNIT * absolute


def unit_vector_budget(locations: int, dims: int, mass: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Error of an intra-normalised residual sum of ``mass`` = sum of weights * (feature + centre norms).

    The residual of a cluster can be far shorter than what was summed; dividing by its length magnifies the
    error of the sum by mass / residual. The soft assignment adds the error of ``dims`` products, of a logit
    around 10 and of exp.
    """
    terms = 8 * np.sqrt(locations) + 16 * np.sqrt(dims) + 64
    return np.minimum(terms * UNIT * mass / np.maximum(residual, 1e-12), 2.0)


def random_lut(
    rng: np.random.Generator, shape: tuple[int, ...], bits: int, *, groups: int = 1, sparse: bool = False
) -> LutTensor:
    rows, columns = shape[0], int(np.prod(shape[1:]))
    codes = rng.integers(0, 2**bits, (rows, columns), dtype=np.uint8)
    codebook = rng.normal(size=(groups, 2**bits)).astype(np.float32)
    scale = rng.uniform(0.5, 2, rows).astype(np.float32) if bits % 2 else None
    mask = rng.random((rows, columns)) < 0.4 if sparse else None
    if mask is not None:
        mask[0] = False  # a row without survivors
        mask[-1] = True
    return LutTensor(shape, bits, codes, codebook, scale, mask, Bitmap() if sparse else Dense())


def random_blocks(
    rng: np.random.Generator, shape: tuple[int, int], bits: int, block: int, groups: int = 1
) -> LutTensor:
    """A layer that keeps one weight of every ``block``."""
    dense = random_lut(rng, shape, bits, groups=groups)
    mask = np.zeros(shape, bool)
    starts = np.arange(0, shape[1], block)
    lengths = np.minimum(block, shape[1] - starts)
    kept = starts + (rng.random((shape[0], len(starts))) * lengths).astype(np.int64)
    np.put_along_axis(mask, kept, True, axis=1)
    return LutTensor(shape, bits, dense.codes, dense.codebook, dense.row_scale, mask, OneOf(block))


def linear_case(
    rng: np.random.Generator, lut: LutTensor, batch: int, fast: bool, activation: int = 0, bias: bool = True
) -> Case:
    x = rng.normal(size=(batch, lut.columns)).astype(np.float32)
    b = rng.normal(size=lut.rows).astype(np.float32) if bias else None
    expected = reference.lut_linear(x, lut, b, fast=fast, activation=activation)
    absolute = np.abs(x) @ np.abs(lut.dequantize()).T + (0 if b is None else np.abs(b))
    budget = np.full_like(expected, SAME_BITS) if fast else float32_sum_budget(lut.columns, absolute)
    name = f"linear-b{lut.bits}-{batch}x{lut.columns}x{lut.rows}-{_suffix(lut, fast)}"
    return Case(name, LINEAR, lut, b, x, fast, activation, expected, budget.astype(np.float32))


def conv_case(
    rng: np.random.Generator, lut: LutTensor, image: tuple[int, int], fast: bool, activation: int, **conv
) -> Case:
    """Two images, one of them without a negative value."""
    channels = lut.shape[1] * conv.get("groups", 1)
    x = rng.normal(size=(2, channels, *image)).astype(np.float32)
    x[1] = np.maximum(x[1], 0)
    b = rng.normal(size=lut.rows).astype(np.float32)
    expected = reference.lut_conv2d(x, lut, b, fast=fast, activation=activation, **conv)
    if fast:
        budget = np.full_like(expected, SAME_BITS)
    else:
        size = replace(lut, codebook=np.abs(lut.codebook))
        budget = float32_sum_budget(lut.columns, reference.lut_conv2d(np.abs(x), size, np.abs(b), **conv))
    shape = "x".join(str(v) for v in (*image, *lut.shape))
    name = f"conv-b{lut.bits}-{shape}-{_suffix(lut, fast)}"
    return Case(name, CONV, lut, b, x, fast, activation, expected, budget.astype(np.float32), conv)


def vlad_case(rng: np.random.Generator, lut: LutTensor, image: tuple[int, int], fast: bool) -> Case:
    clusters, dims = lut.shape[:2]
    x = np.maximum(rng.normal(size=(2, dims, *image)), 0).astype(np.float32)
    bias = rng.normal(size=clusters).astype(np.float32)
    centroids = rng.integers(-127, 128, (clusters, dims), dtype=np.int8)
    scale = rng.uniform(0, 0.5 / dims, clusters).astype(np.float32)
    expected = reference.vlad_pool(x, lut, bias, centroids, scale, fast=fast)
    budget = _vlad_budget(x, lut, bias, centroids, scale, fast)
    name = f"vlad-b{lut.bits}-{clusters}x{dims}x{image[0]}x{image[1]}-{_suffix(lut, fast)}"
    return Case(
        name, VLAD, lut, bias, x, fast, 0, expected, budget, centroids=centroids, centroid_scale=scale
    )


def _vlad_budget(x, lut, bias, centroids, scale, fast) -> np.ndarray:
    """The residual sums in float64: how much was summed, and how much is left."""
    features = x.reshape(*x.shape[:2], -1).astype(np.float64)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    if fast:
        levels, row = reference.integer_weights(lut)
        values, sx = reference.quantize_activations(features.astype(np.float32))
        logits = np.einsum("kd,bdn->bkn", levels, values) * (sx[:, None] * row[None])[:, :, None]
    else:
        logits = np.einsum("kd,bdn->bkn", lut.dequantize().reshape(lut.rows, -1), features)
    weights = np.exp(logits + bias[None, :, None])
    weights /= weights.sum(axis=1, keepdims=True)
    centres = centroids * scale[:, None].astype(np.float64)
    total = weights.sum(axis=2)
    residual = np.einsum("bkn,bdn->bkd", weights, features) - total[:, :, None] * centres
    mass = total * (1 + np.linalg.norm(centres, axis=1))[None]
    budget = unit_vector_budget(features.shape[2], lut.columns, mass, np.linalg.norm(residual, axis=2))
    return np.repeat(budget, lut.columns, axis=1).astype(np.float32)


def _suffix(lut: LutTensor, fast: bool) -> str:
    return f"g{lut.groups}-{lut.layout.label.replace(':', 'of')}-{'fast' if fast else 'exact'}"


_LINEAR_SHAPES = [
    (1, 5, 1, 1),
    (1, 7, 300, 2),
    (3, 9, 128, 1),
    (6, 37, 1000, 3),
    (1, 33, 2048, 1),
    (67, 75, 200, 2),
    (17, 50, 130, 1),  # a token behind whole tiles
    (26, 33, 260, 1),  # two
]
_CONV_SHAPES = [  # (out, in per group, kh, kw), image, geometry, codebook groups
    ((5, 3, 3, 3), (13, 17), {"padding": (1, 1)}, 1),
    ((16, 8, 1, 1), (9, 50), {}, 2),
    ((12, 1, 3, 3), (20, 21), {"stride": (2, 2), "padding": (1, 1), "groups": 6}, 1),
    ((6, 3, 5, 3), (20, 21), {"stride": (2, 1), "padding": (2, 0), "dilation": (2, 2), "groups": 2}, 1),
    ((9, 3, 11, 11), (31, 40), {"stride": (4, 4), "padding": (2, 2)}, 3),
    ((3, 4, 1, 1), (1, 1), {"stride": (2, 2)}, 1),
    ((9, 1, 1, 3), (4, 300), {"stride": (1, 2), "padding": (0, 5), "dilation": (1, 3)}, 1),
    ((4, 1, 33, 33), (34, 40), {"groups": 4}, 1),  # too many taps for exact float32 sums
    ((70, 70, 3, 3), (11, 20), {"padding": (1, 1)}, 7),  # several tiles of channels at a time
    ((11, 5, 3, 3), (23, 30), {"padding": (1, 1), "pool": MaxPool(2, 2)}, 1),
    ((70, 66, 3, 3), (10, 19), {"padding": (1, 1), "pool": MaxPool(3, 2, ceil=True)}, 1),
    ((9, 3, 1, 1), (130, 300), {"pool": MaxPool(3, 2)}, 1),  # several bands
    ((9, 2, 3, 2), (40, 700), {"stride": (1, 2), "padding": (2, 1), "groups": 3, "pool": MaxPool(4, 3)}, 1),
    ((3, 1, 3, 3), (17, 9), {"padding": (1, 1), "groups": 3, "pool": MaxPool(2, 3, ceil=True)}, 1),
]
_VLAD_SHAPES = [((4, 16, 1, 1), (3, 5)), ((19, 70, 1, 1), (7, 9)), ((64, 256, 1, 1), (1, 1))]


def all_cases() -> Iterator[Case]:
    """Every op x 1 to 8 bits x both layouts x both semantics, over the shapes above."""
    for bits in range(1, 9):
        for sparse in (False, True):
            for fast in (False, True):
                yield from _cases(np.random.default_rng(bits), bits, sparse, fast)
    yield _grid_case(np.random.default_rng(9))
    yield from _block_cases(np.random.default_rng(10))


def _cases(rng: np.random.Generator, bits: int, sparse: bool, fast: bool) -> Iterator[Case]:
    for batch, rows, columns, groups in _LINEAR_SHAPES:
        lut = random_lut(rng, (rows, columns), bits, groups=groups, sparse=sparse)
        yield linear_case(rng, lut, batch, fast, activation=bits % 3, bias=bits % 2 == 0)
    for shape, image, conv, groups in _CONV_SHAPES:
        lut = random_lut(rng, shape, bits, groups=groups, sparse=sparse)
        yield conv_case(rng, lut, image, fast, bits % 3, **conv)
    for shape, image in _VLAD_SHAPES:
        yield vlad_case(rng, random_lut(rng, shape, bits, sparse=sparse), image, fast)


_BLOCK_SHAPES = [(1, 5, 1, 1), (2, 7, 300, 1), (1, 37, 1001, 1), (3, 48, 520, 3), (1, 33, 2048, 1)]


def _block_cases(rng: np.random.Generator) -> Iterator[Case]:
    for (batch, rows, columns, groups), block in itertools.product(_BLOCK_SHAPES, BLOCKS):
        for bits in range(1, 8 - position_bits(block)):
            lut = random_blocks(rng, (rows, columns), bits, block, groups)
            for fast in (False, True):
                yield linear_case(rng, lut, batch, fast, activation=bits % 3, bias=bits % 2 == 0)


def _grid_case(rng: np.random.Generator) -> Case:
    """An 8-bit layer whose codes are its int8 weights."""
    lut = random_lut(rng, (37, 1000), 8)
    return linear_case(rng, reference.on_grid(lut), 5, fast=True)


def write_cases(path: Path, cases: list[Case]) -> None:
    """The cases as the C driver reads them: 25 int32, then 10 arrays, each after its byte count (int64)."""
    with open(path, "wb") as file:
        for case in cases:
            file.write(struct.pack("<25i", *_header(case)))
            lut = case.lut
            for array in (
                lut.packed.packed,
                lut.packed.row_offsets,
                lut.codebook,
                lut.row_scale,
                case.bias,
                case.x,
                case.centroids,
                case.centroid_scale,
                case.expected,
                case.budget,
            ):
                data = b"" if array is None else np.ascontiguousarray(array).tobytes()
                file.write(struct.pack("<q", len(data)) + data)


def _header(case: Case) -> list[int]:
    lut, conv = case.lut, case.conv
    values = [case.kind, case.fast, len(case.x), lut.bits, lut.groups, lut.rows, lut.columns]
    values += [lut.layout.number(lut.shape), lut.layout.parameter, case.activation]
    if case.kind == CONV:
        values += [*case.x.shape[1:], *lut.shape[2:]]
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)):
            values += conv.get(name, (default, default))
        values.append(conv.get("groups", 1))
    elif case.kind == VLAD:
        values += [lut.rows, lut.columns, case.x[0, 0].size]
    pool = conv.get("pool")
    values += [0] * (22 - len(values)) + ([0, 0, 0] if pool is None else pool.to_list())
    return [int(v) for v in values]
