r"""At equal bytes: our recipes beside the paper's, Core ML's palettization (coremltools) and XNNPACK in 8 and 4 bits.

Cross-fitted as crossfit.py does it: half of the places fit the model, calibrate and train, the other half tests, then
they swap, and every photo that has a partner is a query. Prints one table, in groups of about the same size, and writes
out/bench/equal_bytes/equal_bytes.json; a second run keeps what has not changed:

    .venv/bin/python toolkit/bench/equal_bytes.py --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import palettized
import quantized
import torch
from contenders import Contender, by_recipe, run
from halves import Half, Tested
from palettized import Palette

from pocketvlad import artifact
from pocketvlad.commands.files import dataset_hash
from pocketvlad.compress.descriptors import soften_whitening
from pocketvlad.model.netvlad import PlaceModel, load_model
from pocketvlad.recipe import LayerRule, load_recipe

TUPLES = 32  # of the triplet loss, for sensitive k-means
DKM = {"steps": 12, "batch": 8, "rate": 1e-3}
SOFTER = 0.03  # of 1 - cosine, where ranking counts and not how near the descriptors stay
CALIBRATE_EVERY = 3  # of the calibration photos that our recipes see, for XNNPACK's ranges
NOTE = f"""\
MB is the whole .pte, run by ExecuTorch, for ours, the paper's recipe and XNNPACK. Core ML runs on Apple's systems
alone: its MB are computed (codes, float16 lookup tables, row scales and other parameters), its descriptors by torch
in float32 from the palettized weights rounded to float16. "2/8 bits": the whitening layer's codes and everyone else's.
There is one table per tensor, coremltools' default, unless rows are named. Sensitive k-means weighs by the triplet
loss of up to {TUPLES} tuples. Differentiable k-means trained {DKM["steps"]} steps of {DKM["batch"]} photos towards
the float32 descriptors, from the tables of plain k-means, moved once a step; nothing else was trained. The paper's
recipe stores a bit per weight to say what survives, so that pruned it cannot reach 32x."""


def _bits(size: object) -> str:
    return f"{size} bit" if str(size) == "1" else f"{size} bits"


def shipped(group: str, key: str, whose: str) -> Contender:
    return by_recipe(group, f"{whose}, {key}", load_recipe(key))


def ours(group: str, base: str, key: str, softer: float = 0.0, **whitening: Any) -> Contender:
    """A recipe of ours with a softer whitening, or other options for that layer, which give a size that none has."""
    recipe = load_recipe(base)
    (rule,) = recipe.rule
    softened = softer or recipe.soften_whitening
    recipe = replace(recipe, name=key, soften_whitening=softened, rule=(replace(rule, **whitening),))
    changes = [f"{name.replace('_', ' ')} {value}" for name, value in whitening.items()]
    changes += [f"softened by {softer}"] if softer else []
    return Contender(
        group, key, f"ours, {base}, {', '.join(changes)}", lambda half: half.test_recipe(key, recipe)
    )


def softened(group: str, loss: float) -> Contender:
    """The float32 program's descriptors, as a whitening of lower power would make them."""

    def test(half: Half) -> Tested:
        model = load_model(half.model)
        rows = [
            m.whitening.weight.detach().norm(dim=1).numpy() for m in (soften_whitening(model, loss), model)
        ]
        descriptors = half.reference * (rows[0] / rows[1])
        size = (half.folder / "float32.pte").stat().st_size
        whole = 4 * sum(parameter.numel() for parameter in model.parameters())
        return Tested(descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True), size, whole, whole)

    return Contender(group, f"float32-soft-{loss}", f"float32, whitening softened by {loss}", test)


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
    """``static8``: everything static; ``dynamic8``, ``dynamic4``: the whitening layer's input quantized on the fly."""
    key = f"xnnpack-{kind}"

    def test(half: Half) -> Tested:
        def build() -> tuple[Any, int]:
            model, program = load_model(half.model), half.folder / f"{key}.pte"
            photos = half.fitting_tensors().calibration()[::CALIBRATE_EVERY].split(1)
            if kind == "static8":
                made = quantized.static_int8(quantized.PlainOperators(model), photos)
            else:
                dtype = torch.int8 if kind == "dynamic8" else torch.int4
                made = quantized.static_and_dynamic(model, photos, dtype)
            size = quantized.write_program(made, model.config.preprocess, program)
            return quantized.described_by(program, model.config.preprocess), size

        return half.test_peer(key, {"kind": kind, "every": CALIBRATE_EVERY}, build)

    return Contender(group, key, f"XNNPACK, {name}", test)


def core_ml(group: str, method: str, palette: Palette) -> Contender:
    """``method``: post-training, sensitive or differentiable k-means."""
    rest = palette.convolution_bits
    size = f"{palette.bits}/{rest}" if rest else f"{palette.bits}"
    grouped = f", tables of {palette.rows} rows and row scales" if palette.rows else ""
    key = f"coreml-{method}-{size.replace('/', '-')}{'-grouped' if palette.rows else ''}"
    options: dict[str, Any] = {"method": method, "palette": asdict(palette)}
    if method == "sensitive":
        options["tuples"] = TUPLES
    elif method == "differentiable":
        options |= DKM

    def test(half: Half) -> Tested:
        def build() -> tuple[Any, int]:
            torch.manual_seed(0)
            model = palettize(half, method, palette)
            return palettized.described_by(model), palettized.palettized_bytes(model)

        return half.test_peer(key, options, build)

    trained = f", {DKM['steps']} steps" if method == "differentiable" else ""
    return Contender(group, key, f"Core ML, {method} k-means, {_bits(size)}{grouped}{trained}", test)


def palettize(half: Half, method: str, palette: Palette) -> PlaceModel:
    """The float32 model of a half, palettized."""
    model = load_model(half.model)
    if method == "post-training":
        return palettized.post_training(model, palette)
    if method == "differentiable":
        return palettized.differentiable(model, palette, half.fitting_tensors().calibration(), **DKM)
    out = half.folder / "sensitivity.pt"

    def body() -> dict[str, Any]:
        palettized.write_sensitivity(model, half.fitting_tensors(), TUPLES, out)
        return {}

    inputs = {
        "model": artifact.file_sha256(half.model),
        "photos": dataset_hash(half.fitting),
        "tuples": TUPLES,
    }
    half.log.run("sensitivity", inputs, [out], body)
    return palettized.sensitive(load_model(half.model), palette, out)


def contenders() -> list[Contender]:
    """All rows, the largest first."""
    groups = (
        "nothing compressed",
        "about 4x",
        "about 8x",
        "about 14x",
        "about 16x",
        "about 24x",
        "about 32x",
    )
    nothing, four, eight, fourteen, sixteen, more, most = groups
    plain, sensitive, trained = "post-training", "sensitive", "differentiable"
    return [
        softened(nothing, 0.005),
        softened(nothing, SOFTER),
        shipped(four, "paper-8bit", "paper"),
        core_ml(four, plain, Palette(8)),
        xnnpack(four, "static8", "int8, all static"),
        xnnpack(four, "dynamic8", "int8, whitening dynamic"),
        shipped(four, "compact-4x", "ours"),
        ours(four, "compact-4x", "compact-4x-softer", SOFTER),
        shipped(eight, "paper-5bit", "paper"),
        paper(eight, 5, pruned=0.4),
        paper(eight, 5, pruned=0.4, match="whitening"),
        core_ml(eight, plain, Palette(4)),
        core_ml(eight, plain, Palette(4, 8)),
        core_ml(eight, sensitive, Palette(4, 8)),
        core_ml(eight, trained, Palette(4, 8)),
        core_ml(eight, plain, Palette(4, 8, rows=16, scales=True)),
        xnnpack(eight, "dynamic4", "int8, whitening int4 dynamic"),
        shipped(eight, "compact-7x", "ours"),
        shipped(eight, "compact-8x", "ours"),
        ours(eight, "compact-8x", "compact-8x-softer", SOFTER),
        core_ml(fourteen, plain, Palette(2, 8)),
        core_ml(fourteen, plain, Palette(2, 8, rows=16, scales=True)),
        ours(fourteen, "compact-16x", "compact-14x", sparsity=0.5),
        ours(fourteen, "compact-16x", "compact-14x-soft", 0.02, sparsity=0.5),
        ours(fourteen, "compact-16x", "compact-14x-softer", SOFTER, sparsity=0.5),
        paper(sixteen, 5, pruned=0.8),
        paper(sixteen, 5, pruned=0.85, match="whitening"),
        paper(sixteen, 2),
        core_ml(sixteen, plain, Palette(2)),
        core_ml(sixteen, plain, Palette(2, 4)),
        core_ml(sixteen, sensitive, Palette(2, 4)),
        core_ml(sixteen, trained, Palette(2, 4)),
        shipped(sixteen, "compact-16x", "ours"),
        ours(sixteen, "compact-16x", "compact-16x-softer", SOFTER),
        core_ml(more, plain, Palette(1, 8)),
        core_ml(more, plain, Palette(1, 8, rows=16, scales=True)),
        ours(more, "compact-32x", "compact-24x", block=4),
        ours(more, "compact-32x", "compact-24x-softer", SOFTER, block=4),
        paper(most, 1),
        core_ml(most, plain, Palette(1)),
        core_ml(most, plain, Palette(1, 4)),
        core_ml(most, sensitive, Palette(1, 4)),
        core_ml(most, trained, Palette(1, 4)),
        shipped(most, "compact-32x", "ours"),
        ours(most, "compact-32x", "compact-32x-softer", SOFTER),
    ]


if __name__ == "__main__":
    out = Path("out/bench/equal_bytes")
    run(contenders(), about=str(__doc__), title="at equal bytes", note=NOTE, size="240x320", out=out)
