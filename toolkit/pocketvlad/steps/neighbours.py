"""An index for other projects: vectors for faiss and NumPy, pairs of photos for hloc."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.errors import DatasetError, RecipeError, printable
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.index import PlaceIndex, open_index, require_fingerprint, search_index
from pocketvlad.index.about import clean_text
from pocketvlad.index.faiss import write_faiss
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress
from pocketvlad.steps.common import Result, apart, dataset_of, photos_by
from pocketvlad.steps.index import require_program


@dataclass(frozen=True)
class ExportedIndex(Result):
    """Files of an index's vectors.

    Attributes:
        photos, dim: of the index.
        faiss, numpy: the files written.
    """

    photos: int
    dim: int
    faiss: str | None
    numpy: str | None


@dataclass(frozen=True)
class Pairs(Result):
    """A file of pairs.

    Attributes:
        out: the file written.
        queries, pairs: how many.
        skipped: one line for each photo that could not be read.
    """

    out: str
    queries: int
    pairs: int
    skipped: tuple[str, ...]


def export(
    path: Path, *, faiss: Path | None = None, numpy: Path | None = None, force: bool = False
) -> ExportedIndex:
    """Write an index's vectors for others; row i of each file is row i of the index.

    Args:
        path: the ``.pvix``.
        faiss: an ``IndexFlatIP`` that ``faiss.read_index`` opens.
        numpy: ``.npz``: ``names`` and ``labels`` [n], ``descriptors`` float32 [n, dim], ``positions`` float64 [n, 2],
            latitude and longitude in degrees, NaN where unknown.
        force: overwrite them.

    Raises:
        RecipeError: no file is asked for, or one of another suffix.
        ArtifactError: a file exists or cannot be written.
    """
    files = [out for out in (faiss, numpy) if out is not None]
    if not files:
        raise RecipeError("an export needs a file to write", do="name one for faiss, NumPy or both")
    if numpy is not None and numpy.suffix != ".npz":
        raise RecipeError(f"NumPy's file is named {numpy.name}", allowed="a name that ends in .npz")
    require_outputs(files, [path], force=force)
    index = open_index(path)
    if faiss is not None:
        write_faiss(faiss, index, force=force)
    if numpy is not None:
        artifact.write_bytes(numpy, _npz(index), force=force)
    return ExportedIndex(
        len(index), index.dim, *(None if out is None else str(out) for out in (faiss, numpy))
    )


def _npz(index: PlaceIndex) -> bytes:
    buffer = io.BytesIO()
    places = [(entry.latitude, entry.longitude) for entry in index.entries]
    np.savez(
        buffer,
        names=np.asarray([entry.name for entry in index.entries], np.str_),
        labels=np.asarray(index.labels(), np.str_),
        descriptors=index.descriptors(),
        positions=np.asarray(places, np.float64),
    )
    return buffer.getvalue()


def pairs(
    path: Path,
    program: Path,
    photos: str | Path | Dataset,
    out: Path,
    *,
    top: int = 20,
    threads: int = 2,
    force: bool = False,
    progress: Progress | None = None,
) -> Pairs:
    """The photos of an index that are most similar to each photo asked about, as hloc's list of pairs.

    A line is ``query match``, by falling cosine. As in hloc a photo is no match of itself, nor is a cosine below 0.

    Args:
        path: the ``.pvix``.
        program: that made it.
        photos: asked about: of a dataset with queries these, else every photo.
        out: the file.
        top: pairs of each photo.
        threads: of the program.
        force: overwrite ``out``.
        progress: called with photos done and in all.

    Raises:
        DatasetError: a name with a space in it, which the list cannot hold.
        ArtifactError: ``out`` exists or cannot be written.
        IndexFormatError: the index belongs to another program.
    """
    index = open_index(path)
    dataset = _asked(apart(dataset_of(photos), out, path, program, force=force))
    _require_plain([photo.name for photo in dataset.photos] + [entry.name for entry in index.entries])
    describer = require_program(program, threads)
    require_fingerprint(index, describer.fingerprint, program.name)
    descriptors, readable = describe_photos(
        describer.describe, dataset, photos_by(describer), progress=progress
    )
    rows, cosines = search_index(index, descriptors, top + 1)
    lines: list[str] = []
    for photo, found, scores in zip(readable.photos, rows, cosines, strict=True):
        names = [index.entries[int(row)].name for row, score in zip(found, scores, strict=True) if score >= 0]
        asked = clean_text(photo.name)
        lines += [f"{photo.name} {name}" for name in [name for name in names if name != asked][:top]]
    artifact.write_bytes(out, "\n".join(lines).encode("utf-8", "surrogateescape"), force=force)
    return Pairs(str(out), len(readable.photos), len(lines), readable.skipped)


def _asked(dataset: Dataset) -> Dataset:
    asked = {query.photo for query in dataset.queries}
    return dataset.subset(sorted(asked)) if asked else dataset


def _require_plain(names: Sequence[str]) -> None:
    odd = next((name for name in names if len(name.split()) != 1), None)
    if odd is not None:
        raise DatasetError(
            "hloc's list of pairs parts names by spaces", found=repr(printable(odd)), do="rename the photo"
        )
