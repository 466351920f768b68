"""`pocketvlad reproduce`: the paper's table on any pair of datasets, resumable row by row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pocketvlad import artifact, machine
from pocketvlad.dataset import open_dataset
from pocketvlad.dataset.tensors import readable
from pocketvlad.pipeline.direction import Direction
from pocketvlad.pipeline.paper import L1, MATCHES, THRESHOLDS, paper_network
from pocketvlad.pipeline.stages import Stages
from pocketvlad.report.paper import markdown
from pocketvlad.report.reproduction import Reproduction
from pocketvlad.schema import one_of, to_table
from pocketvlad.steps.fit import FitOptions


@dataclass(frozen=True)
class ReproduceOptions:
    """What `pocketvlad reproduce` is asked.

    Attributes:
        train, test: ``KIND:PATH``; the model is fitted and fine-tuned on one, measured on the other.
        fit: the fitted model.
        model: a whole model file instead, which is then not fitted.
        both_ways: also the other way round.
        match: ``thresholds`` or ``pruned``, see :func:`pocketvlad.pipeline.paper.row_recipe`.
        steps: of fine-tuning; 0: post-training compression alone.
        l1: lambda of the run behind the weight histograms.
        threads: of the programs.
    """

    train: str
    test: str
    fit: FitOptions
    model: Path | None = None
    both_ways: bool = False
    match: str = THRESHOLDS
    steps: int = 0
    l1: float = L1
    threads: int = 2


def reproduce(options: ReproduceOptions, out: Path, stages: Stages) -> Reproduction:
    """Every row of the paper's table for one backbone.

    Writes ``reproduce.json``, ``table.md``, and in a folder per direction the models, programs,
    ``weights.svg`` (histograms before and after L1) and ``matches.png``.

    Args:
        options: what is asked.
        out: the folder; a second run there goes on from the first unfinished row.
        stages: where progress is shown.

    Raises:
        PocketvladError: an option, dataset or file that cannot be used.
    """
    one_of("reproduce", "match", options.match, MATCHES)
    network = paper_network(options.fit.backbone)
    pairs = [(options.train, options.test)]
    if options.both_ways:
        pairs.append((options.test, options.train))
    datasets = {spec: readable(open_dataset(spec)) for spec in (options.train, options.test)}
    with artifact.exclusive(out):
        directions = []
        for number, (train, test) in enumerate(pairs, 1):
            folder = out / f"direction-{number}"
            prefix = f"{folder.name} " if options.both_ways else ""
            directions.append(
                Direction(options, folder, stages, prefix, datasets[train], datasets[test]).run(network)
            )
        files = [str(out / name) for name in ("reproduce.json", "table.md")]
        files += [path for direction in directions for path in direction.pictures]
        found = Reproduction(
            options.fit.backbone,
            network,
            options.steps,
            options.match,
            {key: str(value) for key, value in asdict(options).items()},
            tuple(directions),
            machine.describe(),
            artifact.versions(),
            tuple(files),
        )
        artifact.write_json(out / "reproduce.json", to_table(found), force=True)
        artifact.write_bytes(out / "table.md", markdown(found).encode(), force=True)
    return found
