"""Views of calibration photos: more vectors for a layer that reads one of each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from pocketvlad.compress.calibrate.walk import Inputs
from pocketvlad.model.views import photo_views

VIEWS = 900  # vectors wanted; few photos give several views each
_MOST_VIEWS = 6  # of one photo
_PHOTO_DIMENSIONS = 4


def views_per_photo(photos: int) -> int:
    """How many views make :data:`VIEWS` vectors of that many photos."""
    return int(np.clip(-(-VIEWS // photos), 1, _MOST_VIEWS))


def example_views(examples: Inputs) -> Iterator[tuple[Tensor, ...]]:
    """Views of photos, each an input of its own; anything else as it is."""
    if not are_photos(examples):
        yield from examples
        return
    photos = [photo[0] for (photo,) in examples]
    for view in photo_views(photos, views_per_photo(len(photos))):
        yield (view[None],)


def enough_examples(examples: Inputs, most: int) -> Inputs:
    """At most ``most`` of them, evenly spread; of fewer photos up to :data:`_MOST_VIEWS` views each."""
    chosen = examples[:: max(1, -(-len(examples) // most))]
    views = min(most // len(chosen), _MOST_VIEWS)
    if views < 2 or not are_photos(chosen):
        return chosen
    return [(view[None],) for view in photo_views([photo[0] for (photo,) in chosen], views)]


def view_count(examples: Inputs) -> int:
    """How many :func:`example_views` gives."""
    return len(examples) * (views_per_photo(len(examples)) if are_photos(examples) else 1)


def are_photos(examples: Inputs) -> bool:
    """Whether each input is one photo, float32 [1, 3, H, W]."""
    first = examples[0]
    return len(first) == 1 and first[0].dim() == _PHOTO_DIMENSIONS and first[0].shape[:2] == (1, 3)
