"""Files between stages: written atomically, carrying what they were made from."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad.errors import ArtifactError
from pocketvlad.given import other_than_file
from pocketvlad.schema import parse_json
from pocketvlad.unfinished import PART_BYTES, part_folder, part_prefix, remove_leftovers

FORMAT_VERSION = 1
_METADATA_KEY = "pocketvlad"
_MAPPED_BYTES = 64_000_000  # of a tensor, from which it stays in the file
_DTYPES = {  # of our files, by safetensors' names
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IU" for bits in (8, 16, 32, 64)},
    "BOOL": "?",
}
_COMPUTES = ("pocketvlad", "torch", "torchvision", "executorch", "torchao", "numpy")
_VERSIONED = (*_COMPUTES, "pillow", "scikit-learn")  # decoders decide pixels, and clusters heads


@contextlib.contextmanager
def atomic_path(out: Path | str, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``out``; it becomes ``out`` only if the block succeeds.

    Raises:
        ArtifactError: ``out`` exists and ``force`` is false, before the block or at its end, or the disk refuses.
    """
    out = Path(out)
    require_new(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out.parent, out.name)
        handle, name = tempfile.mkstemp(prefix=part_prefix(out.name), suffix=".part", dir=out.parent)
    except OSError as error:
        raise write_error(out, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _commit(temporary, out, force=force)
    except OSError as error:
        raise write_error(out, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def require_new(out: Path, *, force: bool) -> None:
    """ArtifactError, said before long work.

    ``out`` exists and ``force`` is false, is no file, or cannot be written.
    """
    if os.path.exists(out):  # false where a folder cannot be looked into
        if not os.path.isfile(out):
            raise ArtifactError(f"{out} is not a file", found=other_than_file(out), do="name a file to write")
        if not force:
            raise _exists(out)
    require_writable(out)


def _exists(out: Path) -> ArtifactError:
    return ArtifactError(f"{out} exists already", do="write elsewhere, or overwrite it by force")


def require_writable(out: Path) -> None:
    """ArtifactError, said before long work.

    The folder of ``out``, or the one that it would be made in, cannot be written to, or the name of ``out`` leaves no
    room for those of unfinished files.
    """
    folder = Path(os.path.abspath(out)).parent
    while not os.path.exists(folder) and folder != folder.parent:
        folder = folder.parent
    if not os.path.isdir(folder):
        raise write_error(out, NotADirectoryError(errno.ENOTDIR, f"{folder} is not a folder"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise write_error(out, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    length, most = len(os.fsencode(Path(out).name)), os.pathconf(folder, "PC_NAME_MAX") - PART_BYTES
    if length > most:
        raise ArtifactError(
            f"cannot write {out}: its name is too long", found=f"{length} bytes", allowed=f"{most} or fewer"
        )


def require_folder(folder: Path) -> None:
    """ArtifactError for an output folder that is a file."""
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is not a folder", do="name a folder for the files")


def _commit(temporary: Path, out: Path, *, force: bool) -> None:
    """Give a finished file its name; without ``force`` no other process's file that has it by now is replaced."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    if not force:
        try:
            os.link(temporary, out)
            return
        except FileExistsError as error:
            raise _exists(out) from error
        except OSError:  # a file system without links
            require_new(out, force=False)
    os.replace(temporary, out)


def write_error(out: Path, error: OSError) -> ArtifactError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ArtifactError(f"cannot write {out}: the disk is full", do="free some space and run again")
    return ArtifactError(f"cannot write {out}: {error.strerror or error}")


def write_bytes(out: Path | str, data: bytes, *, force: bool = False) -> None:
    """Write ``data`` to ``out`` atomically."""
    with atomic_path(out, force=force) as temporary:
        temporary.write_bytes(data)


def write_json(out: Path | str, value: Any, *, force: bool = False) -> None:
    """Write ``value`` as indented UTF-8 JSON, atomically."""
    write_bytes(out, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode(), force=force)


def file_sha256(path: Path | str) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tensors_fingerprint(tensors: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> str:
    """Hex SHA-256 over the configuration and every tensor's name, dtype, shape and bytes."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}|{tensor.dtype.str}|{tensor.shape}|".encode())
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def require_intact(
    path: Path | str, tensors: Mapping[str, np.ndarray], identity: Mapping[str, Any], info: Mapping[str, Any]
) -> None:
    """ArtifactError where tensors are no longer those whose fingerprint the file's metadata ``info`` holds."""
    if tensors_fingerprint(tensors, identity) != info.get("fingerprint"):
        raise ArtifactError(
            f"{path} is damaged", found="tensors that are not those of its fingerprint", do="make it again"
        )


def versions() -> dict[str, str]:
    """Versions of what decides a stage's result, for its metadata."""
    found = {"python": platform.python_version()}
    for name in _VERSIONED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def save_tensors(
    out: Path | str,
    kind: str,
    tensors: Mapping[str, np.ndarray],
    info: Mapping[str, Any],
    *,
    force: bool = False,
) -> None:
    """Write a safetensors file of one ``kind`` ("model", "compressed", …) with JSON metadata ``info``."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    header = {"format": FORMAT_VERSION, "kind": kind, "versions": versions(), **info}
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    with atomic_path(out, force=force) as temporary:
        try:
            with part_folder(Path(out)) as folder:  # the library has a temporary file of its own
                written = Path(folder) / "tensors"
                save_file(contiguous, written, metadata={_METADATA_KEY: json.dumps(header, sort_keys=True)})
                os.replace(written, temporary)
        except SafetensorError as error:  # says the system's error in words alone
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error


def kind_of(path: Path | str) -> str | None:
    """The kind of a file that :func:`save_tensors` wrote; None of any other."""
    try:
        return str(load_info(path)["kind"])
    except ArtifactError:
        return None


def load_info(path: Path | str) -> dict[str, Any]:
    """The JSON metadata of a file written by :func:`save_tensors`.

    Raises:
        ArtifactError: missing, truncated, or not one of our files.
    """
    return _open(Path(path))[0]


def load_tensors(path: Path | str, kind: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and metadata of a file of ``kind``.

    Raises:
        ArtifactError: missing, truncated, of another kind, or from a newer format.
    """
    info, tensors = _open(Path(path), read=True)
    if info["kind"] != kind:
        raise ArtifactError(f"{path} is not a {kind} file", found=f"a {info['kind']} file")
    return tensors, info


def _open(path: Path, *, read: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ArtifactError(f"{path} does not exist")
    try:
        with safe_open(path, framework="numpy") as file:
            header = parse_json((file.metadata() or {}).get(_METADATA_KEY, "null"))
    except (SafetensorError, ValueError, OSError) as error:
        raise ArtifactError(
            f"{path} is not a readable safetensors file",
            found=str(error),
            do="run `pocketvlad import` on it first if it is a checkpoint",
        ) from error
    if not isinstance(header, dict) or "kind" not in header:
        raise ArtifactError(f"{path} was not written by pocketvlad", do="run `pocketvlad import` on it first")
    if header.get("format") != FORMAT_VERSION:
        raise ArtifactError(f"{path} has format {header.get('format')}", allowed=FORMAT_VERSION)
    return header, _mapped(path) if read else {}


def _mapped(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file that was opened already; large ones in its mapping: unread they take no memory.

    The mapping is private: who writes to a tensor gets a copy of the page. A file is never written in place, so what
    was mapped stays. Small ones are copied: their place in a file would change the rounding of float32 sums.
    """
    data = np.memmap(path, np.uint8, mode="c")
    start = 8 + int(data[:8].view("<u8")[0])
    found = {}
    for name, about in json.loads(data[8:start].tobytes()).items():
        if name != "__metadata__":
            first, last = (start + offset for offset in about["data_offsets"])
            if about["dtype"] not in _DTYPES:
                allowed = ", ".join(_DTYPES)
                raise ArtifactError(
                    f"{path}: {name} has an unknown type", found=about["dtype"], allowed=allowed
                )
            found[name] = _tensor(data[first:last], _DTYPES[about["dtype"]], about["shape"])
    return found


def _tensor(data: np.ndarray, dtype: str, shape: list[int]) -> np.ndarray:
    mapped = data.size >= _MAPPED_BYTES and data.ctypes.data % np.dtype(dtype).itemsize == 0
    return np.asarray(data if mapped else np.array(data)).view(dtype).reshape(shape)
