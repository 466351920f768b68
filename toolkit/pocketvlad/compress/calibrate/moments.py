"""What a layer's inputs look like: second moments in the compressed model and against the uncompressed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pocketvlad.compress.layers import Geometry, Layer

LOCATIONS = 24_576  # input patches summed per layer, spread over the photos


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a layer's inputs about their means; a grouped convolution has one set per group.

    Attributes:
        gram: float32 [G, I, I], mean of ``x x^T``, x the inputs in the compressed model.
        pull: float32 [G, O / G, I], mean of ``W (z - x) x^T``, W the weight, z the same inputs in the uncompressed
            model: how what the outputs lack already goes with the inputs.
        mean: float32 [G, I], of x.
        reference_mean: float32 [G, I], of z.
        halves: ``gram`` of every other example and of those between, each about the mean of its own; None of a single
            example.
    """

    gram: Tensor
    pull: Tensor
    mean: Tensor
    reference_mean: Tensor
    halves: tuple[Tensor, Tensor] | None = None

    @property
    def importance(self) -> Tensor:
        """Second moment of each input about its mean, float32 [G, I]."""
        return self.gram.diagonal(dim1=1, dim2=2)


class MomentSum:
    """Sums :class:`Moments` over examples.

    Args:
        weight: of the layer, float32 [G, O / G, I].
    """

    def __init__(self, weight: Tensor):
        groups, outputs, inputs = weight.shape
        # what the outputs lack, or what the inputs do where those are fewer: less to multiply by the inputs
        few = 2 * outputs < inputs
        self._before, self._after = weight if few else None, None if few else weight
        self._grams = torch.zeros(2, groups, inputs, inputs)
        self._lacks = torch.zeros(groups, inputs if self._before is None else outputs, inputs)
        self._means = torch.zeros(2, groups, inputs, dtype=torch.float64)
        self._reference_mean = torch.zeros(groups, inputs, dtype=torch.float64)
        self._counts = [0, 0]
        self._half = 0

    def add(self, inputs: Tensor, reference: Tensor) -> None:
        """Add an example's n patches in both models, float32 [G, n, I]."""
        self._grams[self._half].baddbmm_(inputs.transpose(1, 2), inputs)
        if reference is not inputs:
            lacking = self._through(reference - inputs)
            self._lacks.baddbmm_(lacking.transpose(1, 2), inputs)
        self._means[self._half] += inputs.sum(dim=1, dtype=torch.float64)
        self._reference_mean += reference.sum(dim=1, dtype=torch.float64)
        self._counts[self._half] += inputs.shape[1]
        self._half = 1 - self._half

    def moments(self) -> Moments:
        count = sum(self._counts)
        mean = (self._means.sum(dim=0) / count).float()
        reference_mean = (self._reference_mean / count).float()
        gram = self._grams.sum(dim=0) / count - mean[:, :, None] * mean[:, None]
        lacking = self._through((reference_mean - mean)[:, None])  # [G, 1, ...]
        pull = self._lacks / count - lacking.transpose(1, 2) * mean[:, None]
        pull = pull if self._after is None else self._after @ pull
        halves = (self._halved(0), self._halved(1)) if self._counts[1] else None
        return Moments(gram, pull, mean, reference_mean, halves)

    def _through(self, differences: Tensor) -> Tensor:
        """Of inputs float32 [G, n, I] what is summed of them: of the outputs, or as they are."""
        return differences if self._before is None else differences @ self._before.transpose(1, 2)

    def _halved(self, half: int) -> Tensor:
        mean = (self._means[half] / self._counts[half]).float()
        return self._grams[half] / self._counts[half] - mean[:, :, None] * mean[:, None]


def layer_moments(
    layer: Layer,
    reference: list[Tensor],
    compressed: list[Tensor],
    generator: torch.Generator,
    *,
    shuffled: bool = False,
) -> Moments:
    """Moments of a layer's inputs at sampled locations of every example.

    Args:
        layer: a convolution, or a linear layer with several rows for each example.
        reference, compressed: its input on each example, in the uncompressed and the compressed model.
        generator: draws the locations.
        shuffled: all locations are drawn at random even where none is left out.
    """
    count = location_count(layer, reference[0])
    wanted = min(count, -(-LOCATIONS // len(reference)))
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    total = MomentSum(layer.weight.detach().float().reshape(groups, -1, layer.weight[0].numel()))
    for z, x in zip(reference, compressed, strict=True):
        whole = wanted == count and not shuffled
        chosen = None if whole else torch.randperm(count, generator=generator)[:wanted]
        found = patches(layer, x, chosen)
        total.add(found, found if z is x else patches(layer, z, chosen))
    return total.moments()


def patches(layer: Layer, x: Tensor, chosen: Tensor | None = None) -> Tensor:
    """The inputs of each output location of a layer.

    Args:
        layer: the layer.
        x: float32 [B, C, H, W], [B, C, L], or [..., C] of a linear layer.
        chosen: int64, which of the output locations, or None for all of them.

    Returns:
        float32 [groups, B * locations, inputs of a group].
    """
    if isinstance(layer, nn.Linear):
        rows = x.reshape(1, -1, layer.in_features)
        return rows if chosen is None else rows[:, chosen]
    window, x = Geometry.of(layer), _as_image(x)
    windows = _windows(x, window)  # [B, H', W', C, kh, kw]
    batch, _, width = windows.shape[:3]
    if chosen is not None:
        windows = windows[:, chosen // width, chosen % width]
    rows = windows.reshape(batch, -1, layer.groups, layer.weight[0].numel())
    return rows.permute(2, 0, 1, 3).flatten(1, 2)


def _windows(x: Tensor, window: Geometry) -> Tensor:
    """What each output location reads, a view of the padded x: [B, H', W', C, kh, kw]."""
    down, across = window.padding
    spans = _spans(x, window)
    x = functional.pad(x, (across, across, down, down))
    batch, channels, row, column = x.stride()
    (sh, sw), (dh, dw) = window.stride, window.dilation
    shape = (x.shape[0], *spans, x.shape[1], *window.kernel)
    return x.as_strided(shape, (batch, row * sh, column * sw, channels, row * dh, column * dw))


def location_count(layer: Layer, x: Tensor) -> int:
    """Output locations of a layer on an input of one example."""
    if isinstance(layer, nn.Linear):
        return x.numel() // layer.in_features
    down, across = _spans(_as_image(x), Geometry.of(layer))
    return down * across


def _spans(x: Tensor, window: Geometry) -> list[int]:
    """Output locations down and across."""
    sizes = zip(x.shape[2:], window.kernel, window.stride, window.padding, window.dilation, strict=True)
    return [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes]


def _as_image(x: Tensor) -> Tensor:
    """[B, C, L] -> [B, C, 1, L]."""
    return x.unsqueeze(2) if x.dim() == 3 else x
