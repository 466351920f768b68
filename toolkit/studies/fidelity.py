r"""How close the descriptors of packed programs stay to float32, beside XNNPACK int8 of the same model.

Half of the places of some photos, those of the embedded street scenes unless others are named, fit each model (its
backbone too, unless a file has its weights) and calibrate every contender; descriptors are compared on the photos of
the other half. XNNPACK int8 is ExecuTorch's static quantization: per channel, activations by the same photos; once of
the whole model, as the suites that time it have it, and once with NetVLAD's sums in float32, whose differences of close
sums do not bear 8 bits, and the whitening's input quantized on the fly. Behind GeM its backbone is in int8 and the head
in float32, as in ours with int8 throughout. A transformer has random weights in its project's layout, and linear layers
in 8 or 4 bits per channel. Cells are mean cosines to the exported float32 program, megabytes in brackets; a goal is of
what is lost, 1 - cosine: the peer's over ours. Writes out/studies/fidelity/fidelity.json; fits for half an hour:

    PYTHONPATH=toolkit .venv/bin/python -m studies.fidelity --weights squeezenet1_1.safetensors

``--models`` without a name leaves out the untrained ones, ``--contenders`` all but those named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketvlad.cli.console import Output
from pocketvlad.compress.recipe import INT8, LUT_INT8, LayerRecipe, Recipe, load_recipe
from pocketvlad.model.backbones import BACKBONES
from pocketvlad.resources import resource_dir
from pocketvlad.steps.common import parse_size
from pocketvlad.steps.fit_options import FitOptions
from pocketvlad.steps.importing import import_file
from studies.command import publish, study_parser
from studies.contenders import OUT, Contender, be_quiet, by_recipe
from studies.folds import FITTING, CrossFit, Fold, open_folds
from studies.recognisers import FAMILIES
from studies.rivals import DYNAMIC4, DYNAMIC8, STATIC8, xnnpack

DIMENSIONS = {"alexnet": 4096, "vgg16": 4096}  # behind NetVLAD
WITH_GEM = ("resnet18", "resnet50", "mobilenet_v2")
TRANSFORMERS = {
    "salad-vits": ("dinov2_vits14_class", "salad"),
    "megaloc-224": ("dinov2_vitb14_class", "salad"),
}
WITH_WEIGHTS_DIM = 512
HEADS = ("netvlad", "gem")  # of a trained backbone; a whitening follows the first
THROUGHOUT = ("8-bit-throughout", "5-bit-throughout")  # int8 from layer to layer
WHOLE, LAYERS, LAYERS4 = f"xnnpack-{STATIC8}", f"xnnpack-{DYNAMIC8}", f"xnnpack-{DYNAMIC4}"
# By recipe and peer: with NetVLAD's sums in float32 that peer loses what 8 bits lose, which 3 do not match.
GOALS = {
    ("8-bit", WHOLE): 1.0,
    ("8-bit", LAYERS): 1.0,
    ("5-bit", WHOLE): 1.0,
    ("5-bit", LAYERS): 1.0,
    ("compact-10x-int8", WHOLE): 1.0,
    ("4-bit", LAYERS4): 1.0,
    **{(name, WHOLE): 1.0 for name in THROUGHOUT},
}
_SMALLEST_LOSS = 1e-9


def contenders() -> list[Contender]:
    """A column each; at 1/32 of the bytes another cosine is expected than int8's."""
    eight = Recipe(1, "8-bit", layer=LayerRecipe(8, "uniform", row_scale="max", calibrate="gptq"))
    five, four = (
        Recipe(1, f"{bits}-bit", layer=LayerRecipe(bits, "kmeans", row_scale="soft", calibrate="gptq"))
        for bits in (5, 4)
    )
    # the convolutions in int8 throughout, whatever is faster on this machine
    quick = replace(load_recipe("compact-10x-int8"), convolutions=INT8)
    named = {
        "8-bit": eight,
        "5-bit": five,
        "4-bit": four,
        "`compact-10x-int8`": quick,
        "`compact-48x`": load_recipe("compact-48x"),
    }
    for key, recipe in zip(THROUGHOUT, (eight, five), strict=True):
        named[f"{recipe.name}, int8 throughout"] = replace(recipe, name=key, convolutions=LUT_INT8)
    return [
        *(by_recipe("", name, recipe, "ours") for name, recipe in named.items()),
        xnnpack("", STATIC8, "int8"),
        xnnpack("", DYNAMIC8, "int8, NetVLAD in float32; linear layers of a transformer"),
        xnnpack("", DYNAMIC4, "int4, the same"),
    ]


def chosen(keys: Sequence[str]) -> list[Contender]:
    """The contenders of these keys; all if none is named."""
    return [each for each in contenders() if each.key in keys or not keys]


@dataclass(frozen=True)
class Fidelity:
    """A contender's mean cosine to float32, and its megabytes."""

    cosine: float
    mb: float

    @property
    def cell(self) -> str:
        return f"{self.cosine:.4f} ({self.mb:.1f})"


def measured(fold: Fold, columns: Sequence[Contender]) -> dict[str, Fidelity]:
    """By the contender's key."""
    found = {}
    for contender in columns:
        tested = contender.test(fold)
        cosines = np.einsum("nd,nd->n", tested.descriptors, fold.reference)
        found[contender.key] = Fidelity(float(cosines.mean()), tested.file_bytes / 1e6)
    return found


def figures(model: str, found: Mapping[str, Fidelity]) -> list[dict[str, Any]]:
    """One for each goal that can be judged: what the peer loses over what ours loses."""
    rows = []
    for (ours, peer), goal in GOALS.items():
        if ours in found and peer in found:
            lost = max(1 - found[ours].cosine, _SMALLEST_LOSS)
            ratio = (1 - found[peer].cosine) / lost
            rows.append({"model": model, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal})
    return rows


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    be_quiet()
    torch.manual_seed(0)
    columns, rows, goals = chosen(options.contenders), [], []
    for fitted in models(options):
        with Output(False).stages() as stages:
            (fold,) = open_folds(fitted, stages, FITTING[:1])
            found = measured(fold, columns)
        model = fitted.model
        kind = f"{model.dim} dimensions" if model.dim else model.head
        name = f"{fitted.out.name}{'' if model.weights else ', untrained'}, {kind}"
        rows.append((name, *(found[contender.key].cell for contender in columns)))
        goals += figures(fitted.out.name, found)
    headings = ("model", *(contender.name for contender in columns))
    most = f"at most {options.most} " if options.most else ""
    data = f"{most}photos of places that calibrated nothing, as many calibrated, {options.size}"
    publish(
        options.out / "fidelity.json",
        headings,
        rows,
        title=f"mean cosine to float32 (MB); {data}",
        data=data,
        module="studies.fidelity",
        arguments=arguments,
        width=150,
        figures=goals,
    )


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("studies.fidelity", __doc__)
    names = [*DIMENSIONS, *WITH_GEM, *TRANSFORMERS]
    parser.add_argument("--models", nargs="*", choices=[[], *names], default=list(DIMENSIONS))
    parser.add_argument(
        "--weights", help="of --backbone, which is then another model: a file or package:NAME"
    )
    parser.add_argument("--backbone", choices=sorted(BACKBONES), default="squeezenet1_1")
    parser.add_argument("--head", choices=HEADS, default=HEADS[0], help="of that model")
    parser.add_argument("--contenders", nargs="+", choices=[each.key for each in contenders()], default=[])
    scenes = str(resource_dir("calibration") / "scenes")
    parser.add_argument("--photos", nargs="+", default=[scenes], help="KIND:PATH, each split by places")
    parser.add_argument("--most", type=int, default=0, help="photos of each half; 0: all")
    parser.add_argument("--dim", type=int, help="behind NetVLAD, instead of 4096 and 512")
    parser.add_argument("--size", default="240x320")
    parser.add_argument("--out", type=Path, default=OUT / "fidelity")
    return parser


def models(options: argparse.Namespace) -> list[CrossFit]:
    """What the command line asks to fit."""
    found = [_fitted(options, name, None, "netvlad") for name in options.models if name in DIMENSIONS]
    found += [_fitted(options, name, None, "gem") for name in options.models if name in WITH_GEM]
    if options.weights is not None:
        found.insert(0, _fitted(options, options.backbone, options.weights, options.head))
    return found + [_made(options, name) for name in options.models if name in TRANSFORMERS]


def _fitted(options: argparse.Namespace, backbone: str, weights: str | None, head: str) -> CrossFit:
    height, width = parse_size(options.size)
    usual = WITH_WEIGHTS_DIM if weights else DIMENSIONS.get(backbone, 0)
    dim = (options.dim or usual) if head == HEADS[0] else 0
    model = FitOptions(backbone, weights, head, dim=dim, whitening="full", height=height, width=width)
    return CrossFit(tuple(options.photos), model, options.out / backbone, most=options.most)


def _made(options: argparse.Namespace, name: str) -> CrossFit:
    """A transformer's checkpoint made and imported."""
    (backbone, head), family, out = TRANSFORMERS[name], FAMILIES[name], options.out / name
    model = FitOptions(backbone, head=head, dim=0, height=family.size[0], width=family.size[1])
    checkpoint, file = out / "checkpoint.pth", out / "model.safetensors"
    if not file.exists():
        out.mkdir(parents=True, exist_ok=True)
        torch.save(family.make(()), checkpoint)
        import_file(checkpoint, file, size=family.size)
        checkpoint.unlink()
    return CrossFit(tuple(options.photos), model, out, most=options.most, made=file)


if __name__ == "__main__":
    main(sys.argv[1:])
