"""One training run, step by step; what it is made of is told in :mod:`pocketvlad.compress.train.trained`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad import ranks
from pocketvlad.compress.codes.prune import cubic_schedule
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.recipe import Recipe
from pocketvlad.compress.train import parallel
from pocketvlad.compress.train.model import FeaturesAndDescriptors, TrainingModel
from pocketvlad.compress.train.photos import TrainingPhotos
from pocketvlad.compress.train.triplets import TrainingTuple, epoch_order, mine, triplet_loss
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.compress.whitened import wanted_descriptors
from pocketvlad.errors import DatasetError, RecipeError
from pocketvlad.evaluate.files import release, room
from pocketvlad.evaluate.metrics import average_precision
from pocketvlad.model.network import Network
from pocketvlad.model.views import drawn_crops, views_of

_HELD = 1024  # descriptors in memory while many are made


@dataclass(frozen=True)
class TrainProgress:
    """What one step says.

    Attributes:
        step, steps: done and in all.
        loss: mean over the step's tuples.
        violating: share of the tuples with a negative inside the margin.
        validation_map: of the last validation, 0 to 1, or None before the first.
        seconds_left: at the speed of this run so far.
        skipped: queries without a positive.
    """

    step: int
    steps: int
    loss: float
    violating: float
    validation_map: float | None
    seconds_left: float
    skipped: int


def train_options(model: Network, recipe: Recipe) -> TrainRecipe:
    """How a recipe trains a model.

    Raises:
        RecipeError: the recipe does not train, or the model describes no places to learn from.
    """
    if recipe.train is None:
        raise RecipeError(f"recipe {recipe.name} does not train", do="add a [train] table")
    if not model.config.describes:
        raise RecipeError("fine-tuning is for models of places", found=f"head {model.config.head}")
    return recipe.train


class Trainer:
    """One run of the loop."""

    def __init__(
        self,
        model: Network,
        start: Compressed,
        recipe: Recipe,
        photos: TrainingPhotos,
        device: torch.device,
    ):
        self.options, self.recipe, self.photos, self.start = (
            train_options(model, recipe),
            recipe,
            photos,
            start,
        )
        self.device = device
        model = wanted_descriptors(model, recipe)
        self.rank, self.world = ranks.rank_and_world()
        self.model = TrainingModel(model, start, self.options).to(device)
        self.reference = FeaturesAndDescriptors(model.to(device).eval()) if self.options.distills else None
        self.queries = tuple(q for q in photos.queries if q.positives)
        if not self.queries:
            raise DatasetError("no query has a positive to learn from", allowed="places with two photos")
        self.skipped = len(photos.queries) - len(self.queries)
        held_out = {q.photo for q in photos.validation} | {p for q in photos.validation for p in q.positives}
        self.database = np.array([i for i in range(photos.count) if i not in held_out])
        self.optimizer = _optimizer(self.model, self.options)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.step, self.cache, self.validation_map = 0, np.zeros((0, 0), np.float32), -1.0
        self.started, self.first_step = time.monotonic(), 0

    def run_step(self) -> tuple[float, float]:
        """One step; returns the loss and the share of violating tuples."""
        options = self.options
        if self.step % options.assign_every == 0:
            self._reassign()
        if self.step % options.refresh_every == 0:
            self.cache = self.describe_all()
        tuples = self._tuples()
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros(2, dtype=torch.float64)
        made = self.model.weights()
        used = {name: weight.detach().requires_grad_(weight.requires_grad) for name, weight in made.items()}
        for place in range(self.rank, len(tuples), self.world):
            one = tuples[place]
            batch = self._seen(one, self.step * options.tuples + place)
            loss = self._loss(one, batch, used) / len(tuples)
            if loss.requires_grad:
                loss.backward()
            total += torch.tensor([float(loss.detach()), bool(one.negatives) / len(tuples)])
        _pass_on(made, used)
        parallel.sum_gradients(self._parameters(), self.world)
        self._add_l1()
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * options.rate_at(self.step)
        self.optimizer.step()
        self.step += 1
        if self.step == options.steps:
            self._reassign()
        if self.photos.validation and (self.step % options.validate_every == 0 or self.step == options.steps):
            self.validation_map = self.validate()
        loss, violating = parallel.sum_values(total, self.world).tolist()
        return loss, violating

    def _tuples(self) -> list[TrainingTuple]:
        options, count = self.options, len(self.queries)
        tuples = []
        for position in range(self.step * options.tuples, (self.step + 1) * options.tuples):
            order = epoch_order(self.queries, options.seed, position // count)
            random = np.random.default_rng([options.seed, position, 1])
            query = order[position % count]
            tuples.append(mine(query, self.cache, self.database, options.negatives, options.margin, random))
        return tuples

    def _seen(self, one: TrainingTuple, position: int) -> Tensor:
        """A tuple's photos, or views of them, float32 [n, 3, H, W]; ``position``: of the tuple in the run."""
        photos, views = [self.photos.tensor(i) for i in one.photos], self.options.views
        if views > 1:
            random = np.random.default_rng([self.options.seed, position, 2])
            photos = [_cropped(each, random) if random.integers(views) else each for each in photos]
            if position % 2:  # all of them: a mirrored place is another one
                photos = [each.flip(2) for each in photos]
        return torch.stack(photos).to(self.device)

    def _loss(self, one: TrainingTuple, batch: Tensor, weights: dict[str, Tensor]) -> Tensor:
        """Triplet loss of a tuple and, with distillation, the distances to the uncompressed model."""
        options = self.options
        if not one.negatives and not options.distills:
            return torch.zeros((), device=self.device)
        features, found = self.model(batch, weights)
        loss = options.triplet * triplet_loss(found[0], found[1], found[2:], options.margin)
        if self.reference is not None:
            with torch.no_grad():
                their_features, wanted = self.reference(batch)
            loss = loss + options.distill * (1 - (found * wanted).sum(dim=1)).mean()
            if options.distill_features:
                loss = loss + options.distill_features * relative_error(features, their_features)
        return loss

    def _add_l1(self) -> None:
        """The gradient of ``lambda * sum |W|`` on the stored weights."""
        for name in self.model.names:
            strength = self.options.l1_of(self.model.roles[name])
            weight = self.model.layer(name).weight
            if strength and weight.requires_grad:
                push = strength * weight.detach().sign()
                weight.grad = push if weight.grad is None else weight.grad + push

    def _reassign(self) -> None:
        """Prune by the schedule, then give weights their centroids, by k-means where the recipe says so."""
        options = self.options
        for name in self.model.names:
            layer, recipe = self.model.layer(name), self.recipe.for_layer(name, self.model.roles[name])
            if not any(p.requires_grad for p in (layer.weight, layer.codebook)):
                continue
            if options.prune_steps:
                layer.prune(
                    cubic_schedule(recipe.threshold, self.step, options.prune_steps),
                    cubic_schedule(recipe.sparsity, self.step, options.prune_steps),
                )
            if options.codebook == "recluster":
                layer.cluster()
            elif options.weights:
                layer.assign()

    @torch.no_grad()
    def describe_all(self) -> np.ndarray:
        """Descriptors of every photo by the current model, float32 [photos, dim]; many of them in a file."""
        weights = self.model.weights()
        found = room((self.photos.count, self.model.outputs), np.float32)
        for done, index in enumerate(range(self.rank, self.photos.count, self.world)):
            photo = self.photos.tensor(index)[None].to(self.device)
            found[index] = self.model(photo, weights)[1][0].cpu().numpy()
            if done % _HELD == 0:
                release(found)
        parallel.sum_values(torch.from_numpy(found), self.world)
        return found

    def validate(self) -> float:
        """mAP of the validation queries over all photos."""
        cache = self.describe_all()
        scores = []
        for query in self.photos.validation:
            order = np.argsort(-(cache @ cache[query.photo]), kind="stable").tolist()
            ranking = [i for i in order if i != query.photo and i not in query.junk]
            scores.append(average_precision(ranking, query.positives))
        return float(np.mean(scores))

    def _parameters(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def progress(self, loss: float, violating: float) -> TrainProgress:
        done, left = self.step - self.first_step, self.options.steps - self.step
        seconds = (time.monotonic() - self.started) / max(done, 1) * left
        score = self.validation_map if self.validation_map >= 0 else None
        return TrainProgress(self.step, self.options.steps, loss, violating, score, seconds, self.skipped)


def _cropped(photo: Tensor, random: np.random.Generator) -> Tensor:
    """A part of a photo at the photo's size, float32 [3, H, W]."""
    *_, crop = views_of(photo, drawn_crops(photo.shape[1:], 3, random), 3)
    return crop


def _pass_on(made: dict[str, Tensor], used: dict[str, Tensor]) -> None:
    """The gradients that all tuples left on the weights they used, to what the weights were made from."""
    names = [name for name, weight in used.items() if weight.grad is not None]
    if names:
        torch.autograd.backward([made[n] for n in names], [used[n].grad for n in names])


def relative_error(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Squared errors of tensors over the squares of what is wanted, the mean over the tensors that are not all 0."""
    pairs = [(f, w) for f, w in zip(found, wanted, strict=True) if w.any()]
    errors = [(f - w).square().sum() / w.square().sum() for f, w in pairs]
    return torch.stack(errors).mean() if errors else found[0].new_zeros(())


def _optimizer(model: TrainingModel, options: TrainRecipe) -> torch.optim.Optimizer:
    """Steps are in units of each tensor's own size: the layers' weights differ by orders of magnitude."""
    groups = []
    for name in model.names:
        layer = model.layer(name)
        trained = not options.freezes(name, model.roles[name])
        layer.weight.requires_grad_(trained and options.weights)
        layer.codebook.requires_grad_(trained and options.codebook == "trained")
        for parameter in (layer.weight, layer.codebook):
            groups.append((parameter, options.rate_of(model.roles[name]) * _rms(parameter)))
        bias = model.bias(name)
        if bias is not None:
            bias.requires_grad_(trained)
            groups.append((bias, options.rate_of(model.roles[name]) * _rms(bias)))
    groups += [(each, options.learning_rate * _rms(each)) for each in model.constants.values()]
    settings = [{"params": [p], "lr": rate} for p, rate in groups if p.requires_grad]
    if options.optimizer == "sgd":
        return torch.optim.SGD(settings, lr=options.learning_rate, momentum=0.9)
    return torch.optim.Adam(settings, lr=options.learning_rate)


def _rms(tensor: Tensor) -> float:
    return max(float(tensor.detach().square().mean().sqrt()), 1e-8)
