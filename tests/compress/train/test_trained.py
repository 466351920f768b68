"""The training loop: shared gradients, the loss, resuming after a kill, several processes."""

import dataclasses
import os
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import forked, train_worker
from helpers.models import make_classifier, make_model, make_photos
from pocketvlad.compress.codes.assignment import quantize_layer
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.post_training import compress_network
from pocketvlad.compress.recipe import LayerRecipe, LayerRule, Recipe
from pocketvlad.compress.train.clustered import ClusteredLayer, ClusteredWeight
from pocketvlad.compress.train.model import FeaturesAndDescriptors
from pocketvlad.compress.train.photos import TrainingPhotos, split_validation
from pocketvlad.compress.train.trained import train_compressed
from pocketvlad.compress.train.trainer import Trainer, relative_error
from pocketvlad.compress.train.triplets import TrainingTuple, epoch_order, mine, triplet_loss
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.dataset.types import Query
from pocketvlad.errors import ArtifactError, DatasetError, RecipeError
from pocketvlad.model.network import Network

WORKER = Path(train_worker.__file__)
TRAIN = TrainRecipe(steps=6, tuples=2, negatives=2, margin=0.5, assign_every=2, refresh_every=3, save_every=1)
RECIPE = Recipe(
    1,
    "trained",
    layer=LayerRecipe(bits=3, row_scale="max"),
    rule=(LayerRule("whitening", bits=2, row_scale="none", sparsity=0.5),),
    train=TRAIN,
)


def place_photos(places: int = 4, each: int = 3) -> TrainingPhotos:
    """Photos of a place are one picture with noise."""
    base = make_photos(places, 64).repeat_interleave(each, dim=0)
    photos = base + 0.4 * make_photos(places * each, 64, seed=1)
    number = range(places * each)
    queries = tuple(
        Query(i, frozenset(j for j in number if j // each == i // each and j != i)) for i in number
    )
    return TrainingPhotos(lambda i: photos[i], len(photos), queries)


def recipe(**train: object) -> Recipe:
    return dataclasses.replace(RECIPE, train=dataclasses.replace(TRAIN, **train))


def same_bytes(a: Compressed, b: Compressed) -> bool:
    left, right = a.tensors(), b.tensors()
    return left.keys() == right.keys() and all(np.array_equal(left[k], right[k]) for k in left)


def test_gradients_with_the_same_centroid_are_summed_by_hand():
    weight = torch.zeros(2, 3, requires_grad=True)
    codebook = torch.tensor([[0.0, 1.0, 2.0]], requires_grad=True)
    codes = torch.tensor([[1, 1, 2], [0, 2, 1]], dtype=torch.uint8)
    keep = torch.tensor([[True, True, True], [False, True, True]])
    scale = torch.tensor([1.0, 10.0])
    used = ClusteredWeight.apply(weight, codebook, codes, keep, scale)
    assert used.tolist() == [[1, 1, 2], [0, 20, 10]]
    gradient = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    used.backward(gradient)
    # centroid 1: 1 + 2 + 10 * 6; centroid 2: 3 + 10 * 5; the zero centroid stays
    assert codebook.grad.tolist() == [[0, 63, 53]]
    assert torch.equal(weight.grad, gradient)


def test_summed_gradients_equal_autograd_through_the_lookup():
    torch.manual_seed(0)
    codebook = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    codes = torch.randint(0, 4, (7, 11), dtype=torch.uint8)
    scale, keep = torch.rand(7, dtype=torch.float64), torch.rand(7, 11) > 0.3
    x = torch.randn(5, 11, dtype=torch.float64)

    def plain(book: torch.Tensor) -> torch.Tensor:
        rows = torch.arange(7) // 3
        return book[rows[:, None], codes.long()] * keep * scale[:, None]

    wanted = torch.autograd.grad((x @ plain(codebook).T).square().sum(), codebook)[0]
    ours = ClusteredWeight.apply(torch.zeros(7, 11, dtype=torch.float64), codebook, codes, keep, scale)
    found = torch.autograd.grad((x @ ours.T).square().sum(), codebook)[0]
    assert torch.allclose(found, wanted)


def test_the_loss_by_hand():
    q, p = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    n = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    # |q-p|^2 = 2; |q-n|^2 = 4 and 0: 1/2 mean(max(0, .5 + 2 - 4), .5 + 2 - 0)
    assert triplet_loss(q, p, n, 0.5).item() == pytest.approx(0.5 * 2.5 / 2)
    assert triplet_loss(q, p, n[:0], 0.5).item() == 0


def test_mining_takes_the_nearest_positive_and_violating_negatives_but_no_junk():
    cache = np.eye(6, dtype=np.float32)
    cache[1] = [0.9, 0.436, 0, 0, 0, 0]  # a near positive
    cache[3] = [0.95, 0, 0, 0.312, 0, 0]  # a negative inside the margin
    query = Query(0, frozenset({1, 2}), frozenset({4}))
    found = mine(query, cache, np.arange(6), 5, 0.1, np.random.default_rng(0))
    assert found.positive == 1 and found.negatives == (3,)


def test_queries_without_a_positive_are_left_out_of_every_epoch():
    queries = [Query(0, frozenset({1})), Query(2, frozenset()), Query(1, frozenset({0}))]
    orders = [[q.photo for q in epoch_order(queries, 0, epoch)] for epoch in range(8)]
    assert all(sorted(order) == [0, 1] for order in orders) and len({tuple(o) for o in orders}) == 2


def test_validation_places_are_not_trained_on():
    queries = [Query(i, frozenset({i ^ 1})) for i in range(8)]
    training, validation = split_validation(queries, [f"p{i // 2}" for i in range(8)], 0.25)
    assert [q.photo for q in validation] == [6, 7] and len(training) == 6


def test_pruned_weights_may_come_back_and_stored_weights_change_centroid():
    weight = np.array([[0.1, 0.6, -0.9, 1.0]], np.float32)
    lut = quantize_layer(weight, LayerRecipe(bits=2, threshold=0.5, layout="sparse"))
    layer = ClusteredLayer(lut, torch.from_numpy(weight))
    with torch.no_grad():
        layer.weight[0, 0] = 1.0
        layer.weight[0, 3] = 0.2
    layer.prune(0.5, 0)
    layer.cluster()
    decoded = layer.lut().dequantize()[0]
    assert decoded[3] == 0 and decoded[0] == pytest.approx(1.0)


@pytest.mark.parametrize("codebook", ["trained", "recluster", "fixed"])
def test_training_lowers_the_loss_and_keeps_the_format(codebook):
    model, photos = make_model(), place_photos()
    plan = recipe(codebook=codebook, steps=8, learning_rate=5e-3, distill=1.0, triplet=0.0)
    start = compress_network(model, plan)
    losses: list[float] = []
    found = train_compressed(model, start, plan, photos, progress=lambda p: losses.append(p.loss))
    assert losses[-1] < losses[0]
    for name, lut in found.layers.items():
        assert (lut.bits, lut.shape) == (start.layers[name].bits, start.layers[name].shape)
        assert (lut.mask is None) == (start.layers[name].mask is None)
        assert len(np.unique(lut.codebook)) <= 1 << lut.bits


def test_the_relative_error_by_hand():
    found = [torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])]
    wanted = [torch.tensor([1.0, 1.0]), torch.tensor([[1.0]])]
    assert float(relative_error(found, wanted)) == pytest.approx((1 / 2 + 4) / 2)
    dead = torch.zeros(3)  # what a photo without light may leave of a stage
    assert float(relative_error([*found, torch.ones(3)], [*wanted, dead])) == pytest.approx((1 / 2 + 4) / 2)


@torch.no_grad()
def _stage_error(model: Network, compressed: Compressed, photos: TrainingPhotos) -> float:
    batch = torch.stack([photos.tensor(i) for i in range(photos.count)])
    describe = [FeaturesAndDescriptors(each) for each in (compressed.to_torch(), model)]
    return float(relative_error(*(each(batch)[0] for each in describe)))


def test_features_that_teach_come_nearer():
    model, photos = make_model(), place_photos()
    plan = recipe(distill_features=1.0, triplet=0.0, steps=12, learning_rate=5e-3, assign_every=1)
    start = compress_network(model, plan)
    found = train_compressed(model, start, plan, photos)
    assert _stage_error(model, found, photos) < 0.9 * _stage_error(model, start, photos)


def test_the_whitening_trains_at_its_own_rate():
    model, photos = make_model(), place_photos()
    moved = []
    for rate in (1.0, 0.01):
        plan = recipe(distill=1.0, projection_rate=rate, steps=2)
        trainer = Trainer(model, compress_network(model, plan), plan, photos, torch.device("cpu"))
        before = trainer.model.layer("whitening").weight.detach().clone()
        trainer.run_step()
        moved.append(float((trainer.model.layer("whitening").weight - before).abs().max()))
    assert moved[1] == pytest.approx(moved[0] / 100, rel=1e-2)


def test_views_are_seen_again_at_the_same_step_and_mirrored_together():
    model, photos = make_model(), place_photos()
    one = TrainingTuple(0, 1, (4, 7))
    plain, plan = torch.stack([photos.tensor(i) for i in one.photos]), recipe(views=3)
    trainer = Trainer(model, compress_network(model, plan), plan, photos, torch.device("cpu"))
    seen = [trainer._seen(one, position) for position in range(40)]
    assert all(torch.equal(trainer._seen(one, position), each) for position, each in enumerate(seen))
    whole = [[torch.equal(a, b) for a, b in zip(s, plain, strict=True)] for s in seen[::2]]
    mirrored = [[torch.equal(a.flip(2), b) for a, b in zip(s, plain, strict=True)] for s in seen[1::2]]
    # a third of all photos is whole
    assert 0.2 < np.mean(whole) < 0.47 and 0.2 < np.mean(mirrored) < 0.47
    trainer.options = recipe().train
    assert torch.equal(trainer._seen(one, 1), plain)


def test_iterative_pruning_from_the_original_weights_reaches_its_target():
    model = make_model()
    plan = recipe(start="weights", codebook="recluster", prune_steps=4, l1_projection=1e-4)
    found = train_compressed(model, compress_network(model, plan), plan, place_photos())
    assert (found.layers["whitening"].dequantize() == 0).mean() == pytest.approx(0.5, abs=0.02)


def test_progress_says_what_is_promised():
    model, photos = make_model(), place_photos()
    photos = dataclasses.replace(
        photos, queries=(*photos.queries[:9], Query(9, frozenset())), validation=photos.queries[9:]
    )
    seen = []
    plan = recipe(validate_every=3, steps=3)
    train_compressed(model, compress_network(model, plan), plan, photos, progress=seen.append)
    assert [p.step for p in seen] == [1, 2, 3] and seen[-1].skipped == 1
    assert 0 <= seen[-1].validation_map <= 1 and 0 <= seen[-1].violating <= 1 and seen[-1].seconds_left == 0
    with pytest.raises(DatasetError, match="positive"):
        alone = dataclasses.replace(photos, queries=(Query(0, frozenset()),))
        train_compressed(model, compress_network(model, plan), plan, alone)


def test_a_classifier_has_no_places_to_learn_from():
    model, plan = make_classifier("squeezenet1_1"), recipe(steps=1)
    with pytest.raises(RecipeError, match="models of places; found head scores"):
        train_compressed(model, compress_network(model, plan), plan, place_photos())


def test_a_state_of_another_run_is_refused(tmp_path):
    model, photos, state = make_model(), place_photos(), tmp_path / "state.pt"
    plan = recipe(steps=1)
    train_compressed(model, compress_network(model, plan), plan, photos, state=state)
    other = recipe(steps=1, margin=0.3)
    with pytest.raises(ArtifactError, match="another"):
        train_compressed(model, compress_network(model, other), other, photos, state=state)
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(ArtifactError, match="readable"):
        train_compressed(model, compress_network(model, plan), plan, photos, state=state)


def _worker(tmp_path: Path, name: str, *launcher: str) -> list[str]:
    return [
        sys.executable,
        *launcher,
        str(WORKER),
        str(tmp_path / f"{name}.pt"),
        str(tmp_path / f"{name}.safetensors"),
    ]


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def _kill_after_progress(process: BaseProcess, state: Path, random: np.random.Generator) -> bool:
    """Kill a worker some saves after it went on, each at a random moment; False if it ended before."""
    seen = saves = 0
    wanted = int(random.integers(1, 4))
    while process.is_alive():
        changed = state.stat().st_mtime_ns if state.exists() else 0
        saves, seen = saves + (changed != seen), changed
        if saves > wanted:
            time.sleep(float(random.uniform(0, 0.1)))
            process.kill()
            process.join()
            return process.exitcode != 0
        time.sleep(0.001)
    return False


def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path):
    worker = {
        name: (tmp_path / f"{name}.pt", tmp_path / f"{name}.safetensors") for name in ("whole", "killed")
    }
    forked.finish(train_worker.train, *worker["whole"])
    random = np.random.default_rng(0)
    killed = 0
    for _ in range(10):
        process = forked.start(train_worker.train, *worker["killed"])
        if not _kill_after_progress(process, tmp_path / "killed.pt", random):
            break
        killed += 1
    forked.finish(train_worker.train, *worker["killed"])
    assert killed >= 3
    assert worker["whole"][1].read_bytes() == worker["killed"][1].read_bytes()


def test_two_processes_train_as_one(tmp_path):
    subprocess.run(_worker(tmp_path, "one"), check=True, env=_environment())
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone")
    subprocess.run(_worker(tmp_path, "two", *launcher), check=True, env=_environment())
    from pocketvlad.compress.compressed import load_compressed

    one, two = (load_compressed(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    photos = make_photos(4)
    with torch.inference_mode():
        cosine = (one.to_torch()(photos) * two.to_torch()(photos)).sum(dim=1)
    assert cosine.min() > 0.9999
    for name, lut in one.layers.items():
        assert np.allclose(lut.codebook, two.layers[name].codebook, atol=1e-4)
        assert (lut.codes == two.layers[name].codes).mean() > 0.999
