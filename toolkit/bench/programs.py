"""What stands against what in a model's suite, as ExecuTorch programs: ours, and XNNPACK's float32 and int8.

The contenders named ``int8 throughout`` keep the backbone's activations in int8 from lookup convolution to lookup
convolution; those named ``int8 convolutions`` leave the backbone to XNNPACK's int8 kernels, on the codes of the 8-bit
ones.
Weights are random: time does not depend on them, and a bench needs no downloads. A program is made once per content:
its file's name holds a hash of what describes it and of the sources and packages it is made by.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn

import pocketvlad
from bench import networks, peers, quantized
from bench.networks import MIXVPR, NETVLAD, TRANSFORMERS, random_network
from pocketvlad import artifact
from pocketvlad.compress.calibrate.activations import GridFitter
from pocketvlad.compress.compressed import Compressed, skeleton_of
from pocketvlad.compress.graph import traced
from pocketvlad.compress.grid import ActivationGrid
from pocketvlad.compress.layers import Layer, compressible_layers
from pocketvlad.compress.recipe import INT8 as BY_XNNPACK
from pocketvlad.compress.recipe import LUT, LUT_INT8
from pocketvlad.export.pack import FAST, pack
from pocketvlad.lut.layouts import Dense, Layout, OneOf
from pocketvlad.lut.rows import QuantizedRows
from pocketvlad.lut.tensor import LutTensor
from pocketvlad.model.network import Network
from pocketvlad.model.preprocess import Preprocess

FP32, INT8 = "XNNPACK fp32", "XNNPACK int8"
# Linear layers in 8 and 4 bits, their inputs quantized on the fly; everything else in float32.
DYNAMIC = {"XNNPACK int8 dynamic": torch.int8, "XNNPACK int4 dynamic": peers.INT4}
# The rooms of the package that decide what a program is.
_OF_A_PEER, _OF_OURS = ("model",), ("model", "compress", "lut", "export")


class Timed(NamedTuple):
    """A model: its backbone, descriptor size, input size, {peer: goal}, head."""

    backbone: str
    dim: int
    height: int
    width: int
    goals: dict[str, float | None]
    head: str = NETVLAD

    @property
    def name(self) -> str:
        return f"{self.backbone}{_SAID[self.head]} {self.height}x{self.width}"


@dataclass(frozen=True)
class Packing:
    """Bits of the codes, of the last wide layer's (whitening, or MegaLoc's linear one) if they are others, one of every
    ``block`` of its weights kept if that is not 0; what computes the convolutions.
    """

    bits: int
    whitening: int | None = None
    block: int = 0
    convolutions: str = LUT


OF_TOKENS = {
    "8-bit linear layers": Packing(8),
    "4-bit linear layers": Packing(4),
    "4-bit linear layers, the last one of 8": Packing(4, whitening=1, block=8),
}
OF_CONVOLUTIONS = {
    "8-bit": Packing(8),
    "5-bit": Packing(5),
    "8-bit, int8 throughout": Packing(8, convolutions=LUT_INT8),
    "5-bit, int8 throughout": Packing(5, convolutions=LUT_INT8),
    "1/32": Packing(5, whitening=1, block=8),
    "1/32, int8 throughout": Packing(5, whitening=1, block=8, convolutions=LUT_INT8),
    "int8 convolutions, 3-bit whitening": Packing(8, whitening=3, convolutions=BY_XNNPACK),
}
OURS = OF_CONVOLUTIONS | OF_TOKENS
_SAID = {NETVLAD: "", "gem": "-GeM", MIXVPR: "-MixVPR", "salad": "-SALAD", "megaloc": "-MegaLoc"}
_WIDE = ("whitening", "head.linear")


def programs(
    model: Timed, folder: Path, say: Callable[[str], None], labels: Sequence[str] = ()
) -> dict[str, Path]:
    """A model's programs by contender, made where they are not there yet. ``labels``: of these, if any."""
    found = {}
    for label, build in contenders(*model[:4], head=model.head).items():
        if labels and label not in labels:
            continue
        file = folder / file_name(model, label)
        if not file.exists():
            say(f"{model.name}: {label}")
        found[label] = peers.exported(file, build, (1, 3, model.height, model.width))
    return found


def file_name(model: Timed, label: str) -> str:
    """Of a contender's program in the cache folder."""
    name = f"{model.name}-{label}"
    for mark in (", ", " ", "/"):
        name = name.replace(mark, "-")
    return f"{name.lower()}-{_content(model, label)}.pte"


def _content(model: Timed, label: str) -> str:
    """A hash of what makes a program."""
    packing = OURS.get(label)
    makers = (
        (networks, contenders, quantized, peers)
        if packing is None
        else (networks, _packed, _random_codes, _grids)
    )
    said = [*model[:4], model.head, label, packing and asdict(packing), artifact.versions()]
    hashed = hashlib.sha256(json.dumps(said).encode())
    for maker in makers:
        hashed.update(inspect.getsource(maker).encode())
    hashed.update(_sources(_OF_A_PEER if packing is None else _OF_OURS))
    return hashed.hexdigest()[:16]


@cache
def _sources(rooms: tuple[str, ...]) -> bytes:
    folder = Path(inspect.getfile(pocketvlad)).parent
    return b"".join(path.read_bytes() for room in rooms for path in sorted((folder / room).rglob("*.py")))


def contenders(
    backbone: str, dim: int, height: int, width: int, head: str = NETVLAD
) -> dict[str, Callable[[], nn.Module]]:
    """What builds each, by its name."""
    plain = partial(random_network, backbone, dim, height, width, head=head)

    def int8() -> nn.Module:
        network, photos = plain(), [torch.randn(1, 3, height, width)]
        if head == NETVLAD:
            return quantized.static_int8(quantized.PlainOperators(network), photos)
        if head == MIXVPR:
            quantized.dynamic(network.head, torch.int8)
        return quantized.Int8Backbone(network, photos)

    def dynamic(weights: torch.dtype) -> nn.Module:
        return quantized.dynamic(plain(), weights)

    rivals: dict[str, Callable[[], nn.Module]] = {FP32: plain}
    of_tokens = head in TRANSFORMERS
    rivals |= (
        {name: partial(dynamic, weights) for name, weights in DYNAMIC.items()} if of_tokens else {INT8: int8}
    )
    ours = OF_TOKENS if of_tokens else OF_CONVOLUTIONS
    return rivals | {name: partial(_packed, plain, packing) for name, packing in ours.items()}


def _packed(plain: Callable[[], Network], packing: Packing) -> nn.Module:
    """Every layer packed, codes at random."""
    network, random = plain(), np.random.default_rng(packing.bits)
    found = compressible_layers(network)
    layers = {name: _random_codes(name, layer, packing, random) for name, layer in found.items()}
    biases = {name: layer.bias.detach().numpy() for name, layer in found.items() if layer.bias is not None}
    rows = {name: network.get_parameter(name).detach().numpy() for name in network.constants()}
    constants = {name: QuantizedRows.of(each) for name, each in rows.items()}
    grids = _grids(network.backbone, network.config.preprocess) if packing.convolutions != LUT else {}
    skeleton = skeleton_of(network, layers, constants)
    return pack(
        Compressed(skeleton, layers, biases, constants, activations=grids), FAST, packing.convolutions
    )


def _random_codes(name: str, layer: Layer, packing: Packing, random: np.random.Generator) -> LutTensor:
    shape = tuple(layer.weight.shape)
    wide = name in _WIDE
    layout: Layout = OneOf(packing.block) if packing.block and wide else Dense()
    bits = packing.whitening if wide and packing.whitening else packing.bits
    codes = random.integers(0, 2**bits, (shape[0], int(np.prod(shape[1:]))), dtype=np.uint8)
    codebook = random.normal(scale=float(layer.weight.std()), size=(1, 2**bits)).astype(np.float32)
    mask = layout.survivors(layer.weight.detach().numpy()) if layout.group else None
    return LutTensor(shape, bits, codes, codebook, np.ones(shape[0], np.float32), mask, layout)


def _grids(backbone: nn.Module, size: Preprocess) -> dict[str, ActivationGrid]:
    """Of the activations of one random image."""
    fitter = GridFitter(backbone)

    class Watched(fx.Interpreter):
        def run_node(self, node: fx.Node) -> Any:
            found: Tensor = super().run_node(node)
            return found if node.op == "output" else fitter(node, [found])[0]

    with torch.no_grad():
        Watched(traced(backbone)).run(torch.randn(1, 3, size.height, size.width))
    return fitter.grids
