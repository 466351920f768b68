"""Checkpoint files of every kind and every kind of damage: tensors out, or one clear line."""

import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from helpers import forked
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.reading import read_checkpoint, read_content

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}


class Runs:
    """Unpickling it would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    return text


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("container", [None, "state_dict", "model_state_dict"])
def test_containers_are_opened_and_module_is_taken_out(tmp_path, zipped, container):
    """As multi-GPU training writes them, beside the numpy numbers of old training loops."""
    tensors = {"module.a.module.weight": TENSORS["a.weight"], "submodule.b": TENSORS["b"]}
    extra = {
        "epoch": 3,
        "best_score": np.float64(0.5),
        "best_r5": np.float32(1),
        "recalls": np.array([1.0, 2.0]),
        "parallel": True,
        "optimizer": {"lr": [1e-3], "momentum_buffer": torch.zeros(2)},
    }
    value = tensors if container is None else {**extra, container: tensors}
    torch.save(value, tmp_path / "c.pth.tar", _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / "c.pth.tar")
    assert set(read) == {"a.weight", "submodule.b"}
    torch.testing.assert_close(read["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_numpys_strings_do_no_harm_and_arrays_are_weights(tmp_path, zipped):
    """As training loops of other libraries write them; where there are tensors, arrays beside them are none."""
    arrays = {key: value.numpy() for key, value in TENSORS.items()}
    arrays["a.weight"] = arrays["a.weight"].astype(">f8")  # of a big-endian machine
    notes = {"arch": np.str_("alexnet"), "sha": np.bytes_(b"ab"), "names": np.array(["a", "b"])}
    for name, content in {
        "strings": {"state_dict": TENSORS, **notes},
        "arrays": {"model": arrays, "epoch": 3, **notes},
        "flat": {**arrays, **notes},
        "both": {**TENSORS, "recalls": np.ones(3), **notes},
    }.items():
        torch.save(content, tmp_path / name, _use_new_zipfile_serialization=zipped)
        read = read_checkpoint(tmp_path / name)
        assert set(read) == set(TENSORS), name
        for key, value in TENSORS.items():
            torch.testing.assert_close(read[key], value)


class Made:
    """Whatever a pickle says."""

    def __init__(self, *parts: object):
        self.parts = parts

    def __reduce__(self):
        return self.parts


def reads_as_damaged(path: Path) -> None:
    """In a process of its own, which may take 6 GB with torch's own."""
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "odd",
    [
        Made(np.dtype, ("U7", False, True), (3, "<", None, 28, 4, 8)),
        Made(np.zeros(0).__reduce__()[0], (np.ndarray, (1 << 40,), b"b"), (1, (9,), np.dtype("f8"), False, b"short")),
    ],
    ids=["a type's state", "an array's"],
)  # fmt: skip
def test_what_ends_numpy_is_refused(tmp_path, zipped, odd):
    torch.save({**TENSORS, "odd": odd}, tmp_path / "odd", _use_new_zipfile_serialization=zipped)
    forked.finish(reads_as_damaged, tmp_path / "odd")


def test_an_archive_of_arrays_is_read_and_a_bomb_is_not(tmp_path):
    np.savez(tmp_path / "weights.npz", **{key: value.numpy() for key, value in TENSORS.items()})
    read = read_checkpoint(tmp_path / "weights.npz")
    assert set(read) == set(TENSORS) and torch.equal(read["a.weight"], TENSORS["a.weight"])
    np.savez_compressed(tmp_path / "bomb.npz", a=np.zeros(10_000_000))
    with pytest.raises(CheckpointError, match="is damaged; found 800001"):
        read_checkpoint(tmp_path / "bomb.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(tmp_path / "objects.npz")


def test_what_is_another_format_is_called_so(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "script.pt")
    with pytest.raises(CheckpointError, match=r"holds a program \(TorchScript\).*torch.jit.load") as error:
        read_checkpoint(tmp_path / "script.pt")
    one_line(error)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(CheckpointError, match="found one NumPy array"):
        read_checkpoint(tmp_path / "one.npy")


def test_safetensors_are_read_whatever_the_suffix(tmp_path):
    save_file(TENSORS, tmp_path / "weights.bin")
    read = read_content(tmp_path / "weights.bin").values
    torch.testing.assert_close(read["a.weight"], TENSORS["a.weight"])


def test_half_precision_is_widened_and_integers_stay(tmp_path):
    torch.save(
        {"h": torch.ones(2).half(), "n": torch.tensor(3), "b": torch.ones(2).bfloat16()}, tmp_path / "c"
    )
    read = read_checkpoint(tmp_path / "c")
    assert read["h"].dtype == read["b"].dtype == torch.float32
    assert read["n"].dtype == torch.int64


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, zipped):
    trace = tmp_path / "trace"
    torch.save({**TENSORS, "x": Runs(trace)}, tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="would run code when loaded, so it was not") as error:
        read_checkpoint(tmp_path / "c.pth")
    assert "mknod" in one_line(error)
    assert not trace.exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path):
    trace = tmp_path / "trace"
    (tmp_path / "c.pkl").write_bytes(pickle.dumps(Runs(trace), protocol=2))
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(tmp_path / "c.pkl")
    one_line(error)
    assert not trace.exists()


def test_a_whole_pickled_module_is_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=r"would run code .*found torch.nn.modules.linear.Linear"):
        read_checkpoint(tmp_path / "c.pth")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "found a Git LFS pointer.*git lfs pull",
        ),
        (b"\n<!DOCTYPE html><html>", "found a web page"),
        (b"just some words", "is not a checkpoint; found bytes"),
        (b"\x80\x02garbage", "is damaged"),
        (b"PK\x03\x04" + b"garbage" * 20, "is damaged"),
        (b"\x10\0\0\0\0\0\0\0{" + b"}" * 20, "is damaged"),
        (b"\xff\xff\xff\xff\0\0\0\0{", "is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_one_clear_line(tmp_path, content, message):
    (tmp_path / "c.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as error:
        read_content(tmp_path / "c.pth")
    one_line(error)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        read_content(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="cannot be read; found Is a directory"):
        read_content(tmp_path)


@pytest.mark.parametrize(
    "value, message",
    [
        ([torch.ones(2)], "holds no state dict; found list"),
        ({"epoch": 1}, "holds no tensors; found epoch"),
        ({"a": torch.tensor([1.0, float("nan")])}, "'a' .* found numbers that are not finite"),
        ({"a": torch.eye(3).to_sparse()}, "'a' .* is not plain numbers; found sparse_coo"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "'a' .* is not plain numbers; found complex64"),
    ],
)
def test_what_holds_no_usable_tensors_is_refused(tmp_path, value, message):
    torch.save(value, tmp_path / "c.pth")
    with pytest.raises(CheckpointError, match=message) as error:
        read_checkpoint(tmp_path / "c.pth")
    one_line(error)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    torch.save(TENSORS, folder / "zip")
    torch.save(TENSORS, folder / "legacy", _use_new_zipfile_serialization=False)
    save_file(TENSORS, folder / "safetensors")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["zip", "legacy", "safetensors"]), data=st.data())
def test_truncated_and_flipped_files_never_escape_as_anything_else(written, tmp_path_factory, kind, data):
    content = bytearray(written[kind])
    at = data.draw(st.integers(0, len(content) - 1))
    cut = data.draw(st.booleans())
    if cut:
        content = content[:at]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(content)
    try:
        read = read_content(path).values
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:  # the flipped bit was in a number or in padding
        assert all(isinstance(value, torch.Tensor) for value in read.values())
