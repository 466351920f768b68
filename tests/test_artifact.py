"""Atomic writes, metadata and the refusal of foreign files."""

import ast
import os
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError, PocketvladError
from pocketvlad.pipeline.log import StageLog


def test_an_interrupted_write_leaves_nothing(tmp_path):
    out = tmp_path / "a.bin"
    with pytest.raises(KeyboardInterrupt), artifact.atomic_path(out) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_without_force(tmp_path):
    out = tmp_path / "a.bin"
    artifact.write_bytes(out, b"first")
    with pytest.raises(ArtifactError, match="exists already; write elsewhere, or overwrite it by force"):
        artifact.write_bytes(out, b"second")
    assert out.read_bytes() == b"first"
    artifact.write_bytes(out, b"second", force=True)
    assert out.read_bytes() == b"second" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("links", [True, False])
def test_of_two_who_write_one_file_the_second_to_end_is_refused(tmp_path, monkeypatch, links):
    """Without force; on file systems that have no links, too."""
    if not links:

        def none(*paths: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", none)
    out = tmp_path / "a.bin"
    with pytest.raises(ArtifactError, match="exists already"), artifact.atomic_path(out) as late:
        artifact.write_bytes(out, b"first to end")
        late.write_bytes(b"second")
    assert out.read_bytes() == b"first to end" and list(tmp_path.iterdir()) == [out]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(ArtifactError, match="the disk is full"), artifact.atomic_path(tmp_path / "x"):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(ArtifactError, match="cannot write"):
        artifact.write_bytes(blocker / "below", b"")


def test_tensors_round_trip_with_metadata(tmp_path):
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(4, dtype=np.uint8)[::2]}
    artifact.save_tensors(tmp_path / "m", "model", tensors, {"config": {"x": 1}})
    found, info = artifact.load_tensors(tmp_path / "m", "model")
    assert info["config"] == {"x": 1} and "torch" in info["versions"]
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_foreign_truncated_and_mismatched_files_are_named(tmp_path):
    artifact.save_tensors(tmp_path / "m", "model", {"a": np.zeros(8)}, {})
    with pytest.raises(ArtifactError, match="not a compressed file; found a model file"):
        artifact.load_tensors(tmp_path / "m", "compressed")
    (tmp_path / "cut").write_bytes((tmp_path / "m").read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="not a readable safetensors file"):
        artifact.load_tensors(tmp_path / "cut", "model")
    with pytest.raises(ArtifactError, match="does not exist"):
        artifact.load_info(tmp_path / "none")
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(2)}, tmp_path / "foreign")
    with pytest.raises(ArtifactError, match="not written by pocketvlad"):
        artifact.load_info(tmp_path / "foreign")


def test_the_fingerprint_sees_every_byte_and_name():
    base = artifact.tensors_fingerprint({"a": np.zeros(3, np.float32)}, {})
    assert base != artifact.tensors_fingerprint({"b": np.zeros(3, np.float32)}, {})
    assert base != artifact.tensors_fingerprint({"a": np.array([0, 0, 1], np.float32)}, {})
    assert base != artifact.tensors_fingerprint({"a": np.zeros(3, np.float32)}, {"k": 1})


def test_errors_are_one_line():
    error = PocketvladError("what\nfailed", found="this", allowed="that", do="do so")
    assert str(error) == "what failed; found this; allowed: that; do so"


def test_a_stage_runs_again_only_when_something_changed(tmp_path):
    out, runs = tmp_path / "o", []

    def body():
        runs.append(1)
        out.write_text("x")
        return {"n": len(runs)}

    assert StageLog(tmp_path).run("s", {"a": 1}, [out], body) == ({"n": 1}, True)
    assert StageLog(tmp_path).run("s", {"a": 1}, [out], body) == ({"n": 1}, False)
    assert StageLog(tmp_path).run("s", {"a": 2}, [out], body) == ({"n": 2}, True)
    out.write_text("tampered")
    assert StageLog(tmp_path).run("s", {"a": 2}, [out], body) == ({"n": 3}, True)


def test_large_tensors_are_read_from_the_mapping_and_the_file_stays_as_it_is(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    kinds = ("float32", "float16", "int8", "uint8", "int32", "int64", "bool")
    wanted = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    artifact.save_tensors(path, "model", wanted, {})
    before = path.read_bytes()
    for least, mapped in ((artifact._MAPPED_BYTES, False), (1, True)):
        monkeypatch.setattr(artifact, "_MAPPED_BYTES", least)
        found, _ = artifact.load_tensors(path, "model")
        for kind in kinds:
            assert found[kind].dtype == wanted[kind].dtype and (found[kind] == wanted[kind]).all()
        assert {_is_mapped(each) for each in found.values()} == {mapped}
        found["float32"][:] = 7
        assert path.read_bytes() == before


def _is_mapped(array: np.ndarray) -> bool:
    return isinstance(array, np.memmap) or (array.base is not None and _is_mapped(array.base))


DECIDES_NOTHING = {  # how files are written and packed, what is shown, how many threads there are
    "cryptography",
    "h5py",
    "matplotlib",
    "rich",
    "safetensors",
    "threadpoolctl",
    "typer",
}


def test_every_package_that_decides_a_result_is_among_the_versions():
    """Pillow's decoders decide pixels, scikit-learn's clusters decide codebooks."""
    imported = set()
    for path in Path(artifact.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    distributions = metadata.packages_distributions()
    foreign = imported - set(sys.stdlib_module_names)
    needed = {distributions[name][0].lower() for name in foreign if name in distributions}
    assert {"pillow", "torchvision", "numpy"} <= needed
    assert needed - DECIDES_NOTHING <= set(artifact.versions())
