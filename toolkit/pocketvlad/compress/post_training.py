"""Compression without training: prune, cluster, encode, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import nn

from pocketvlad.compress import codebook as books
from pocketvlad.compress.compressed import CompressedModel, quantize_centroids
from pocketvlad.compress.prune import survivors
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.netvlad import PlaceModel
from pocketvlad.recipe import LayerRecipe, Recipe

Progress = Callable[[int, int], None]


def compressible_layers(model: PlaceModel) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Every convolution, the soft assignment and the whitening, in the order they run."""
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            yield name, module


def compress_model(
    model: PlaceModel, recipe: Recipe, *, progress: Progress | None = None
) -> CompressedModel:
    """Compress every layer by its weights alone.

    Args:
        model: the uncompressed model; left as it is.
        recipe: options per layer.
        progress: called with weights done and weights in all.
    """
    modules = list(compressible_layers(model))
    total = sum(module.weight.numel() for _, module in modules)
    layers, biases, done = {}, {}, 0
    for name, module in modules:
        weight = module.weight.detach().cpu().numpy()
        layers[name] = compress_weight(weight, recipe.for_layer(name))
        if module.bias is not None:
            biases[name] = module.bias.detach().cpu().numpy().copy()
        done += weight.size
        if progress is not None:
            progress(done, total)
    centroids, scale = quantize_centroids(model.pool.centroids.detach().cpu().numpy())
    return CompressedModel(model.config, layers, biases, centroids, scale)


def compress_weight(
    weight: np.ndarray, recipe: LayerRecipe, importance: np.ndarray | None = None
) -> LutTensor:
    """One weight tensor as codes.

    Args:
        weight: float32, output rows first.
        recipe: options.
        importance: float32 [I] worth of the squared error of each input column, or None for all alike.
    """
    matrix = weight.reshape(weight.shape[0], -1)
    mask = survivors(matrix, recipe)
    sparse = mask is not None and is_sparse_smaller(mask, recipe)
    scale = row_scales(matrix, mask) if recipe.row_scale == "rms" else None
    scaled = matrix if scale is None else matrix / scale[:, None]
    centroids = fit_codebook(scaled, mask, recipe, sparse=sparse, importance=importance)
    codes = encode(scaled, None if sparse else mask, centroids)
    if sparse:
        codes *= mask
    return LutTensor(weight.shape, recipe.bits, codes, centroids, scale, mask if sparse else None)


def is_sparse_smaller(mask: np.ndarray, recipe: LayerRecipe) -> bool:
    """Whether a bit per weight and codes of the survivors are fewer bits than a code per weight."""
    if recipe.layout != "auto":
        return recipe.layout == "sparse"
    return 1 + recipe.bits * float(mask.mean()) < recipe.bits


def row_scales(matrix: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Root mean square of each row's surviving weights, float32 [O]; 1 for an empty row."""
    kept = np.ones(len(matrix)) * matrix.shape[1] if mask is None else mask.sum(axis=1)
    squares = np.einsum("oi,oi->o", matrix, matrix if mask is None else matrix * mask)
    rms = np.sqrt(squares / np.maximum(kept, 1))
    return np.where(rms > 0, rms, 1).astype(np.float32)


def fit_codebook(
    matrix: np.ndarray,
    mask: np.ndarray | None,
    recipe: LayerRecipe,
    *,
    sparse: bool,
    importance: np.ndarray | None = None,
) -> np.ndarray:
    """Ascending centroids float32 [G, 2**bits]; dense layers with pruned weights have one that is 0."""
    step = recipe.rows_per_codebook or len(matrix)
    pin = not sparse and (mask is not None or recipe.pin_zero)
    groups = []
    for start in range(0, len(matrix), step):
        rows = slice(start, start + step)
        kept = None if mask is None else mask[rows]
        groups.append(_centroids(matrix[rows], kept, recipe, pin, importance))
    return np.stack(groups)


def _centroids(
    rows: np.ndarray,
    mask: np.ndarray | None,
    recipe: LayerRecipe,
    pin_zero: bool,
    importance: np.ndarray | None,
) -> np.ndarray:
    levels = 2**recipe.bits
    values = rows.reshape(-1) if mask is None else rows[mask]
    worth = None if importance is None else np.broadcast_to(importance, rows.shape)
    if worth is not None:
        worth = worth.reshape(-1) if mask is None else worth[mask]
    if recipe.codebook == "uniform":
        return books.uniform_centroids(values, levels, through_zero=pin_zero)
    if mask is None or not pin_zero:
        return books.kmeans_centroids(books.histogram(values, worth), levels, pin_zero=pin_zero)
    free = books.kmeans_centroids(books.histogram(values, worth), levels - 1)
    return np.sort(np.append(free, np.float32(0)))


def encode(matrix: np.ndarray, mask: np.ndarray | None, centroids: np.ndarray) -> np.ndarray:
    """Codes uint8 [O, I] of the nearest centroid; pruned weights get the code of the zero centroid."""
    step = -(-len(matrix) // len(centroids))
    codes = np.empty(matrix.shape, np.uint8)
    for group, start in enumerate(range(0, len(matrix), step)):
        rows = slice(start, start + step)
        codes[rows] = books.assign(matrix[rows], centroids[group])
        if mask is not None:
            zero = np.uint8(np.abs(centroids[group]).argmin())
            codes[rows][~mask[rows]] = zero
    return codes
