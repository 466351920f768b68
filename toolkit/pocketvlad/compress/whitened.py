"""What a recipe makes of the descriptors before anything is compressed: fewer dimensions, a softer whitening.

Both follow from a PCA whitening's form: its rows are principal directions by falling variance, each divided by its
standard deviation, so that the leading rows are a whitening of their own and a row's length tells its variance.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from pocketvlad.compress.recipe import Recipe
from pocketvlad.errors import RecipeError
from pocketvlad.model.network import Network
from pocketvlad.model.whitening import is_pca

_HALVINGS = 40  # of the interval in which the share is sought


def wanted_descriptors(model: Network, recipe: Recipe) -> Network:
    """The uncompressed model with the descriptors that the recipe wants; the model itself where it has them.

    Raises:
        RecipeError: the recipe drops dimensions of no PCA whitening.
    """
    if recipe.dimensions < 1:
        require_pca(model)
        model = keep_dimensions(model, max(1, round(recipe.dimensions * model.outputs)))
    return soften_whitening(model, recipe.soften_whitening)


def keep_dimensions(model: Network, dim: int | None) -> Network:
    """The same model with the first ``dim`` rows of its whitening; the model itself where it has no more.

    Its descriptor is the first ``dim`` values of the model's own, at unit length again. Weights are shared.
    """
    if model.whitening is None or dim == model.config.dim:
        return model
    return _with_whitening(model, model.whitening.weight.detach()[:dim], model.whitening.bias.detach()[:dim])


def soften_whitening(model: Network, loss: float) -> Network:
    """The same model with a softer whitening; the model itself where its whitening is no PCA's or the loss 0.

    Full whitening makes the smallest principal components, the worst known where the photos were few, as loud as the
    largest. A softer one scales component i, of variance ``lambda_i``, by ``sqrt(1 - m + m lambda_i / mean(lambda))``:
    the inner product of two descriptors is ``1 - m`` parts whitened and m parts not. With a trained backbone it ranks
    better, and at the same cosine better than a lower power of lambda does (0.25 in the code of Revaud et al.,
    "Learning with Average Precision", ICCV 2019), with an untrained one worse; and it turns the descriptors. The m is
    sought whose descriptors have a mean cosine of ``1 - loss`` to the model's own if every component has the variance 1
    that whitening gave it: ``mean(s) / sqrt(mean(s**2))`` for components scaled by s. All other weights are shared.

    Args:
        model: with a PCA whitening of N rows.
        loss: of 1 - cosine; 0 up to what no whitening at all (m = 1) costs, beyond which nothing changes.
    """
    if not loss or model.whitening is None or not is_pca(model.whitening):
        return model
    weight, bias = model.whitening.weight.detach(), model.whitening.bias.detach()
    variances = 1 / weight.double().square().sum(dim=1)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _turned(_mixed(variances, middle)) < loss else (low, middle)
    scale = _mixed(variances, low).float()
    return _with_whitening(model, weight * scale[:, None], bias * scale)


def _mixed(variances: Tensor, share: float) -> Tensor:
    """Scales of components, float64 [N], that mix the unwhitened inner product into the whitened one."""
    return (1 - share + share * variances / variances.mean()).sqrt()


def _turned(scale: Tensor) -> float:
    """1 - mean cosine between descriptors of variance 1 in each component and the same scaled, float64 [N]."""
    return 1 - float(scale.mean() / scale.square().mean().sqrt())


def _with_whitening(model: Network, weight: Tensor, bias: Tensor) -> Network:
    """The model with another whitening, float32 [N, K * D] and [N]; its other weights are shared."""
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
