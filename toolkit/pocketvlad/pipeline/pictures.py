"""What pictures show: answers of the uncompressed and the compressed model, weights before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pocketvlad.compress.compressed import Compressed
from pocketvlad.dataset import Dataset
from pocketvlad.evaluate.retrieval import RetrievalResult, evaluate_descriptors
from pocketvlad.model.roles import CONVOLUTION
from pocketvlad.report import figures
from pocketvlad.report.plots import weight_histograms
from pocketvlad.report.summary import Histogram, Match, MatchRow, QueryChange, Verdicts, verdict_of

_BINS = 121
_DEVIATIONS = 4  # to both sides of a histogram
_COLUMNS = 6
_EACH = 3  # of lost and of gained queries that are shown
_LISTED = 30  # queries that lost most, and as many that gained most
_LEAST_CHANGE = 0.05  # points of 100: less is not shown


Answers = tuple[RetrievalResult, np.ndarray]


def answers_picture(test: Dataset, before: np.ndarray, after: np.ndarray, ratio: float) -> bytes:
    """Queries of different places with a right answer and both models' answers, as PNG.

    Args:
        test: n photos.
        before, after: descriptors float32 [n, dim] of the uncompressed and the compressed program.
        ratio: of their sizes.
    """
    was, now = ((evaluate_descriptors(test, found), found) for found in (before, after))
    # the font has no multiplication sign
    return figures.qualitative_rows(match_rows(test, was, now), f"{ratio:.0f}x smaller")


def match_rows(
    test: Dataset, before: Answers, after: Answers, queries: Sequence[int] | None = None
) -> tuple[MatchRow, ...]:
    """Queries by number and what both models, results and descriptors [n, dim], rank first.

    Without ``queries`` some at even distances.
    """
    rows, changes = [], _changes(before, after)
    for number in _spread_queries(test) if queries is None else queries:
        query = test.queries[number]
        photo, truth = test.photos[query.photo], test.photos[min(query.positives)]
        was, now = (_match(test, *answers, number) for answers in (before, after))
        rows.append(MatchRow(str(photo.path), str(truth.path), photo.place, was, now, float(changes[number])))
    return tuple(rows)


def telling_queries(test: Dataset, before: Answers, after: Answers) -> list[int]:
    """Some queries whose first answer compression lost, some it gained, then others at even distances."""
    changes = _changes(before, after)
    by_change = [
        int(number) for number in np.argsort(changes, kind="stable") if test.queries[number].positives
    ]
    said = {number: _verdict(test, before[0], after[0], number) for number in by_change}
    lost = [number for number in by_change if said[number] == "lost"][:_EACH]
    gained = [number for number in reversed(by_change) if said[number] == "gained"][:_EACH]
    others = [number for number in _spread_queries(test) if said[number] in ("right", "wrong")]
    return [*lost, *gained, *others]


def verdicts(test: Dataset, before: RetrievalResult, after: RetrievalResult) -> Verdicts:
    """What compression did to the first answer, over all queries."""
    counts = Counter(_verdict(test, before, after, number) for number in range(len(test.queries)))
    return Verdicts(counts["lost"], counts["gained"], counts["right"], counts["wrong"])


def query_changes(before: RetrievalResult, after: RetrievalResult) -> tuple[QueryChange, ...]:
    """The queries whose own score changed, what lost most first; of many the outer ones."""
    scores = 100 * np.stack([before.per_query, after.per_query], axis=1)
    order = np.argsort(scores[:, 1] - scores[:, 0], kind="stable")
    changed = [number for number in order if abs(scores[number, 1] - scores[number, 0]) > _LEAST_CHANGE]
    shown = changed if len(changed) <= 2 * _LISTED else [*changed[:_LISTED], *changed[-_LISTED:]]
    return tuple(QueryChange(before.queries[n], *map(float, scores[n])) for n in shown)


def _verdict(test: Dataset, before: RetrievalResult, after: RetrievalResult, number: int) -> str:
    """As :attr:`MatchRow.verdict`."""
    was, now = (result.best[number] in test.queries[number].positives for result in (before, after))
    return verdict_of(was, now)


def _changes(before: Answers, after: Answers) -> np.ndarray:
    """Of the queries' own scores, points of 100, float64 [queries]."""
    return 100 * (after[0].per_query - before[0].per_query)


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
    return weight_histograms([weight_histogram(name, *pair) for name, pair in pairs.items()]).svg()


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
