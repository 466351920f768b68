"""One layer's weights -> a :class:`LutTensor`, by the options of its recipe and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pocketvlad.compress.codes.codebook import assign, kmeans_codebook, summarize, uniform_codebook
from pocketvlad.compress.codes.int8 import snap_codebook
from pocketvlad.compress.codes.prune import survivors
from pocketvlad.compress.recipe import LayerRecipe
from pocketvlad.errors import RecipeError
from pocketvlad.lut.layouts import LAYOUTS, Layout, wanted
from pocketvlad.lut.layouts.base import packed_rows
from pocketvlad.lut.tensor import LutTensor

SOFTNESS = 0.3  # of "soft" row scales: rows with larger weights keep more and finer levels


@dataclass(frozen=True, eq=False)
class Grid:
    """What the weights of a layer may become, before any is assigned.

    Attributes:
        rows: O.
        codebook: float32 [G, 2**bits], each row sorted.
        scale: float32 [O] or None.
        keep: bool [O, I], the survivors, or None where nothing is pruned.
        layout: how the layer will be packed; what it cannot leave out takes the zero centroid.
    """

    rows: int
    codebook: np.ndarray
    scale: np.ndarray | None
    keep: np.ndarray | None
    layout: Layout

    @property
    def bits(self) -> int:
        return int(self.codebook.shape[1]).bit_length() - 1

    def snapped(self) -> Grid:
        """The same with its centroids on the int8 grid on which the ``fast`` kernels compute."""
        return replace(self, codebook=snap_codebook(self.codebook))

    def lut(self, shape: tuple[int, ...], codes: np.ndarray, keep: np.ndarray | None = None) -> LutTensor:
        """Codes uint8 [O, I] on this grid as the format holds them; ``keep`` replaces the survivors."""
        mask = None
        if self.layout.masked:
            mask = self.keep if keep is None else keep
        return LutTensor(tuple(shape), self.bits, codes, self.codebook, self.scale, mask, self.layout)


def quantize_layer(
    weight: np.ndarray, recipe: LayerRecipe, importance: np.ndarray | None = None, name: str = "layer"
) -> LutTensor:
    """Prune, make the codebooks, assign every weight to its nearest centroid.

    Args:
        weight: float32 [O, ...].
        recipe: options of the layer.
        importance: float32 [I] or [O, I], second moment of each input, which weights the centroids; or None.
        name: of the layer, for errors.

    Raises:
        RecipeError: the weights are not finite.
    """
    return assign_nearest(weight, make_grid(weight, recipe, importance, name))


def make_grid(
    weight: np.ndarray, recipe: LayerRecipe, importance: np.ndarray | None = None, name: str = "layer"
) -> Grid:
    """Survivors, row scales and codebooks for weights float32 [O, ...]; see :func:`quantize_layer`."""
    matrix = weight.reshape(weight.shape[0], -1)
    if not np.isfinite(matrix.min()) or not np.isfinite(matrix.max()):
        raise RecipeError(f"layer {name} cannot be compressed", found="weights that are not finite")
    scale = row_scale(matrix, recipe.row_scale)
    scaled = matrix if scale is None or not (recipe.threshold or recipe.sparsity) else matrix / scale[:, None]
    keep = survivors(scaled, recipe.threshold, recipe.sparsity)
    del scaled
    kept = None if keep is None else np.count_nonzero(keep.reshape(packed_rows(weight.shape)), axis=1)
    layout = choose_layout(weight.shape, recipe, kept, name)
    if layout.group:
        keep = layout.survivors(matrix)
    elif layout.masked and keep is None:
        keep = np.ones(matrix.shape, bool)
    zero = not layout.masked and (recipe.pin_zero or keep is not None)
    rows = recipe.rows_per_codebook or matrix.shape[0]
    groups = -(-matrix.shape[0] // rows)
    rows = -(-matrix.shape[0] // groups)  # the packed format spreads the rows over the groups like this
    codebooks = []
    for start in range(0, matrix.shape[0], rows):
        part = slice(start, start + rows)
        codebooks.append(_codebook(matrix, part, scale, keep, importance, recipe, zero))
    return Grid(matrix.shape[0], np.stack(codebooks), scale, keep, layout)


def choose_layout(
    shape: tuple[int, ...], recipe: LayerRecipe, kept: np.ndarray | None = None, name: str = "layer"
) -> Layout:
    """The layout that takes the fewest bytes of those the recipe allows; of equals the first listed.

    Args:
        shape: of the weight.
        recipe: options of the layer.
        kept: int [packed rows], how many weights survive its threshold or sparsity; None: all.
        name: of the layer, for errors.

    Raises:
        RecipeError: none of them packs such a shape.
    """
    asked = wanted(recipe)
    fitting = [layout for layout in asked if layout.packs(shape)]
    if not fitting:
        found = ", ".join(layout.label for layout in asked) or recipe.layout
        allowed = ", ".join(kind.name for kind in LAYOUTS.values() if len(kind.numbers) > 1)
        raise RecipeError(f"layer {name} is no matrix", found=f"layout {found}", allowed=allowed)
    return min(fitting, key=lambda layout: layout.packed_bytes(shape, recipe.bits, kept))


def row_scale(matrix: np.ndarray, kind: str) -> np.ndarray | None:
    """What each row of float32 [O, I] is divided by, float32 [O], or None; see ``LayerRecipe.row_scale``.

    A row of zeros has scale 1.
    """
    if kind == "none":
        return None
    largest = np.maximum(matrix.max(axis=1), -matrix.min(axis=1))
    scale = largest
    if kind != "max":
        _, exponent = np.frexp(largest.max())
        matrix = np.ldexp(matrix, -exponent)  # squares of tiny weights would be 0
        scale = np.ldexp(np.sqrt(np.einsum("oi,oi->o", matrix, matrix) / matrix.shape[1]), exponent)
    scale = np.where(scale > 0, scale, 1)
    if kind == "soft":
        level = math.exp(SOFTNESS * float(np.log(scale).mean()))
        # NumPy's own power has other last bits with AVX-512
        scale = np.array([each ** (1 - SOFTNESS) * level for each in scale.tolist()])
    return scale.astype(np.float32)


def _codebook(
    matrix: np.ndarray,
    part: slice,
    scale: np.ndarray | None,
    keep: np.ndarray | None,
    importance: np.ndarray | None,
    recipe: LayerRecipe,
    zero: bool,
) -> np.ndarray:
    """One group's codebook: what is minimised is the squared error of the weights themselves."""
    values = matrix[part]
    weights = None if importance is None else np.broadcast_to(importance, matrix.shape)[part]
    if scale is not None:
        values = values / scale[part, None]
        _, exponent = np.frexp(scale[part].max())
        square = (np.ldexp(scale[part], -exponent) ** 2)[:, None]  # of tiny scales it would be 0
        weights = square if weights is None else square * weights
    if keep is not None:
        chosen = keep[part]
        if weights is not None:
            weights = np.broadcast_to(weights, values.shape)[chosen][:, None]
        values = values[chosen][:, None]
    make = uniform_codebook if recipe.codebook == "uniform" else kmeans_codebook
    levels = 1 << recipe.bits
    if values.size == 0:
        return np.zeros(levels, np.float32)
    return make(summarize(values, weights), levels, pin_zero=zero)


def assign_nearest(weight: np.ndarray, grid: Grid) -> LutTensor:
    """Each weight of float32 [O, ...] to its nearest centroid."""
    matrix = weight.reshape(weight.shape[0], -1)
    codes = np.empty(matrix.shape, np.uint8)
    rows = -(-matrix.shape[0] // grid.codebook.shape[0])
    for group, start in enumerate(range(0, matrix.shape[0], rows)):
        part = slice(start, start + rows)
        values = matrix[part] if grid.scale is None else matrix[part] / grid.scale[part, None]
        codes[part] = assign(values, grid.codebook[group])
        _prune_codes(codes[part], grid, group, part)
    return grid.lut(weight.shape, codes)


def _prune_codes(codes: np.ndarray, grid: Grid, group: int, part: slice) -> None:
    if grid.keep is not None:
        zero = 0 if grid.layout.masked else int(np.argmin(np.abs(grid.codebook[group])))
        codes[~grid.keep[part]] = zero
