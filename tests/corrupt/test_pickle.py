"""Pickled ground truths: every kind of array that authors pickle is read; one that would crash NumPy is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from pocketvlad.dataset.pickled import read_array, read_pickle
from pocketvlad.errors import DatasetError

ARRAYS = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "by columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "of objects": np.array([[{1}, "x"], [None, 2.0]], object),
    "of lists": np.array([[1, 2], [3]], object),
    "of texts": np.array(["ab", "c"]),
    "of bytes": np.array([b"a", b"bc"]),
    "big-endian": np.arange(3, dtype=">i4"),
    "empty": np.zeros((0, 3)),
    "one number": np.array(5),
}
PLAIN = {
    "scalar": np.float32(3),
    "bytes": b"xy",
    "more bytes": bytearray(b"q"),
    "range": range(5),
    "set": {1, 2},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read(tmp_path, protocol):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({**ARRAYS, **PLAIN}, protocol))
    found = read_pickle(path)
    for name, wanted in ARRAYS.items():
        assert isinstance(found[name], np.ndarray) and found[name].shape == wanted.shape
        assert found[name].tolist() == wanted.tolist(), name
    assert {name: found[name] for name in PLAIN} == PLAIN


NUMPY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
OBJECT = b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntb"
BAD = {
    "fewer objects than the shape says": NUMPY + b"(I1\n(I1\nI34\nt" + OBJECT + b"I00\n(lI1\natb.",
    "objects out of bytes": NUMPY + b"(I1\n(I1\nt" + OBJECT + b"I00\nS'12345678'\ntb.",
    "an array by its constructor": b"cnumpy\nndarray\n((I1\ntcnumpy\ndtype\n(S'O8'\ntRS'12345678'\ntR(I1\n(I9\nt"
    + OBJECT
    + b"I00\n(ltb.",
    "a scalar out of bytes": b"cnumpy.core.multiarray\nscalar\n(" + OBJECT + b"S'12345678'\ntR.",
    "zeros without end": b"cbuiltins\nbytearray\n(I4000000000\ntR.",
    "numbers without end": b"cbuiltins\nlist\n(cbuiltins\nrange\n(L4000000000000L\ntRtR.",
    "the state of a class": b"cnumpy\nndarray\n(S'__setstate__'\ncbuiltins\nlist\ndb.",
}
READ = """
import resource, sys
from pathlib import Path
from pocketvlad.dataset.pickled import read_pickle
from pocketvlad.errors import DatasetError
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
for name in sys.argv[1:]:
    try:
        read_pickle(Path(name))
    except DatasetError as error:
        print(error)
"""


def test_what_would_crash_numpy_or_fill_the_memory_is_refused(tmp_path):
    """In a process of its own: each of these ended one, or took more than it may."""
    paths = [tmp_path / name for name in BAD]
    for path, data in zip(paths, BAD.values(), strict=True):
        path.write_bytes(data)
    done = subprocess.run([sys.executable, "-c", READ, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(BAD)
    for line, path in zip(lines, paths, strict=True):
        assert line.startswith(f"{path} is not a plain ground truth; found "), line


def test_a_memo_of_a_number_far_away_takes_no_memory(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\xff.")  # the unpickler in C makes room for 4 billion things
    assert read_pickle(path) == []


def test_bytes_that_are_not_there_take_no_memory(tmp_path):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x05\x96" + (1 << 28).to_bytes(8, "little") + b"xy.")
    tracemalloc.start()
    with pytest.raises(DatasetError, match="a file that ends before 268435456 bytes"):
        read_pickle(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_an_array_of_objects_in_a_file_of_numpy_s(tmp_path):
    np.save(tmp_path / "x.npy", ARRAYS["of lists"], allow_pickle=True)
    assert read_array(tmp_path / "x.npy").tolist() == [[1, 2], [3]]
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data.replace(b"K\x02\x85\x94h", b'K"\x85\x94h'))
    with pytest.raises(DatasetError, match="not a plain ground truth|not the array that it says"):
        read_array(tmp_path / "x.npy")
