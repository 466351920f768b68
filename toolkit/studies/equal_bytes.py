r"""At equal bytes: our recipes beside the paper's, Core ML's palettization (coremltools) and XNNPACK in 8 and 4 bits.

Cross-fitted as crossfit.py does it: half of the places fit the model, calibrate and train, the other half tests, then
they swap, and every photo that has a partner is a query. Prints one table, in groups of about the same size, and one of
each rival beside one of our rows; writes out/bench/equal_bytes/*.json. A second run keeps what has not changed:

    .venv/bin/python toolkit/studies/equal_bytes.py --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import head_to_head
import numpy as np
import palettized
import quantized
import torch
from contenders import Contender, by_recipe, run
from halves import Half, Tested
from palettized import Palette
from pocketvlad.commands.files import dataset_hash
from pocketvlad.compress.descriptors import soften_whitening
from pocketvlad.compress.roles import PROJECTION
from pocketvlad.model.netvlad import PlaceModel, load_model
from rich.console import Console

from pocketvlad import artifact
from pocketvlad.compress.recipe import LayerRule, load_recipe

TUPLES = 32  # of the triplet loss, for sensitive k-means
DKM = {"steps": 12, "batch": 8, "rate": 1e-3}
SOFTER = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03)  # of 1 - cosine, given up for a better ranking
FINE = (0.0002, 0.0005, 0.001)  # where the rivals are near to float32
COARSE = (0.02, 0.03)  # where the rivals are far from float32
FOR_CORE_ML = 0.02  # the whitening of the model it palettizes, where we soften it
LESS_PRUNED: dict[str, Any] = {
    "sparsity": 0.25,
    "int8_loss": 0.0001,
}  # compact-8x at the bytes of dense 4-bit codes
LARGER: dict[str, Any] = {"sparsity": 0.52, "int8_loss": 0.0003}  # compact-16x at 14x
CALIBRATE_EVERY = 3  # of the calibration photos that our recipes see, for XNNPACK's ranges
NOTE = f"""\
MB is the whole .pte, run by ExecuTorch, for ours, the paper's recipe and XNNPACK. Core ML runs on Apple's systems
alone: its MB are computed (codes, float16 lookup tables, row scales and other parameters), its descriptors by torch
in float32 from the palettized weights rounded to float16. "2/8 bits": the whitening layer's codes and everyone else's.
There is one table per tensor, coremltools' default, unless rows are named. Sensitive k-means weighs by the triplet
loss of up to {TUPLES} tuples. Differentiable k-means trained {DKM["steps"]} steps of {DKM["batch"]} photos towards
the float32 descriptors, from the tables of plain k-means, moved once a step; nothing else was trained. Models that we
softened for Core ML show what softening alone gains; coremltools has no such option, so they are no rivals. The paper's
recipe stores a bit per weight to say what survives, so that pruned it cannot reach 32x."""


def _bits(size: object) -> str:
    return f"{size} bit" if str(size) == "1" else f"{size} bits"


def ours(group: str, base: str, softer: float | None = None, **changes: Any) -> Contender:
    """A recipe of ours as it ships; or with a softer whitening, or other options for that layer, at another size."""
    recipe = load_recipe(base)
    if softer is None and not changes:
        return replace(by_recipe(group, f"ours, {base}", recipe), side="ours")
    said = [f"{name.replace('_', ' ')} {value}" for name, value in changes.items()]
    if softer is not None:
        recipe = replace(recipe, soften_whitening=softer)
        said.append(f"softened by {softer}" if softer else "not softened")
    loss = changes.pop("int8_loss", recipe.int8_loss)
    key = "-".join([base, *(part.replace(" ", "-") for part in said)])
    rules = (*recipe.rule, LayerRule(role=PROJECTION, **changes))
    recipe = replace(recipe, name=key, int8_loss=loss, rule=rules)
    return replace(by_recipe(group, f"ours, {base}, {', '.join(said)}", recipe), side="ours")


def softened(group: str, loss: float) -> Contender:
    """The float32 program's descriptors, as a softer whitening would make them."""

    def test(half: Half) -> Tested:
        model = load_model(half.model)
        rows = [
            m.whitening.weight.detach().norm(dim=1).numpy() for m in (soften_whitening(model, loss), model)
        ]
        descriptors = half.reference * (rows[0] / rows[1])
        size = (half.folder / "float32.pte").stat().st_size
        whole = 4 * sum(parameter.numel() for parameter in model.parameters())
        return Tested(descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True), size, whole, whole)

    return Contender(group, f"float32-soft-{loss}", f"float32, whitening softened by {loss}", test, "neither")


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
    key, size = _palette_names(palette)
    key = f"coreml-{method}-{key}"
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
    return Contender(group, key, f"Core ML, {method} k-means, {size}{trained}", test)


def core_ml_softened(group: str, palette: Palette, loss: float) -> Contender:
    """Post-training k-means of a model whose whitening we softened first."""
    key, size = _palette_names(palette)
    key = f"coreml-post-training-{key}-softened-by-{loss}"

    def test(half: Half) -> Tested:
        def build() -> tuple[Any, int]:
            torch.manual_seed(0)
            model = palettized.post_training(soften_whitening(load_model(half.model), loss), palette)
            return palettized.described_by(model), palettized.palettized_bytes(model)

        return half.test_peer(key, {"palette": asdict(palette), "softened": loss}, build)

    name = f"Core ML, post-training k-means, {size}, of our whitening softened by {loss}"
    return Contender(group, key, name, test, "neither")


def _palette_names(palette: Palette) -> tuple[str, str]:
    """For keys and for readers."""
    rest = palette.convolution_bits
    size = f"{palette.bits}/{rest}" if rest else f"{palette.bits}"
    grouped = f", tables of {palette.rows} rows and row scales" if palette.rows else ""
    return f"{size.replace('/', '-')}{'-grouped' if palette.rows else ''}", f"{_bits(size)}{grouped}"


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
        *(softened(nothing, softer) for softer in SOFTER),
        by_recipe(four, "paper, paper-8bit", load_recipe("paper-8bit")),
        core_ml(four, plain, Palette(8)),
        xnnpack(four, "static8", "int8, all static"),
        xnnpack(four, "dynamic8", "int8, whitening dynamic"),
        ours(four, "compact-4x"),
        *(ours(four, "compact-4x", softer) for softer in SOFTER),
        by_recipe(eight, "paper, paper-5bit", load_recipe("paper-5bit")),
        paper(eight, 5, pruned=0.4),
        paper(eight, 5, pruned=0.4, match="whitening"),
        core_ml(eight, plain, Palette(4)),
        core_ml(eight, plain, Palette(4, 8)),
        core_ml(eight, sensitive, Palette(4, 8)),
        core_ml(eight, trained, Palette(4, 8)),
        core_ml(eight, plain, Palette(4, 8, rows=16, scales=True)),
        core_ml_softened(eight, Palette(4, 8, rows=16, scales=True), FOR_CORE_ML),
        xnnpack(eight, "dynamic4", "int8, whitening int4 dynamic"),
        ours(eight, "compact-7x"),
        ours(eight, "compact-8x"),
        *(ours(eight, "compact-8x", softer, **LESS_PRUNED) for softer in (None, *FINE)),
        *(ours(eight, "compact-8x", softer) for softer in SOFTER),
        core_ml(fourteen, plain, Palette(2, 8)),
        core_ml_softened(fourteen, Palette(2, 8), FOR_CORE_ML),
        core_ml(fourteen, plain, Palette(2, 8, rows=16, scales=True)),
        core_ml_softened(fourteen, Palette(2, 8, rows=16, scales=True), FOR_CORE_ML),
        *(ours(fourteen, "compact-16x", softer, **LARGER) for softer in (0.0, *SOFTER)),
        paper(sixteen, 5, pruned=0.8),
        paper(sixteen, 5, pruned=0.83, match="whitening"),
        paper(sixteen, 2),
        core_ml(sixteen, plain, Palette(2)),
        core_ml(sixteen, plain, Palette(2, 4)),
        core_ml(sixteen, sensitive, Palette(2, 4)),
        core_ml(sixteen, trained, Palette(2, 4)),
        ours(sixteen, "compact-16x"),
        *(ours(sixteen, "compact-16x", softer) for softer in COARSE),
        core_ml(more, plain, Palette(1, 8)),
        core_ml(more, plain, Palette(1, 8, rows=16, scales=True)),
        ours(more, "compact-32x", block=4),
        *(ours(more, "compact-32x", softer, block=4) for softer in COARSE),
        paper(most, 1),
        core_ml(most, plain, Palette(1)),
        core_ml(most, plain, Palette(1, 4)),
        core_ml(most, sensitive, Palette(1, 4)),
        core_ml(most, trained, Palette(1, 4)),
        ours(most, "compact-32x"),
        *(ours(most, "compact-32x", softer) for softer in COARSE),
    ]


def main() -> None:
    out, title = Path("out/bench/equal_bytes"), "at equal bytes"
    rows, options = run(contenders(), about=str(__doc__), title=title, note=NOTE, size="240x320", out=out)
    found = head_to_head.duels(rows)
    if found:
        Console(width=190).print(head_to_head.table(found, f"head to head {title}, {options.size}"))
        said = json.dumps([duel.to_json() for duel in found], indent=2)
        (options.out / "head_to_head.json").write_text(said + "\n")


if __name__ == "__main__":
    main()
