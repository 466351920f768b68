"""Compression recipes: frozen, versioned dataclasses read from TOML. Every option is checked here."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from pocketvlad.errors import RecipeError
from pocketvlad.lut.layouts import AUTO, LAYOUTS, wanted
from pocketvlad.resources import resource_dir

VERSION = 1
LUT, INT8, MEASURED = "lut", "int8", "measured"
CONVOLUTIONS = (LUT, INT8, MEASURED)
T = TypeVar("T")


@dataclass(frozen=True)
class LayerRecipe:
    """How one layer is pruned and quantized.

    Attributes:
        bits: of a code, 1 to 8.
        codebook: ``kmeans`` (non-uniform) or ``uniform``.
        threshold: weights with ``|w| < threshold`` are pruned, as in the paper; 0 prunes nothing. With row
            scales it is in units of the row's scale.
        sparsity: instead of a threshold, the fraction of the layer's smallest weights to prune.
        layout: one of :mod:`pocketvlad.lut.layouts` by name (``dense``; ``sparse``: mask and survivors; ``one-of``:
            what ``block`` asks for), or ``auto`` (the smaller of ``dense`` and ``sparse``).
        row_scale: rows divided by their root mean square (``rms``), its 0.7th power (``soft``) or their
            largest weight (``max``) before pruning and the codebook, or ``none``. With calibration the
            scales are fitted again to the real outputs.
        block: of every so many consecutive weights of a row only the largest is kept (1:M structured
            sparsity; 2, 4, 8 or 16; matrices only); 0: no such rule.
        rows_per_codebook: output rows that share a codebook; 0: the whole tensor has one, as in the paper.
        pin_zero: one centroid is exactly 0 even where nothing is pruned.
        calibrate: ``none``; ``moments`` (weight the centroids by the inputs' second moments and correct the
            bias); ``gptq`` (also compensate each assignment's error in the weights still to come).
    """

    bits: int = 8
    codebook: str = "kmeans"
    threshold: float = 0.0
    sparsity: float = 0.0
    layout: str = "auto"
    row_scale: str = "none"
    block: int = 0
    rows_per_codebook: int = 0
    pin_zero: bool = True
    calibrate: str = "none"


@dataclass(frozen=True)
class LayerRule:
    """Overrides for the layers whose name matches a glob, for example ``backbone.*`` or ``whitening``."""

    match: str
    bits: int | None = None
    codebook: str | None = None
    threshold: float | None = None
    sparsity: float | None = None
    layout: str | None = None
    row_scale: str | None = None
    block: int | None = None
    rows_per_codebook: int | None = None
    pin_zero: bool | None = None
    calibrate: str | None = None


@dataclass(frozen=True)
class TrainRecipe:
    """Fine-tuning while compressed; see :mod:`pocketvlad.compress.train.trained`.

    Attributes:
        steps: optimizer steps.
        tuples: queries per step, each with its best positive and hardest negatives.
        negatives: per query, at most.
        margin: of the triplet loss, on squared distances.
        triplet: weight of the triplet loss.
        distill: weight of 1 - cosine to the uncompressed descriptors.
        distill_features: weight of the relative squared error of the outputs of the backbone's stages against
            the uncompressed ones, which teaches each stage at once where a descriptor teaches all together.
        optimizer: ``adam`` or ``sgd``.
        learning_rate: relative to each tensor's root mean square.
        whitening_rate: the whitening layer's learning rate, relative to that.
        decay: of the learning rate over the run: ``none``, or half a ``cosine`` down to 0.
        start: stored weights begin as the ``compressed`` ones or as the original ``weights``.
        weights: stored weights follow their gradients and change centroids (straight-through).
        codebook: ``trained`` (gradients summed per centroid), ``recluster`` (k-means again) or ``fixed``.
        assign_every: steps between pruning, clustering and assignment of the stored weights.
        prune_steps: ramp of the layers' threshold or sparsity; 0: the start's survivors stay.
        l1_convolution, l1_assignment, l1_whitening: lambda of ``lambda * sum |W|`` by kind of layer.
        refresh_every: steps between refreshes of the descriptor cache that negatives are mined from.
        validation: share of the places held out for validation; validate_every: steps between.
        save_every: steps between saves of the run's state.
        freeze: globs of layers that do not train.
        seed: of every random choice.
    """

    steps: int = 200
    tuples: int = 4
    negatives: int = 5
    margin: float = 0.1
    triplet: float = 1.0
    distill: float = 0.0
    distill_features: float = 0.0
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    whitening_rate: float = 1.0
    decay: str = "none"
    start: str = "compressed"
    weights: bool = True
    codebook: str = "trained"
    assign_every: int = 10
    prune_steps: int = 0
    l1_convolution: float = 0.0
    l1_assignment: float = 0.0
    l1_whitening: float = 0.0
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

    def rate_of(self, name: str) -> float:
        """The learning rate of a layer by its module name."""
        return self.learning_rate * (self.whitening_rate if name == "whitening" else 1.0)

    def l1_of(self, name: str) -> float:
        """Lambda of a layer by its module name."""
        kinds = {"whitening": self.l1_whitening, "pool.assignment": self.l1_assignment}
        return kinds.get(name, self.l1_convolution)


@dataclass(frozen=True)
class Recipe:
    """A whole recipe: defaults for every layer, rules that override them, fine-tuning.

    Attributes:
        version, name, description: of the file.
        layer, rule: what every layer is compressed by, and what overrides it.
        train: fine-tuning, or None.
        without_photos: the recipe that takes this one's place where there are no calibration photos.
        dimensions: share of a PCA whitening's leading dimensions that the descriptors keep.
        soften_whitening: of 1 - cosine to the model's own descriptors, what a softer PCA whitening may cost
            (:mod:`pocketvlad.compress.descriptors`); 0: the whitening stays as it is, as it does where it is no PCA's.
        semantics: how the program will compute, which calibration allows for: ``mixed`` (whitening int8, the
            rest float32) or ``fast`` (all int8).
        int8_loss: of 1 - cosine, what ``mixed`` convolutions computed in int8 may cost together, measured at
            calibration; 0: none is.
        convolutions: what computes the backbone: the lookup kernels (``lut``), XNNPACK in ``int8`` with the
            same weights and activations that stay int8 between layers, on ranges measured at calibration, or
            the faster of the two, ``measured`` at export on the machine that exports.
    """

    version: int
    name: str
    description: str = ""
    layer: LayerRecipe = field(default_factory=LayerRecipe)
    rule: tuple[LayerRule, ...] = ()
    train: TrainRecipe | None = None
    without_photos: str | None = None
    dimensions: float = 1.0
    soften_whitening: float = 0.0
    semantics: str = "mixed"
    int8_loss: float = 0.002
    convolutions: str = LUT

    def for_layer(self, name: str) -> LayerRecipe:
        """The options of the layer ``name``."""
        options = dataclasses.asdict(self.layer)
        for rule in self.rule:
            if fnmatchcase(name, rule.match):
                overrides = dataclasses.asdict(rule)
                options |= {k: v for k, v in overrides.items() if k != "match" and v is not None}
        return LayerRecipe(**options)

    @property
    def needs_photos(self) -> bool:
        """Whether some layer, or the activations' ranges, calibrate on photos."""
        return (
            self.int8_backbone
            or self.layer.calibrate != "none"
            or any(r.calibrate not in (None, "none") for r in self.rule)
        )

    @property
    def int8_backbone(self) -> bool:
        """Whether XNNPACK may compute the backbone in int8."""
        return self.convolutions != LUT

    @property
    def needs_labels(self) -> bool:
        """Whether it fine-tunes on photos with known places."""
        return self.train is not None


def load_recipe(name: str | Path) -> Recipe:
    """A shipped recipe by name, or a TOML file by path.

    Raises:
        RecipeError: unknown name, not TOML, an unknown key, a wrong type or a value out of range.
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = resource_dir("calibration") / "recipes" / f"{name}.toml"
        if not path.is_file():
            raise RecipeError("unknown recipe", found=repr(str(name)), allowed=", ".join(shipped_recipes()))
    recipe = from_table(Recipe, read_toml(path), str(path))
    check_recipe(recipe, str(path))
    return recipe


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with pocketvlad."""
    folder = resource_dir("calibration") / "recipes"
    return sorted(path.stem for path in folder.glob("*.toml"))


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table; RecipeError when it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise RecipeError(f"{path} does not exist") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"{path} is not TOML", found=str(error)) from error


def check_recipe(recipe: Recipe, where: str) -> None:
    """Every value within its range, for the defaults and for what each rule makes of them."""
    require(recipe.version == VERSION, where, "version", recipe.version, VERSION)
    one_of(where, "semantics", recipe.semantics, ("mixed", "fast"))
    require(0 <= recipe.int8_loss <= 1, where, "int8_loss", recipe.int8_loss, "0 to 1")
    one_of(where, "convolutions", recipe.convolutions, CONVOLUTIONS)
    trained = recipe.int8_backbone and recipe.train is not None
    require(not trained, where, f"convolutions = {recipe.convolutions!r} with train", "both", "one of them")
    require(0 < recipe.dimensions <= 1, where, "dimensions", recipe.dimensions, "above 0 up to 1")
    softened = recipe.soften_whitening
    require(0 <= softened < 1, where, "soften_whitening", softened, "0 up to but not 1")
    for layer in (recipe.layer, *(_applied(recipe.layer, rule) for rule in recipe.rule)):
        require(1 <= layer.bits <= 8, where, "bits", layer.bits, "1 to 8")
        require(0 <= layer.sparsity < 1, where, "sparsity", layer.sparsity, "0 up to but not 1")
        require(layer.threshold >= 0, where, "threshold", layer.threshold, "0 or more")
        require(
            not (layer.threshold and layer.sparsity), where, "threshold with sparsity", "both", "one of them"
        )
        require(
            layer.rows_per_codebook >= 0, where, "rows_per_codebook", layer.rows_per_codebook, "0 or more"
        )
        one_of(where, "codebook", layer.codebook, ("kmeans", "uniform"))
        one_of(where, "layout", layer.layout, (AUTO, *LAYOUTS))
        for problem in filter(None, (layout.problem(layer) for layout in wanted(layer))):
            require(False, where, *problem)
        one_of(where, "row_scale", layer.row_scale, ("none", "rms", "soft", "max"))
        one_of(where, "calibrate", layer.calibrate, ("none", "moments", "gptq"))

    if recipe.train is not None:
        _check_train(recipe.train, where)


_POSITIVE = ("steps", "tuples", "negatives", "assign_every", "refresh_every", "validate_every", "save_every")
_NOT_NEGATIVE = (
    "margin",
    "triplet",
    "distill",
    "distill_features",
    "prune_steps",
    "l1_convolution",
    "l1_assignment",
    "l1_whitening",
)


def _check_train(train: TrainRecipe, where: str) -> None:
    for key in _POSITIVE:
        require(getattr(train, key) >= 1, where, f"train.{key}", getattr(train, key), "1 or more")
    for key in _NOT_NEGATIVE:
        require(getattr(train, key) >= 0, where, f"train.{key}", getattr(train, key), "0 or more")
    for key in ("learning_rate", "whitening_rate"):
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


def _applied(layer: LayerRecipe, rule: LayerRule) -> LayerRecipe:
    overrides = {k: v for k, v in dataclasses.asdict(rule).items() if k != "match" and v is not None}
    return dataclasses.replace(layer, **overrides)


def require(holds: bool, where: str, key: str, found: object, allowed: object) -> None:
    """RecipeError unless ``holds``."""
    if not holds:
        raise RecipeError(f"{where}: {key} is not allowed", found=found, allowed=allowed)


def one_of(where: str, key: str, value: object, allowed: tuple[object, ...]) -> None:
    """RecipeError unless ``value`` is one of ``allowed``."""
    require(value in allowed, where, key, repr(value), ", ".join(map(str, allowed)))


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """A dataclass from a TOML table, nested tables and lists of tables included.

    Raises:
        RecipeError: an unknown key (with the nearest known one), a missing key or a wrong type.
    """
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            do = f"did you mean {near[0]!r}?" if near else None
            raise RecipeError(f"{where}: unknown key {key!r}", allowed=", ".join(fields), do=do)
    for name, f in fields.items():
        optional = f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
        if name not in table and not optional:
            raise RecipeError(f"{where}: key {name!r} is missing")
    values = {key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_table(typing.cast(type, hint), value, where)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(typing.get_args(hint)[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise RecipeError(f"{where} has a wrong type", found=repr(value), allowed=name)
