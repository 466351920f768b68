"""What the steps share: sizes, datasets by name, hashes of datasets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pocketvlad import artifact
from pocketvlad.dataset import Dataset, Photo, open_dataset
from pocketvlad.dataset.types import queries_hash
from pocketvlad.errors import RecipeError
from pocketvlad.evaluate.describe import Reading
from pocketvlad.outputs import require_outputs
from pocketvlad.runtime.describer import Describer
from pocketvlad.schema import to_table

MEAN_COSINE = "mean_cosine"  # among a compressed file's figures: to the uncompressed descriptors
_WEAK = 0.9  # under it a recipe has changed what the model sees; every shipped one keeps more where it fits


class Result:
    """What a step found; every result is a frozen dataclass of this kind."""

    def to_json(self) -> dict[str, Any]:
        """As a table of plain values."""
        return to_table(self)


def weak_warning(figures: Mapping[str, Any]) -> str | None:
    """A sentence where a compressed file's figures say that its answers are far from the uncompressed model's."""
    cosine = figures.get(MEAN_COSINE)
    if cosine is None or cosine >= _WEAK:
        return None
    return f"mean cosine to the uncompressed model is {cosine:.2f}: this recipe changes its answers, evaluate both"


def parse_size(text: str) -> tuple[int, int]:
    """``480x640`` -> (height, width)."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if not match:
        raise RecipeError("the size is not HEIGHTxWIDTH in pixels", found=repr(text), allowed="e.g. 480x640")
    return int(match[1]), int(match[2])


def megabytes(path: Path | str) -> float:
    """Size of a file in MB of 10^6 bytes."""
    return Path(path).stat().st_size / 1e6


def dataset_of(photos: str | Path | Dataset, queries: str | Path | None = None) -> Dataset:
    """A dataset by its ``KIND:PATH``, with ``queries`` from another folder, or itself."""
    said = None if queries is None else str(queries)
    if not isinstance(photos, Dataset):
        return open_dataset(str(photos), said)
    if said is not None:
        raise RecipeError("an open dataset has its queries", found=said, allowed="KIND:PATH with queries")
    return photos


def apart(dataset: Dataset, out: Path, *inputs: Path | str | None, force: bool) -> Dataset:
    """The dataset; ArtifactError where ``out`` is one of its photos or of the inputs, or cannot be written."""
    require_outputs([out], [*inputs, *(photo.path for photo in dataset.photos)], force=force)
    return dataset


def dataset_hash(dataset: Dataset) -> str:
    """One hash over a dataset's photos (all that is known of them, and their contents), ground truths and metric."""
    files = [
        [p.name, p.place, *p.labels, *_where(p), p.box, p.panorama, artifact.file_sha256(p.path)]
        for p in dataset.photos
    ]
    truth = {
        "queries": queries_hash(dataset.queries),
        "variants": {name: queries_hash(queries) for name, queries in dataset.variants.items()},
        "database": list(dataset.database),
        "metric": dataset.metric,
    }
    return artifact.tensors_fingerprint({}, {"photos": files, **truth})


def _where(photo: Photo) -> tuple[object, ...]:
    return photo.latitude, photo.longitude, photo.utm


def photos_by(describer: Describer, beside: Callable[[Photo], bytes] | None = None) -> Reading:
    """How photos are read for a describer; nothing is kept of what is done."""
    return Reading(describer.several, describer.preprocess, beside)


def reading_of(
    describer: Describer, out: Path, what: str, beside: Callable[[Photo], bytes] | None = None
) -> Reading:
    """The same for a file that a step makes: what is done lies beside it, in a hidden folder, until the file is there.

    Args:
        describer: of the photos.
        out: the file.
        what: the step.
        beside: see :class:`Reading`.
    """
    describes = f"{what} {describer.kind} {artifact.versions()} ".encode() + describer.fingerprint
    return replace(photos_by(describer, beside), resume=resume_folder(out), describes=describes)


def resume_folder(out: Path) -> Path:
    """Where a step keeps what it has done until ``out`` is there."""
    return out.with_name(f".{out.name}.resume")
