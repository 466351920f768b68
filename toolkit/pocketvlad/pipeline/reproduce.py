"""`pocketvlad reproduce`: the paper's table on any pair of datasets, resumable row by row."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pocketvlad import artifact, machine
from pocketvlad.dataset import open_dataset
from pocketvlad.dataset.tensors import readable
from pocketvlad.locks import exclusive
from pocketvlad.pipeline.direction import Direction, ReproduceOptions
from pocketvlad.pipeline.paper import MATCHES, paper_network
from pocketvlad.pipeline.stages import Stages
from pocketvlad.report.paper import markdown
from pocketvlad.report.reproduction import Reproduction
from pocketvlad.schema import one_of, to_table


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
    with exclusive(out):
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
