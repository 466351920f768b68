"""Where the bytes of a compressed model are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from pocketvlad.compress.compressed import CompressedModel
from pocketvlad.lut import packing
from pocketvlad.lut.tensor import LutTensor


@dataclass(frozen=True)
class LayerSize:
    """Bytes of one layer as packed.

    Attributes:
        weights: how many there were; ``pruned``: the share of them that is 0 now.
        bits: of a code.
        mask, codes, codebook, scales, bias: bytes.
        entropy: bits per weight an ideal entropy coder would need for codes and mask.
        share: of the whole model's bytes.
    """

    layer: str
    weights: int
    pruned: float
    bits: int
    layout: str
    mask: int
    codes: int
    codebook: int
    scales: int
    bias: int
    total: int
    entropy: float
    share: float

    def as_row(self) -> dict[str, object]:
        """For tables and JSON."""
        return asdict(self)


def layer_sizes(model: CompressedModel) -> list[LayerSize]:
    """One entry per layer, the cluster centres last."""
    rows = [_layer(name, lut, model.biases.get(name)) for name, lut in model.layers.items()]
    centres = model.centroids.nbytes + model.centroid_scale.nbytes
    total = sum(row["total"] for row in rows) + centres
    sizes = [LayerSize(**row, share=row["total"] / total) for row in rows]
    count = model.centroids.size
    scales = model.centroid_scale.nbytes
    entropy = code_entropy(model.centroids.view(np.uint8))
    sizes.append(
        LayerSize(
            "pool.centroids", count, 0.0, 8, "rows", 0, count, 0, scales, 0, centres, entropy, centres / total
        )
    )
    return sizes


def _layer(name: str, lut: LutTensor, bias: np.ndarray | None) -> dict:
    offsets = lut.packed.row_offsets
    weights = lut.rows * lut.columns
    mask = 0
    if lut.mask is not None:
        bitmaps = lut.rows if lut.layout == "rows" else 1
        mask = bitmaps * packing.mask_bytes(weights // bitmaps) + (0 if offsets is None else offsets.nbytes)
    zero = (lut.dequantize() == 0).mean()
    scales = 0 if lut.row_scale is None else lut.row_scale.nbytes
    biases = 0 if bias is None else bias.nbytes
    total = lut.packed.nbytes + lut.codebook.nbytes + scales + biases
    return {
        "layer": name,
        "weights": weights,
        "pruned": float(zero),
        "bits": lut.bits,
        "layout": "dense" if lut.mask is None else "sparse",
        "mask": mask,
        "codes": lut.packed.nbytes - mask,
        "codebook": lut.codebook.nbytes,
        "scales": scales,
        "bias": biases,
        "total": total,
        "entropy": layer_entropy(lut),
    }


def layer_entropy(lut: LutTensor) -> float:
    """Bits per weight of the mask and the surviving codes, each at its zeroth-order entropy."""
    if lut.mask is None:
        return code_entropy(lut.codes)
    kept = float(lut.mask.mean())
    survivors = lut.codes[lut.mask]
    return _entropy(np.asarray([kept, 1 - kept])) + kept * code_entropy(survivors)


def code_entropy(codes: np.ndarray) -> float:
    """Zeroth-order entropy of uint8 codes, bits per code."""
    counts = np.bincount(codes.reshape(-1), minlength=256)
    return _entropy(counts / max(codes.size, 1))


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum())
