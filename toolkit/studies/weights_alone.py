"""A place model with every layer's weights rounded by another toolkit, and the bytes that its format takes."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pocketvlad.compress.layers import compressible_layers
from pocketvlad.errors import ArtifactError
from pocketvlad.export.lower import photo_example
from pocketvlad.model.network import Network

_HALF = 2  # bytes of float16


@dataclass(frozen=True)
class Rounded:
    """A network with rounded weights, and its bytes."""

    network: Network
    bytes: int


@dataclass(frozen=True)
class Integers:
    """Symmetric integers, as torchao's ``IntxWeightOnlyConfig`` makes them.

    Attributes:
        bits: of a weight in the whitening layer.
        rest_bits: of a weight elsewhere; 0: the same.
        block: inputs that share a scale, where they divide a row; 0 and elsewhere a row shares one.
    """

    bits: int
    rest_bits: int = 0
    block: int = 0

    def rounded(self, model: Network) -> Rounded:
        """Every layer, a convolution as the matrix [outputs, inputs of an output]."""
        found, total = copy.deepcopy(model), 0
        for name, layer in compressible_layers(found).items():
            weight = layer.weight.detach().flatten(1)
            bits = self.bits if name == "whitening" else self.rest_bits or self.bits
            block = self.block if self.block and weight.shape[1] % self.block == 0 else weight.shape[1]
            layer.weight.data = symmetric(weight, bits, block).reshape(layer.weight.shape)
            total += math.ceil(weight.numel() * bits / 8) + _HALF * weight.numel() // block
        return Rounded(found, total + _others(found))


def symmetric(weight: Tensor, bits: int, block: int) -> Tensor:
    """float32 [O, I] -> the same as integers with a scale for each ``block`` inputs."""
    from torchao.quantization import IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerAxis, PerGroup

    holder = nn.Sequential(nn.Linear(weight.shape[1], len(weight), bias=False))
    holder[0].weight.data = weight.clone()
    whole = block == weight.shape[1]
    dtype = getattr(torch, f"int{bits}")
    quantize_(
        holder,
        IntxWeightOnlyConfig(weight_dtype=dtype, granularity=PerAxis(0) if whole else PerGroup(block)),
    )
    rounded: Tensor = holder[0].weight.dequantize()  # type: ignore[operator]  # a subclass of Tensor by now
    return rounded


@dataclass(frozen=True)
class CoreAi:
    """coreai-opt's k-means palettizer: a table for each ``rows`` output rows, as its presets have it.

    A layer whose rows they do not divide, which the presets leave alone, gets one table.

    Attributes:
        bits: of a code.
        rows: that share a table.
    """

    bits: int
    rows: int = 16

    def rounded(self, model: Network) -> Rounded:
        """ArtifactError where coreai-opt is not installed."""
        theirs = dict(self._prepared(copy.deepcopy(model)).named_modules())
        found, total = copy.deepcopy(model), 0
        for name, layer in compressible_layers(found).items():
            layer.weight.data = theirs[name].weight.detach().clone()
            total += math.ceil(layer.weight.numel() * self.bits / 8)
            total += _HALF * self._tables(layer.weight) * 2**self.bits
        return Rounded(found, total + _others(found))

    def _tables(self, weight: Tensor) -> int:
        return len(weight) // self.rows if len(weight) % self.rows == 0 else 1

    def _prepared(self, model: Network) -> nn.Module:
        try:
            from coreai_opt.palettization import KMeansPalettizer, KMeansPalettizerConfig
        except ImportError as error:
            raise ArtifactError("coreai-opt is missing", do="pip install --no-deps coreai-opt") from error
        config = KMeansPalettizerConfig(global_config=self._module(grouped=True))
        for name, layer in compressible_layers(model).items():
            if self._tables(layer.weight) == 1:
                config = config.set_module_name(name, self._module(grouped=False))
        found: nn.Module = KMeansPalettizer(model, config).prepare(photo_example(model.config.preprocess))
        return found

    def _module(self, *, grouped: bool) -> Any:
        from coreai_opt.palettization import ModuleKMeansPalettizerConfig, PalettizationSpec, spec

        rows = spec.PerGroupedChannelGranularity(axis=0, group_size=self.rows)
        granularity = rows if grouped else spec.PerTensorGranularity()
        each = {"weight": PalettizationSpec(n_bits=self.bits, granularity=granularity)}
        return ModuleKMeansPalettizerConfig(op_input_spec=None, op_output_spec=None, op_state_spec=each)


def _others(model: Network) -> int:
    """Bytes of the parameters that are no layer's weights, in float16."""
    weights = {id(layer.weight) for layer in compressible_layers(model).values()}
    return sum(_HALF * each.numel() for each in model.parameters() if id(each) not in weights)
