"""What a plan names, opened before anything large is loaded: a file that will not do is said at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.compress.recipe import Recipe, load_recipe
from pocketvlad.dataset import Dataset, merge, open_dataset
from pocketvlad.errors import CheckpointError
from pocketvlad.given import require_ordinary
from pocketvlad.importer.files import require_checkpoint
from pocketvlad.importer.packages import PREFIX, weights_file
from pocketvlad.model.kinds import BACKBONE
from pocketvlad.model.names import require_names
from pocketvlad.pipeline.paper import MATCHES
from pocketvlad.pipeline.plan import Plan, load_plan
from pocketvlad.schema import one_of
from pocketvlad.steps.fit_options import FitOptions
from pocketvlad.steps.inputs import require_fit, require_uncompressed


@dataclass(frozen=True, eq=False)
class PlanFiles:
    """A plan and what it names.

    Attributes:
        path: of the plan.
        plan: what it says.
        recipes: by their names in the plan.
        dataset: all its photos.
    """

    path: Path
    plan: Plan
    recipes: dict[str, Recipe]
    dataset: Dataset


def open_plan(path: Path | str) -> PlanFiles:
    """Read a plan and open the files it names; no photo is read.

    Raises:
        PocketvladError: the first thing that will not do.
    """
    plan = load_plan(path)
    recipes = {
        name: load_recipe(plan.resolve(name) if name.endswith(".toml") else name)
        for name in plan.compress.recipes
    }
    _require_model(plan)
    return PlanFiles(Path(path), plan, recipes, _dataset(plan))


def _dataset(plan: Plan) -> Dataset:
    specs, queries = [plan.dataset_spec(spec) for spec in plan.photos.datasets], plan.photos.queries
    return merge(
        [open_dataset(spec, None if queries is None else str(plan.resolve(queries))) for spec in specs]
    )


def _require_model(plan: Plan) -> None:
    """Raises for a checkpoint or weights that will not do; a package that has a fallback may be missing."""
    named = plan.model
    if named.checkpoint is not None:
        source = plan.resolve(named.checkpoint)
        require_ordinary(source, CheckpointError)
        if artifact.kind_of(source) in (None, BACKBONE):
            require_checkpoint(source)
        else:
            require_uncompressed(source, "name")
        return
    for backbone in filter(None, (named.backbone, named.fallback)):
        require_names(backbone, named.head)
        named.fit_options(backbone, None).require_possible()
    if named.weights is not None and not named.weights.startswith(PREFIX):
        weights = plan.resolve(named.weights)
        require_ordinary(weights, CheckpointError)
        require_checkpoint(weights)
    elif named.weights is not None and named.fallback is None:
        weights_file(named.weights)


def require_reproducible(
    train: str, test: str, match: str, options: FitOptions, model: Path | None, out: Path
) -> None:
    """What `pocketvlad reproduce` is asked, before anything large is loaded.

    Raises:
        PocketvladError: the first thing that will not do.
    """
    one_of("reproduce", "match", match, MATCHES)
    artifact.require_folder(out)
    if model is None:
        require_fit(options)
    else:
        require_uncompressed(model, "name")
    for spec in (train, test):
        open_dataset(spec)
