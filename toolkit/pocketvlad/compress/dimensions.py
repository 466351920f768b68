"""Shorter descriptors: the leading rows of a PCA whitening are a whitening of their own."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from pocketvlad.errors import RecipeError
from pocketvlad.model.netvlad import PlaceModel
from pocketvlad.model.whitening import is_pca
from pocketvlad.recipe import Recipe


def keep_share(model: PlaceModel, recipe: Recipe) -> PlaceModel:
    """The model with the share of its dimensions that the recipe keeps; see :func:`keep_dimensions`."""
    if recipe.dimensions == 1:
        return model
    require_pca(model)
    return keep_dimensions(model, max(1, round(recipe.dimensions * model.config.descriptor_dim)))


def keep_dimensions(model: PlaceModel, dim: int | None) -> PlaceModel:
    """The same model with the first ``dim`` rows of its whitening; the model itself where it has no more.

    Its descriptor is the first ``dim`` values of the model's own, at unit length again. Weights are shared.
    """
    if model.whitening is None or dim == model.config.dim:
        return model
    cut = PlaceModel(replace(model.config, dim=None), model.backbone)
    cut.pool = model.pool
    cut.config = replace(model.config, dim=dim)
    cut.whitening = nn.utils.skip_init(nn.Linear, model.whitening.in_features, dim)
    cut.whitening.weight = nn.Parameter(model.whitening.weight.detach()[:dim])
    cut.whitening.bias = nn.Parameter(model.whitening.bias.detach()[:dim])
    return cut.eval()


def require_pca(model: PlaceModel) -> None:
    """RecipeError unless the model ends in a PCA whitening with its directions by falling variance."""
    if model.whitening is None or not is_pca(model.whitening):
        found = "no whitening layer" if model.whitening is None else "rows that are not principal directions"
        raise RecipeError(
            "the descriptors cannot be cut to fewer dimensions",
            found=found,
            allowed="a fitted PCA whitening, as `pocketvlad fit` makes it",
        )
