"""Round trips of the index, and the golden file as Python and the C core of this process read it."""

from __future__ import annotations

import json
import resource
import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

import index_golden as golden
from pocketvlad.errors import ArtifactError, IndexFormatError
from pocketvlad.index import Entry, PlaceIndex, open_index, rules, search_index, write_index
from pocketvlad.index.types import encode_vectors

FINGERPRINT = bytes(range(32))
# Everything but control characters and surrogates.
text = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
latitudes = st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
thumbnails = st.binary(max_size=60)
scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | text
info = st.dictionaries(text, scalars | st.lists(scalars, max_size=3), max_size=4)


@st.composite
def indexes(draw) -> PlaceIndex:
    count, dim = draw(st.integers(1, 7)), draw(st.integers(1, 70))
    values = draw(nps.arrays(np.float32, (count, dim), elements=st.floats(-1, 1, width=32)))
    stored = encode_vectors(values, draw(st.sampled_from(rules.DTYPES)))
    entries = []
    for name in draw(st.lists(names, min_size=count, max_size=count, unique=True)):
        latitude, longitude = draw(latitudes) or (None, None)
        entries.append(Entry(name, draw(text), latitude, longitude, draw(thumbnails)))
    threshold = draw(st.none() | st.floats(-1, 1, width=32))
    return PlaceIndex(
        *stored, tuple(entries), draw(st.binary(min_size=32, max_size=32)), threshold, draw(info)
    )


def assert_same(found: PlaceIndex, wanted: PlaceIndex) -> None:
    np.testing.assert_array_equal(found.vectors, wanted.vectors)
    assert found.vectors.dtype == wanted.vectors.dtype
    for part in ("scales", "residuals"):
        assert (getattr(found, part) is None) == (getattr(wanted, part) is None)
        if getattr(wanted, part) is not None:
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))
    assert tuple(found.entries) == tuple(wanted.entries)
    assert found.labels() == wanted.labels() == [entry.label for entry in wanted.entries]
    assert found.fingerprint == wanted.fingerprint
    assert found.threshold == wanted.threshold
    assert found.info == wanted.info


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indexes())
def test_round_trip(tmp_path, index):
    path = tmp_path / "a.pvix"
    write_index(path, index, force=True)
    opened = open_index(path)
    assert_same(opened, index)
    again = tmp_path / "b.pvix"
    write_index(again, opened, force=True)
    assert again.read_bytes() == path.read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indexes())
def test_sections_are_aligned_and_mapped(tmp_path, index):
    path = tmp_path / "a.pvix"
    write_index(path, index, force=True)
    header = rules.read_header(np.fromfile(path, np.uint8))
    assert (
        header["vectors"] % 64
        == header["scales"] % 64
        == header["residuals"] % 64
        == header["records"] % 64
        == 0
    )
    base = open_index(path).vectors
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)


def test_int8_keeps_every_value_within_half_a_step_and_refined_within_an_eighth():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((50, 300)).astype(np.float32)
    rows[7] = 0
    index = PlaceIndex(
        *encode_vectors(rows, "int8"), tuple(Entry(str(row)) for row in range(50)), FINGERPRINT
    )
    vectors, scales = index.vectors, index.scales
    assert scales is not None and np.abs(vectors).max() == 127
    error = np.abs(vectors * scales[:, None] - rows)
    assert (error <= scales[:, None] * 0.5001).all()
    refined = np.abs(index.descriptors() - rows)
    assert (refined <= scales[:, None] * 0.1251).all()
    assert not vectors[7].any() and np.isfinite(scales).all()


def parts_of(count: int, residual_bytes: int) -> dict[str, np.ndarray]:
    return {"scales": np.ones(count, np.float32), "residuals": np.ones((2, residual_bytes), np.uint8)}


def small(**changes) -> PlaceIndex:
    values = {
        "vectors": np.eye(2, 4, dtype=np.float32),
        "scales": None,
        "residuals": None,
        "entries": (Entry("a"), Entry("b")),
        "fingerprint": FINGERPRINT,
        **changes,
    }
    return PlaceIndex(**values)


@pytest.mark.parametrize(
    "changes,reason",
    [
        ({"vectors": np.eye(3, 4, dtype=np.float32)}, "do not fit"),
        ({"vectors": np.eye(2, 4)}, "float64"),
        ({"vectors": np.empty((2, 0), np.float32)}, "do not fit"),
        ({"vectors": np.ones(2, np.float32)}, "do not fit"),
        ({"vectors": np.empty((0, 4), np.float32), "entries": ()}, "one photo or more"),
        ({"scales": np.ones(2, np.float32)}, "one scale and"),
        ({"residuals": np.ones((2, 1), np.uint8)}, "one scale and"),
        ({"vectors": np.ones((2, 4), np.int8)}, "one scale and"),
        ({"vectors": np.ones((2, 4), np.int8), "scales": np.ones(2, np.float32)}, "one row of residuals"),
        ({"vectors": np.ones((2, 4), np.int8), **parts_of(3, 1)}, "one scale and"),
        ({"vectors": np.ones((2, 4), np.int8), **parts_of(2, 2)}, "one row of residuals"),
        ({"fingerprint": b"short"}, "fingerprint"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit(changes, reason):
    with pytest.raises(IndexFormatError, match=reason):
        small(**changes)


@pytest.mark.parametrize(
    "changes,reason",
    [
        ({"entries": (Entry("a"), Entry("a"))}, "names a photo twice; found 'a'"),
        ({"entries": (Entry("a"), Entry(""))}, "rule 16"),
        ({"entries": (Entry("a"), Entry("n" * 4097))}, "rule 16"),
        ({"entries": (Entry("a"), Entry("b", "l" * 4097))}, "rule 17"),
        ({"entries": (Entry("a"), Entry("b", latitude=91.0, longitude=0.0))}, "rule 19"),
        ({"entries": (Entry("a"), Entry("b", latitude=9.0))}, "rule 19"),
        ({"entries": (Entry("a"), Entry("two\nlines"))}, "rule 21"),
        ({"entries": (Entry("a"), Entry("not text \udcff"))}, "rule 21"),
        ({"threshold": 2.0}, "rule 13"),
    ],
    ids=str,
)
def test_what_breaks_a_rule_is_not_written(tmp_path, changes, reason):
    with pytest.raises(IndexFormatError, match=reason):
        write_index(tmp_path / "a.pvix", small(**changes))
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept_without_force(tmp_path):
    path = tmp_path / "a.pvix"
    write_index(path, small())
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="exists already"):
        write_index(path, small(threshold=0.5))
    assert path.read_bytes() == before
    write_index(path, small(threshold=0.5), force=True)
    assert open_index(path).threshold == 0.5


def test_an_open_index_survives_being_written_over(tmp_path):
    path = tmp_path / "a.pvix"
    write_index(path, small())
    opened = open_index(path)
    write_index(path, small(entries=(Entry("c"), Entry("d"))), force=True)
    assert [entry.name for entry in opened.entries] == ["a", "b"]
    assert [entry.name for entry in open_index(path).entries] == ["c", "d"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_descriptors_that_are_not_finite(bad):
    with pytest.raises(IndexFormatError, match="not finite"):
        encode_vectors(np.array([[1, bad]], np.float32), "float16")


def test_unknown_vector_type():
    with pytest.raises(IndexFormatError, match=r"'float64'; allowed: float32, float16, int8"):
        encode_vectors(np.ones((1, 2), np.float32), "float64")


def test_full_disk_leaves_the_old_file(tmp_path):
    """A limit on file size stands in for the full disk: the write fails half way."""
    path = tmp_path / "a.pvix"
    write_index(path, small())
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(ArtifactError, match="cannot write"):
            write_index(path, small(threshold=0.5), force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_golden_file_is_what_the_writer_writes(tmp_path):
    path = tmp_path / "tiny.pvix"
    write_index(path, golden.tiny_index())
    assert path.read_bytes() == golden.INDEX.read_bytes()
    assert golden.tiny_queries().tobytes() == golden.QUERIES.read_bytes()
    assert golden.expected() == json.loads(golden.EXPECTED.read_text())


def test_golden_file_is_read_back():
    assert_same(open_index(golden.INDEX), golden.tiny_index())


def test_golden_search():
    wanted = golden.expected()
    rows, cosines = search_index(open_index(golden.INDEX), golden.tiny_queries(), golden.TOP)
    assert rows.tolist() == wanted["rows"]
    np.testing.assert_allclose(cosines, wanted["cosines"], atol=2e-6)
