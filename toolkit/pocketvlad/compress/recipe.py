"""Compression recipes: frozen, versioned dataclasses read from TOML. Every option is checked here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pocketvlad.compress.train_recipe import TrainRecipe, check_train
from pocketvlad.errors import RecipeError, unknown
from pocketvlad.lut.layouts import AUTO, LAYOUTS, wanted
from pocketvlad.model.roles import ROLES
from pocketvlad.resources import resource_dir
from pocketvlad.schema import from_table, one_of, read_toml, require, to_table

VERSION = 1
LUT, LUT_INT8, INT8, MEASURED = "lut", "lut-int8", "int8", "measured"
CONVOLUTIONS = (LUT, LUT_INT8, INT8, MEASURED)
_ADDRESS = ("match", "role")  # of a rule: which layers it is for; the rest is what it overrides
_MOST_BASES = 16  # over one another
_OWN = ("version", "name", "description")  # keys that a recipe does not take from its base


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
    """Overrides for the layers that fit both its address's parts.

    Attributes:
        match: glob of the layer's name, for example ``backbone.*``.
        role: what the layer does, one of :data:`pocketvlad.model.roles.ROLES`; None: whatever it does.
    """

    match: str = "*"
    role: str | None = None
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

    def fits(self, name: str, role: str) -> bool:
        """Whether it is for the layer ``name`` of this role."""
        return fnmatchcase(name, self.match) and self.role in (None, role)

    def covers(self, other: LayerRule) -> bool:
        """Whether it surely is for every layer that ``other`` is for."""
        return self.match in ("*", other.match) and self.role in (None, other.role)

    def applied(self, layer: LayerRecipe) -> LayerRecipe:
        """The options with this rule's in their place."""
        said = {k: v for k, v in vars(self).items() if k not in _ADDRESS and v is not None}
        return dataclasses.replace(layer, **said)


@dataclass(frozen=True)
class Recipe:
    """A whole recipe: defaults for every layer, rules that override them, fine-tuning.

    Attributes:
        version, name, description: of the file.
        layer, rule: what every layer is compressed by, and what overrides it.
        train: fine-tuning, or None.
        without_photos: the recipe that takes this one's place where there are no calibration photos.
        dimensions: share of a PCA whitening's leading dimensions that the descriptors keep.
        ratio: how many times smaller than in float32 the compressed layers are to be, at least: where the rules alone
            give more bytes, layers get fewer bits (:mod:`pocketvlad.compress.ratio`); 0: nothing is promised.
        semantics: how the program will compute, which calibration allows for: ``mixed`` (whitening int8, the
            rest float32) or ``fast`` (all int8).
        int8_loss: of 1 - cosine, what ``mixed`` convolutions computed in int8 may cost together, measured at
            calibration; 0: none is.
        convolutions: what computes the backbone: the lookup kernels (``lut``), these with activations that stay
            int8 between layers, on ranges measured at calibration (``lut-int8``), XNNPACK in ``int8`` with the
            same weights and activations, or the fastest of them, ``measured`` at export on the machine that
            exports.
    """

    version: int
    name: str
    description: str = ""
    layer: LayerRecipe = field(default_factory=LayerRecipe)
    rule: tuple[LayerRule, ...] = ()
    train: TrainRecipe | None = None
    without_photos: str | None = None
    dimensions: float = 1.0
    ratio: float = 0.0
    semantics: str = "mixed"
    int8_loss: float = 0.002
    convolutions: str = LUT

    def for_layer(self, name: str, role: str = "") -> LayerRecipe:
        """The options of the layer ``name``, whose role is one of ``ROLES``; the last rule that fits wins."""
        options = self.layer
        for rule in self.rule:
            if rule.fits(name, role):
                options = rule.applied(options)
        return options

    def key(self) -> dict[str, Any]:
        """What decides a result, as JSON: the options that are not the defaults.

        A new option leaves the keys of recipes that do not use it as they were. An option whose default
        changes must change its name too, or finished stages are taken for what they are not.
        """
        said = to_table(self, defaults=False)
        return {name: said[name] for name in sorted(said) if name != "description"}

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
        """Whether the backbone may keep its activations in int8 between layers."""
        return self.convolutions != LUT

    @property
    def needs_labels(self) -> bool:
        """Whether it fine-tunes on photos with known places."""
        return self.train is not None


def load_recipe(name: str | Path) -> Recipe:
    """A shipped recipe by name, or a TOML file by path, laid over the recipe that its ``base`` names.

    Tables merge key by key; the rules come after the base's.

    Raises:
        RecipeError: unknown name, a base that is missing or based on itself, not TOML, an unknown key, a
            wrong type or a value out of range.
    """
    path = _recipe_path(str(name), Path())
    if path.parent == _shipped_folder() and not path.is_file():
        raise unknown(RecipeError, "unknown recipe", str(name), shipped_recipes())
    recipe = from_table(Recipe, _merged_table(path, ()), str(path))
    check_recipe(recipe, str(path))
    return recipe


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with pocketvlad."""
    return sorted(path.stem for path in _shipped_folder().glob("*.toml"))


def _shipped_folder() -> Path:
    return resource_dir("calibration") / "recipes"


def _recipe_path(name: str, folder: Path) -> Path:
    """The file of a shipped recipe's name, or of a ``.toml`` path that is relative to ``folder``."""
    return folder / name if name.endswith(".toml") else _shipped_folder() / f"{name}.toml"


def _merged_table(path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    """A file's table over its base's; ``above`` are the files that led here."""
    table = read_toml(path)
    base = table.pop("base", None)
    if base is None:
        return table
    below, led_here = _base_path(base, path), (*above, path.resolve())
    if below.resolve() in led_here:
        chain = " -> ".join(each.name for each in (*led_here, below))
        raise RecipeError(f"{path}: the recipe is its own base", found=chain)
    require(len(led_here) <= _MOST_BASES, str(led_here[0]), "base", "a long row of bases", _MOST_BASES)
    under = _merged_table(below, led_here)
    check_recipe(from_table(Recipe, under, str(below)), str(below))  # an error names the file that has it
    inherited = {key: value for key, value in under.items() if key not in _OWN}
    return _laid_over(inherited, table)


def _base_path(base: object, path: Path) -> Path:
    require(isinstance(base, str), str(path), "base", repr(base), "a recipe's name or a .toml path")
    below = _recipe_path(str(base), path.parent)
    if not below.is_file():
        allowed = f"{', '.join(shipped_recipes())}, or the path of a .toml file beside this one"
        raise RecipeError(f"{path}: base is no recipe", found=repr(base), allowed=allowed)
    return below


def _laid_over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        held = base.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            value = _laid_over(held, value)
        elif key == "rule" and isinstance(held, list) and isinstance(value, list):
            value = held + value
        merged[key] = value
    return merged


def check_recipe(recipe: Recipe, where: str) -> None:
    """Every value within its range, for the defaults and for what each rule makes of them."""
    require(recipe.version == VERSION, where, "version", recipe.version, VERSION)
    one_of(where, "semantics", recipe.semantics, ("mixed", "fast"))
    require(0 <= recipe.int8_loss <= 1, where, "int8_loss", recipe.int8_loss, "0 to 1")
    one_of(where, "convolutions", recipe.convolutions, CONVOLUTIONS)
    trained = recipe.int8_backbone and recipe.train is not None
    require(not trained, where, f"convolutions = {recipe.convolutions!r} with train", "both", "one of them")
    require(recipe.ratio == 0 or recipe.ratio >= 1, where, "ratio", recipe.ratio, "0, or 1 and more")
    require(0 < recipe.dimensions <= 1, where, "dimensions", recipe.dimensions, "above 0 up to 1")
    _check_layer(recipe.layer, where)
    for count, rule in enumerate(recipe.rule, 1):
        if rule.role is not None:
            one_of(where, "role", rule.role, ROLES)
        options = recipe.layer
        for each in recipe.rule[:count]:
            options = each.applied(options) if each.covers(rule) else options
        _check_layer(options, where)
    if recipe.train is not None:
        check_train(recipe.train, where)


def _check_layer(layer: LayerRecipe, where: str) -> None:
    require(1 <= layer.bits <= 8, where, "bits", layer.bits, "1 to 8")
    require(0 <= layer.sparsity < 1, where, "sparsity", layer.sparsity, "0 up to but not 1")
    require(layer.threshold >= 0, where, "threshold", layer.threshold, "0 or more")
    both = bool(layer.threshold and layer.sparsity)
    require(not both, where, "threshold with sparsity", "both", "one of them")
    require(layer.rows_per_codebook >= 0, where, "rows_per_codebook", layer.rows_per_codebook, "0 or more")
    one_of(where, "codebook", layer.codebook, ("kmeans", "uniform"))
    one_of(where, "layout", layer.layout, (AUTO, *LAYOUTS))
    for problem in filter(None, (layout.problem(layer) for layout in wanted(layer))):
        require(False, where, *problem)
    one_of(where, "row_scale", layer.row_scale, ("none", "rms", "soft", "max"))
    one_of(where, "calibrate", layer.calibrate, ("none", "moments", "gptq"))
