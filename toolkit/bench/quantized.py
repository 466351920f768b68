"""A network as XNNPACK computes it in 8 and 4 bits, calibrated on photos."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from torch import Tensor, nn
from torch.nn import functional
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.quantization.granularity import PerAxis
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from pocketvlad.errors import ArtifactError
from pocketvlad.model.heads.netvlad import NetVlad
from pocketvlad.model.network import Network

# Concatenations with them: XNNPACK takes them where all inputs share a scale, which their annotation sees to.
_CONVOLUTIONS = (torch.ops.aten.conv2d.default, torch.ops.aten.cat.default)


class PlainOperators(nn.Module):
    """The network in the operators XNNPACK takes whole once quantized (its own norms break the int8 delegate)."""

    def __init__(self, network: Network):
        super().__init__()
        if not isinstance(network.head, NetVlad) or network.whitening is None:
            raise ArtifactError("only networks of NetVLAD and a whitening are rivals here")
        self.backbone, self.head, self.whitening = network.backbone, network.head, network.whitening

    def forward(self, x: Tensor) -> Tensor:
        x = functional.normalize(self.backbone(x), dim=1)
        weights = self.head.assignment(x).flatten(2).softmax(dim=1)
        sums = weights @ x.flatten(2).transpose(1, 2)
        vlad = sums - weights.sum(dim=2, keepdim=True) * self.head.centroids
        vlad = functional.normalize(functional.normalize(vlad, dim=2).flatten(1), dim=1)
        return functional.normalize(self.whitening(vlad), dim=1)


class _Locations(nn.Module):
    """A backbone's features [B, D, N]: XNNPACK's delegate mistakes the layout of an image that leaves it."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(x).flatten(2)


class Int8Backbone(nn.Module):
    """The network with its backbone in int8 and its head in float32; ``photos`` as for :func:`static_int8`."""

    def __init__(self, network: Network, photos: Iterable[Tensor]):
        super().__init__()
        self.backbone = static_int8(_Locations(network.backbone), photos)
        self.head, self.whitening = network.head, network.whitening

    def forward(self, x: Tensor) -> Tensor:
        found = self.head(self.backbone(x).unsqueeze(3))
        return found if self.whitening is None else functional.normalize(self.whitening(found), dim=1)


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


def static_and_dynamic(network: Network, photos: Iterable[Tensor], whitening: torch.dtype) -> nn.Module:
    """Convolutions static in int8, the whitening layer's weights in ``whitening`` per channel, its input in int8
    quantized on the fly; what NetVLAD computes between them stays in float32.
    """
    plain = PlainOperators(network)
    dynamic(plain.whitening, whitening)
    return static_int8(plain, photos, _CONVOLUTIONS)


def dynamic(module: nn.Module, weights: torch.dtype) -> nn.Module:
    """Its linear layers with weights in int8 or int4 per channel, in place; inputs become int8 on the fly."""
    quantize_(
        module, Int8DynamicActivationIntxWeightConfig(weight_dtype=weights, weight_granularity=PerAxis(0))
    )
    return module
