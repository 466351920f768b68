"""Descriptors in files that others read: hloc's HDF5 layout, and NumPy's ``.npz``."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pocketvlad.artifact import write_bytes
from pocketvlad.errors import ArtifactError

DATASET = "global_descriptor"  # hloc's name
HDF5, NUMPY = (".h5", ".hdf5"), ".npz"


def require_descriptor_file(out: Path | str) -> None:
    """Raises ArtifactError unless ``out`` is named as a file of descriptors: said before long work."""
    suffix = Path(out).suffix.lower()
    if suffix not in (*HDF5, NUMPY):
        raise ArtifactError(
            f"descriptors are written as HDF5 or for NumPy, which {Path(out).name} does not say",
            found=suffix or "no suffix",
            allowed=" or ".join((*HDF5, NUMPY)),
        )
    if suffix in HDF5:
        import h5py  # noqa: F401  a runtime without it says so now


def write_descriptors(
    out: Path | str, names: Sequence[str], descriptors: np.ndarray, *, half: bool = False, force: bool = False
) -> None:
    """Write descriptors in the layout that the suffix of ``out`` says.

    ``.h5``, ``.hdf5``: an HDF5 group per photo with a dataset ``global_descriptor`` [dim], as hloc writes them.
    ``.npz``: ``names`` [n] and ``descriptors`` [n, dim]; ``numpy.load`` reads them.

    Args:
        out: the file.
        names: n photos, as the dataset calls them: paths from its folder, as in hloc.
        descriptors: float32 [n, dim].
        half: as float16, which hloc does by default.
        force: overwrite ``out``.

    Raises:
        ArtifactError: ``out`` exists, cannot be written or has another suffix.
    """
    require_descriptor_file(out)
    values = np.asarray(descriptors, np.float16 if half else np.float32)
    image = _hdf5(names, values) if Path(out).suffix.lower() in HDF5 else _npz(names, values)
    write_bytes(out, image, force=force)


def _hdf5(names: Sequence[str], descriptors: np.ndarray) -> bytes:
    """The file is made in memory and then written: HDF5 itself crashes on a full disk. Names keep their bytes."""
    import h5py

    with h5py.File("descriptors", "w", driver="core", backing_store=False) as file:
        for name, descriptor in zip(names, descriptors, strict=True):
            file.create_group(os.fsencode(name)).create_dataset(DATASET, data=descriptor)
        file.flush()
        return file.id.get_file_image()


def _npz(names: Sequence[str], descriptors: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, names=np.asarray(names, np.str_), descriptors=descriptors)
    return buffer.getvalue()


def read_descriptors(path: Path | str) -> dict[str, np.ndarray]:
    """Descriptors float32 [dim] of an hloc feature file by photo name; half precision is widened.

    Raises:
        ArtifactError: missing, damaged, or without descriptors.
    """
    import h5py

    found: dict[str, np.ndarray] = {}

    def visit(stored: str | bytes, item: object) -> None:
        name = os.fsdecode(stored)  # bytes where they are no UTF-8
        if isinstance(item, h5py.Dataset) and name.endswith(f"/{DATASET}"):
            found[name.removesuffix(f"/{DATASET}")] = np.asarray(item[()], np.float32).reshape(-1)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path} is not a readable HDF5 file", found=str(error)) from error
    if not found:
        raise ArtifactError(f"{path} holds no {DATASET!r}", allowed="an hloc global-feature file")
    return found
