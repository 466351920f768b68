"""The place index and cosine search."""

from pocketvlad.index.about import about_photo
from pocketvlad.index.build import (
    build_index,
    indexed,
    join_indices,
    judging_matches,
    require_fingerprint,
    suggest_threshold,
)
from pocketvlad.index.entries import Entry
from pocketvlad.index.extend import extend_index
from pocketvlad.index.format import is_one_part, open_index, write_index
from pocketvlad.index.search import are_themselves, search_index
from pocketvlad.index.types import PlaceIndex
from pocketvlad.index.visitors import Visit, examples, split_visitors, visits

__all__ = [
    "Entry",
    "PlaceIndex",
    "Visit",
    "about_photo",
    "are_themselves",
    "build_index",
    "examples",
    "extend_index",
    "indexed",
    "is_one_part",
    "join_indices",
    "judging_matches",
    "open_index",
    "require_fingerprint",
    "search_index",
    "split_visitors",
    "suggest_threshold",
    "visits",
    "write_index",
]
