"""An index in faiss's own file format: byte by byte, and as faiss itself reads and writes it."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pocketvlad.errors import ArtifactError
from pocketvlad.index import Entry, PlaceIndex, search_index
from pocketvlad.index.faiss import write_faiss
from pocketvlad.index.types import encode_vectors


def unit_rows(count: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_index(dtype: str, count: int = 5000, dim: int = 24) -> PlaceIndex:
    """More rows than are written at a time."""
    entries = tuple(Entry(f"{i}.jpg") for i in range(count))
    return PlaceIndex(*encode_vectors(unit_rows(count, dim, 0), dtype), entries, bytes(32))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_the_bytes_are_those_of_an_index_flat_ip(tmp_path, dtype):
    index = make_index(dtype)
    write_faiss(tmp_path / "p.faiss", index)
    data = (tmp_path / "p.faiss").read_bytes()
    assert data[:4] == b"IxFI" and struct.unpack_from("<iq", data, 4) == (24, 5000)
    assert data[32] == 1 and struct.unpack_from("<iQ", data, 33) == (0, 5000 * 24)
    rows = np.frombuffer(data, "<f4", offset=45).reshape(5000, 24)
    assert np.array_equal(rows, index.descriptors())
    with pytest.raises(ArtifactError, match="exists already"):
        write_faiss(tmp_path / "p.faiss", index)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_faiss_finds_what_we_find(tmp_path, dtype):
    faiss = pytest.importorskip("faiss", reason="faiss is missing: pip install faiss-cpu")
    index, asked = make_index(dtype), unit_rows(40, 24, 1)
    write_faiss(tmp_path / "p.faiss", index)
    theirs = faiss.read_index(str(tmp_path / "p.faiss"))
    assert theirs.metric_type == faiss.METRIC_INNER_PRODUCT and theirs.ntotal == 5000 and theirs.d == 24
    cosines, rows = theirs.search(asked, 10)
    ours, scores = search_index(index, asked, 10)
    assert np.array_equal(rows, ours) and np.allclose(cosines, scores, atol=2e-6)
    again = faiss.IndexFlatIP(24)
    again.add(index.descriptors())
    faiss.write_index(again, str(tmp_path / "again.faiss"))
    assert (tmp_path / "again.faiss").read_bytes() == (tmp_path / "p.faiss").read_bytes()
