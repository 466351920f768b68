"""A layer's weights while they train: values shared through a codebook, gradients summed per centroid."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad.compress.codes.codebook import assign, kmeans_codebook, summarize
from pocketvlad.compress.codes.prune import sparsity_threshold
from pocketvlad.lut.tensor import LutTensor


class ClusteredWeight(torch.autograd.Function):
    """``codebook[group(row), code] * scale[row]``, 0 where pruned: the weight of a forward pass.

    Backward: the gradients of all weights with the same centroid are summed (the paper's trained
    quantization); a centroid that is exactly 0 stands for pruned weights and gets none. The stored weights
    get the gradient of the value they stand for (straight-through), pruned ones too, so that a weight may
    come back when its pruning turns out wrong.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, codebook: Tensor, codes: Tensor, keep: Tensor | None, scale: Tensor | None
    ) -> Tensor:
        index = codes.long() + _group_offsets(codes.shape[0], codebook)
        ctx.save_for_backward(index, keep, scale, codebook)
        values = codebook.reshape(-1)[index]
        if scale is not None:
            values = values * scale[:, None]
        return values if keep is None else values * keep

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        index, keep, scale, codebook = ctx.saved_tensors
        summed = None
        if ctx.needs_input_grad[1]:
            each = gradient if scale is None else gradient * scale[:, None]
            each = each if keep is None else each * keep
            summed = torch.zeros_like(codebook).reshape(-1)
            summed.index_add_(0, index.reshape(-1), each.reshape(-1))
            summed = summed.reshape(codebook.shape).masked_fill(codebook == 0, 0)
        return gradient if ctx.needs_input_grad[0] else None, summed, None, None, None


def _group_offsets(rows: int, codebook: Tensor) -> Tensor:
    groups, levels = codebook.shape
    group = torch.arange(rows, device=codebook.device) // -(-rows // groups)
    return (group * levels)[:, None]


class ClusteredLayer(nn.Module):
    """One layer's stored weights, codebook, codes and mask.

    Attributes:
        weight: float32 [O, I], what straight-through gradients move; its nearest centroid is what is used.
        codebook: float32 [G, 2**bits], sorted at each assignment.
        codes: uint8 [O, I].
        keep: bool [O, I], survivors, or None while nothing is pruned.
        scale: float32 [O] or None, fixed.
    """

    codes: Tensor
    keep: Tensor | None
    scale: Tensor | None

    def __init__(self, lut: LutTensor, weight: Tensor):
        """Start from a compressed layer; ``weight`` float32 of its shape is what training moves."""
        super().__init__()
        self.shape, self.bits, self.layout = lut.shape, lut.bits, lut.layout
        self.weight = nn.Parameter(weight.detach().reshape(lut.rows, lut.columns).clone())
        self.codebook = nn.Parameter(torch.from_numpy(lut.codebook.copy()))
        self.register_buffer("codes", torch.from_numpy(lut.codes.copy()))
        self.register_buffer("keep", None if lut.mask is None else torch.from_numpy(lut.mask.copy()))
        self.register_buffer(
            "scale", None if lut.row_scale is None else torch.from_numpy(lut.row_scale.copy())
        )

    def forward(self) -> Tensor:
        """The weight the layer computes with, of the layer's shape."""
        values = ClusteredWeight.apply(self.weight, self.codebook, self.codes, self.keep, self.scale)
        return values.reshape(self.shape)

    @torch.no_grad()
    def assign(self) -> None:
        """Sort the centroids and give every stored weight its nearest one."""
        weight, codebook = self._scaled_weight(), np.sort(self.codebook.detach().cpu().numpy(), axis=1)
        rows = -(-weight.shape[0] // codebook.shape[0])
        codes = np.empty(weight.shape, np.uint8)
        for group, start in enumerate(range(0, weight.shape[0], rows)):
            part = slice(start, start + rows)
            codes[part] = assign(weight[part], codebook[group])
            if self.keep is not None:
                zero = 0 if self.layout.masked else int(np.argmin(np.abs(codebook[group])))
                codes[part][~self.keep[part].cpu().numpy()] = zero
        self.codebook.copy_(torch.from_numpy(codebook))
        self.codes.copy_(torch.from_numpy(codes))

    @torch.no_grad()
    def cluster(self) -> None:
        """K-means on the surviving stored weights, then :meth:`assign`."""
        weight = self._scaled_weight()
        keep = None if self.keep is None else self.keep.cpu().numpy()
        codebook = self.codebook.detach().cpu().numpy()
        zero = not self.layout.masked and (keep is not None or bool((codebook == 0).any()))
        rows = -(-weight.shape[0] // codebook.shape[0])
        books = []
        for start in range(0, weight.shape[0], rows):
            values = weight[start : start + rows]
            if keep is not None:
                values = values[keep[start : start + rows]][:, None]
            books.append(kmeans_codebook(summarize(values), codebook.shape[1], pin_zero=zero))
        self.codebook.copy_(torch.from_numpy(np.stack(books)))
        self.assign()

    @torch.no_grad()
    def prune(self, threshold: float, sparsity: float) -> None:
        """Keep the stored weights of at least ``threshold``, or all but the ``sparsity`` smallest.

        A layout with groups (one of every M weights) keeps what those say, whatever the two are.
        """
        weight = self.weight.detach()
        if self.layout.group:
            keep = self.layout.survivors(weight.cpu().numpy())
            self.keep = torch.from_numpy(keep).to(weight.device)
            return
        if sparsity:
            threshold = sparsity_threshold(weight.cpu().numpy(), sparsity)
        if threshold or self.keep is not None:  # a ramp begins with every weight back in place
            self.keep = weight.abs() >= threshold

    def _scaled_weight(self) -> np.ndarray:
        weight = self.weight.detach()
        return (weight if self.scale is None else weight / self.scale[:, None]).cpu().numpy()

    def lut(self) -> LutTensor:
        """The layer as the file holds it."""
        arrays = [t if t is None else t.detach().cpu().numpy().copy() for t in (self.scale, self.keep)]
        mask = arrays[1] if self.layout.masked else None
        codes, codebook = self.codes.cpu().numpy().copy(), self.codebook.detach().cpu().numpy().copy()
        return LutTensor(self.shape, self.bits, codes, codebook, arrays[0], mask, self.layout)
