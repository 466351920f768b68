"""A checkpoint's file, looked at from outside: what is wrong with it, without torch."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.errors import CheckpointError, unknown
from pocketvlad.importer.matlab5 import is_mat
from pocketvlad.importer.pickles import code_in
from pocketvlad.importer.unsupported import code_refused
from pocketvlad.model.kinds import BACKBONE

LAYOUTS = (  # of :data:`pocketvlad.importer.checkpoint.LAYOUTS`, and "auto"
    "patchnetvlad",
    "nanne",
    "openibl",
    "cosplace",
    "mixvpr",
    "convap",
    "salad",
    "megaloc",
    "boq",
    "dinov2",
    "dvgl",
    "relja",
    "torchvision",
)
_LFS_POINTER = b"version https://git-lfs"
ZIP, _PICKLE = b"PK\x03\x04", b"\x80"  # torch.save's two formats
_ARRAY, _ARRAYS = b"\x93NUMPY", ".npy"  # begins a NumPy array; ends the names in an archive of them
_UNPACKED, _RATIO = 64_000_000, 100  # bytes that any archive may unpack to; a larger one, times its size
_SCRIPT = "/constants.pkl"  # ends a name in every TorchScript archive


def require_checkpoint(path: Path) -> None:
    """Refuse a file that holds no checkpoint, as far as can be told from outside.

    Raises:
        CheckpointError: missing, empty, truncated, a stand-in, a file of ours, of another format, or with code in it.
    """
    kind = artifact.kind_of(path)
    if kind not in (None, BACKBONE):
        raise CheckpointError(f"{path} is a pocketvlad {kind} file already", do="use it as it is")
    head = head_of(path)
    if is_safetensors(head):
        _require_safetensors(path)
    elif not is_mat(head):
        _require_pickled(path, head)


def require_layout(layout: str) -> None:
    """CheckpointError for a layout that there is not; ``auto`` is any."""
    if layout not in ("auto", *LAYOUTS):
        raise unknown(CheckpointError, "unknown layout", layout, ("auto", *LAYOUTS))


def head_of(path: Path) -> bytes:
    """The first bytes of a checkpoint.

    Raises:
        CheckpointError: missing, empty, or not the file itself.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint {path} does not exist") from error
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read", found=error.strerror) from error
    if not head:
        raise CheckpointError(f"checkpoint {path} is empty", do="download it again")
    if head.startswith(_LFS_POINTER):
        found = "a Git LFS pointer"
        raise CheckpointError(
            f"checkpoint {path} is not the file itself", found=found, do="run `git lfs pull`"
        )
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        raise CheckpointError(
            f"checkpoint {path} is not the file itself", found="a web page", do="download it again"
        )
    return head


def is_safetensors(head: bytes) -> bool:
    """Whether a file begins as ``.safetensors``: a length in 8 bytes, then a JSON object."""
    return head[8:9] == b"{"


def require_pickle(path: Path, head: bytes) -> None:
    """CheckpointError unless it begins as what torch.save wrote before it wrote archives."""
    if head.startswith(_ARRAY):
        do = "save a dictionary of arrays, or .npz"
        raise CheckpointError(f"checkpoint {path} holds no state dict", found="one NumPy array", do=do)
    if not head.startswith(_PICKLE):
        allowed = ".safetensors, .npz, .mat, or what torch.save writes"
        raise CheckpointError(f"{path} is not a checkpoint", found=f"bytes {head[:8]!r}", allowed=allowed)


def are_arrays(path: Path) -> bool:
    """Whether a zip archive is NumPy's ``.npz``; else it is torch's.

    Raises:
        CheckpointError: truncated or damaged, unpacks to far more than it is, or holds a program instead of weights.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {each.filename: each.file_size for each in archive.infolist()}
    except Exception as error:  # a damaged directory of an archive may raise anything
        raise CheckpointError(
            f"checkpoint {path} is damaged or not a checkpoint", found=first_sentence(error)
        ) from error
    if any(name.endswith(_SCRIPT) for name in inside):
        raise CheckpointError(
            f"checkpoint {path} holds a program (TorchScript) beside its weights",
            do="where you trust the file: torch.save(torch.jit.load(file).state_dict(), 'weights.pth')",
        )
    unpacked = sum(inside.values())
    if unpacked > max(_UNPACKED, _RATIO * path.stat().st_size):
        raise CheckpointError(f"checkpoint {path} is damaged", found=f"{unpacked} bytes unpacked")
    return bool(inside) and all(name.endswith(_ARRAYS) for name in inside)


def first_sentence(error: Exception) -> str:
    """The part of torch's long messages that says what happened."""
    text = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
    return re.split(r"[.:]\s|\n", text.strip())[0][:120] or type(error).__name__


def _require_pickled(path: Path, head: bytes) -> None:
    """Of torch.save's two formats, or NumPy's archives."""
    if head.startswith(ZIP):
        if are_arrays(path):
            return
    else:
        require_pickle(path, head)
    code = code_in(path)
    if code is not None:
        raise code_refused(path, code)


def _require_safetensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"checkpoint {path} is damaged", found=first_sentence(error)) from error
