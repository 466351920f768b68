"""The wrong answers of an evaluation, by name and with their distance where the photos have positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pocketvlad.dataset.types import Dataset, Photo
from pocketvlad.errors import printable
from pocketvlad.evaluate.retrieval import RetrievalResult

_EARTH = 6_371_008.8  # metres, mean radius


@dataclass(frozen=True)
class Mistake:
    """A query whose best match is wrong.

    Attributes:
        query, answer: names of its photo and of the best match.
        place, answered: places of the two, as one text; empty where photos have none.
        metres: between the two; None where they have no positions.
        unanswerable: nothing in the map is right for it.
    """

    query: str
    answer: str
    place: str
    answered: str
    metres: float | None
    unanswerable: bool


def mistakes(dataset: Dataset, result: RetrievalResult) -> tuple[Mistake, ...]:
    """Every query whose best match is not right, in the order of the queries.

    Args:
        dataset: that was evaluated.
        result: of its main ground truth.
    """
    pairs = zip(dataset.queries, result.best, strict=True)
    return tuple(
        _mistake(dataset.photos[query.photo], dataset.photos[best], not query.positives)
        for query, best in pairs
        if best not in query.positives
    )


def _mistake(query: Photo, answer: Photo, unanswerable: bool) -> Mistake:
    place, answered = (printable(", ".join(photo.labels)) for photo in (query, answer))
    names = (printable(query.name), printable(answer.name))
    return Mistake(*names, place, answered, metres_between(query, answer), unanswerable)


def metres_between(one: Photo, other: Photo) -> float | None:
    """From positions in metres, or along the ground (haversine) from latitudes; None where one has neither."""
    if one.utm is not None and other.utm is not None:
        return math.dist(one.utm, other.utm)
    degrees = (one.latitude, one.longitude, other.latitude, other.longitude)
    if any(value is None for value in degrees):
        return None
    south, west, north, east = (math.radians(value) for value in degrees if value is not None)
    half = math.sin((north - south) / 2) ** 2
    half += math.cos(south) * math.cos(north) * math.sin((east - west) / 2) ** 2
    return 2 * _EARTH * math.asin(math.sqrt(min(1.0, half)))
