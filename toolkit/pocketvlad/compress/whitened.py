"""What a recipe makes of the descriptors before anything is compressed: fewer dimensions.

A PCA whitening's rows are principal directions by falling variance, so that the leading rows are one of their own.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from pocketvlad.compress.recipe import Recipe
from pocketvlad.errors import RecipeError
from pocketvlad.model.network import Network
from pocketvlad.model.whitening import is_pca


def wanted_descriptors(model: Network, recipe: Recipe) -> Network:
    """The uncompressed model with the descriptors that the recipe wants; the model itself where it has them.

    Raises:
        RecipeError: the recipe drops dimensions of no PCA whitening.
    """
    if recipe.dimensions == 1:
        return model
    require_pca(model)
    return keep_dimensions(model, max(1, round(recipe.dimensions * model.outputs)))


def keep_dimensions(model: Network, dim: int | None) -> Network:
    """The same model with the first ``dim`` rows of its whitening; the model itself where it has no more.

    Its descriptor is the first ``dim`` values of the model's own, at unit length again. Weights are shared.
    """
    if model.whitening is None or dim == model.config.dim:
        return model
    weight, bias = model.whitening.weight.detach()[:dim], model.whitening.bias.detach()[:dim]
    whitening = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight))
    whitening.weight, whitening.bias = nn.Parameter(weight), nn.Parameter(bias)
    return Network(replace(model.config, dim=len(weight)), model.backbone, model.head, whitening).eval()


def require_pca(model: Network) -> None:
    """RecipeError unless the model ends in a PCA whitening with its directions by falling variance."""
    if model.whitening is None or not is_pca(model.whitening):
        found = "no whitening layer" if model.whitening is None else "rows that are not principal directions"
        raise RecipeError(
            "the descriptors cannot be cut to fewer dimensions",
            found=found,
            allowed="a fitted PCA whitening, as `pocketvlad fit` makes it",
        )
