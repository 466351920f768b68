"""What pictures show: answers of the uncompressed and the compressed model, weights before and after."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pocketvlad.compress.compressed import Compressed
from pocketvlad.dataset import Dataset
from pocketvlad.evaluate.retrieval import RetrievalResult, evaluate_descriptors
from pocketvlad.model.roles import CONVOLUTION
from pocketvlad.report import figures
from pocketvlad.report.summary import Histogram, Match, MatchRow

_BINS = 121
_DEVIATIONS = 4  # to both sides of a histogram
_COLUMNS = 6


Answers = tuple[RetrievalResult, np.ndarray]


def answers_picture(test: Dataset, before: np.ndarray, after: np.ndarray, ratio: float) -> bytes:
    """Queries of different places with a right answer and both models' answers, as PNG.

    Args:
        test: n photos.
        before, after: descriptors float32 [n, dim] of the uncompressed and the compressed program.
        ratio: of their sizes.
    """
    models = [(evaluate_descriptors(test, found), found) for found in (before, after)]
    # the font has no multiplication sign
    return figures.qualitative_rows(match_rows(test, *models), f"{ratio:.0f}x smaller")


def match_rows(test: Dataset, before: Answers, after: Answers) -> tuple[MatchRow, ...]:
    """Some queries with a right answer and what both models, results and descriptors [n, dim], rank first."""
    rows = []
    for number in _spread_queries(test):
        query = test.queries[number]
        photo, truth = test.photos[query.photo], test.photos[min(query.positives)]
        matches = [_match(test, *answers, number) for answers in (before, after)]
        rows.append(MatchRow(str(photo.path), str(truth.path), photo.place, *matches))
    return tuple(rows)


def _spread_queries(test: Dataset) -> list[int]:
    """At most one query per place, at even distances, not chosen by hand."""
    first: dict[str, int] = {}
    for number, query in enumerate(test.queries):
        if query.positives:
            first.setdefault(test.photos[query.photo].place or str(number), number)
    chosen = list(first.values())
    return chosen[:: max(1, len(chosen) // _COLUMNS)][:_COLUMNS]


def _match(test: Dataset, result: RetrievalResult, found: np.ndarray, number: int) -> Match:
    query, best = test.queries[number], result.best[number]
    cosine = float(found[best] @ found[query.photo])
    return Match(str(test.photos[best].path), cosine, best in query.positives)


def histogram_picture(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Weights before and after by layer, as SVG."""
    return figures.weight_histograms([weight_histogram(name, *pair) for name, pair in pairs.items()])


def weight_histogram(name: str, before: np.ndarray, after: np.ndarray) -> Histogram:
    """Counts of a layer's weights in equal bins over four deviations of ``before`` to both sides."""
    limit = _DEVIATIONS * float(before.std()) or 1.0
    edges = np.linspace(-limit, limit, _BINS)
    counts = [tuple(np.histogram(weights, edges)[0].tolist()) for weights in (before, after)]
    return Histogram(name, tuple(edges.tolist()), *counts)


def shown_layers(compressed: Compressed) -> list[str]:
    """The first and the largest convolution, and the model's last layer."""
    convolutions = [name for name, role in compressed.roles().items() if role == CONVOLUTION]
    largest = max(convolutions, key=lambda name: compressed.layers[name].codes.size)
    return list(dict.fromkeys([convolutions[0], largest, list(compressed.layers)[-1]]))
