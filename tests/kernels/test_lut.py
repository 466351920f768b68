"""The kernels against NumPy, every instruction set in turn."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from helpers.machines import forced
from lut_cases import LINEAR, Case, all_cases, linear_case, random_blocks, random_lut
from pocketvlad.core import native as library
from pocketvlad.errors import KernelError
from pocketvlad.lut import native, packing, reference
from pocketvlad.lut.layouts import LAYOUTS
from pocketvlad.resources import resource_dir

CASES = list(all_cases())


@pytest.fixture(params=library.isa_names())
def isa(request):
    yield from forced(request.param)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_matches_numpy(isa, case: Case):
    y = case.run()
    assert y.shape == case.expected.shape
    assert case.failures(y) == 0


def test_lists_every_kernel_file():
    """kernels.inc is the list; a kernel set that is not on it would never run."""
    folder = resource_dir("kernels") / "lut"
    listed = set(re.findall(r"^PV_KERNELS\((\w+)\)", (folder / "kernels.inc").read_text(), re.M))
    assert listed == {"avx512vnni", "avx2", "neon_i8mm", "neon_dotprod", "neon", "scalar"}
    assert all((folder / f"{name}.c").is_file() for name in listed)


def test_the_best_kernels_run_unless_told_otherwise():
    supported = [name for name in library.isa_names() if library.force_isa(name)]
    library.force_isa(None)
    assert library.isa() == supported[0]


def test_extreme_sums_do_not_overflow(isa):
    """The longest row of the largest products: 131072 * 127 * 127 is just below 2^31."""
    rng = np.random.default_rng(0)
    lut = random_lut(rng, (4, 131072), 4)
    lut.codebook[:] = np.where(np.arange(16) % 2, 1, -1)
    lut.codes[0] = 1
    lut.codes[1] = 0
    x = np.ones((1, 131072), np.float32)
    expected = reference.lut_linear(x, lut, fast=True)
    np.testing.assert_array_equal(native.lut_linear(x, lut, fast=True), expected)
    assert expected[0, 0] == pytest.approx(131072)


def test_zero_and_non_finite_inputs_do_not_crash(isa):
    rng = np.random.default_rng(0)
    lut = random_lut(rng, (9, 300), 5)
    assert not native.lut_linear(np.zeros((2, 300), np.float32), lut, fast=True).any()
    for value in (np.nan, np.inf, -np.inf):
        native.lut_linear(np.full((1, 300), value, np.float32), lut, fast=True)
    nothing = random_lut(rng, (9, 300), 5)
    nothing.codebook[:] = 0
    assert not native.lut_linear(np.ones((2, 300), np.float32), nothing, fast=True).any()


def test_grid_codes_equal_their_codebook(isa):
    rng = np.random.default_rng(3)
    lut = random_lut(rng, (21, 777), 8, groups=2)
    x = rng.normal(size=(5, 777)).astype(np.float32)
    y = native.lut_linear(x, reference.on_grid(lut), fast=True)
    expected = reference.lut_linear(x, lut, fast=True)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "field,value,text",
    [
        ("bits", 9, "1 to 8"),
        ("bits", 0, "1 to 8"),
        ("rows", 0, "shape"),
        ("cols", 200_000, "shape"),
        ("groups", 12, "shape"),
        ("packed_bytes", 10, "fewer"),
        ("activation", 3, "activation"),
        ("layout", 1, "layout"),
        ("layout", 5, "layout"),
        ("layout", -1, "layout"),
        ("layout", 2, "offsets"),
    ],
)
def test_refuses_a_wrong_layer(field, value, text):
    rng = np.random.default_rng(0)
    view = native.c_lut(random_lut(rng, (9, 300), 4))
    setattr(view, field, value)
    x = np.zeros(300, np.float32)
    scratch = np.empty(1 << 22, np.uint8)
    with pytest.raises(KernelError, match=text):
        native.check(native.kernels().pv_lut_linear_prepare(view, x.ctypes.data, 1, 1, scratch.ctypes.data))


@pytest.mark.parametrize(
    "damage,text",
    [
        (lambda o: o.__setitem__(1, -16), "offsets"),
        (lambda o: o.__setitem__(3, o[3] + 8), "offsets"),
        (lambda o: o.__setitem__(-1, o[-1] + 16), "offsets"),
        (lambda o: o.__setitem__(2, o[1]), "fewer"),
    ],
)
def test_refuses_wrong_row_offsets(damage, text):
    rng = np.random.default_rng(0)
    lut = random_lut(rng, (9, 300), 4, sparse=True)
    damage(lut.packed.row_offsets)
    with pytest.raises(KernelError, match=text):
        native.lut_linear(np.zeros((1, 300), np.float32), lut)


@pytest.mark.parametrize("fast", [False, True])
def test_refuses_more_survivors_than_codes(isa, fast):
    rng = np.random.default_rng(0)
    lut = random_lut(rng, (2, 3000), 4, sparse=True)
    lut.packed.packed[:384] = 255  # the bitmap of row 0, which has no codes
    with pytest.raises(KernelError, match="survivors"):
        native.lut_linear(np.ones((1, 3000), np.float32), lut, fast=fast)


def test_refuses_a_wrong_block_layer():
    rng = np.random.default_rng(0)
    scratch, x = np.empty(1 << 22, np.uint8), np.zeros(300, np.float32)
    damages = (("block", 3), ("block", 32), ("bits", 5), ("layout", 3), ("layout", 2), ("packed_bytes", 100))
    for field, value in damages:
        view = native.c_lut(random_blocks(rng, (9, 300), 2, 8))
        setattr(view, field, value)
        with pytest.raises(KernelError):
            native.check(
                native.kernels().pv_lut_linear_prepare(view, x.ctypes.data, 1, 1, scratch.ctypes.data)
            )


def test_the_layouts_have_the_numbers_of_the_header():
    """A program holds these numbers: Python writes them and C reads them."""
    text = (resource_dir("kernels") / "lut/lut.h").read_text()
    body = re.search(r"enum pv_layout \{(.*?)\}", text, re.S).group(1)
    numbers = {name: int(number) for name, number in re.findall(r"PV_(\w+) = (\d+)", body)}
    assert numbers == {"DENSE": 0, "DENSE_FLAT": 1, "BITMAP": 2, "BITMAP_FLAT": 3, "ONE_OF": 4}
    assert sorted(numbers.values()) == sorted(n for kind in LAYOUTS.values() for n in kind.numbers)


@pytest.mark.parametrize("layout", [0, 2, 4])
def test_a_convolution_takes_flat_layers_only(layout):
    lut = random_lut(np.random.default_rng(0), (4, 3, 3, 3), 4)
    view, conv = native.c_lut(lut), native.CConv(3, 8, 8, (3, 3), (1, 1), (0, 0), (1, 1), 1, 0, 0, 0)
    native.check(native.kernels().pv_conv_check(view, conv))
    view.layout = layout
    with pytest.raises(KernelError):
        native.check(native.kernels().pv_conv_check(view, conv))


def test_row_ranges_add_up(isa):
    """Adapters split rows over threads: any split gives the same bits."""
    rng = np.random.default_rng(1)
    case = linear_case(rng, random_lut(rng, (50, 700), 6, groups=4), 3, fast=True)
    view, core = native.c_lut(case.lut, case.bias), native.kernels()
    scratch = np.empty(core.pv_lut_linear_scratch_bytes(view, 3, 1), np.uint8)
    y = np.zeros_like(case.expected)
    native.check(core.pv_lut_linear_prepare(view, case.x.ctypes.data, 3, 1, scratch.ctypes.data))
    edges = [0, 1, 13, 14, 37, 50]
    for begin, end in itertools.pairwise(edges):
        native.check(
            core.pv_lut_linear_rows(view, 3, 1, scratch.ctypes.data, None, y.ctypes.data, begin, end)
        )
    np.testing.assert_array_equal(y, case.expected)
    assert core.pv_lut_linear_rows(view, 3, 1, scratch.ctypes.data, None, y.ctypes.data, 0, 51) < 0
    assert case.kind == LINEAR


@pytest.mark.parametrize("bits", range(1, 9))
def test_the_readme_decodes_as_the_format_does(bits):
    text = (resource_dir("kernels") / "README.md").read_text()
    scope: dict = {"np": np}
    exec(re.search(r"```python\n(def codes.*?)```", text, re.S).group(1), scope)
    block = np.random.default_rng(bits).integers(0, 256, 16 * bits, dtype=np.uint8)
    np.testing.assert_array_equal(
        scope["codes"](block, bits), packing.unpack_codes(block[None], bits, 128)[0]
    )
