"""The whitening that recognises best on places it was not fitted to: its strength, its dimensions, the photos' views.

The places are dealt into a few parts; each part in turn is searched by itself, in descriptors whitened by the photos of
the others. All of it is computed from the inner products of the views' vectors, which are taken once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pocketvlad.model.questions import Places, Question
from pocketvlad.model.wanted import DIMS, FEWEST_VECTORS_A_DIMENSION, FULL, PCA, Wanted
from pocketvlad.model.whitening import centred, gram, principal, whitening_scale

STRENGTHS = (FULL, 0.99, 0.97, 0.9, 0.8, 0.7, 0.6, 0.45, 0.3, 0.15, PCA)
UNCHOSEN = 0.7  # strength where places are not known: on held-out places the best fixed one on average
PARTS = 5  # the places are dealt into at most; ten, of few places each, tell no more
PLACES_A_PART = 3  # at least, to have wrong answers
MOST_PHOTOS = 600  # that choose: more cost more and tell little more
_FEWEST_PLACES = 5  # of two photos or more, below which nothing is told from chance
_SAME = 0.001  # of mAP: below it the smaller of two candidates is preferred
_WORTH_ALL = 0.005  # of mAP that no whitening must be ahead, which costs many times the dimensions


@dataclass(frozen=True)
class Candidate:
    """A whitening.

    Attributes:
        dim: its dimensions; None: no whitening at all.
        strength: from PCA alone (0) to full (1).
        views: of each photo that fit it.
        score: mAP on held-out places, 0 to 1, as if all had been searched at once; None where it was not measured.
    """

    dim: int | None
    strength: float
    views: int
    score: float | None = None


@dataclass(frozen=True)
class Choice:
    """The whitening that was chosen.

    Attributes:
        chosen: the best, its neighbours in strength counted in: places are few, and one score alone is good by
            luck; of equals the fewest dimensions, then the fewest views, then the strongest.
        curve: candidates that differ from it in one thing at most, and no whitening at all.
        queries, places: that measured; 0 where places are not known and the whitening is the one for that case.
        seconds: that choosing took, the views' vectors apart.
    """

    chosen: Candidate
    curve: tuple[Candidate, ...] = ()
    queries: int = 0
    places: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class _Part:
    """Photos held out by number, the questions and answers among them by their rank there, and the photos that fit.

    ``right`` and ``out`` (junk, the question itself): bool [questions, answers].
    """

    held: np.ndarray
    questions: np.ndarray
    answers: np.ndarray
    right: np.ndarray
    out: np.ndarray
    fitting: np.ndarray


def choose_whitening(vectors: Tensor, places: Places, wanted: Wanted) -> Choice:
    """The candidate with the highest mean average precision on held-out places.

    Args:
        vectors: of every view, float32 [photos, views, V].
        places: of the photos.
        wanted: what is said of the whitening.

    Returns:
        The choice. Where no places tell, UNCHOSEN and as many dimensions as the vectors bear.
    """
    start, tried, kept = time.perf_counter(), wanted.views_of(len(vectors)), _looked_at(places)
    known = places.subset(kept)
    parts = _parts(known)
    scored = _scored(vectors[kept], parts, wanted, tried) if parts else []
    if not scored:
        return Choice(_unmeasured(vectors.shape[0], vectors.shape[1], wanted))
    plain = scored[0]
    chosen = _best(scored if wanted.dim is None and wanted.strength is None else scored[1:])
    curve = (*(each for each in scored[1:] if _near(each, chosen)), plain)
    questions = sum(len(part.questions) for part in parts)
    return Choice(chosen, curve, questions, len(known.groups()), time.perf_counter() - start)


def _looked_at(places: Places) -> list[int]:
    """Photos of groups evenly spread over their order, about MOST_PHOTOS; all where there are no more."""
    count = len(places.labels)
    if count <= MOST_PHOTOS:
        return list(range(count))
    groups = list(places.groups().values())
    return sorted(photo for group in groups[:: -(-count // MOST_PHOTOS)] for photo in group)


def _parts(places: Places) -> list[_Part]:
    """Groups dealt in turn into parts; none where too few have a question with a right answer."""
    groups = list(places.groups().values())
    count = min(PARTS, max(2, len(groups) // PLACES_A_PART))
    dealt = {photo: rank % count for rank, group in enumerate(groups) for photo in group}
    asked = [question for question in places.questions if question.right]
    searched = {question.photo for question in asked}
    if sum(not searched.isdisjoint(group) for group in groups) < _FEWEST_PLACES:
        return []
    part = np.array([dealt.get(photo, count) for photo in range(len(places.labels))])
    return [_part(places, asked, np.flatnonzero(part == number), part != number) for number in range(count)]


def _part(places: Places, asked: Sequence[Question], held: np.ndarray, fitting: np.ndarray) -> _Part:
    rank = {int(photo): number for number, photo in enumerate(held)}
    answers = [photo for photo in rank if places.answers[photo]]
    questions = [question for question in asked if question.photo in rank and question.right & {*answers}]
    right = [[photo in q.right for photo in answers] for q in questions]
    out = [[photo in q.junk or photo == q.photo for photo in answers] for q in questions]
    shape = (len(questions), len(answers))
    return _Part(
        held,
        np.array([rank[question.photo] for question in questions], int),
        np.array([rank[photo] for photo in answers], int),
        np.array(right, bool).reshape(shape),
        np.array(out, bool).reshape(shape),
        np.flatnonzero(fitting),
    )


def _scored(vectors: Tensor, parts: Sequence[_Part], wanted: Wanted, tried: Sequence[int]) -> list[Candidate]:
    """Candidates of ``tried`` views with their scores, no whitening first; none where no part has vectors enough.

    Where no views bear the dimensions that are wanted, the strength is measured with as many as the most views bear.
    """
    photos, most, _ = vectors.shape
    products = gram(vectors.flatten(0, 1)).view(photos, most, photos, most)
    plain = [
        _precisions(part, _cosines(products[part.held, 0][:, part.held, 0]), len(parts)) for part in parts
    ]
    found = [Candidate(None, PCA, 1, _mean(plain))]
    dims = DIMS if wanted.dim is None else (wanted.dim,)
    strengths = STRENGTHS if wanted.strength is None else (wanted.strength,)
    fewest = min(len(part.fitting) for part in parts)
    for views in tried:
        projected = [_projected(products[:, :views, :, :views], part, max(dims)) for part in parts]
        rank = min(len(variances) for _, variances in projected)
        borne = min(rank, views * fewest - 1)  # dimensions that the other parts' vectors have
        bearable = [dim for dim in dims if dim <= borne]
        if wanted.dim is not None and views == tried[-1] and len(found) == 1:
            bearable = [wanted.dim]
        for dim in bearable:
            for strength in strengths:
                scores = [
                    _precisions(
                        part,
                        _whitened(values[:, :borne][:, :dim], variances[:borne][:dim], strength),
                        len(parts),
                    )
                    for (values, variances), part in zip(projected, parts, strict=True)
                ]
                found.append(Candidate(dim, strength, views, _mean(scores)))
    return found if len(found) > 1 else []


def _projected(products: Tensor, part: _Part, most: int) -> tuple[Tensor, Tensor]:
    """Photos held out in principal components of the others' views, float64 [n, R], and those' variances [R]."""
    photos, views = products.shape[:2]
    rows = (torch.from_numpy(part.fitting)[:, None] * views + torch.arange(views)).flatten()
    flat = products.reshape(photos * views, photos * views)
    fitting = flat[rows][:, rows]
    values, rotations = principal(centred(fitting))
    values, rotations = values[:most], rotations[:, :most]
    crossed = flat[torch.from_numpy(part.held) * views][:, rows]
    crossed = crossed - crossed.mean(dim=1, keepdim=True) - fitting.mean(dim=0) + fitting.mean()
    return crossed @ (rotations / values.sqrt()), values / (len(rows) - 1)


def _whitened(values: Tensor, variances: Tensor, strength: float) -> Tensor:
    """Cosines of whitened descriptors, [n, n]."""
    scaled = torch.nn.functional.normalize(values * whitening_scale(variances, strength), dim=1)
    return scaled @ scaled.T


def _cosines(products: Tensor) -> Tensor:
    lengths = products.diagonal().sqrt()
    return products / lengths / lengths[:, None]


def _precisions(part: _Part, cosines: Tensor, times: int) -> np.ndarray:
    """Average precision of each question among the answers of its part, float64 [questions].

    Every wrong answer counts ``times``: the whole collection has so many times as many.
    """
    found = cosines.numpy()[part.questions][:, part.answers]
    order = np.argsort(np.where(part.out, np.inf, -found), axis=1, kind="stable")
    right = np.take_along_axis(part.right & ~part.out, order, axis=1)
    hits, misses = np.cumsum(right, axis=1), np.cumsum(~right, axis=1)
    precision = hits / np.maximum(hits + times * misses, 1)
    return (precision * right).sum(axis=1) / right.sum(axis=1)


def _mean(scores: Sequence[np.ndarray]) -> float:
    return float(np.concatenate(scores).mean())


def _best(scored: Sequence[Candidate]) -> Candidate:
    """See :class:`Choice`."""
    even = _evened(scored)
    plain = next((each for each in scored if each.dim is None), None)
    if plain is not None and (plain.score or 0.0) > max(each.score or 0.0 for each in even) + _WORTH_ALL:
        return plain
    top = max(even.values())
    equals = [each for each, score in even.items() if score >= top - _SAME]
    return min(equals, key=lambda each: (each.dim, each.views, -each.strength))


def _evened(scored: Sequence[Candidate]) -> dict[Candidate, float]:
    """Of each whitening the mean score of itself and the next weaker and stronger ones like it."""
    lines: dict[tuple[int, int], list[Candidate]] = {}
    for each in scored:
        if each.dim is not None:
            lines.setdefault((each.dim, each.views), []).append(each)
    found = {}
    for line in lines.values():
        for place, each in enumerate(line):
            near = [other.score or 0.0 for other in line[max(0, place - 1) : place + 2]]
            found[each] = sum(near) / len(near)
    return found


def _near(candidate: Candidate, chosen: Candidate) -> bool:
    one, other = (
        (candidate.dim, candidate.strength, candidate.views),
        (chosen.dim, chosen.strength, chosen.views),
    )
    return sum(a != b for a, b in zip(one, other, strict=True)) <= 1


def _unmeasured(photos: int, views: int, wanted: Wanted) -> Candidate:
    """The whitening where no places tell."""
    borne = int(photos * views / FEWEST_VECTORS_A_DIMENSION)
    dim = wanted.dim or max((dim for dim in DIMS if dim <= borne), default=max(1, borne))
    return Candidate(dim, UNCHOSEN if wanted.strength is None else wanted.strength, views)
