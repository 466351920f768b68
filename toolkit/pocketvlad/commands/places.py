"""The place index: built, extended, searched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.commands import Progress, Values
from pocketvlad.commands.files import megabytes, require_program
from pocketvlad.dataset import Dataset, Photo, open_dataset
from pocketvlad.errors import printable
from pocketvlad.evaluate.describe import describe_photos
from pocketvlad.index import (
    add_to_index,
    build_index,
    open_index,
    require_fingerprint,
    search_index,
    write_index,
)


def index_build_file(
    program: Path,
    photos: str,
    out: Path,
    vectors: str,
    *,
    threads: int,
    force: bool,
    progress: Progress | None = None,
) -> Values:
    describer = require_program(program, threads)
    info = {"program": artifact.file_sha256(program), "photos": photos}
    index, skipped = build_index(
        describer.describe,
        open_dataset(photos),
        describer.fingerprint,
        dtype=vectors,
        info=info,
        progress=progress,
    )
    write_index(out, index, force=force)
    return {
        "out": str(out),
        "photos": len(index),
        "mb": megabytes(out),
        "threshold": index.threshold,
        "skipped": skipped,
    }


def index_add_file(
    path: Path, program: Path, photos: str, *, replace: bool, threads: int, progress: Progress | None = None
) -> Values:
    index, describer = open_index(path), require_program(program, threads)
    require_fingerprint(index, describer.fingerprint, program.name)
    added, skipped = build_index(
        describer.describe, open_dataset(photos), describer.fingerprint, progress=progress, dtype="float32"
    )
    joined = add_to_index(index, added, replace_names=replace)
    write_index(path, joined, force=True)
    return {"out": str(path), "added": len(added), "photos": len(joined), "skipped": skipped}


def index_info_file(path: Path) -> Values:
    index = open_index(path)
    return {
        "photos": len(index),
        "places": len(index.places()),
        "dim": index.dim,
        "vectors": index.vectors.dtype.name,
        "threshold": index.threshold,
        "fingerprint": index.fingerprint.hex(),
        "mb": megabytes(path),
        "info": dict(index.info),
    }


def index_search_file(
    path: Path, program: Path, photos: Sequence[Path], *, top: int, draw: Path | None
) -> Values:
    """Matches of each photo; ``draw`` a PNG with the photos and their matches."""
    index, describer = open_index(path), require_program(program, 2)
    require_fingerprint(index, describer.fingerprint, program.name)
    dataset = Dataset("search", tuple(Photo(photo, str(photo)) for photo in photos), (), ())
    descriptors, readable = describe_photos(describer.describe, dataset)
    rows, cosines = search_index(index, descriptors, top)
    queries = []
    for photo, found, scores in zip(readable.photos, rows, cosines, strict=True):
        matches = [
            {
                "place": index.entries[row].label,
                "cosine": float(score),
                "photo": index.entries[row].name,
                "row": int(row),
            }
            for row, score in zip(found, scores, strict=True)
        ]
        known = index.threshold is None or scores[0] >= index.threshold
        queries.append({"photo": printable(photo.name), "known": bool(known), "matches": matches})
    if draw is not None:
        from pocketvlad.report.drawing import draw_matches

        draw_matches(draw, [photo.path for photo in readable.photos], rows, cosines, index)
    return {
        "index": str(path),
        "threshold": index.threshold,
        "queries": queries,
        "skipped": list(readable.skipped),
    }
