"""The place index and cosine search."""

from pocketvlad.index.about import about_photo
from pocketvlad.index.build import (
    add_to_index,
    build_index,
    indexed,
    join_indices,
    judging_matches,
    require_fingerprint,
    suggest_threshold,
)
from pocketvlad.index.format import open_index, write_index
from pocketvlad.index.search import are_themselves, search_index
from pocketvlad.index.types import Entry, PlaceIndex
from pocketvlad.index.visitors import Visit, examples, split_visitors, visits

__all__ = [
    "Entry",
    "PlaceIndex",
    "Visit",
    "about_photo",
    "add_to_index",
    "are_themselves",
    "build_index",
    "examples",
    "indexed",
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
