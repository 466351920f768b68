"""A softer whitening of a given cost in cosine, in float32: what such a model ranks like, compressed or not."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from pocketvlad.model.network import Network
from pocketvlad.model.whitening import is_pca

_HALVINGS = 40  # of the interval in which the share is sought


def soften_whitening(model: Network, loss: float) -> Network:
    """The same model with a softer whitening; the model itself where its whitening is no PCA's or the loss 0.

    A softer whitening scales component i, of variance ``lambda_i``, by ``sqrt(1 - m + m lambda_i / mean(lambda))``: the
    inner product of two descriptors is ``1 - m`` parts whitened and m parts not. The m is sought whose descriptors have
    a mean cosine of ``1 - loss`` to the model's own if every component has the variance 1 that whitening gave it:
    ``mean(s) / sqrt(mean(s**2))`` for components scaled by s. All other weights are shared.

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
    softer = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight))
    softer.weight, softer.bias = nn.Parameter(weight * scale[:, None]), nn.Parameter(bias * scale)
    return Network(replace(model.config, dim=len(weight)), model.backbone, model.head, softer).eval()


def _mixed(variances: Tensor, share: float) -> Tensor:
    """Scales of components, float64 [N], that mix the unwhitened inner product into the whitened one."""
    return (1 - share + share * variances / variances.mean()).sqrt()


def _turned(scale: Tensor) -> float:
    """1 - mean cosine between descriptors of variance 1 in each component and the same scaled, float64 [N]."""
    return 1 - float(scale.mean() / scale.square().mean().sqrt())
