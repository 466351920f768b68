"""Every kernel against NumPy, over awkward lengths; the ways of searching against each other."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.machines import forced
from pocketvlad.core import native
from pocketvlad.errors import IndexFormatError
from pocketvlad.index import Entry, PlaceIndex, are_themselves, rules, search_index
from pocketvlad.index.types import encode_vectors

DIMS = (1, 3, 4, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129, 513)
COUNTS = (1, 5, 16, 47, 48, 49, 130)


@pytest.fixture(params=native.isa_names())
def isa(request):
    """Each instruction set in turn."""
    yield from forced(request.param)


def make(
    vectors: np.ndarray, scales: np.ndarray | None = None, residuals: np.ndarray | None = None
) -> PlaceIndex:
    entries = tuple(Entry(str(row)) for row in range(len(vectors)))
    return PlaceIndex(np.ascontiguousarray(vectors), scales, residuals, entries, bytes(32))


def whole_numbers(dtype: str, count: int, dim: int, seed: int = 0) -> PlaceIndex:
    """Small whole numbers, of int8 eighths: every sum is exact in any order, and many cosines are equal."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 4, (count, dim))
    if dtype != "int8":
        return make(values.astype(dtype))
    scales = (2.0 ** rng.integers(-2, 2, count)).astype(np.float32)
    residuals = rng.choice([0b01101001, 0b00011011], (count, rules.residual_bytes(dim))).astype(np.uint8)
    return make(values.astype(dtype), scales, residuals)


def exact(index: PlaceIndex, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The oracle, in float64: rows and cosines [Q, k], lower row first among equals."""
    cosines = queries.astype(np.float64) @ index.descriptors().astype(np.float64).T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(cosines, rows, 1)


@pytest.mark.parametrize("dtype", rules.DTYPES)
@pytest.mark.parametrize("dim", DIMS)
def test_kernels_are_exact_and_ties_go_to_the_lower_row(isa, dtype, dim):
    rng = np.random.default_rng(dim)
    for count in COUNTS:
        index = whole_numbers(dtype, count, dim, seed=count)
        for queries in (1, 3, 21):
            q = rng.integers(-4, 5, (queries, dim)).astype(np.float32)
            q[:, 0] = 127  # the query's int8 scale is 1, so that its rounding loses nothing
            rows, cosines = search_index(index, q, 7)
            want_rows, want_cosines = exact(index, q, 7)
            np.testing.assert_array_equal(rows, want_rows)
            np.testing.assert_array_equal(cosines, want_cosines)


def unit(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    rows = rng.standard_normal((count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", rules.DTYPES)
@pytest.mark.parametrize("dim", [37, 512, 4096])
def test_rows_are_the_float_querys_own(isa, dtype, dim):
    """int8 rows are scanned roughly, and yet the ranking is that of the float32 query with refined rows."""
    rng = np.random.default_rng(dim)
    index = make(*encode_vectors(unit(rng, 700, dim), dtype))
    queries = unit(rng, 9, dim)
    rows, cosines = search_index(index, queries, 20)
    _, want = exact(index, queries, 20)
    np.testing.assert_allclose(cosines, want, atol=2e-6)
    own = np.einsum("qkd,qd->qk", index.descriptors()[rows].astype(np.float64), queries.astype(np.float64))
    np.testing.assert_allclose(own, want, atol=2e-6)


@pytest.mark.parametrize("dtype", rules.DTYPES)
def test_near_copies_are_told_apart(isa, dtype):
    """A thousand views of one place, closer together than an int8 query can tell."""
    rng = np.random.default_rng(5)
    place = unit(rng, 1, 256)
    views = place + 0.003 * rng.standard_normal((1000, 256)).astype(np.float32)
    index = make(*encode_vectors(views / np.linalg.norm(views, axis=1, keepdims=True), dtype))
    queries = np.concatenate([place] * 5)
    rows, cosines = search_index(index, queries, 50)
    _, want = exact(index, queries, 50)
    np.testing.assert_allclose(cosines, want, atol=1e-6)
    assert (rows == rows[0]).all()


def test_residuals_bring_int8_nearer_to_float32():
    rng = np.random.default_rng(7)
    vectors, queries = unit(rng, 400, 512), unit(rng, 20, 512)
    cosines = queries @ vectors.T
    values, scales, residuals = encode_vectors(vectors, "int8")
    rows, refined = search_index(make(values, scales, residuals), queries, 400)
    error = np.sqrt(np.mean((refined - np.take_along_axis(cosines, rows, 1)) ** 2))
    rough = np.sqrt(np.mean((queries @ (values * scales[:, None]).T - cosines) ** 2))
    assert error < 0.27 * rough  # a quarter of the step
    assert np.mean(rows[:, 0] == cosines.argmax(1)) == 1


def test_refined_cosines_have_the_same_bits_on_every_instruction_set(isa):
    rng = np.random.default_rng(8)
    index, queries = make(*encode_vectors(unit(rng, 300, 203), "int8")), unit(rng, 6, 203)
    found = search_index(index, queries, 20)
    native.force_isa("scalar")
    for part, scalar in zip(found, search_index(index, queries, 20), strict=True):
        np.testing.assert_array_equal(part, scalar)


@pytest.mark.parametrize("dtype", rules.DTYPES)
@pytest.mark.parametrize("threads", [2, 3, 200])
def test_threads_and_batches_change_nothing(isa, dtype, threads):
    rng = np.random.default_rng(2)
    index = make(*encode_vectors(unit(rng, 150, 70), dtype))
    queries = unit(rng, 33, 70)
    together = search_index(index, queries, 11)
    alone = [search_index(index, query[None], 11) for query in queries]
    split = search_index(index, queries, 11, threads=threads)
    for part in range(2):
        np.testing.assert_array_equal(together[part], np.concatenate([found[part] for found in alone]))
        np.testing.assert_array_equal(together[part], split[part])


def test_every_half_is_widened_exactly(isa):
    """All finite 16-bit patterns, zeros, subnormals and signs included, alone and in panels."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves)])[::-1].reshape(-1, 1)
    for queries in (1, 5):
        rows, cosines = search_index(make(halves), np.ones((queries, 1), np.float32), len(halves))
        np.testing.assert_array_equal(cosines[-1], halves[:, 0].astype(np.float32))
        np.testing.assert_array_equal(halves[rows[-1], 0], halves[:, 0])


def c_vector(index: PlaceIndex, row: int) -> np.ndarray:
    vector = np.empty(index.dim, np.float32)
    native.core().pv_index_vector(
        ctypes.byref(index.c_index), ctypes.c_int64(row), ctypes.c_void_p(vector.ctypes.data)
    )
    return vector


@pytest.mark.parametrize("dtype", rules.DTYPES)
def test_a_row_is_read_as_float32(dtype):
    index = make(*encode_vectors(unit(np.random.default_rng(4), 5, 67), dtype))
    for row in range(5):
        np.testing.assert_allclose(c_vector(index, row), index.descriptors()[row], rtol=1e-6)


def test_every_half_is_read_exactly():
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)[None]
    np.testing.assert_array_equal(c_vector(make(halves), 0), halves[0].astype(np.float32))


def test_int8_sums_do_not_overflow(isa):
    """The largest dimension and the largest values: sums of 131,072 products of 128 * 127."""
    dim = rules.MAX_DIM
    values = np.full((3, dim), 127, np.int8)
    values[1] = -127
    values[2] = -128
    residuals = np.full((3, rules.residual_bytes(dim)), 255, np.uint8)  # each 3/8 of a step
    index = make(values, np.ones(3, np.float32), residuals)
    for queries in (1, 5):
        rows, cosines = search_index(index, np.ones((queries, dim), np.float32), 3)
        assert rows.tolist() == [[0, 1, 2]] * queries
        want = (np.array([127, -127, -128]) + 0.375) * dim
        np.testing.assert_allclose(cosines, [want] * queries, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_top_k_is_the_sorted_oracle(data):
    count, dim = data.draw(st.integers(1, 120)), data.draw(st.integers(1, 40))
    queries, k = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 130))
    index = whole_numbers(data.draw(st.sampled_from(rules.DTYPES)), count, dim, data.draw(st.integers(0, 99)))
    q = np.random.default_rng(count).integers(-4, 5, (queries, dim)).astype(np.float32)
    rows, cosines = search_index(index, q, k, threads=data.draw(st.integers(1, 3)))
    assert rows.shape == cosines.shape == (queries, min(k, count))
    want = exact(index, q, k)[1]
    np.testing.assert_allclose(cosines, want, rtol=1e-6, atol=1e-5)
    assert all(len(set(row)) == len(row) for row in rows.tolist())


@pytest.mark.parametrize("dtype", rules.DTYPES)
def test_sign_bits(isa, dtype):
    index = whole_numbers(dtype, 9, 130)
    want = np.packbits(index.vectors < 0, axis=1, bitorder="little")
    found = index.sign_bits.view(np.uint8)
    np.testing.assert_array_equal(found[:, : want.shape[1]], want)
    assert not found[:, want.shape[1] :].any()


@pytest.mark.parametrize("dtype", rules.DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_first_pass_by_signs(isa, dtype, threads):
    rng = np.random.default_rng(3)
    vectors = unit(rng, 2000, 200)
    index = make(*encode_vectors(vectors, dtype))
    queries = vectors[::100] + 0.02 * rng.standard_normal((20, 200)).astype(np.float32)
    rows, cosines = search_index(index, queries, 5, candidates=2000, threads=threads)
    want_rows, want_cosines = search_index(index, queries, 5)
    np.testing.assert_array_equal(rows, want_rows)
    np.testing.assert_array_equal(cosines, want_cosines)
    rows, cosines = search_index(index, queries, 5, candidates=20, threads=threads)
    assert rows[:, 0].tolist() == list(range(0, 2000, 100))
    own = np.einsum("qkd,qd->qk", index.descriptors()[rows], queries)
    np.testing.assert_allclose(cosines, own, atol=2e-6)


@pytest.mark.parametrize("queries", [1, 6])
def test_damaged_vectors_are_never_a_match(isa, queries):
    vectors = np.eye(4, dtype=np.float32)
    vectors[2] = np.nan
    rows, _ = search_index(make(vectors), np.ones((queries, 4), np.float32), 3)
    assert rows.tolist() == [[0, 1, 3]] * queries
    with pytest.raises(IndexFormatError, match="vectors that are not numbers"):
        search_index(make(vectors), np.ones((queries, 4), np.float32), 4)


@pytest.mark.parametrize(
    "query,k,reason",
    [
        (np.ones((1, 5), np.float32), 1, r"found shape \(1, 5\)"),
        (np.ones(4, np.float32), 1, "do not fit the index"),
        (np.full((1, 4), np.nan, np.float32), 1, "not finite"),
        (np.ones((1, 4), np.float32), 0, "nothing to search for"),
    ],
)
def test_bad_queries_are_refused(query, k, reason):
    with pytest.raises(IndexFormatError, match=reason):
        search_index(make(np.eye(4, dtype=np.float32)), query, k)


def test_no_queries():
    rows, cosines = search_index(make(np.eye(4, dtype=np.float32)), np.empty((0, 4), np.float32), 2)
    assert rows.shape == cosines.shape == (0, 2)


@pytest.mark.parametrize("k,begin,end", [(0, 0, 4), (1, -1, 4), (1, 0, 5), (1, 3, 2)])
def test_c_refuses_impossible_ranges(k, begin, end):
    index, query = make(np.eye(4, dtype=np.float32)), np.ones(4, np.float32)
    rows, cosines = np.empty(1, np.int32), np.empty(1, np.float32)
    span = (ctypes.c_int64(begin), ctypes.c_int64(end))
    outputs = (ctypes.c_void_p(rows.ctypes.data), ctypes.c_void_p(cosines.ctypes.data))
    pointer = ctypes.c_void_p(query.ctypes.data)
    assert native.core().pv_search(ctypes.byref(index.c_index), pointer, k, *span, *outputs) == -1


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_photo_of_the_index_is_itself_and_its_neighbour_is_not(dtype):
    """Described again by another machine, digits away, it still is; the next frame of a video, at .999, is not."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = make(*encode_vectors(vectors, dtype))
    again = vectors[:1] + rng.standard_normal((1, 64)).astype(np.float32) * 1e-5
    frame = vectors[:1] + rng.standard_normal((1, 64)).astype(np.float32) * 0.005
    asked = np.concatenate([vectors[:1], again, frame / np.linalg.norm(frame)])
    rows, _ = search_index(index, asked, 2)
    assert float(asked[2] @ vectors[0]) > 0.999
    assert are_themselves(index, rows, asked).tolist() == [[True, False], [True, False], [False, False]]
