"""`pocketvlad run`: all stages of a plan, resumable, from photos to an APK and a report."""

from __future__ import annotations

import shutil
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.commands import Values
from pocketvlad.pipeline.plan import load_plan
from pocketvlad.pipeline.stages import BASELINE, Run, Stages
from pocketvlad.pipeline.summary import Outcome, summarize
from pocketvlad.report.html import write_report

__all__ = ["run_plan"]


def run_plan(path: Path, out: Path, stages: Stages) -> Values:
    """Run every stage of a plan and write ``summary.json`` and ``report.html``.

    Raises:
        PocketvladError: the first stage that fails says why; a later run goes on from there.
    """
    run = Run(load_plan(path), out, stages)
    summary = summarize(run, _run_stages(run))
    summary["report"] = str(out / "report.html")
    summary["commands"] = [f"pocketvlad run {path} --out {out}"]
    artifact.write_json(out / "summary.json", summary, force=True)
    write_report(summary, out / "report.html", force=True)
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
    emulated = run.emulate(apk)
    latency = run.latency(programs)
    ops = run.ops(app_program)
    return Outcome(sources, programs, descriptors, latency, ops, app_program, index, visitors, apk, emulated)
