"""``.mat`` files nobody vouches for: an error of ours or an answer, in memory of the file's own order."""

from __future__ import annotations

import os
import random
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

import pocketvlad
from helpers import matfiles
from pocketvlad.errors import CheckpointError
from pocketvlad.importer import matlab5
from pocketvlad.importer.matlab import read_mat

TOOLKIT = Path(pocketvlad.__file__).parents[1]
VALUES = {
    "net": {"layers": [{"name": "conv1", "weights": [np.arange(24, dtype=np.float32).reshape(2, 3, 4)]}]},
    "numbers": np.arange(6, dtype=np.uint16).reshape(2, 3),
    "text": "Straße",
    "list": ["a", "bb", np.zeros((0, 0))],
}


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, shape: tuple[int, ...], name: str, *parts: bytes) -> bytes:
    flags = element(6, struct.pack("<II", kind, 0))
    head = flags + element(5, struct.pack(f"<{len(shape)}i", *shape)) + element(1, name.encode())
    return element(14, head + b"".join(parts))


def v5(path: Path, *elements: bytes) -> Path:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements))
    return path


def test_our_reader_reads_what_scipy_writes(tmp_path):
    rows = np.array(["ab ", "cde"])
    value = {
        **VALUES,
        "complex": np.array([[1 + 2j, 3]]),
        "rows": rows,
        "many": np.array([(1.0, "x"), (2.0, "y")], [("a", "O"), ("b", "O")]),
        "int64": np.array([[-(2**40)]]),
        "cube": np.arange(24.0).reshape(2, 3, 4),
    }
    for compressed in (False, True):
        savemat(tmp_path / "v.mat", {k: matfiles._v5(v) for k, v in value.items()}, do_compression=compressed)
        found = read_mat(tmp_path / "v.mat")
        assert found["text"] == "Straße" and found["list"][:2] == ["a", "bb"]
        assert found["rows"] == ["ab ", "cde"] and [each["b"] for each in found["many"]] == ["x", "y"]
        assert found["net"]["layers"][0]["name"] == "conv1"
        for name in ("complex", "numbers", "int64", "cube"):
            assert (found[name] == value[name]).all() and found[name].dtype == value[name].dtype
        assert (found["net"]["layers"][0]["weights"][0] == VALUES["net"]["layers"][0]["weights"][0]).all()


BROKEN = {
    "no header": lambda p: p.write_bytes(b"MATLAB 5.0"),
    "an element past the end": lambda p: v5(p, struct.pack("<II", 14, 4000)),
    "a matrix larger than its numbers": lambda p: v5(p, matrix(6, (2**30, 2**30), "x", element(9, bytes(8)))),
    "a negative size": lambda p: v5(p, matrix(6, (-1, -1), "x", element(9, bytes(8)))),
    "a cell of elements that are not there": lambda p: v5(p, matrix(1, (2**30, 4), "x")),
    "a struct without names": lambda p: v5(p, matrix(2, (1, 1), "x", element(5, bytes(4)), element(1, b""))),
    "letters for another shape": lambda p: v5(p, matrix(4, (3, 3), "x", element(16, b"ab"))),
    "damaged compression": lambda p: v5(p, struct.pack("<II", 15, 20) + bytes(20)),
    "compressed data cut short": lambda p: v5(p, struct.pack("<II", 15, 9) + zlib.compress(bytes(99))[:9]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line(tmp_path, name):
    BROKEN[name](tmp_path / "x.mat")
    with pytest.raises(CheckpointError, match=r"x\.mat is damaged; found "):
        read_mat(tmp_path / "x.mat")


def nested(depth: int) -> bytes:
    found = matrix(6, (1, 1), "", element(9, bytes(8)))
    for _ in range(depth):
        found = matrix(1, (1, 1), "x", found)
    return found


def test_depth_and_number_have_an_end(tmp_path, monkeypatch):
    assert read_mat(v5(tmp_path / "x.mat", nested(20)))["x"]
    with pytest.raises(CheckpointError, match="cells and structs more than 32 deep"):
        read_mat(v5(tmp_path / "x.mat", nested(5000)))
    monkeypatch.setattr(matlab5, "_MOST_ITEMS", 100)
    with pytest.raises(CheckpointError, match="more than 100 items"):
        read_mat(v5(tmp_path / "x.mat", matrix(1, (1, 200), "x", *[element(14, b"")] * 200)))


def test_a_bomb_takes_little_memory(tmp_path):
    """300 MB of zeros in 300 KB, an array of them, and in HDF5 a terabyte of nothing."""
    pieces, packer = [], zlib.compressobj(9)
    for _ in range(30):
        pieces.append(packer.compress(bytes(10_000_000)))
    packed = b"".join(pieces) + packer.flush()
    bomb = v5(tmp_path / "bomb.mat", struct.pack("<II", 15, len(packed)) + packed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="unpacks to far more than it holds"):
        read_mat(bomb)
    hollow = matfiles.write_v73(tmp_path / "hollow.mat", VALUES)
    with h5py.File(hollow, "r+") as file:
        file.create_dataset("x", (10**6, 10**6), np.uint8, chunks=(1000, 1000))
    with pytest.raises(CheckpointError, match="of which the file holds 0"):
        read_mat(hollow)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000  # KB


@pytest.mark.parametrize("link", ["external", "soft", "storage", "virtual"])
def test_links_out_of_an_hdf5_file_are_refused(tmp_path, link):
    path, other = matfiles.write_v73(tmp_path / "v.mat", VALUES), tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(4)
    with h5py.File(path, "r+") as file:
        if link == "external":
            file["x"] = h5py.ExternalLink(str(other), "secret")
        elif link == "soft":
            file["x"] = h5py.SoftLink("/net")
        elif link == "storage":
            file.create_dataset("x", (4,), np.int64, external=[(str(other), 0, 32)])
        else:
            layout = h5py.VirtualLayout((4,), np.int64)
            layout[:] = h5py.VirtualSource(other, "secret", (4,))
            file.create_virtual_dataset("x", layout)
    with pytest.raises(CheckpointError, match="is a link to something else|lies in another file"):
        read_mat(path)


def test_changed_bytes_end_in_an_answer_or_an_error_of_ours(tmp_path):
    random_, refused = random.Random(0), 0
    for compressed in (False, True):
        path = tmp_path / "x.mat"
        savemat(path, {k: matfiles._v5(v) for k, v in VALUES.items()}, do_compression=compressed)
        data = path.read_bytes()
        for _ in range(300):
            changed = bytearray(data)
            for _ in range(random_.randint(1, 4)):
                changed[random_.randrange(128, len(data))] = random_.choice(
                    (0, 1, 14, 15, 255, random_.randrange(256))
                )
            path.write_bytes(changed)
            try:
                read_mat(path)
            except CheckpointError as error:
                refused += 1
                assert "\n" not in str(error)
    assert refused > 200


_READS = """
import random, sys
from pathlib import Path
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.matlab import read_mat
data, path, random_ = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), random.Random(0)
for _ in range(100):
    changed = bytearray(data)
    for _ in range(random_.randint(1, 4)):
        changed[random_.randrange(512, len(data))] = random_.randrange(256)
    path.write_bytes(changed)
    try:
        read_mat(path)
    except CheckpointError:
        pass
"""


def test_changed_bytes_of_hdf5_do_not_end_the_process(tmp_path):
    path = matfiles.write_v73(tmp_path / "v.mat", VALUES)
    command = [sys.executable, "-c", _READS, str(path), str(tmp_path / "x.mat")]
    environment = {**os.environ, "PYTHONPATH": str(TOOLKIT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-800:]
