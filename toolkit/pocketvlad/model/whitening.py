"""PCA whitening as the fully connected layer it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketvlad.errors import PhotoError

_CHECKED_ROWS = 256  # of a whitening layer, when asked whether it is PCA
_LARGEST_COSINE = 0.05  # between two of its rows, which are orthogonal up to float32 and the fitted sample
_ROUNDING = 1e-6  # of the largest variance: smaller ones are rounding errors of a float32 Gram matrix
EPSILON = 1e-9  # added to the eigenvalues, as in the original NetVLAD code


def fit_whitening(vectors: Tensor, dim: int) -> nn.Linear:
    """The layer ``U (lambda + 1e-9)**-1/2 (x - mean)``: the first ``dim`` principal directions, whitened.

    Works on the Gram matrix, so vectors may have far more dimensions than there are of them.

    Args:
        vectors: float32 [M, V] VLAD vectors; needs M > dim. Centred in place.
        dim: N, rows of the layer.

    Raises:
        PhotoError: fewer than ``dim + 1`` vectors, or fewer independent ones.
    """
    count = vectors.shape[0]
    if count <= dim:
        raise _too_few(count, dim)
    mean = vectors.mean(dim=0)
    vectors -= mean
    values, rotations = torch.linalg.eigh((vectors @ vectors.T).double())
    values, rotations = values.flip(0)[:dim], rotations.flip(1)[:, :dim]
    if values[-1] <= values[0] * _ROUNDING:
        raise _too_few(int((values > values[0] * _ROUNDING).sum()), dim)
    directions = (rotations / values.sqrt()).float().T @ vectors  # [N, V], unit rows
    variances = values / (count - 1)
    scale = (variances + EPSILON).rsqrt().float()
    layer = nn.utils.skip_init(nn.Linear, vectors.shape[1], dim)
    with torch.no_grad():
        torch.mul(directions, scale[:, None], out=layer.weight)
        layer.bias.copy_(-(layer.weight @ mean))
    return layer


def is_pca(layer: nn.Linear) -> bool:
    """Whether the rows are principal directions by falling variance: orthogonal, of rising length.

    Only then are the leading rows a whitening of their own.
    """
    weight = layer.weight.detach()
    lengths = weight.norm(dim=1)
    rows = weight[:: max(1, len(weight) // _CHECKED_ROWS)]
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
    cosines = (unit @ unit.T).abs() - torch.eye(len(unit))
    return bool((lengths[1:] >= 0.999 * lengths[:-1]).all() and cosines.max() < _LARGEST_COSINE)


def _too_few(found: int, dim: int) -> PhotoError:
    return PhotoError(
        f"whitening to {dim} dimensions needs more photos",
        found=f"{found} independent views",
        allowed=f"at least {dim + 1}",
        do="give more photos, more views of each, or fewer dimensions",
    )
