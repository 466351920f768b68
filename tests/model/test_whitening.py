"""Whitening of any strength, and its choice on places held out of the fit."""

from __future__ import annotations

import pytest
import torch

from pocketvlad.errors import PhotoError
from pocketvlad.model.choice import STRENGTHS, UNCHOSEN, VIEWS, Candidate, Places, Wanted, choose_whitening
from pocketvlad.model.whitening import (
    EPSILON,
    FULL,
    PCA,
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
KNOWN = Places(LABELS, [False] * len(LABELS))


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
    """Against the layer itself, fitted part by part, and average precision counted one by one."""
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
            precisions.append(sum(count / n for count, n in enumerate(hits, 1)) / len(hits))
    assert choice.chosen.score == pytest.approx(sum(precisions) / len(precisions), abs=1e-6)


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


def test_junk_is_never_searched_and_never_fits_with_its_place():
    vectors = made_vectors(quiet_places=True)
    junk = [number % PHOTOS == 0 for number in range(len(LABELS))]
    choice = choose_whitening(vectors[:, None], Places(LABELS, junk), Wanted(dim=16, views=1))
    assert choice.queries == len(LABELS) * (PHOTOS - 1) // PHOTOS
    clean = [i for i, is_junk in enumerate(junk) if not is_junk]
    changed = vectors.clone()
    changed[[i for i, is_junk in enumerate(junk) if is_junk]] *= 3
    again = choose_whitening(changed[:, None], Places(LABELS, junk), Wanted(dim=16, views=1))
    assert again.curve != choice.curve  # it fits where its place is not searched
    alone = choose_whitening(
        vectors[clean][:, None],
        Places([LABELS[i] for i in clean], [False] * len(clean)),
        Wanted(dim=16, views=1),
    )
    assert alone.queries == choice.queries


@pytest.mark.parametrize(
    "places", [[None] * len(LABELS), LABELS[:PHOTOS] * PLACES, [str(i) for i in range(len(LABELS))]]
)
def test_without_places_to_tell_from_the_strength_is_the_stated_one(places):
    vectors = made_vectors(quiet_places=True)[:, None].expand(-1, 2, -1)
    choice = choose_whitening(vectors, Places(places, [False] * len(places)), Wanted(views=2))
    assert choice.chosen == Candidate(96, UNCHOSEN, 2) and choice.queries == 0


def test_many_photos_choose_by_some_of_their_places():
    vectors = made_vectors(quiet_places=True).repeat(10, 1)
    labels = [f"{turn} {label}" for turn in range(10) for label in LABELS]
    choice = choose_whitening(
        vectors[:, None], Places(labels, [False] * len(labels)), Wanted(dim=16, views=1)
    )
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
