"""Images of int8 activations and layers over them, with what NumPy says; every kernel must give the same bits."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lut_cases import random_lut
from pocketvlad.lut import int8, int8_native
from pocketvlad.lut.int8 import Grid
from pocketvlad.lut.tensor import LutTensor

CONV, ADD, POOL, FROM_FLOAT, TO_FLOAT = range(5)
HEADER, SCALES, ARRAYS = 26, 3, 7


@dataclass(frozen=True, eq=False)
class Case:
    """One call.

    Attributes:
        x: its images, one or two.
        grids: of its inputs and its output.
        options: of the call.
    """

    name: str
    kind: int
    x: tuple[np.ndarray, ...]
    grids: tuple[Grid, ...]
    expected: np.ndarray
    options: dict[str, Any] = field(default_factory=dict)
    lut: LutTensor | None = None
    bias: np.ndarray | None = None

    def run(self) -> np.ndarray:
        """The kernels' answer, on the instruction set in force."""
        return _call(int8_native, self.kind, self.x, self.grids, self.options, self.lut, self.bias)


def _call(module, kind, x, grids, options, lut, bias) -> np.ndarray:
    if kind == CONV:
        return module.conv2d(x[0], lut, bias, *grids, **options)
    if kind == ADD:
        return module.add(x[0], grids[0], x[1], grids[1], grids[2], **options)
    if kind == POOL:
        return module.max_pool(x[0], **options)
    return (
        module.from_float(x[0], grids[0])
        if kind == FROM_FLOAT
        else module.to_float(x[0], options["channels"], grids[0])
    )


def _case(name, kind, x, grids, options, lut=None, bias=None) -> Case:
    expected = _call(int8, kind, x, grids, options, lut, bias)
    return Case(name, kind, x, grids, expected, options, lut, bias)


def random_image(rng: np.random.Generator, channels: int, height: int, width: int, zero: int) -> np.ndarray:
    """All of int8, as quads."""
    return int8.to_quads(rng.integers(-128, 128, (1, channels, height, width)).astype(np.int8), zero)


_CONVS = [  # (out, in per group, kh, kw), image, geometry
    ((5, 3, 3, 3), (13, 17), {"padding": (1, 1, 1, 1)}),
    ((16, 8, 1, 1), (9, 50), {}),
    ((33, 17, 1, 1), (3, 2), {}),  # fewer pixels than a vector
    ((16, 9, 1, 1), (7, 11), {"stride": (2, 2)}),
    ((70, 70, 3, 3), (11, 20), {"padding": (1, 1, 1, 1)}),  # several panels
    ((8, 5, 3, 3), (4, 70), {"padding": (1, 1, 1, 1)}),  # wide: gaps between rows are few
    ((9, 3, 11, 11), (31, 40), {"stride": (4, 4), "padding": (2, 2, 2, 2)}),
    ((16, 3, 7, 7), (22, 38), {"stride": (2, 2), "padding": (3, 3, 3, 3)}),  # three channels side by side
    ((9, 3, 5, 5), (12, 40), {"padding": (2, 2, 2, 2)}),
    ((32, 3, 3, 3), (24, 32), {"stride": (2, 2), "padding": (0, 0, 1, 1)}),
    ((24, 8, 5, 3), (20, 21), {"stride": (2, 1), "padding": (4, 0, 1, 2), "dilation": (2, 2), "groups": 3}),
    ((12, 1, 3, 3), (20, 21), {"stride": (2, 2), "padding": (0, 0, 1, 1), "groups": 12}),
    ((24, 1, 5, 5), (14, 19), {"padding": (2, 2, 2, 2), "groups": 24}),
    ((18, 1, 5, 5), (15, 70), {"stride": (2, 2), "padding": (1, 1, 2, 2), "groups": 18}),
    ((6, 1, 5, 7), (9, 40), {"padding": (2, 3, 1, 0), "dilation": (1, 2), "groups": 6}),
    ((8, 1, 7, 7), (11, 37), {"padding": (3, 3, 3, 3), "groups": 8}),  # three strips of rows
    ((4, 1, 4, 3), (12, 36), {"stride": (1, 2), "padding": (1, 0, 2, 2), "groups": 4}),
    ((6, 1, 3, 3), (20, 40), {"stride": (3, 3), "padding": (2, 3, 1, 0), "dilation": (2, 2), "groups": 6}),
]
_POOLS = [(3, 2, 1, False), (2, 2, 0, True), (3, 2, 0, True), (3, 1, 1, False), (1, 2, 0, False)]


def all_cases() -> Iterator[Case]:
    """Convolutions of 1 to 8 bits, dense and sparse, every activation; and what stands between them."""
    for bits, (sparse, (number, (shape, image, geometry))) in itertools.product(
        (1, 3, 5, 8), itertools.product((False, True), enumerate(_CONVS))
    ):
        activation = (bits + number + sparse) % 3
        yield conv_case(np.random.default_rng(bits), bits, sparse, shape, image, geometry, activation)
    rng = np.random.default_rng(0)
    for channels, height, width in ((3, 5, 7), (8, 3, 40), (17, 13, 4)):
        yield from _between(rng, channels, height, width)


def conv_case(
    rng: np.random.Generator,
    bits: int,
    sparse: bool,
    shape: tuple[int, ...],
    image: tuple[int, int],
    geometry: dict,
    activation: int,
) -> Case:
    """One convolution on grids that most of its sums lie on, some beyond the ends."""
    lut = random_lut(rng, shape, bits, groups=1 + bits % 2, sparse=sparse)
    bias = rng.normal(size=shape[0]).astype(np.float32) if bits % 2 else None
    source = Grid(0.05, int(rng.integers(-128, 128)))
    spread = float(np.float32(0.05 * 70 * 1.5 * np.sqrt(lut.columns) / 60))
    out = Grid(spread, int(rng.integers(-100, 100)))
    x = random_image(rng, shape[1] * geometry.get("groups", 1), *image, source.zero)
    name = f"conv-b{bits}-{'x'.join(map(str, (*image, *shape)))}-{lut.layout.label}-{activation}"
    return _case(name, CONV, (x,), (source, out), {**geometry, "activation": activation}, lut, bias)


def _between(rng: np.random.Generator, channels: int, height: int, width: int) -> Iterator[Case]:
    shape = f"{channels}x{height}x{width}"
    grid, other, out = Grid(0.02, -7), Grid(0.033, 5), Grid(0.041, 2)
    x = (3 * rng.normal(size=(1, channels, height, width))).astype(np.float32)
    x.flat[:3] = np.inf, -np.inf, 0.01  # half a step
    yield _case(f"from-{shape}", FROM_FLOAT, (x,), (grid,), {})
    a, b = (random_image(rng, channels, height, width, each.zero) for each in (grid, other))
    yield _case(f"to-{shape}", TO_FLOAT, (a,), (grid,), {"channels": channels})
    for activation, scale in ((0, 1.0), (1, 1e-3), (2, 3e3)):
        scaled = Grid(float(np.float32(other.scale * scale)), other.zero)
        options = {"activation": activation}
        yield _case(f"add-{shape}-{activation}", ADD, (a, b), (grid, scaled, out), options)
    for kernel, stride, padding, ceil in _POOLS:
        if min(height, width) + 2 * padding >= kernel:
            options = {"kernel": kernel, "stride": stride, "padding": padding, "ceil": ceil}
            yield _case(f"pool-{shape}-{kernel}-{stride}", POOL, (b,), (other,), options)


def write_cases(path: Path, cases: list[Case]) -> None:
    """The cases as the C driver reads them: int32, float32 scales, then arrays, each after its byte count (int64)."""
    with open(path, "wb") as file:
        for case in cases:
            header = _header(case)
            file.write(struct.pack(f"<{HEADER}i", *header, *[0] * (HEADER - len(header))))
            scales = [grid.scale for grid in case.grids]
            file.write(struct.pack(f"<{SCALES}f", *scales, *[1.0] * (SCALES - len(scales))))
            lut, second = case.lut, case.x[1] if len(case.x) > 1 else None
            layer = [None] * 3 if lut is None else [lut.packed.packed, lut.codebook, lut.row_scale]
            for array in (*layer, case.bias, case.x[0], second, case.expected):
                data = b"" if array is None else np.ascontiguousarray(array).tobytes()
                file.write(struct.pack("<q", len(data)) + data)


def _header(case: Case) -> list[int]:
    """Kind; zeros of three grids; channels (quads where they are not said), height, width; then by kind."""
    zeros = [grid.zero for grid in case.grids]
    image, options, lut = case.x[0], case.options, case.lut
    channels = options.get("channels", image.shape[1])
    if lut is not None:
        channels = lut.shape[1] * options.get("groups", 1)
    found = [case.kind, *zeros, *[0] * (3 - len(zeros)), channels, *image.shape[2:4]]
    if case.kind == ADD:
        return [*found, options["activation"], image.size]
    if case.kind == POOL:
        return [*found, *(int(options[name]) for name in ("kernel", "stride", "padding", "ceil"))]
    if lut is None:
        return found
    found += [lut.bits, lut.groups, lut.rows, lut.columns, lut.layout.number(lut.shape), *lut.shape[2:]]
    found += [*options.get("stride", (1, 1)), *options.get("dilation", (1, 1))]
    return [
        *found,
        *options.get("padding", (0, 0, 0, 0)),
        options.get("groups", 1),
        options["activation"],
    ]
