"""Photos -> a place index; the index extended, asked about, searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import artifact, ranks
from pocketvlad.dataset import Dataset, Photo
from pocketvlad.errors import PhotoError, RecipeError, printable
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.given import require_ordinary
from pocketvlad.index import (
    PlaceIndex,
    about_photo,
    are_themselves,
    extend_index,
    indexed,
    is_one_part,
    join_indices,
    open_index,
    require_fingerprint,
    search_index,
    write_index,
)
from pocketvlad.locks import in_turn
from pocketvlad.model.kinds import kind_of_model
from pocketvlad.outputs import require_outputs
from pocketvlad.progress import Progress
from pocketvlad.runtime.describer import Describer, open_describer, require_places
from pocketvlad.steps.common import Result, apart, dataset_of, megabytes, photos_by, reading_of


@dataclass(frozen=True)
class Indexed(Result):
    """An index's file.

    Attributes:
        out, mb: the file written.
        photos, places: in it.
        added: of them, by this step.
        threshold: cosine from which a place counts as known; None where the photos do not say.
        skipped: one line for each photo that could not be read.
    """

    out: str
    mb: float
    photos: int
    places: int
    added: int
    threshold: float | None
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class IndexInfo(Result):
    """What an index holds.

    Attributes:
        photos, places, dim: counts.
        vectors: their type.
        threshold: see :class:`Indexed`.
        fingerprint: of the program that described it, hexadecimal.
        mb: of the file.
        parts: of the file; phones read one, to which ``index merge`` joins them.
        info: what it was made from.
    """

    photos: int
    places: int
    dim: int
    vectors: str
    threshold: float | None
    fingerprint: str
    mb: float
    parts: int
    info: dict[str, Any]


@dataclass(frozen=True)
class Match(Result):
    """A row of the index and its cosine to the photo; ``itself`` when that row is the very photo."""

    place: str
    cosine: float
    photo: str
    row: int
    itself: bool = False


def matches_of(index: PlaceIndex, descriptors: np.ndarray, k: int) -> tuple[tuple[Match, ...], ...]:
    """The k best matches of each descriptor float32 [Q, dim], the best first."""
    rows, cosines = search_index(index, descriptors, k)
    themselves = are_themselves(index, rows, descriptors)
    entries = index.entries
    return tuple(
        tuple(
            Match(entries[row].label, float(cosine), entries[row].name, int(row), bool(itself))
            for row, cosine, itself in zip(*found, strict=True)
        )
        for found in zip(rows, cosines, themselves, strict=True)
    )


@dataclass(frozen=True)
class Answer(Result):
    """What an index says of a photo: its best matches, and whether the best is good enough to be known."""

    photo: str
    known: bool
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Answers(Result):
    """What an index says of some photos; ``skipped`` are those that could not be read."""

    index: str
    threshold: float | None
    queries: tuple[Answer, ...]
    skipped: tuple[str, ...]


def build(
    program: Path,
    photos: str | Path | Dataset,
    out: Path,
    *,
    vectors: str = "float16",
    threads: int = 2,
    force: bool = False,
    progress: Progress | None = None,
) -> Indexed:
    """Describe photos by a program and write their index; a run that was stopped goes on at the next photo.

    Under torchrun every process calls this and describes its part; the first one writes.

    Args:
        program: a ``.pte``.
        photos: of the places.
        out: the ``.pvix``.
        vectors: ``float32``, ``float16`` or ``int8``.
        threads: of the program.
        force: overwrite ``out``.
        progress: called with photos done and in all.
    """
    dataset = apart(dataset_of(photos), out, program, force=force)
    describer = require_program(program, threads)
    info = {"program": artifact.file_sha256(program), "photos": dataset.name}
    with indexed(
        describer.describe,
        dataset,
        describer.fingerprint,
        dtype=vectors,
        info=info,
        reading=reading_of(describer, out, "index", about_photo),
        progress=progress,
    ) as (index, skipped):
        if ranks.is_first():
            write_index(out, index, force=force)
        ranks.wait_for_all()
        return _indexed(out, index, len(index), skipped)


def add(
    path: Path,
    program: Path,
    photos: str | Path | Dataset,
    *,
    replace: bool = False,
    threads: int = 2,
    progress: Progress | None = None,
) -> Indexed:
    """Add photos to an index, of which a large one gets another part; ``replace`` photos of the same name."""
    artifact.require_writable(path)
    describer = require_program(program, threads)
    require_fingerprint(open_index(path), describer.fingerprint, program.name)
    with indexed(
        describer.describe,
        dataset_of(photos),
        describer.fingerprint,
        dtype="float32",
        reading=photos_by(describer, about_photo),
        progress=progress,
    ) as (added, skipped):
        with in_turn(path):  # another process may have added photos meanwhile
            joined = extend_index(path, added, replace_names=replace)
        return _indexed(path, joined, len(added), skipped)


def merge(paths: Sequence[Path], out: Path, *, replace: bool = False, force: bool = False) -> Indexed:
    """Join indices of one model into a new one, for example with the places an app's users have added.

    Args:
        paths: two indices or more, the first gives the vectors' type; or one of several parts.
        out: the ``.pvix``.
        replace: photos of a later index take the place of those of the same name.
        force: overwrite ``out``.
    """
    require_outputs([out], paths, force=force)
    indices = [open_index(path) for path in paths]
    if len(paths) < 2 and all(map(is_one_part, paths)):
        raise RecipeError("one index alone cannot be joined", found=len(paths), allowed="two or more")
    joined = join_indices(indices, replace_names=replace) if len(indices) > 1 else indices[0]
    write_index(out, joined, force=force)
    return _indexed(out, joined, sum(map(len, indices[1:])), ())


def _indexed(path: Path, index: PlaceIndex, added: int, skipped: Sequence[str]) -> Indexed:
    places = index.count_places()
    return Indexed(str(path), megabytes(path), len(index), places, added, index.threshold, tuple(skipped))


def info(path: Path) -> IndexInfo:
    """What an index holds."""
    index = open_index(path)
    return IndexInfo(
        len(index),
        index.count_places(),
        index.dim,
        index.vectors.dtype.name,
        index.threshold,
        index.fingerprint.hex(),
        megabytes(path),
        len(index.parts),
        dict(index.info),
    )


def search(
    path: Path,
    program: Path,
    photos: Sequence[Path],
    *,
    top: int = 5,
    draw: Path | None = None,
    threads: int = 2,
    force: bool = False,
) -> Answers:
    """Recognise photos; ``draw`` a PNG with them and their matches, over another only by ``force``."""
    for photo in photos:
        require_ordinary(photo, PhotoError)
    if draw is not None:
        _require_picture(draw)
        require_outputs([draw], [path, program, *photos], force=force)
    index, describer = open_index(path), require_program(program, threads)
    require_fingerprint(index, describer.fingerprint, program.name)
    dataset = Dataset("search", tuple(Photo(photo, str(photo)) for photo in photos), (), ())
    descriptors, readable = describe_photos(describer.describe, dataset, photos_by(describer))
    answers = tuple(
        Answer(
            printable(photo.name),
            index.threshold is None or matches[0].cosine >= index.threshold,
            matches,
        )
        for photo, matches in zip(readable.photos, matches_of(index, descriptors, top), strict=True)
    )
    if draw is not None:
        from pocketvlad.report.drawing import draw_matches

        rows = np.array([[match.row for match in answer.matches] for answer in answers])
        cosines = np.array([[match.cosine for match in answer.matches] for answer in answers], np.float32)
        asked = [photo.path for photo in readable.photos]
        draw_matches(draw, asked, rows, cosines, index, source=path, force=force)
    return Answers(str(path), index.threshold, answers, readable.skipped)


def _require_picture(draw: Path) -> None:
    if draw.suffix.lower() != ".png":
        raise RecipeError(f"the picture is named {draw.name}", allowed="a name that ends in .png")


def require_program(path: Path, threads: int) -> Describer:
    """A describer for an index: only a program will do, since the phone runs that."""
    if Path(path).suffix != ".pte":
        kind = kind_of_model(path)
        raise RecipeError(f"{path} is not a program", found=f"a {kind} file", allowed="a .pte; export one")
    return require_places(open_describer(path, threads=threads), path)
