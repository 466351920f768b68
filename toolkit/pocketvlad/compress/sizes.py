"""Where the bytes of a compressed model go, layer by layer, exactly as packed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pocketvlad.compress.compressed import Compressed
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.lut.tensor import LutTensor


@dataclass(frozen=True)
class LayerSize:
    """Bytes of one layer.

    Attributes:
        layer: its module name.
        weights: how many.
        bits: of a code.
        layout: ``dense``, ``sparse``, or ``1:8`` and the like for one weight of every 8.
        pruned: share of the weights that are exactly 0.
        mask, codes, codebook, scales, bias: bytes of each part; ``mask`` includes the row offsets.
        total: their sum.
        bits_per_weight: ``8 * total / weights``.
        entropy: bits per weight an ideal coder needs for the codes and zeros, codebook apart.
        share: of the whole model's bytes.
        ratio: float32 bytes of the layer over ``total``.
    """

    layer: str
    weights: int
    bits: int
    layout: str
    pruned: float
    mask: int
    codes: int
    codebook: int
    scales: int
    bias: int
    total: int
    bits_per_weight: float
    entropy: float
    share: float
    ratio: float

    def as_row(self) -> dict[str, Any]:
        """A row for a table or JSON."""
        return asdict(self)


def layer_sizes(compressed: Compressed) -> list[LayerSize]:
    """One entry per layer in the order of the model, and one for each constant of its head."""
    parts = {name: parts_of_layer(lut) for name, lut in compressed.layers.items()}
    for name, bias in compressed.biases.items():
        parts[name]["bias"] = bias.nbytes
    whole = sum(tensor.nbytes for tensor in compressed.tensors().values())
    sizes = [_size(name, lut, parts[name], whole) for name, lut in compressed.layers.items()]
    return [*sizes, *(_constant_size(name, rows, whole) for name, rows in compressed.constants.items())]


def model_bytes(compressed: Compressed) -> int:
    """Bytes of every array of the model as packed."""
    return sum(tensor.nbytes for tensor in compressed.tensors().values())


def float_bytes(compressed: Compressed) -> int:
    """Bytes of the uncompressed model's parameters in float32."""
    weights = sum(lut.rows * lut.columns for lut in compressed.layers.values())
    return 4 * (
        weights
        + sum(bias.size for bias in compressed.biases.values())
        + sum(rows.values.size for rows in compressed.constants.values())
        + sum(each.size for each in compressed.rest().values())
    )


def parts_of_layer(lut: LutTensor) -> dict[str, int]:
    """Bytes of each packed array of a layer."""
    packed, offsets = lut.packed.packed, lut.packed.row_offsets
    mask = lut.layout.mask_bytes(lut.shape)
    return {
        "mask": mask + (0 if offsets is None else offsets.nbytes),
        "codes": packed.nbytes - mask,
        "codebook": lut.codebook.nbytes,
        "scales": 0 if lut.row_scale is None else lut.row_scale.nbytes,
        "bias": 0,
    }


def _size(name: str, lut: LutTensor, parts: dict[str, int], whole: int) -> LayerSize:
    weights, total = lut.rows * lut.columns, sum(parts.values())
    counts = symbol_counts(lut)
    return LayerSize(
        layer=name,
        weights=weights,
        bits=lut.bits,
        layout=lut.layout.label,
        pruned=_zeros(lut, counts) / weights,
        **parts,
        total=total,
        bits_per_weight=8 * total / weights,
        entropy=entropy(counts),
        share=total / whole,
        ratio=4 * weights / total,
    )


def _constant_size(name: str, rows: QuantizedRows, whole: int) -> LayerSize:
    values, scales = rows.values.nbytes, rows.scale.nbytes
    counts = np.bincount(rows.values.view(np.uint8).ravel(), minlength=256)
    total = values + scales
    return LayerSize(
        layer=name,
        weights=values,
        bits=8,
        layout="dense",
        pruned=float((rows.values == 0).mean()),
        mask=0,
        codes=values,
        codebook=0,
        scales=scales,
        bias=0,
        total=total,
        bits_per_weight=8 * total / values,
        entropy=entropy(counts),
        share=total / whole,
        ratio=4 * values / total,
    )


def symbol_counts(lut: LutTensor) -> np.ndarray:
    """How often each code of each codebook occurs, int64 [groups, 2**bits + 1]; the last: masked out."""
    step, levels = lut.rows_per_group, 1 << lut.bits
    counts = np.zeros((lut.groups, levels + 1), np.int64)
    for group, start in enumerate(range(0, lut.rows, step)):
        codes = lut.codes[start : start + step]
        if lut.mask is not None:
            keep = lut.mask[start : start + step]
            counts[group, -1] = keep.size - np.count_nonzero(keep)
            codes = codes[keep]
        counts[group, :levels] = np.bincount(codes.ravel(), minlength=levels)
    return counts


def _zeros(lut: LutTensor, counts: np.ndarray) -> int:
    return int(counts[:, -1].sum() + counts[:, :-1][lut.codebook == 0].sum())


def entropy(counts: np.ndarray) -> float:
    """Shannon entropy in bits per symbol; each row of counts is coded with its own probabilities."""
    counts = np.atleast_2d(counts).astype(np.float64)
    total = counts.sum()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    bits = -np.log2(share, out=np.zeros_like(share), where=share > 0)
    return float((counts * bits).sum() / total) if total else 0.0
