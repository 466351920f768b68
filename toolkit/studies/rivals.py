"""What stands against our recipes: the paper's at other sizes, XNNPACK's, Core ML's, coreai-opt's and torchao's."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench import peers, quantized
from pocketvlad import artifact
from pocketvlad.compress.recipe import LayerRule, load_recipe
from pocketvlad.core.native import executorch
from pocketvlad.model.heads.netvlad import NetVlad
from pocketvlad.model.network import Network
from pocketvlad.model.preprocess import Preprocess, photo_tensor
from pocketvlad.progress import Progress
from studies import palettized
from studies.contenders import Contender, by_recipe
from studies.folds import Describe, Fold
from studies.palettized import Palette
from studies.scores import Tested
from studies.softening import soften_whitening
from studies.weights_alone import CoreAi, Integers

TUPLES = 32  # of the triplet loss, for sensitive k-means
DKM: dict[str, Any] = {"steps": 12, "batch": 8, "rate": 1e-3}
CALIBRATE_EVERY = 3  # of the calibration photos that our recipes see, for XNNPACK's ranges
STATIC8, DYNAMIC8, DYNAMIC4 = "static8", "dynamic8", "dynamic4"
PLAIN, SENSITIVE, TRAINED = "post-training", "sensitive", "differentiable"
_INT4 = torch.int4  # type: ignore[attr-defined]  # its stubs lack it
_WHITENING = {DYNAMIC8: torch.int8, DYNAMIC4: _INT4}


@dataclass(frozen=True)
class Sensitivity:
    """Of a network's weights to the triplet loss, on so many tuples."""

    tuples: int


def paper(group: str, bits: int, *, pruned: float = 0.0, match: str = "*") -> Contender:
    """The paper's recipe at other sizes: k-means of ``bits`` bits per tensor, a share of some layers pruned.

    Layers that ``match`` does not name keep the paper's threshold.
    """
    base = load_recipe("paper-5bit")
    rule = LayerRule(match, bits=bits, threshold=0.0, sparsity=pruned, pin_zero=pruned > 0)
    where = "" if match == "*" else f"{match} "
    key = f"paper-{bits}bit-{where.replace(' ', '-')}pruned{round(100 * pruned)}"
    recipe = replace(base, name=key, rule=(rule,))
    name = f"paper, {_bits(bits)}, {f'{where}{pruned:.0%} pruned' if pruned else 'nothing pruned'}"
    return by_recipe(group, name, recipe)


def xnnpack(group: str, kind: str, name: str) -> Contender:
    """``static8``: everything static; ``dynamic8``, ``dynamic4``: the whitening layer's input quantized on the fly.

    What NetVLAD computes between the convolutions and the whitening is in int8 too only where everything is static. All
    linear layers of a transformer are as the whitening layer.
    """
    key = f"xnnpack-{kind}"

    def test(fold: Fold) -> Tested:
        def build() -> tuple[Describe, int]:
            network, program = fold.network(), fold.folder / f"{key}.pte"
            photos = fold.fitting_tensors().calibration()[::CALIBRATE_EVERY].split(1)
            if not isinstance(network.backbone, nn.Sequential):
                made: nn.Module = quantized.dynamic(network, _WHITENING[kind])
            elif not isinstance(network.head, NetVlad):
                made = quantized.Int8Backbone(network, photos)
            elif kind == STATIC8:
                made = quantized.static_int8(quantized.PlainOperators(network), photos)
            else:
                made = quantized.static_and_dynamic(network, photos, _WHITENING[kind])
            return described_by(made, network.config.preprocess, program), program.stat().st_size

        return fold.test_peer(key, {"kind": kind, "every": CALIBRATE_EVERY}, build)

    return Contender(group, key, f"XNNPACK, {name}", test)


def described_by(module: nn.Module, preprocess: Preprocess, program: Path) -> Describe:
    """Lower to XNNPACK as ``program``: photo -> descriptor float32 [dim], by ExecuTorch."""
    executorch()
    program.unlink(missing_ok=True)
    peers.exported(program, lambda: module, (1, 3, preprocess.height, preprocess.width))
    run = peers.loaded(program)

    def describe(photo: Any) -> np.ndarray:
        return run(torch.from_numpy(photo_tensor(photo, preprocess))[None])[0].numpy()[0].copy()

    return describe


def core_ml(group: str, method: str, palette: Palette) -> Contender:
    """``method``: post-training, sensitive or differentiable k-means."""
    key, size = _palette_names(palette)
    key = f"coreml-{method}-{key}"
    options: dict[str, Any] = {"method": method, "palette": asdict(palette)}
    if method == SENSITIVE:
        options["tuples"] = TUPLES
    elif method == TRAINED:
        options |= DKM

    def test(fold: Fold) -> Tested:
        def build() -> tuple[Describe, int]:
            torch.manual_seed(0)
            model = palettize(fold, method, palette)
            return palettized.described_by(model), palettized.palettized_bytes(model)

        return fold.test_peer(key, options, build)

    trained = f", {DKM['steps']} steps" if method == TRAINED else ""
    return Contender(group, key, f"Core ML, {method} k-means, {size}{trained}", test)


def core_ml_softened(group: str, palette: Palette, loss: float) -> Contender:
    """Post-training k-means of a model whose whitening we softened first."""
    key, size = _palette_names(palette)
    key = f"coreml-post-training-{key}-softened-by-{loss}"

    def test(fold: Fold) -> Tested:
        def build() -> tuple[Describe, int]:
            torch.manual_seed(0)
            model = palettized.post_training(soften_whitening(fold.network(), loss), palette)
            return palettized.described_by(model), palettized.palettized_bytes(model)

        return fold.test_peer(key, {"palette": asdict(palette), "softened": loss}, build)

    name = f"Core ML, post-training k-means, {size}, of our whitening softened by {loss}"
    return Contender(group, key, name, test, "neither")


def integers(group: str, bits: int, convolution_bits: int = 0, block: int = 0) -> Contender:
    """Symmetric integers: torchao's, and those of coreai-opt's quantizer and of the AI Edge quantizer."""
    size = f"{bits}/{convolution_bits}" if convolution_bits else f"{bits}"
    shared, key = ("groups of 32", "groups") if block else ("a scale a row", "rows")
    key = f"int{size.replace('/', '-')}-{key}"
    return _rounded(
        group, key, f"torchao, AI Edge, int{size}, {shared}", Integers(bits, convolution_bits, block)
    )


def core_ai(group: str, bits: int) -> Contender:
    """coreai-opt's palettizer with a table for each 16 rows, as its presets have it."""
    name = f"coreai-opt, k-means, {_bits(bits)}, tables of 16 rows"
    return _rounded(group, f"coreai-{bits}", name, CoreAi(bits))


def _rounded(group: str, key: str, name: str, how: Integers | CoreAi) -> Contender:
    def test(fold: Fold) -> Tested:
        def build() -> tuple[Describe, int]:
            torch.manual_seed(0)
            found = how.rounded(fold.network())
            return palettized.described_by(found.network), found.bytes

        return fold.test_peer(key, asdict(how), build)

    return Contender(group, key, name, test)


def _palette_names(palette: Palette) -> tuple[str, str]:
    """For keys and for readers."""
    rest = palette.convolution_bits
    size = f"{palette.bits}/{rest}" if rest else f"{palette.bits}"
    grouped = f", tables of {palette.rows} rows and row scales" if palette.rows else ""
    return f"{size.replace('/', '-')}{'-grouped' if palette.rows else ''}", f"{_bits(size)}{grouped}"


def palettize(fold: Fold, method: str, palette: Palette) -> Network:
    """The float32 network of a fold, palettized."""
    model = fold.network()
    if method == PLAIN:
        return palettized.post_training(model, palette)
    if method == TRAINED:
        return palettized.differentiable(model, palette, fold.fitting_tensors().calibration(), **DKM)
    out = fold.folder / "sensitivity.pt"

    def body(progress: Progress) -> Sensitivity:
        return Sensitivity(palettized.write_sensitivity(model, fold.fitting_tensors(), TUPLES, out))

    def say(made: Sensitivity) -> str:
        return f"by {made.tuples} tuples"

    inputs = {"model": artifact.file_sha256(fold.model), "photos": fold.hashes[0], "tuples": TUPLES}
    fold.stages.run("sensitivity", Sensitivity, inputs, [out], body, say)
    return palettized.sensitive(fold.network(), palette, out)


def _bits(size: object) -> str:
    return f"{size} bit" if str(size) == "1" else f"{size} bits"
