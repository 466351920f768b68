"""The command line: one short function per command, and the only place that prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pocketvlad import __version__
from pocketvlad.cli.console import Output, progress
from pocketvlad.cli.index import index_app
from pocketvlad.cli.options import Force, Json, Out, Photos, Threads
from pocketvlad.cli.package import package
from pocketvlad.cli.phone import phone_app
from pocketvlad.errors import PhoneError, PocketvladError

# Read when torch is loaded, later: threads that spin while they wait make two runs on the same cores crawl.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)
app.add_typer(index_app, name="index")
app.add_typer(phone_app, name="phone")


def main() -> None:
    """Entry point: 0 done, 1 an error explained in one line, 2 wrong usage."""
    try:
        app()
    except PocketvladError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error[/] {_escape(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; run the same command to go on")
        sys.exit(1)


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"pocketvlad {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Compress place-recognition models and run them on phones."""


@app.command("import")
def import_(
    checkpoint: Path,
    out: Out,
    layout: Annotated[str, typer.Option(help="auto, or the name of a layout.")] = "auto",
    wanted: Annotated[
        str, typer.Option("--as", help="model, or classifier: a whole torchvision network.")
    ] = ("model"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Read a public NetVLAD checkpoint of any supported layout, or a torchvision classifier."""
    from pocketvlad.commands.models import import_checkpoint_file

    Output(as_json).result(import_checkpoint_file(checkpoint, out, layout=layout, wanted=wanted, force=force))


@app.command()
def fit(
    out: Out,
    photos: Photos,
    backbone: Annotated[str, typer.Option(help="torchvision's name, for example squeezenet1_1.")],
    weights: Annotated[
        Path | None, typer.Option(help="Its weights; without them, built from the photos.")
    ] = None,
    clusters: Annotated[int, typer.Option(min=1, help="K of NetVLAD.")] = 64,
    dim: Annotated[int, typer.Option(min=0, help="Dimensions after whitening; 0 for no whitening.")] = 512,
    size: Annotated[str, typer.Option(help="Input HxW in pixels.")] = "480x640",
    views: Annotated[int, typer.Option(min=0, help="Views per photo for the whitening; 0: as needed.")] = 0,
    seed: int = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Make a model from a backbone and photos: clusters and whitening fitted, nothing trained."""
    from pocketvlad.commands.models import FitOptions, fit_file

    options = FitOptions(backbone, weights, clusters, dim, size, views, seed)
    with progress("fitting") as report:
        result = fit_file(photos, out, options, force=force, progress=report)
    Output(as_json).result(result)


@app.command()
def compress(
    model: Path,
    out: Out,
    recipe: Annotated[str, typer.Option(help="Name of a shipped recipe, or a TOML file.")] = "auto",
    photos: Annotated[
        str | None, typer.Option("--photos", help="KIND:PATH that calibrates, trains and validates.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="Search the smallest program losing at most this many points of mAP.")
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

    A search (--max-drop or --max-mb) calibrates on the even places of --photos, in the order of their names,
    and measures every candidate's exported program on the odd ones. A recipe that trains can be interrupted:
    the same command goes on from the folder OUT.training.
    """
    from pocketvlad.commands.compress import compress_file
    from pocketvlad.commands.search import Limits

    output = Output(as_json)
    limits = Limits(max_drop, max_mb, allow_dim)
    with progress("compressing") as report:
        result = compress_file(
            model, out, recipe, photos, limits, force=force, progress=report, device=device
        )
    if result is None:  # under torchrun only the first process reports
        return
    output.table("layers", result["layers"])
    output.table("tried", result.get("tried", []))
    output.result(result)


@app.command()
def evaluate(
    file: Path,
    dataset: Annotated[str, typer.Option(help="KIND:PATH with ground truth.")],
    baseline: Annotated[Path | None, typer.Option(help="Another model to compare with.")] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Of a classifier: a file of lines label,number or of names in order.")
    ] = None,
    threads: Threads = 2,
    as_json: Json = False,
) -> None:
    """mAP or Recall@N of a model, a compressed model or a .pte; top-1 and top-5 of a classifier."""
    from pocketvlad.commands.accuracy import evaluate_file

    with progress("describing") as report:
        result = evaluate_file(file, dataset, baseline, classes=classes, threads=threads, progress=report)
    Output(as_json).result(result)


@app.command()
def describe(
    file: Path, photos: Photos, out: Out, threads: Threads = 2, force: Force = False, as_json: Json = False
) -> None:
    """Write descriptors in hloc's HDF5 layout."""
    from pocketvlad.commands.accuracy import describe_file

    with progress("describing") as report:
        result = describe_file(file, photos, out, threads=threads, force=force, progress=report)
    Output(as_json).result(result)


@app.command()
def export(
    model: Path,
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
            help="lut (lookup kernels), int8 (XNNPACK's), or measured (the faster here); by default as the "
            "recipe says."
        ),
    ] = None,
    photos: Annotated[str | None, typer.Option("--photos", help="KIND:PATH to check the program on.")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the ExecuTorch program, checked against the torch model."""
    from pocketvlad.commands.programs import export_file

    Output(as_json).result(
        export_file(
            model,
            out,
            size=size,
            semantics=semantics,
            convolutions=convolutions,
            photos=photos,
            force=force,
        )
    )


app.command()(package)


@app.command()
def run(
    plan: Path,
    out: Annotated[Path, typer.Option("--out", help="Folder for every stage's files.")],
    as_json: Json = False,
) -> None:
    """All stages of a plan, resumable: model, compression, programs, index, APK, report.

    Exit status 1 when the emulated phone's answers differ.
    """
    from pocketvlad.pipeline import run_plan
    from pocketvlad.report.terminal import terminal_summary

    output = Output(as_json)
    with output.stages() as stages:
        summary = run_plan(plan, out, stages)
    output.show(terminal_summary(summary))
    output.result(summary, silent=True)
    failed = [result for result in summary["emulated"] if not result["passed"]]
    if failed:
        reasons = "; ".join(reason for result in failed for reason in result["reasons"])
        raise PhoneError(f"{failed[0]['machine']} disagrees with the workstation", found=reasons)


@app.command()
def reproduce(
    backbone: Annotated[str, typer.Option(help="alexnet, vgg16 or squeezenet1_1.")],
    train: Annotated[str, typer.Option(help="KIND:PATH that fits and, with --steps, trains.")],
    test: Annotated[str, typer.Option(help="KIND:PATH that measures.")],
    out: Annotated[Path, typer.Option("--out", help="Folder; a second run goes on there.")],
    weights: Annotated[Path | None, typer.Option(help="Of the backbone; else built from photos.")] = None,
    model: Annotated[Path | None, typer.Option(help="A whole model, used as it is.")] = None,
    both_ways: Annotated[bool, typer.Option("--both-ways", help="Also the other way round.")] = False,
    steps: Annotated[int, typer.Option(min=0, help="Of fine-tuning; 0: post-training alone.")] = 0,
    match: Annotated[str, typer.Option(help="Same thresholds as the paper, or same share pruned.")] = (
        "thresholds"
    ),
    clusters: Annotated[int, typer.Option(min=1, help="K of a fitted model.")] = 64,
    dim: Annotated[int, typer.Option(min=0, help="Dimensions after whitening; 0: none.")] = 512,
    size: Annotated[str, typer.Option(help="Input HxW of a fitted model, pixels.")] = "480x640",
    l1: Annotated[float, typer.Option(min=0, help="Lambda behind the weight histograms.")] = 1e-5,
    seed: int = 0,
    threads: Threads = 2,
    as_json: Json = False,
) -> None:
    """The paper's table, measured on your datasets: a row per setting, resumable."""
    from pocketvlad.pipeline.reproduce import ReproduceOptions
    from pocketvlad.pipeline.reproduce import reproduce as reproduce_table
    from pocketvlad.report.paper import terminal_table

    options = ReproduceOptions(
        backbone, weights, model, train, test, both_ways, match, steps, clusters, dim, size, l1, seed, threads
    )
    output = Output(as_json)
    with output.stages() as stages:
        result = reproduce_table(options, out, stages)
    output.show(terminal_table(result))
    output.result(result, silent=True)


@app.command()
def bench(
    programs: Annotated[list[Path], typer.Argument(help="One or more .pte files, timed in turn.")],
    runs: Annotated[int, typer.Option(min=1)] = 20,
    threads: Threads = 1,
    profile: Annotated[
        bool, typer.Option("--profile", help="And the time of each op, from an ETDump.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Latency, load time and size of programs on this machine."""
    from pocketvlad.commands.programs import bench_files

    output = Output(as_json)
    result = bench_files(programs, runs=runs, threads=threads, profile=profile)
    output.table(f"{result['machine']['cpu']} ({result['machine']['isa']})", result["programs"])
    for name, ops in result.get("ops", {}).items():
        rows = [{**op, "ms": f"{op['ms']:.3f}", "share": f"{100 * op['share']:.1f}%"} for op in ops]
        output.table(f"{name}, the mean of {runs} runs", rows)
    output.result(result, silent=True)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What this machine has and lacks, and how to get it."""
    from pocketvlad import machine

    output = Output(as_json)
    findings = machine.diagnose()
    rows = [
        {
            "": "ok" if finding.present else "missing",
            "tool": finding.name,
            "found": finding.detail,
            "needed for": finding.needed_for,
            "install": "" if finding.present else finding.install,
        }
        for finding in findings
    ]
    output.table(f"{machine.cpu_name()} ({machine.isa()})", rows)
    output.result({"machine": machine.describe(), "tools": rows}, silent=True)
