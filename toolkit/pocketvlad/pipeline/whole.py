"""A whole plan, resumable, from photos to an APK and a report."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.index import examples, open_index
from pocketvlad.locks import exclusive
from pocketvlad.pipeline.files import PlanFiles
from pocketvlad.pipeline.plan import BASELINE
from pocketvlad.pipeline.run import Run
from pocketvlad.pipeline.stages import Stages
from pocketvlad.pipeline.summary import Outcome, summarize
from pocketvlad.report.html import write_report
from pocketvlad.report.plots import write_plots
from pocketvlad.report.summary import ReportSummary

EXAMPLES = 3  # photos in the app


def run_plan(files: PlanFiles, out: Path, stages: Stages) -> ReportSummary:
    """Run every stage of a plan and write ``summary.json``, ``report.html`` and its plots as files.

    Args:
        files: the plan and what it names.
        out: the folder of every stage's files.
        stages: where progress is shown.

    Raises:
        PocketvladError: the first stage that fails says why; a later run goes on from there.
    """
    report = out / "report.html"
    commands = [shlex.join(["pocketvlad", "run", str(files.path), "--out", str(out)])]
    with exclusive(out):
        run = Run(files, out, stages)
        summary = summarize(run, _run_stages(run), commands=commands, report=report)
        artifact.write_json(out / "summary.json", summary.to_json(), force=True)
        write_report(summary, report, force=True)
        write_plots(summary, out / "plots")
    return summary


def _run_stages(run: Run) -> Outcome:
    model, fitted = run.model()
    compressed = {name: run.compressed(model, name) for name in run.recipes}
    sources = {BASELINE: model} | {name: path for name, (path, _) in compressed.items()}
    programs = {name: run.program(source, name) for name, source in sources.items()}
    paths = {name: path for name, (path, _) in programs.items()}
    descriptors = {name: run.descriptors(path, name) for name, path in paths.items()}
    app_program, recipe = run.out / "model.pte", run.plan.app_recipe
    with artifact.atomic_path(app_program, force=True) as temporary:
        shutil.copyfile(paths[recipe], temporary)
    index, visitors = run.index(app_program)
    visits = run.visits(app_program, index, visitors)
    shown = examples(visitors, visits, open_index(index).threshold, EXAMPLES)
    apk, packaged = run.package(app_program, index, shown)
    return Outcome(
        sources=sources,
        programs=paths,
        descriptors=descriptors,
        layers={name: made.layers for name, (_, made) in compressed.items()},
        exported={name: made for name, (_, made) in programs.items()},
        fitted=fitted,
        packaged=packaged,
        emulated=run.emulate(apk),
        latency=run.latency(paths),
        times=run.profile(app_program, sources[recipe], programs[recipe][1].convolutions),
        index=index,
        visits=visits,
        apk=apk,
    )
