r"""What the chosen whitening is worth: on places and buildings it was not fitted to, beside every fixed one.

Half of the places fit the head and the whitening and the other half tests, and the other way round; with several
collections also one of them fits and the others test, which are other buildings. The backbone sees every view of every
photo once; its local features and what the heads make of them are kept in the output folder, and so are the rows, until
the rule that chooses changes. Prints three tables and writes out/studies/whitening/*.json: accuracy; how far the choice
lies below the best fixed setting, beside what that must cost on so few queries (:mod:`studies.regret`); constants:

    PYTHONPATH=toolkit .venv/bin/python -m studies.whitening --photos folder:indoor folder:outdoor \
      --weights squeezenet1_1.safetensors
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketvlad import artifact
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors
from pocketvlad.dataset.types import merge
from pocketvlad.evaluate.files import reserve
from pocketvlad.evaluate.retrieval import evaluate_descriptors
from pocketvlad.model import choice, whitening
from pocketvlad.model.choice import STRENGTHS, choose_whitening
from pocketvlad.model.features import Features
from pocketvlad.model.network import Network
from pocketvlad.model.views import photo_views
from pocketvlad.model.wanted import DIMS, FULL, Wanted
from pocketvlad.model.whitening import EPSILON, fit_softened, whitening_scale
from pocketvlad.pipeline.log import StageLog
from pocketvlad.steps.common import dataset_hash, parse_size
from pocketvlad.steps.fit import backbone_for
from pocketvlad.steps.fit_options import FitOptions
from pocketvlad.steps.whitening import places_of
from pocketvlad.threads import in_order, one_thread
from studies import regret
from studies.beside_fixed import COLUMNS, NONE, Measured, Setting
from studies.command import publish, study_parser
from studies.contenders import OUT
from studies.folds import FITTING, every_photo_asks


@dataclass(frozen=True, eq=False)
class Direction:
    """Photos that fit and photos that test, by their numbers among all."""

    name: str
    fitting: Dataset
    testing: Dataset
    fits: list[int]
    tests: list[int]


@dataclass(frozen=True, eq=False)
class Vectors:
    """Unwhitened vectors, float32: of the fitting photos' views [photos, views, V], of the testing photos [n, V]."""

    fitting: Tensor
    testing: Tensor


def directions(collections: Sequence[Dataset]) -> list[Direction]:
    """Both halves, then each collection against the others."""
    whole = merge(collections)
    number = {photo.path: i for i, photo in enumerate(whole.photos)}
    pairs = [
        (
            f"{half} places → others",
            merge([each.split(half) for each in collections]),
            merge([each.split(other) for each in collections]),
        )
        for half, other in (FITTING, FITTING[::-1])
    ]
    for name, each in zip((Path(each.name).name for each in collections), collections, strict=True):
        rest = [other for other in collections if other is not each]
        if rest:
            pairs.append((f"{name} → other buildings", each, merge(rest)))
    return [
        Direction(
            name,
            fitting,
            every_photo_asks(testing),
            [number[photo.path] for photo in fitting.photos],
            [number[photo.path] for photo in testing.photos],
        )
        for name, fitting, testing in pairs
    ]


@torch.no_grad()
@one_thread()
def local_features(backbone: nn.Module, photos: PhotoTensors, views: int, kept: Path) -> np.ndarray:
    """What the backbone gives of every view, float32 [photos, views, D, H', W'], mapped from the file ``kept``.

    A run that was stopped goes on where it was.
    """
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shape = backbone(photos[0][None])[0].shape
        unfinished = kept.with_name(f"unfinished-{kept.name}")
        if not unfinished.exists():
            _empty_array(unfinished, (len(photos) * views, *shape))
        found = np.lib.format.open_memmap(unfinished, "r+")
        there = next((row for row, local in enumerate(found) if not local.any()), len(found))
        first = max(0, there - 1)  # a run that was stopped may have written a part of its last row
        seen = islice(photo_views(photos, views), first, None)  # type: ignore[arg-type]
        for row, local in enumerate(in_order(lambda view: backbone(view[None])[0], seen), first):
            found[row] = local.numpy()
        found.flush()
        unfinished.rename(kept)
    found = np.load(kept, mmap_mode="r")
    return found.reshape(len(photos), views, *found.shape[1:])


def _empty_array(out: Path, shape: Sequence[int]) -> None:
    """A ``.npy`` file of float32 zeros."""
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(shape)}
    with artifact.atomic_path(out) as temporary, temporary.open("r+b") as file:
        np.lib.format.write_array_header_1_0(file, header)
        reserve(file, 4 * math.prod(shape))


@torch.no_grad()
@one_thread()
def vectors_of(
    options: FitOptions, backbone: nn.Module, features: np.ndarray, direction: Direction, kept: Path
) -> Vectors:
    """The head fitted to one part of the photos, and what it makes of both, kept in the file ``kept``."""
    if kept.exists():
        with np.load(kept) as found:
            return Vectors(torch.from_numpy(found["fitting"]), torch.from_numpy(found["testing"]))
    network = Network.empty(replace(options.config(), dim=None), backbone)
    network.head.to_empty(device="cpu")

    def local(photo: int, view: int) -> Tensor:
        return torch.from_numpy(features[photo, view].copy())[None]

    fits = direction.fits
    network.head.fit(Features(len(fits), lambda number: local(fits[number], 0)), options.seed)
    views = range(features.shape[1])
    fitting = torch.stack(
        [torch.cat([network.head(local(i, view)) for view in views]) for i in direction.fits]
    )
    testing = torch.cat([network.head(local(i, 0)) for i in direction.tests])
    unfinished = kept.with_name(f"unfinished-{kept.name}")
    np.savez(unfinished, fitting=fitting.numpy(), testing=testing.numpy())
    unfinished.rename(kept)
    return Vectors(fitting, testing)


@torch.no_grad()
@one_thread()
def grid_of(
    made: Callable[[], Vectors], direction: Direction, dims: Sequence[int], kept: Path
) -> dict[Setting, np.ndarray]:
    """Average precisions of every whitening of ``dims``, all fitted to all views, and of none; kept in a file."""
    if kept.exists():
        with np.load(kept) as found:
            return {_setting(key): found[key] for key in found.files}
    vectors = made()
    layer = fit_softened(vectors.fitting.flatten(0, 1), max(dims), FULL)
    whitened, variances = layer(vectors.testing).double(), layer.weight.double().square().sum(dim=1)
    variances = 1 / variances - EPSILON

    def score(descriptors: Tensor) -> np.ndarray:
        unit = torch.nn.functional.normalize(descriptors, dim=1).float()
        return evaluate_descriptors(direction.testing, unit.numpy()).per_query

    grid: dict[Setting, np.ndarray] = {NONE: score(vectors.testing)}
    for dim in dims:
        part = variances[:dim]
        full = whitening_scale(part, FULL)
        for strength in STRENGTHS:
            grid[dim, strength] = score(whitened[:, :dim] * (whitening_scale(part, strength) / full))
    named: dict[str, Any] = {f"{dim or 0},{strength}": each for (dim, strength), each in grid.items()}
    np.savez(kept, **named)
    return grid


def _setting(key: str) -> Setting:
    dim, _, strength = key.partition(",")
    return int(dim) or None, float(strength)


@dataclass(frozen=True, eq=False)
class Study:
    """What is measured; ``kept``: the file of the local features, beside which everything else is kept."""

    model: FitOptions
    backbone: nn.Module
    features: np.ndarray
    collections: Sequence[Dataset]
    kept: Path

    def groups(self) -> dict[str, dict[str, Measured]]:
        """Both halves, each and together, then each collection against the others: of given and of free dimensions."""
        ways = directions(self.collections)
        most = max(dim for dim in DIMS if all(dim in self._dims(way) for way in ways))
        groups = {}
        for dim in (most, None):
            found = {way.name: self.measured(way, dim) for way in ways}
            both = Measured.together([*found.values()][:2])
            groups["dimensions chosen" if dim is None else f"{dim} dimensions"] = {
                "both halves": both,
                **found,
            }
        return groups

    def _dims(self, way: Direction) -> list[int]:
        return [dim for dim in DIMS if dim < len(way.fits) * self.features.shape[1]]

    def measured(self, way: Direction, dim: int | None) -> Measured:
        """The choice of dimensions and strength, or of strength alone, beside every fixed one."""
        stem = f"{self.kept.stem}-{way.name.replace(' ', '-')}"
        file = self.kept.with_name(f"{stem}.npz")
        vectors = cache(partial(vectors_of, self.model, self.backbone, self.features, way, file))
        grid = grid_of(vectors, way, self._dims(way), self.kept.with_name(f"{stem}-grid.npz"))

        def body() -> dict[str, Any]:
            views = self.features.shape[1]
            wanted = Wanted(dim=dim, views=views)
            with one_thread():
                chosen = choose_whitening(vectors().fitting, places_of(way.fitting), wanted).chosen
            return {"dim": chosen.dim, "strength": chosen.strength}

        rule = [artifact.file_sha256(Path(str(module.__file__))) for module in (choice, whitening)]
        said, _ = StageLog(self.kept.parent).run(f"{stem} {dim}", {"rule": rule}, [], body)
        whose, places = self._asking(way)
        found = Measured.of((said["dim"], said["strength"]), grid, dim, whose, places)
        print(*found.cells(f"{way.name}, {dim}"), sep="  ", file=sys.stderr)
        return found

    def _asking(self, way: Direction) -> tuple[np.ndarray, np.ndarray]:
        """Of each query the number of its collection and that of its place among all."""
        shown = {p.path: (i, str(p.place)) for i, each in enumerate(self.collections) for p in each.photos}
        numbers = {place: number for number, place in enumerate(sorted({*shown.values()}))}
        asking = [shown[way.testing.photos[query.photo].path] for query in way.testing.queries]
        return np.array([whose for whose, _ in asking]), np.array([numbers[place] for place in asking])


def in_sections(
    groups: dict[str, dict[str, Measured]], rows: Callable[[dict[str, Measured]], list[tuple[str, ...]]]
) -> list[tuple[str, ...]]:
    """The rows of each group under its name."""
    return [each for name, group in groups.items() for each in ((name,), *rows(group))]


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("studies.whitening", __doc__)
    parser.add_argument("--photos", nargs="+", required=True, help="KIND:PATH, each split by places")
    parser.add_argument("--weights", help="of the backbone; else it is built from the photos")
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--clusters", type=int, default=64)
    parser.add_argument("--size", default="240x320")
    parser.add_argument("--views", type=int, default=5, help="of each photo")
    parser.add_argument("--out", type=Path, default=OUT / "whitening")
    return parser


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    height, width = parse_size(options.size)
    model = FitOptions(
        options.backbone, options.weights, clusters=options.clusters, height=height, width=width
    )
    collections = [open_dataset(spec) for spec in options.photos]
    photos = open_tensors(merge(collections), model.config().preprocess)
    backbone, _ = backbone_for(model.config(), model, photos)
    kept = f"{model.backbone}-{options.size}-{options.views}-{dataset_hash(photos.dataset)[:12]}.npy"
    features = local_features(backbone, photos, options.views, options.out / "kept" / kept)
    groups = Study(model, backbone, features, collections, options.out / "kept" / kept).groups()
    data = f"{model.backbone}, {len(photos)} photos, {options.size}, {options.views} views"
    names = [Path(each.name).name for each in collections]
    shown = partial(publish, data=data, module="studies.whitening", arguments=arguments)
    rows = in_sections(
        groups, lambda row: [one for name, each in row.items() for one in each.rows(name, names)]
    )
    shown(options.out / "whitening.json", COLUMNS, rows, title=f"mAP of whitenings; {data}", width=220)
    rows, title = in_sections(groups, regret.regret_rows), "points below the best fixed whitening"
    shown(options.out / "regret.json", regret.COLUMNS, rows, title=f"{title}; {data}", width=220)
    columns = regret.constant_columns(next(iter(groups.values())))
    rows, title = in_sections(groups, regret.constant_rows), f"the same of constants; {data}"
    shown(options.out / "constants.json", columns, rows, title=title, width=180)


if __name__ == "__main__":
    main(sys.argv[1:])
