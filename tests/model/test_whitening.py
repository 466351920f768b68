"""Whitening of any strength, and its choice on places held out of the fit."""

from __future__ import annotations

import pytest
import torch

from pocketvlad.errors import PhotoError
from pocketvlad.model.choice import STRENGTHS, UNCHOSEN, Candidate, choose_whitening
from pocketvlad.model.questions import Places, Question
from pocketvlad.model.wanted import FULL, PCA, VIEWS, Wanted
from pocketvlad.model.whitening import (
    EPSILON,
    fit_softened,
    fit_whitening,
    gram,
    is_pca,
    whitening_scale,
)

PLACES, PHOTOS = 20, 4


def made_vectors(seed: int = 0, *, quiet_places: bool) -> torch.Tensor:
    """Vectors of PLACES * PHOTOS photos in 24 values: 12 tell the place, 12 change between photos of a place.

    ``quiet_places``: what changes is ten times as loud as what tells; else what tells is ten times as loud.
    """
    random = torch.Generator().manual_seed(seed)
    told = torch.randn(PLACES, 1, 12, generator=random).expand(-1, PHOTOS, -1)
    told = told + 0.3 * torch.randn(PLACES, PHOTOS, 12, generator=random)
    changing = torch.randn(PLACES, PHOTOS, 12, generator=random)
    loud, quiet = (changing, told) if quiet_places else (told, changing)
    vectors = torch.cat([10 * loud, quiet], dim=2).flatten(0, 1)
    return vectors @ torch.linalg.qr(torch.randn(24, 24, generator=random)).Q


LABELS = [f"place {number // PHOTOS:02}" for number in range(PLACES * PHOTOS)]


def places(labels: list[str | None], junk: frozenset[int] = frozenset()) -> Places:
    """Every photo of a place asks for the others of it; junk asks nothing and does not count."""
    same = {
        label: {i for i, other in enumerate(labels) if label is not None and other == label}
        for label in labels
    }
    questions = [
        Question(i, frozenset(same[label] - junk - {i}), frozenset(same[label] & junk))
        for i, label in enumerate(labels)
        if i not in junk
    ]
    return Places(labels, questions, [True] * len(labels))


KNOWN = places(list(LABELS))


def full_whitening(vectors: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias as every release had them, step by step."""
    mean = vectors.mean(dim=0)
    vectors = vectors - mean
    values, rotations = torch.linalg.eigh((vectors @ vectors.T).double())
    values, rotations = values.flip(0)[:dim], rotations.flip(1)[:, :dim]
    directions = (rotations / values.sqrt()).float().T @ vectors
    weight = directions * (values / (len(vectors) - 1) + 1e-9).rsqrt().float()[:, None]
    return weight, -(weight @ mean)


def test_full_whitening_is_bit_for_bit_what_it_was():
    vectors = made_vectors(quiet_places=True)
    weight, bias = full_whitening(vectors, 16)
    layer = fit_whitening(vectors.clone(), 16)
    assert torch.equal(layer.weight.detach(), weight) and torch.equal(layer.bias.detach(), bias)


def test_full_strength_is_full_whitening_up_to_signs():
    vectors = made_vectors(quiet_places=True)
    full, softened = fit_whitening(vectors.clone(), 16), fit_softened(vectors, 16, FULL)
    torch.testing.assert_close(softened.weight.abs(), full.weight.abs(), rtol=1e-3, atol=1e-4)
    largest = softened.weight.detach().gather(1, softened.weight.abs().argmax(dim=1, keepdim=True))
    assert (largest > 0).all()


@torch.no_grad()
@pytest.mark.parametrize("strength", [PCA, 0.4, FULL])
def test_the_inner_product_is_a_mixture(strength):
    """``1 - s`` parts of the principal components' as they are, divided by the mean variance, and ``s`` whitened."""
    vectors = made_vectors(quiet_places=True)
    found = fit_softened(vectors, 16, strength)(vectors)
    centred = (vectors - vectors.mean(dim=0)).double()
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    variances, components = values[:16] ** 2 / (len(vectors) - 1), centred @ rows[:16].T
    wanted = strength * (components / variances) @ components.T
    wanted += (1 - strength) * components @ components.T / variances.mean()
    torch.testing.assert_close((found @ found.T).double(), wanted, rtol=1e-3, atol=1e-3)


def test_softer_whitenings_are_still_principal_directions():
    """What dropping dimensions asks of them."""
    vectors = made_vectors(quiet_places=True)
    assert all(is_pca(fit_softened(vectors, 16, strength)) for strength in STRENGTHS)
    variances = torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)
    assert torch.equal(whitening_scale(variances, FULL), (variances + EPSILON).rsqrt())
    assert whitening_scale(variances, PCA).std() < 1e-6


def test_inner_products_are_float64():
    vectors = made_vectors(quiet_places=True).repeat(1, 200)  # more columns than are converted at a time
    torch.testing.assert_close(gram(vectors), vectors.double() @ vectors.double().T)


def test_too_few_vectors_are_refused():
    with pytest.raises(PhotoError, match="found 80 independent views; allowed: at least 81"):
        fit_softened(made_vectors(quiet_places=True), 80, 0.5)
    with pytest.raises(PhotoError, match="found 24 independent views"):
        fit_softened(made_vectors(quiet_places=True), 30, 0.5)


@pytest.mark.parametrize(("quiet_places", "best"), [(True, FULL), (False, PCA)])
def test_the_best_strength_is_found(quiet_places, best):
    vectors = made_vectors(quiet_places=quiet_places)[:, None]
    choice = choose_whitening(vectors, KNOWN, Wanted(dim=24, views=1))
    worst = next(each for each in choice.curve if each.dim and each.strength == PCA + FULL - best)
    assert abs(choice.chosen.strength - best) <= 0.3
    assert choice.chosen.score > worst.score + 0.1
    assert (choice.queries, choice.places) == (len(LABELS), PLACES)
    assert {each.strength for each in choice.curve if each.dim} == set(STRENGTHS)


def test_scores_are_those_of_whitening_without_the_searched_places():
    """Against the layer itself, fitted part by part; a wrong answer counts once for each of the five parts."""
    vectors = made_vectors(quiet_places=True)
    choice = choose_whitening(vectors[:, None], KNOWN, Wanted(dim=16, strength=0.4, views=1))
    ranks = [sorted(set(LABELS)).index(label) for label in LABELS]
    precisions = []
    for part in range(5):
        held = [i for i, rank in enumerate(ranks) if rank % 5 == part]
        fitting = [i for i, rank in enumerate(ranks) if rank % 5 != part]
        with torch.no_grad():
            found = torch.nn.functional.normalize(fit_softened(vectors[fitting], 16, 0.4)(vectors[held]))
        for row, query in enumerate(held):
            order = [i for i in (found @ found[row]).argsort(descending=True).tolist() if i != row]
            hits = [n for n, i in enumerate(order, 1) if LABELS[held[i]] == LABELS[query]]
            each = [count / (count + 5 * (n - count)) for count, n in enumerate(hits, 1)]
            precisions.append(sum(each) / len(each))
    assert choice.chosen.score == pytest.approx(sum(precisions) / len(precisions), abs=1e-6)


def test_strength_is_chosen_where_the_parts_alone_bear_fewer_dimensions():
    """63 vectors fit 62 dimensions, the 48 of four parts do not: the strength is chosen all the same."""
    vectors = made_vectors(quiet_places=False)[:63]
    vectors = torch.cat(
        [vectors, 0.01 * torch.randn(63, 60, generator=torch.Generator().manual_seed(1))], dim=1
    )
    known = places(LABELS[:63])
    choice = choose_whitening(vectors[:, None], known, Wanted(dim=60, views=1))
    assert choice.queries and choice.chosen.dim == 60 and choice.chosen.strength < UNCHOSEN
    assert {each.strength for each in choice.curve if each.dim} == set(STRENGTHS)


def test_dimensions_that_only_disturb_are_left_out():
    vectors = made_vectors(quiet_places=False)
    noise = 0.1 * torch.randn(len(vectors), 40, generator=torch.Generator().manual_seed(5))
    wide = torch.cat([vectors, noise], dim=1)[:, None]
    assert choose_whitening(wide, KNOWN, Wanted(strength=FULL, views=1)).chosen.dim == 32


def test_no_whitening_is_chosen_where_it_is_clearly_better_and_nothing_is_said():
    """Few photos in many values: their principal directions say little of other places."""
    random = torch.Generator().manual_seed(3)
    told = torch.randn(PLACES, 1, 400, generator=random).expand(-1, PHOTOS, -1)
    vectors = (told + 2 * torch.randn(PLACES, PHOTOS, 400, generator=random)).flatten(0, 1)[:, None]
    free = choose_whitening(vectors, KNOWN, Wanted(views=1))
    assert free.chosen.dim is None and free.chosen.score > 0.9
    assert choose_whitening(vectors, KNOWN, Wanted(strength=0.5, views=1)).chosen.dim == 32
    assert choose_whitening(vectors, KNOWN, Wanted(dim=60, views=1)).chosen.dim == 60


def test_views_are_tried_up_to_what_the_dimensions_need():
    assert Wanted().views_of(90) == VIEWS
    assert Wanted().views_of(2000) == (1, 2)
    assert Wanted(views=3).views_of(90) == (3,)
    assert Wanted(dim=512).views_of(40) == (*VIEWS, 20)  # one and a half vectors for each dimension


def test_junk_is_no_question_and_no_answer_and_is_held_out_with_its_place():
    vectors = made_vectors(quiet_places=True)
    junk = frozenset(range(0, len(LABELS), PHOTOS))
    wanted = Wanted(dim=16, strength=FULL, views=1)
    choice = choose_whitening(vectors[:, None], places(list(LABELS), junk), wanted)
    assert choice.queries == len(LABELS) * (PHOTOS - 1) // PHOTOS
    blurred = vectors.clone()  # as answers they would come first
    blurred[list(junk)] = vectors[[i + 1 for i in junk]]
    counted = choose_whitening(blurred[:, None], places(list(LABELS)), wanted)
    again = choose_whitening(blurred[:, None], places(list(LABELS), junk), wanted)
    assert counted.chosen.score > again.chosen.score


def test_places_are_known_by_labels_and_by_right_answers():
    by_answers = Places([None] * len(LABELS), KNOWN.questions, KNOWN.answers)
    assert list(by_answers.groups().values()) == list(KNOWN.groups().values())
    chain = [Question(i, frozenset({i + 1})) for i in range(3)]
    assert Places(["a", None, None, None, "b", None], chain, [True] * 6).groups() == {0: [0, 1, 2, 3], 4: [4]}
    vectors = made_vectors(quiet_places=True)[:, None]
    wanted = Wanted(dim=16, views=1)
    assert (
        choose_whitening(vectors, by_answers, wanted).curve == choose_whitening(vectors, KNOWN, wanted).curve
    )


def test_a_query_outside_the_database_is_no_answer():
    vectors = made_vectors(quiet_places=True)[:, None]
    outside = set(range(0, len(LABELS), PHOTOS))
    asked = [q for q in KNOWN.questions if q.photo in outside]
    searched = Places(LABELS, asked, [i not in outside for i in range(len(LABELS))])
    alone = choose_whitening(vectors, searched, Wanted(dim=16, strength=FULL, views=1))
    among = choose_whitening(
        vectors, Places(LABELS, asked, KNOWN.answers), Wanted(dim=16, strength=FULL, views=1)
    )
    assert alone.queries == among.queries == PLACES
    assert alone.chosen.score > among.chosen.score  # fewer wrong answers


@pytest.mark.parametrize(
    "labels", [[None] * len(LABELS), LABELS[:PHOTOS] * PLACES, [str(i) for i in range(len(LABELS))]]
)
def test_without_places_to_tell_from_the_strength_is_the_stated_one(labels):
    vectors = made_vectors(quiet_places=True)[:, None].expand(-1, 2, -1)
    choice = choose_whitening(vectors, places(labels), Wanted(views=2))
    assert choice.chosen == Candidate(96, UNCHOSEN, 2) and choice.queries == 0


def test_many_photos_choose_by_some_of_their_places():
    vectors = made_vectors(quiet_places=True).repeat(10, 1)
    labels = [f"{turn} {label}" for turn in range(10) for label in LABELS]
    choice = choose_whitening(vectors[:, None], places(labels), Wanted(dim=16, views=1))
    assert choice.places == 10 * PLACES // 2


def test_the_choice_and_the_layer_do_not_depend_on_the_number_of_threads():
    vectors, found = made_vectors(quiet_places=True).repeat(1, 100), []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            choice = choose_whitening(vectors[:, None], KNOWN, Wanted(dim=16))
            found.append(
                (choice.chosen.strength, fit_softened(vectors, 16, choice.chosen.strength).weight.detach())
            )
    finally:
        torch.set_num_threads(before)
    (strength, weight), (again, other) = found
    assert strength == again
    torch.testing.assert_close(weight, other, rtol=1e-5, atol=1e-6 * float(weight.abs().max()))


def test_whitening_with_fewer_vectors_than_dimensions():
    vectors = torch.randn(40, 2000, generator=torch.Generator().manual_seed(0))
    vectors[:, :20] *= 8
    layer = fit_whitening(vectors.clone(), 16)
    with torch.no_grad():
        white = layer(vectors)
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(16), atol=1e-3, rtol=0)
    covariance = white.T @ white / (len(vectors) - 1)
    torch.testing.assert_close(covariance, torch.eye(16), atol=1e-3, rtol=0)
    singular = torch.linalg.svdvals((vectors - vectors.mean(dim=0)).double())[:16]
    expected = (39**0.5 / singular).float()
    torch.testing.assert_close(layer.weight.norm(dim=1), expected, rtol=1e-3, atol=0)


def test_whitening_refuses_more_dimensions_than_views():
    with pytest.raises(PhotoError, match="needs more photos; found 8 independent views"):
        fit_whitening(torch.randn(8, 100), 8)
    for seed in range(50):  # float32 sums make small variances out of none
        repeated = torch.randn(5, 100, generator=torch.Generator().manual_seed(seed)).repeat(4, 1)
        with pytest.raises(PhotoError, match="needs more photos; found 4 independent views"):
            fit_whitening(repeated, 8)
