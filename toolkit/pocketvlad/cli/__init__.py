"""The command line: one short function per command, and the only place that prints."""

from __future__ import annotations

import io
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from pocketvlad import __version__
from pocketvlad.cli.console import Output
from pocketvlad.cli.index import index_app
from pocketvlad.cli.models import add_model_commands
from pocketvlad.cli.options import Json, Seed, Threads, example
from pocketvlad.cli.package import package
from pocketvlad.cli.phone import phone_app
from pocketvlad.cli.remedies import in_a_line, in_options
from pocketvlad.errors import PhoneError, PocketvladError, printable
from pocketvlad.machine import common_instructions

# Read when torch is loaded, later: threads that spin while they wait make two runs on the same cores crawl.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich")
add_model_commands(app)
app.add_typer(index_app, name="index")
app.add_typer(phone_app, name="phone")


def main() -> None:
    """Entry point: 0 done, 1 an error explained in one line, 2 wrong usage, 128 and more a signal."""
    _open_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        _run()
    except PocketvladError as error:
        line = Text.assemble(("error", "bold red"), f" {printable(in_options(error, sys.argv[1:]))}")
        Console(stderr=True, soft_wrap=True, highlight=False).print(line)
        sys.exit(1)
    except _Stopped as stopped:
        Console(stderr=True).print("interrupted; run the same command again to go on")
        sys.exit(128 + stopped.number)


class _Stopped(BaseException):
    """Ctrl-C, or a request to end: what is half written goes, and the next run takes up what is finished."""

    def __init__(self, number: int):
        self.number = number
        super().__init__(number)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second time ends at once
    raise _Stopped(number)


def _open_streams() -> None:
    """Standard streams that are closed lead nowhere, else the next file that is opened takes what is printed; letters
    that a stream cannot show become their escapes.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115  has the lowest free number
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run() -> None:
    try:
        for name, value in common_instructions().items():
            os.environ.setdefault(name, value)
        try:
            app()
        finally:
            sys.stdout.flush()
    except (ModuleNotFoundError, OSError, MemoryError, RuntimeError) as error:
        known = in_a_line(error)
        if known is error:
            raise
        raise known from error


def _version(value: bool) -> None:
    if value:
        typer.echo(f"pocketvlad {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Compress place-recognition models and run them on phones."""


_PACKAGE = "package --program model.pte --index places.pvix --out demo.apk"
app.command(epilog=example(_PACKAGE))(package)


@app.command(epilog=example("run plan.toml --out out/mine"))
def run(
    plan: Annotated[Path, typer.Argument(help="A TOML file; calibration/plans has examples.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for every stage's files.")],
    as_json: Json = False,
) -> None:
    """All stages of a plan, resumable: model, compression, programs, index, APK, report.

    Exit status 1 when the emulated phone's answers differ.
    """
    from pocketvlad import artifact
    from pocketvlad.pipeline.files import open_plan

    artifact.require_folder(out)
    files = open_plan(plan)
    from pocketvlad.pipeline.whole import run_plan
    from pocketvlad.report.terminal import terminal_summary

    output = Output(as_json)
    with output.stages() as stages:
        summary = run_plan(files, out, stages)
    output.show(terminal_summary(summary))
    output.result(summary.to_json(), silent=True)
    failed = [result for result in summary.emulated if not result["passed"]]
    if failed:
        reasons = "; ".join(reason for result in failed for reason in result["reasons"])
        raise PhoneError(f"{failed[0]['machine']} disagrees with the workstation", found=reasons)


@app.command(epilog=example("reproduce --backbone vgg16 --train oxford:O --test paris:P --out out/table"))
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
    clusters: Annotated[int, typer.Option(min=2, help="K of a fitted model.")] = 64,
    dim: Annotated[int, typer.Option(min=0, help="Dimensions after whitening; 0: none.")] = 512,
    size: Annotated[str, typer.Option(help="Input HxW of a fitted model, pixels.")] = "480x640",
    l1: Annotated[float, typer.Option(min=0, help="Lambda behind the weight histograms.")] = 1e-5,
    seed: Seed = 0,
    threads: Threads = 2,
    as_json: Json = False,
) -> None:
    """The paper's table, measured on your datasets: a row per setting, resumable."""
    from pocketvlad.pipeline.files import require_reproducible
    from pocketvlad.schema import to_table
    from pocketvlad.steps.common import parse_size
    from pocketvlad.steps.fit_options import FitOptions

    height, width = parse_size(size)
    fitted = FitOptions(
        backbone,
        weights,
        clusters=clusters,
        dim=dim,
        height=height,
        width=width,
        seed=seed,
        whitening="full",  # as the paper's models have it
    )
    require_reproducible(train, test, match, fitted, model, out)
    from pocketvlad.pipeline.direction import ReproduceOptions
    from pocketvlad.pipeline.reproduce import reproduce as reproduce_table
    from pocketvlad.report.paper import terminal_table

    options = ReproduceOptions(
        train,
        test,
        fitted,
        model=model,
        both_ways=both_ways,
        match=match,
        steps=steps,
        l1=l1,
        threads=threads,
    )
    output = Output(as_json)
    with output.stages() as stages:
        result = reproduce_table(options, out, stages)
    output.show(terminal_table(result))
    output.result(to_table(result), silent=True)


@app.command(epilog=example("bench model.pte float32.pte --profile"))
def bench(
    programs: Annotated[list[Path], typer.Argument(help="One or more .pte files, timed in turn.")],
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each program.")] = 20,
    threads: Threads = 1,
    profile: Annotated[
        bool, typer.Option("--profile", help="And the time of each op, from an ETDump.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Latency, load time and size of programs on this machine."""
    from pocketvlad.steps.bench import bench as measure

    output = Output(as_json)
    result = measure(programs, runs=runs, threads=threads, profile=profile)
    title = f"{result.machine['cpu']} ({result.machine['isa']})"
    output.table(title, [{"program": r.program, "mb": r.mb, **asdict(r.times)} for r in result.programs])
    for name, ops in result.ops.items():
        rows = [{**asdict(op), "ms": f"{op.ms:.3f}", "share": f"{100 * op.share:.1f}%"} for op in ops]
        output.table(f"{name}, the mean of {runs} runs", rows)
    output.result(result.to_json(), silent=True)


@app.command(epilog=example("doctor"))
def doctor(as_json: Json = False) -> None:
    """What this machine has and lacks, and how to get it."""
    from pocketvlad import machine

    output = Output(as_json)
    findings = machine.diagnose()
    rows = [
        {
            "": "ok" if finding.present else "missing",
            "what": finding.name,
            "needed for": finding.needed_for,
            "found, or how to get it": finding.detail if finding.present else finding.install,
        }
        for finding in findings
    ]
    output.table(f"{machine.cpu_name()} ({machine.isa()})", rows)
    output.result({"machine": machine.describe(), "tools": [asdict(each) for each in findings]}, silent=True)
