"""The options of fine-tuning: a recipe's ``[train]`` table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pocketvlad.model.roles import ASSIGNMENT, PROJECTION
from pocketvlad.schema import one_of, require


@dataclass(frozen=True)
class TrainRecipe:
    """Fine-tuning while compressed; see :mod:`pocketvlad.compress.train.trained`.

    Attributes:
        steps: optimizer steps.
        tuples: queries per step, each with its best positive and hardest negatives.
        negatives: per query, at most.
        views: which of its views a photo is seen in each time: 1, itself; more, itself once in so many times, else a
            crop, every other tuple mirrored.
        margin: of the triplet loss, on squared distances.
        triplet: weight of the triplet loss.
        distill: weight of 1 - cosine to the uncompressed descriptors.
        distill_features: weight of the relative squared error of the outputs of the backbone's stages against
            the uncompressed ones, which teaches each stage at once where a descriptor teaches all together.
        optimizer: ``adam`` or ``sgd``.
        learning_rate: relative to each tensor's root mean square.
        projection_rate: the projection's learning rate, relative to that.
        decay: of the learning rate over the run: ``none``, or half a ``cosine`` down to 0.
        start: stored weights begin as the ``compressed`` ones or as the original ``weights``.
        weights: stored weights follow their gradients and change centroids (straight-through).
        codebook: ``trained`` (gradients summed per centroid), ``recluster`` (k-means again) or ``fixed``.
        assign_every: steps between pruning, clustering and assignment of the stored weights.
        prune_steps: ramp of the layers' threshold or sparsity; 0: the start's survivors stay.
        l1_convolution, l1_assignment, l1_projection: lambda of ``lambda * sum |W|`` by kind of layer.
        refresh_every: steps between refreshes of the descriptor cache that negatives are mined from.
        validation: share of the places held out for validation; validate_every: steps between.
        save_every: steps between saves of the run's state.
        freeze: layers that do not train, by role or by a glob of their names.
        seed: of every random choice.
    """

    steps: int = 200
    tuples: int = 4
    negatives: int = 5
    views: int = 1
    margin: float = 0.1
    triplet: float = 1.0
    distill: float = 0.0
    distill_features: float = 0.0
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    projection_rate: float = 1.0
    decay: str = "none"
    start: str = "compressed"
    weights: bool = True
    codebook: str = "trained"
    assign_every: int = 10
    prune_steps: int = 0
    l1_convolution: float = 0.0
    l1_assignment: float = 0.0
    l1_projection: float = 0.0
    refresh_every: int = 50
    validation: float = 0.0
    validate_every: int = 50
    save_every: int = 10
    freeze: tuple[str, ...] = ()
    seed: int = 0

    @property
    def distills(self) -> bool:
        """Whether the uncompressed model teaches."""
        return self.distill + self.distill_features > 0

    def rate_at(self, step: int) -> float:
        """What the learning rate is multiplied by at a step."""
        return 1.0 if self.decay == "none" else 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def rate_of(self, role: str) -> float:
        """The learning rate of a layer by its role."""
        return self.learning_rate * (self.projection_rate if role == PROJECTION else 1.0)

    def l1_of(self, role: str) -> float:
        """Lambda of a layer by its role."""
        return {PROJECTION: self.l1_projection, ASSIGNMENT: self.l1_assignment}.get(role, self.l1_convolution)

    def freezes(self, name: str, role: str) -> bool:
        """Whether a layer does not train."""
        return any(each == role or fnmatchcase(name, each) for each in self.freeze)


_POSITIVE = (
    "steps",
    "tuples",
    "negatives",
    "views",
    "assign_every",
    "refresh_every",
    "validate_every",
    "save_every",
)
_NOT_NEGATIVE = (
    "margin",
    "triplet",
    "distill",
    "distill_features",
    "prune_steps",
    "l1_convolution",
    "l1_assignment",
    "l1_projection",
)


def check_train(train: TrainRecipe, where: str) -> None:
    """Every value within its range; RecipeError otherwise."""
    for key in _POSITIVE:
        require(getattr(train, key) >= 1, where, f"train.{key}", getattr(train, key), "1 or more")
    for key in _NOT_NEGATIVE:
        require(getattr(train, key) >= 0, where, f"train.{key}", getattr(train, key), "0 or more")
    for key in ("learning_rate", "projection_rate"):
        require(getattr(train, key) > 0, where, f"train.{key}", getattr(train, key), "above 0")
    require(0 <= train.validation <= 0.5, where, "train.validation", train.validation, "0 to 0.5")
    losses = train.triplet + train.distill + train.distill_features
    require(losses > 0, where, "train.triplet, train.distill and train.distill_features", "0", "one above 0")
    one_of(where, "train.optimizer", train.optimizer, ("adam", "sgd"))
    one_of(where, "train.decay", train.decay, ("none", "cosine"))
    one_of(where, "train.start", train.start, ("compressed", "weights"))
    one_of(where, "train.codebook", train.codebook, ("trained", "recluster", "fixed"))
    if train.prune_steps:
        require(train.start == "weights", where, "train.prune_steps with train.start", train.start, "weights")
