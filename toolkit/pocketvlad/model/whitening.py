"""PCA whitening as the fully connected layer it is, of any strength."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketvlad.errors import PhotoError
from pocketvlad.model.wanted import FULL

EPSILON = 1e-9  # added to the eigenvalues, as in the original NetVLAD code
_CHECKED_ROWS = 256  # of a whitening layer, when asked whether it is PCA
_LARGEST_COSINE = 0.05  # between two of its rows, which are orthogonal up to float32 and the fitted sample
_ROUNDING = 1e-6  # of the largest variance: smaller ones are rounding errors of a float32 Gram matrix
_COLUMNS = 2048  # of the vectors that are float64 at a time


def fit_whitening(vectors: Tensor, dim: int) -> nn.Linear:
    """The layer ``U (lambda + 1e-9)**-1/2 (x - mean)``: the first ``dim`` principal directions, whitened in full.

    Works on the Gram matrix, so vectors may have far more dimensions than there are of them. Its Gram matrix is
    float32 and its signs are LAPACK's, so that models of full whitening stay the same to the bit.

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
    return _layer(directions, mean, whitening_scale(values / (count - 1), FULL))


def fit_softened(vectors: Tensor, dim: int, strength: float) -> nn.Linear:
    """The same of any strength, computed in float64: near the same on every machine.

    Args:
        vectors: float32 [M, V]; needs M > dim. Left as they are.
        dim: N, rows of the layer.
        strength: FULL, PCA or between; see :func:`whitening_scale`.

    Raises:
        PhotoError: fewer than ``dim + 1`` vectors, or fewer independent ones.
    """
    count = vectors.shape[0]
    if count <= dim:
        raise _too_few(count, dim)
    values, rotations = principal(centred(gram(vectors)))
    if len(values) < dim:
        raise _too_few(len(values), dim)
    values, weights = values[:dim], (rotations[:, :dim] / values[:dim].sqrt()).T
    weights -= weights.mean(dim=1, keepdim=True)  # of vectors that are not centred
    parts = [weights @ vectors[:, own].double() for own in _columns(vectors)]
    directions = _with_fixed_signs(torch.cat(parts, dim=1).float())
    scale = whitening_scale(values / (count - 1), strength)
    return _layer(directions, vectors.mean(dim=0, dtype=torch.float64).float(), scale)


def whitening_scale(variances: Tensor, strength: float) -> Tensor:
    """What components are multiplied by, float64 [N]: ``sqrt((s + (1 - s) lambda / mean(lambda)) / (lambda + 1e-9))``.

    The inner product of two descriptors is then ``s`` parts whitened and ``1 - s`` parts not: full whitening makes the
    smallest components, the worst known where photos are few, as loud as the largest. Measured on street scenes and on
    real photos this ranks as well as shrinking the variances towards their mean or a lower power of them, or better.

    Args:
        variances: lambda, of the components, float64 [N].
        strength: s, from PCA to FULL.
    """
    mixed = strength + (1 - strength) * variances / variances.mean()
    return (variances + EPSILON).rsqrt() * mixed.sqrt()


def gram(vectors: Tensor) -> Tensor:
    """Inner products of float32 [M, V] in float64 [M, M]."""
    found = torch.zeros(len(vectors), len(vectors), dtype=torch.float64)
    for own in _columns(vectors):
        part = vectors[:, own].double()
        found += part @ part.T
    return found


def centred(products: Tensor) -> Tensor:
    """Inner products of the same vectors without their mean, float64 [M, M]."""
    rows = products.mean(dim=0)
    return products - rows - rows[:, None] + rows.mean()


def principal(products: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, the largest first and those of rounding left out, and their vectors [M, R]; float64."""
    values, rotations = torch.linalg.eigh(products)
    rank = int((values > values[-1].clamp_min(0) * _ROUNDING).sum())
    return values.flip(0)[:rank], rotations.flip(1)[:, :rank]


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


def _columns(vectors: Tensor) -> list[slice]:
    return [slice(start, start + _COLUMNS) for start in range(0, vectors.shape[1], _COLUMNS)]


def _with_fixed_signs(directions: Tensor) -> Tensor:
    """The rows with their largest value above 0: an eigenvector's sign is the library's whim."""
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    return directions * largest.sign()


def _layer(directions: Tensor, mean: Tensor, scale: Tensor) -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, directions.shape[1], len(directions))
    with torch.no_grad():
        torch.mul(directions, scale.float()[:, None], out=layer.weight)
        layer.bias.copy_(-(layer.weight @ mean))
    return layer


def _too_few(found: int, dim: int) -> PhotoError:
    return PhotoError(
        f"whitening to {dim} dimensions needs more photos",
        found=f"{found} independent views",
        allowed=f"at least {dim + 1}",
        do="give more photos, more views of each, or fewer dimensions",
    )
