"""A place model as XNNPACK programs of 8 and 4 bits, calibrated on photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import peers
import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from pocketvlad.model.netvlad import PlaceModel
from torch import Tensor, nn
from torch.nn import functional
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.quantization.granularity import PerAxis
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from pocketvlad.core.native import register_executorch_ops
from pocketvlad.model.preprocess import Preprocess, photo_tensor

# Concatenations with them: XNNPACK takes them where all inputs share a scale, which their annotation sees to.
_CONVOLUTIONS = (torch.ops.aten.conv2d.default, torch.ops.aten.cat.default)


class PlainOperators(nn.Module):
    """The model in the operators XNNPACK takes whole once quantized (its own norms break the int8 delegate)."""

    def __init__(self, model: PlaceModel):
        super().__init__()
        self.backbone, self.pool, self.whitening = model.backbone, model.pool, model.whitening

    def forward(self, x: Tensor) -> Tensor:
        x = functional.normalize(self.backbone(x), dim=1)
        weights = self.pool.assignment(x).flatten(2).softmax(dim=1)
        sums = weights @ x.flatten(2).transpose(1, 2)
        vlad = sums - weights.sum(dim=2, keepdim=True) * self.pool.centroids
        vlad = functional.normalize(functional.normalize(vlad, dim=2).flatten(1), dim=1)
        return functional.normalize(self.whitening(vlad), dim=1)


def static_int8(
    module: nn.Module, photos: Iterable[Tensor], operators: tuple[torch._ops.OpOverload, ...] = ()
) -> nn.Module:
    """Weights and activations in int8, weights per channel, activation ranges from ``photos`` [1, 3, H, W].

    Args:
        module: float32.
        photos: preprocessed; the first also fixes the input size.
        operators: what is quantized; everything XNNPACK can if none is named.
    """
    photos = list(photos)
    graph = torch.export.export(module, (photos[0],), strict=False).module()
    config, quantizer = get_symmetric_quantization_config(is_per_channel=True), XNNPACKQuantizer()
    for operator in operators:
        quantizer.set_operator_type(operator, config)
    prepared = prepare_pt2e(graph, quantizer if operators else quantizer.set_global(config))
    with torch.no_grad():
        for photo in photos:
            prepared(photo)
    return convert_pt2e(prepared)


def static_and_dynamic(model: PlaceModel, photos: Iterable[Tensor], whitening: torch.dtype) -> nn.Module:
    """Convolutions static in int8, the whitening layer's weights in ``whitening`` per channel, its input in int8
    quantized on the fly; what NetVLAD computes between them stays in float32.
    """
    config = Int8DynamicActivationIntxWeightConfig(weight_dtype=whitening, weight_granularity=PerAxis(0))
    quantize_(model.whitening, config)
    return static_int8(PlainOperators(model), photos, _CONVOLUTIONS)


def write_program(module: nn.Module, preprocess: Preprocess, out: Path) -> int:
    """Lower to XNNPACK; bytes of the file."""
    out.unlink(missing_ok=True)
    peers.exported(out, lambda: module, (1, 3, preprocess.height, preprocess.width))
    return out.stat().st_size


def described_by(program: Path, preprocess: Preprocess) -> Callable[[object], np.ndarray]:
    """Photo -> descriptor float32 [dim], by ExecuTorch."""
    register_executorch_ops()
    run = peers.loaded(program)

    def describe(photo: object) -> np.ndarray:
        return run(torch.from_numpy(photo_tensor(photo, preprocess))[None])[0].numpy()[0].copy()

    return describe
