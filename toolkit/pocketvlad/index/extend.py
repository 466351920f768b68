"""An index with more photos: a small file is written anew, a large one gets another part behind its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pocketvlad.index.build import join_indices, require_alike, suggest_threshold
from pocketvlad.index.format import append_part, open_index, write_index
from pocketvlad.index.rules import require_countable
from pocketvlad.index.types import PlaceIndex, chained

WHOLE_BYTES = 64_000_000  # of a file up to which it stays one part, as phones read it
MOST_PARTS = 64
_JUDGED_ALWAYS = 20_000  # photos up to which each addition finds the threshold again


def extend_index(path: Path, added: PlaceIndex, *, replace_names: bool = False) -> PlaceIndex:
    """Add photos to an index's file, which is old or new at every moment.

    A large file is only appended to, unless photos of it are replaced or it has MOST_PARTS parts. Its threshold is then
    found again when the photos have doubled, else kept.

    Args:
        path: of the index; nobody else changes it meanwhile (:func:`pocketvlad.locks.in_turn`).
        added: photos of the same program.
        replace_names: they take the place of those of the same name.

    Returns:
        What the file then holds.

    Raises:
        IndexFormatError: another model's descriptors, names that are there already, or too many photos.
        ArtifactError: the disk refuses it.
    """
    index = open_index(path)
    require_alike([index, added])
    known = set(added.names())
    small = path.stat().st_size <= WHOLE_BYTES or len(index.parts) >= MOST_PARTS
    if small or any(not known.isdisjoint(block) for block in index.texts("name")):
        joined = join_indices([index, added], replace_names=replace_names)
        write_index(path, joined, force=True)
        return joined
    stored = added.encoded_at(slice(None), index.vectors.dtype.name)
    require_countable(len(index) + len(added))
    part = PlaceIndex(*stored, added.entries, index.fingerprint, index.threshold, added.info)
    if _judged_again(len(index), len(index) + len(part)):
        part = replace(part, threshold=suggest_threshold(chained([*index.parts, part])))
    append_part(path, part)
    return open_index(path)


def _judged_again(before: int, after: int) -> bool:
    """Whether the threshold is found again: with few photos always, with many when they have doubled."""
    return after <= _JUDGED_ALWAYS or np.log2(before) // 1 < np.log2(after) // 1
