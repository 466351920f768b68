"""The ground truths of GSV-Cities and OpenVPRLab: two lists of photos and the positives of each query, ``.npy``.

PATH is the folder of the three files, or the file of one set's positives where a folder has several:
``X_dbImages.npy``, ``X_qImages.npy`` and ``X_gt.npy`` (``X_gt_25m.npy``); for MSLS ``X_pIdx.npy`` with the
numbers of the queries in ``X_qIdx.npy``, or ``X_ref_image_names.npy``, ``X_query_image_names.npy`` and
``X_ground_truth_25m.npy``. The photos lie below that folder or one of its neighbours; of positives a file may
hold an array of numbers or one of lists, which is read without running anything.
"""

from __future__ import annotations

import re
from pathlib import Path

from pocketvlad.dataset.pickled import read_array
from pocketvlad.dataset.truth import listed_photos, of_positives, positives_of
from pocketvlad.dataset.types import Dataset
from pocketvlad.errors import DatasetError

_TRUTH = re.compile(r"(?P<set>.+)_(gt|gt_\d+m|pIdx|ground_truth_\d+m)\.npy")
_DATABASE, _QUERIES = ("dbImages", "ref_image_names"), ("qImages", "query_image_names")
_ALLOWED = "X_dbImages.npy, X_qImages.npy and X_gt.npy"


def load(path: Path) -> Dataset:
    """Read the three files and find the photos.

    Raises:
        DatasetError: a file or a photo is missing, they do not belong together, or one holds objects.
    """
    file, name = _truth_file(path)
    names = {
        side: _names(file, name, keys) for side, keys in (("database", _DATABASE), ("queries", _QUERIES))
    }
    database, asked = names["database"], _asked(file, name, names["queries"])
    truth = read_array(file)
    if truth.ndim not in (1, 2) or len(truth) != len(asked):
        found = "x".join(map(str, truth.shape)) or "one value"
        raise DatasetError(f"{file} does not fit its queries", found=found, allowed=f"{len(asked)} rows")
    positives = [positives_of(file, row, len(database)) for row in truth]
    folder = file.absolute().parent
    folders = [
        folder,
        *(folder / below for below in ("images", "database")),
        folder.parent,
        folder.parent.parent,
    ]
    photos = listed_photos(database, folders, "database", file)
    queries = listed_photos(asked, folders, "queries", file)
    return of_positives(str(path), photos, queries, positives, f"Recall@N by the positives of {file.name}")


def _truth_file(path: Path) -> tuple[Path, str]:
    """The file of positives and the name of its set."""
    found = [path] if path.is_file() else sorted(path.glob("*.npy"))
    matches = [(file, match["set"]) for file in found if (match := _TRUTH.fullmatch(file.name))]
    if len(matches) != 1:
        raise DatasetError(
            f"dataset {path} needs the positives of one set",
            found=", ".join(file.name for file, _ in matches) or "none",
            allowed=_ALLOWED,
            do="name the file of positives itself" if len(matches) > 1 else None,
        )
    return matches[0]


def _names(file: Path, name: str, keys: tuple[str, ...]) -> list[str]:
    candidates = [file.with_name(f"{name}_{key}.npy") for key in keys]
    lists = [candidate for candidate in candidates if candidate.is_file()]
    if not lists:
        raise DatasetError(f"dataset {file} lacks {candidates[0].name}", allowed=_ALLOWED)
    values = read_array(lists[0])
    listed = [str(value) for value in values.reshape(-1)]
    if values.ndim != 1 or not all(isinstance(value, str) for value in values.tolist()):
        raise DatasetError(f"{lists[0]} is not a list of names", found=f"{values.dtype}")
    return listed


def _asked(file: Path, name: str, queries: list[str]) -> list[str]:
    """The queries that are asked: all, or those that ``X_qIdx.npy`` numbers."""
    numbers = file.with_name(f"{name}_qIdx.npy")
    if not numbers.is_file():
        return queries
    chosen = read_array(numbers)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise DatasetError(f"{numbers} is not a list of numbers", found=f"{chosen.dtype}")
    return [queries[i] for row in chosen for i in positives_of(numbers, row, len(queries))]
