"""What the commands share: sizes, checks of programs, hashes of datasets."""

from __future__ import annotations

import re
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.errors import RecipeError
from pocketvlad.runtime.describer import Describer, open_describer


def parse_size(text: str) -> tuple[int, int]:
    """``480x640`` -> (height, width)."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if not match:
        raise RecipeError("the size is not HEIGHTxWIDTH in pixels", found=repr(text), allowed="e.g. 480x640")
    return int(match[1]), int(match[2])


def megabytes(path: Path | str) -> float:
    """Size of a file in MB of 10^6 bytes."""
    return Path(path).stat().st_size / 1e6


def dataset_hash(dataset: Dataset) -> str:
    """One hash over a dataset's photos (names, places, contents) and its ground truth."""
    files = [
        [photo.name, photo.place, *photo.labels, artifact.file_sha256(photo.path)] for photo in dataset.photos
    ]
    database = list(dataset.database)
    queries = [[query.photo, sorted(query.positives), sorted(query.junk)] for query in dataset.queries]
    return artifact.tensors_fingerprint({}, {"photos": files, "queries": queries, "database": database})


def require_program(path: Path, threads: int) -> Describer:
    """A describer for an index: only a program will do, since the phone runs that."""
    describer = open_describer(path, threads=threads)
    if describer.kind != "program":
        raise RecipeError(
            f"{path} is not a program", found=describer.kind, allowed="a .pte; run `pocketvlad export`"
        )
    return describer
