"""VPR-Bench's layout: folders ``query`` and ``ref`` of numbered photos, and ``ground_truth_new.npy``.

The photos of a side are in the order of their numbers, which their names are (``0000012.jpg``). A row of the
ground truth is a query's place in that order and the list of its matches' places among ``ref``.
"""

from __future__ import annotations

from pathlib import Path

from pocketvlad.dataset.files import scan
from pocketvlad.dataset.pickled import read_array
from pocketvlad.dataset.truth import of_positives, positives_of
from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import DatasetError

TRUTH = "ground_truth_new.npy"
_ALLOWED = f"folders query and ref, and {TRUTH}"


def load(root: Path) -> Dataset:
    """Read the folders and the ground truth.

    Raises:
        DatasetError: one is missing, a name is no number, or they do not belong together.
    """
    file = root / TRUTH
    missing = [name for name in ("query", "ref", TRUTH) if not (root / name).exists()]
    if missing:
        raise DatasetError(f"dataset {root} lacks {missing[0]}", allowed=_ALLOWED)
    database, queries = _numbered(root, "ref"), _numbered(root, "query")
    truth = read_array(file)
    if truth.shape != (len(queries), 2):
        found = f"{'x'.join(map(str, truth.shape))}, and {len(queries)} photos in {root / 'query'}"
        raise DatasetError(f"{file} does not fit its queries", found=found, allowed="a row for each query")
    positives: dict[int, frozenset[int]] = {}
    for number, matches in truth:
        for query in positives_of(file, number, len(queries)):
            positives[query] = positives_of(file, matches, len(database))
    if len(positives) < len(queries):
        raise DatasetError(f"{file} has two rows for a query", found=f"{len(positives)} of {len(queries)}")
    in_order = [positives[i] for i in range(len(queries))]
    return of_positives(str(root), database, queries, in_order, f"Recall@N by the matches of {TRUTH}")


def _numbered(root: Path, side: str) -> list[Photo]:
    """The photos of a side by number; a photo that is not read would move those behind it."""
    found = scan(root / side)
    found.require_photos("numbered photos")
    if found.unread:
        raise DatasetError(
            f"dataset {root} counts photos that are not read",
            found=found.unread_text(),
            do="convert them to JPEG",
        )
    odd = [path.name for path in found.photos if not path.stem.isdecimal()]
    if odd:
        raise DatasetError(f"a photo in {root / side} has no number", found=odd[0], allowed="0000012.jpg")
    paths = sorted(found.photos, key=lambda path: int(path.stem))
    return [Photo(path, path.relative_to(root).as_posix()) for path in paths]
