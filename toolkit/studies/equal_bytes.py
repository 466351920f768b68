r"""At equal bytes: our recipes beside the paper's, Core ML's palettization (coremltools) and XNNPACK in 8 and 4 bits.

Cross-fitted as studies.crossfit does it: half of the places fit the model, calibrate and train, the other half tests,
then they swap, and every photo that has a partner is a query. Prints one table, in groups of about the same size, and
one of each rival beside one of our rows; writes out/studies/equal_bytes/*.json. A second run keeps what has not
changed:

    PYTHONPATH=toolkit .venv/bin/python -m studies.equal_bytes --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pocketvlad.compress.recipe import LayerRule, load_recipe
from pocketvlad.model.network import Network
from pocketvlad.model.roles import PROJECTION
from studies import head_to_head
from studies.contenders import Contender, Study, by_recipe
from studies.folds import Fold, parameter_bytes, whitening_of
from studies.palettized import Palette
from studies.rivals import (
    DKM,
    DYNAMIC4,
    DYNAMIC8,
    PLAIN,
    SENSITIVE,
    STATIC8,
    TRAINED,
    TUPLES,
    core_ml,
    core_ml_softened,
    paper,
    xnnpack,
)
from studies.scores import Tested
from studies.softening import soften_whitening

SOFTER = (0.005, 0.01, 0.015, 0.02, 0.025, 0.03)  # of 1 - cosine, given up for a better ranking
FINE = (0.0002, 0.0005, 0.001)  # where the rivals are near to float32
COARSE = (0.02, 0.03)  # where the rivals are far from float32
FOR_CORE_ML = 0.02  # the whitening of the model it palettizes, where we soften it
LESS_PRUNED: dict[str, Any] = {
    "sparsity": 0.25,
    "int8_loss": 0.0001,
}  # compact-8x at the bytes of dense 4-bit codes
LARGER: dict[str, Any] = {"sparsity": 0.52, "int8_loss": 0.0003}  # compact-16x at 14x
NOTE = f"""\
MB is the whole .pte, run by ExecuTorch, for ours, the paper's recipe and XNNPACK. Core ML runs on Apple's systems
alone: its MB are computed (codes, float16 lookup tables, row scales and other parameters), its descriptors by torch
in float32 from the palettized weights rounded to float16. "2/8 bits": the whitening layer's codes and everyone else's.
There is one table per tensor, coremltools' default, unless rows are named. Sensitive k-means weighs by the triplet
loss of up to {TUPLES} tuples. Differentiable k-means trained {DKM["steps"]} steps of {DKM["batch"]} photos towards
the float32 descriptors, from the tables of plain k-means, moved once a step; nothing else was trained. Models that we
softened for Core ML show what softening alone gains; coremltools has no such option, so they are no rivals. The paper's
recipe stores a bit per weight to say what survives, so that pruned it cannot reach 32x."""


def ours(group: str, base: str, softer: float | None = None, **changes: Any) -> Contender:
    """A recipe of ours as it ships; or of a model whose whitening is softer; or with other options for that layer."""
    recipe = load_recipe(base)
    if softer is None and not changes:
        return by_recipe(group, f"ours, {base}", recipe, "ours")
    said = [f"{name.replace('_', ' ')} {value}" for name, value in changes.items()]
    if softer is not None:
        said.append(f"softened by {softer}" if softer else "not softened")
    loss = changes.pop("int8_loss", recipe.int8_loss)
    key = "-".join([base, *(part.replace(" ", "-") for part in said)])
    rules = (*recipe.rule, LayerRule(role=PROJECTION, **changes))
    recipe = replace(recipe, name=key, int8_loss=loss, rule=rules)
    return by_recipe(group, f"ours, {base}, {', '.join(said)}", recipe, "ours", softer or 0.0)


def softened(group: str, loss: float) -> Contender:
    """The float32 program's descriptors, as a softer whitening would make them."""

    def test(fold: Fold) -> Tested:
        plain = fold.network()
        rows = [_row_lengths(each) for each in (soften_whitening(plain, loss), plain)]
        descriptors = fold.reference * (rows[0] / rows[1])
        whole = parameter_bytes(plain)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        return Tested(descriptors, fold.program.stat().st_size, whole, whole)

    return Contender(group, f"float32-soft-{loss}", f"float32, whitening softened by {loss}", test, "neither")


def _row_lengths(network: Network) -> np.ndarray:
    return whitening_of(network).weight.detach().norm(dim=1).numpy()


def near() -> list[Contender]:
    """Rows down to an eighth of the bytes, the largest first."""
    nothing, four, eight = "nothing compressed", "about 4x", "about 8x"
    return [
        *(softened(nothing, softer) for softer in SOFTER),
        by_recipe(four, "paper, paper-8bit", load_recipe("paper-8bit")),
        core_ml(four, PLAIN, Palette(8)),
        xnnpack(four, STATIC8, "int8, all static"),
        xnnpack(four, DYNAMIC8, "int8, whitening dynamic"),
        ours(four, "compact-4x"),
        *(ours(four, "compact-4x", softer) for softer in SOFTER),
        by_recipe(eight, "paper, paper-5bit", load_recipe("paper-5bit")),
        paper(eight, 5, pruned=0.4),
        paper(eight, 5, pruned=0.4, match="whitening"),
        core_ml(eight, PLAIN, Palette(4)),
        core_ml(eight, PLAIN, Palette(4, 8)),
        core_ml(eight, SENSITIVE, Palette(4, 8)),
        core_ml(eight, TRAINED, Palette(4, 8)),
        core_ml(eight, PLAIN, Palette(4, 8, rows=16, scales=True)),
        core_ml_softened(eight, Palette(4, 8, rows=16, scales=True), FOR_CORE_ML),
        xnnpack(eight, DYNAMIC4, "int8, whitening int4 dynamic"),
        ours(eight, "compact-7x"),
        ours(eight, "compact-8x"),
        *(ours(eight, "compact-8x", softer, **LESS_PRUNED) for softer in (None, *FINE)),
        *(ours(eight, "compact-8x", softer) for softer in SOFTER),
    ]


def far() -> list[Contender]:
    """Smaller rows, the largest first."""
    fourteen, sixteen, more, most = "about 14x", "about 16x", "about 24x", "about 32x"
    return [
        core_ml(fourteen, PLAIN, Palette(2, 8)),
        core_ml_softened(fourteen, Palette(2, 8), FOR_CORE_ML),
        core_ml(fourteen, PLAIN, Palette(2, 8, rows=16, scales=True)),
        core_ml_softened(fourteen, Palette(2, 8, rows=16, scales=True), FOR_CORE_ML),
        *(ours(fourteen, "compact-16x", softer, **LARGER) for softer in (0.0, *SOFTER)),
        paper(sixteen, 5, pruned=0.8),
        paper(sixteen, 5, pruned=0.83, match="whitening"),
        paper(sixteen, 2),
        core_ml(sixteen, PLAIN, Palette(2)),
        core_ml(sixteen, PLAIN, Palette(2, 4)),
        core_ml(sixteen, SENSITIVE, Palette(2, 4)),
        core_ml(sixteen, TRAINED, Palette(2, 4)),
        ours(sixteen, "compact-16x"),
        *(ours(sixteen, "compact-16x", softer) for softer in COARSE),
        core_ml(more, PLAIN, Palette(1, 8)),
        core_ml(more, PLAIN, Palette(1, 8, rows=16, scales=True)),
        ours(more, "compact-32x", block=4),
        *(ours(more, "compact-32x", softer, block=4) for softer in COARSE),
        paper(most, 1),
        core_ml(most, PLAIN, Palette(1)),
        core_ml(most, PLAIN, Palette(1, 4)),
        core_ml(most, SENSITIVE, Palette(1, 4)),
        core_ml(most, TRAINED, Palette(1, 4)),
        ours(most, "compact-32x"),
        *(ours(most, "compact-32x", softer) for softer in COARSE),
    ]


STUDY = Study("equal_bytes", str(__doc__), "at equal bytes", NOTE, "240x320")


def main(arguments: Sequence[str]) -> None:
    options, contenders = STUDY.chosen([*near(), *far()], arguments)
    measured, data = STUDY.run(options, contenders, arguments)
    head_to_head.publish_duels(STUDY, options, measured, data, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
