"""`pocketvlad run`: all stages of a plan, resumable, from photos to an APK and a report."""

from __future__ import annotations

import shutil
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.pipeline.plan import load_plan
from pocketvlad.pipeline.stages import BASELINE, Run, Stages
from pocketvlad.pipeline.summary import Outcome, summarize
from pocketvlad.report.html import write_report
from pocketvlad.report.summary import ReportSummary
from pocketvlad.schema import to_table

__all__ = ["run_plan"]


def run_plan(path: Path, out: Path, stages: Stages) -> ReportSummary:
    """Run every stage of a plan and write ``summary.json`` and ``report.html``.

    Raises:
        PocketvladError: the first stage that fails says why; a later run goes on from there.
    """
    run, report = Run(load_plan(path), out, stages), out / "report.html"
    commands = [f"pocketvlad run {path} --out {out}"]
    summary = summarize(run, _run_stages(run), commands=commands, report=report)
    artifact.write_json(out / "summary.json", to_table(summary), force=True)
    write_report(summary, report, force=True)
    return summary


def _run_stages(run: Run) -> Outcome:
    model = run.model()
    sources = {BASELINE: model} | {name: run.compressed(model, name) for name in run.recipes}
    programs = {name: run.program(source, name) for name, source in sources.items()}
    descriptors = {name: run.descriptors(program, name) for name, program in programs.items()}
    app_program = run.out / "model.pte"
    with artifact.atomic_path(app_program, force=True) as temporary:
        shutil.copyfile(programs[run.plan.app_recipe], temporary)
    index, visitors = run.index(app_program)
    apk = run.package(app_program, index, visitors)
    return Outcome(
        sources=sources,
        programs=programs,
        descriptors=descriptors,
        layers={name: run.layers(name) for name in run.recipes},
        emulated=run.emulate(apk),
        latency=run.latency(programs),
        ops=run.ops(app_program),
        app_program=app_program,
        index=index,
        visitors=visitors,
        apk=apk,
    )
