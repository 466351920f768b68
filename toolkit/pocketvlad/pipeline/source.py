"""Where a plan's uncompressed model comes from: a checkpoint, a model of ours, or a fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pocketvlad import artifact
from pocketvlad.dataset import Dataset
from pocketvlad.errors import CheckpointError, MissingToolError, RecipeError
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.importer.packages import PREFIX, weights_file
from pocketvlad.model.kinds import BACKBONE
from pocketvlad.model.network import Network, load_model, save_model
from pocketvlad.pipeline.plan import ModelPlan, Plan
from pocketvlad.progress import Progress
from pocketvlad.steps import fit
from pocketvlad.steps.common import megabytes, parse_size
from pocketvlad.steps.compress import require_packable
from pocketvlad.steps.fit_options import FitOptions

# Keys of [model]: what a fit is told, and what an import is told.
_OF_A_FIT = tuple(
    field.name for field in fields(FitOptions) if field.name not in ("backbone", "weights", "seed")
)
_OF_AN_IMPORT = ("size", "preprocess")
# Of what the model may be: its name, keys that decide nothing there, and what to do about them.
_OF_A_BACKBONE = "a backbone, which is fitted", _OF_AN_IMPORT, "choose the input by height and width"
_OF_A_WHOLE_CHECKPOINT = "a whole model", _OF_A_FIT, 'leave them out; size = "HEIGHTxWIDTH" chooses the input'
_OF_OUR_MODEL = "a whole model of pocketvlad's", (*_OF_A_FIT, *_OF_AN_IMPORT), "leave them out"


class ModelSource:
    """The source of one plan's model.

    Args:
        plan: that names it.
        note: shows a line (name, text) for weights that are not there.
    """

    def __init__(self, plan: Plan, note: Callable[[str, str], None]):
        self._plan, self._note = plan, note
        named = plan.model.checkpoint
        self._checkpoint = plan.resolve(named) if named else None
        self._weights = self._checkpoint or self._found_weights()

    def require_possible(self) -> None:
        """Refuse values of a fit before any photo is read.

        Raises:
            RecipeError: one that is not allowed, or a model that no recipe could pack.
        """
        if self._plan.model.backbone is not None:
            self._require_possible_fit(self._options(self._name()))

    def key(self) -> dict[str, Any]:
        """What decides the model beside the photos."""
        weights = self._weights
        return {
            "model": {key: str(value) for key, value in asdict(self._plan.model).items()},
            "weights": artifact.file_sha256(weights) if weights and weights.is_file() else str(weights),
        }

    def make(self, photos: Dataset, out: Path, progress: Progress) -> fit.Fitted:
        """Write the model: a whole one as it is, a backbone fitted to photos."""
        plan, name, source = self._plan.model, self._name(), self._checkpoint
        if source is not None and artifact.kind_of(source) not in (None, BACKBONE):
            self._require_of_use(*_OF_OUR_MODEL)
            return _written(out, _own_model(source), source)
        if source is not None:
            size = parse_size(plan.size) if plan.size else None
            imported = import_checkpoint(source, size=size, preprocess=plan.preprocess)
            if imported.model is not None:
                self._require_of_use(*_OF_A_WHOLE_CHECKPOINT)
                return _written(out, imported.model, source, imported.notes)
            name = imported.backbone.name if imported.backbone else name
        options = self._options(name)
        self._require_possible_fit(options)
        return fit.fit(photos, out, options, force=True, progress=progress)

    def _require_of_use(self, found: str, keys: Sequence[str], do: str) -> None:
        """Refuse values of ``keys`` that someone wrote and that would decide nothing."""
        plan, untold = self._plan.model, ModelPlan()
        idle = [f"model.{key}" for key in keys if getattr(plan, key) != getattr(untold, key)]
        if idle:
            raise RecipeError(f"{', '.join(idle)} would decide nothing", found=found, do=do)

    def _name(self) -> str:
        """Of the backbone, which a checkpoint may know better."""
        plan = self._plan.model
        missing = plan.weights is not None and self._weights is None
        return (plan.fallback if missing else plan.backbone) or ""

    def _options(self, name: str) -> FitOptions:
        return self._plan.model.fit_options(name, self._named_weights())

    def _require_possible_fit(self, options: FitOptions) -> None:
        self._require_of_use(*_OF_A_BACKBONE)
        config = options.config()
        if self._plan.compress.recipes:
            require_packable(Network.empty(config))

    def _found_weights(self) -> Path | None:
        """The backbone's file; None, which a line says, where its package may be missing and is."""
        named = self._plan.model.weights
        if named is None:
            return None
        try:
            return weights_file(named if named.startswith(PREFIX) else self._plan.resolve(named))
        except MissingToolError as error:
            fallback = self._plan.model.fallback
            if fallback is None:
                raise
            self._note(
                "weights", f"{error}; until then {fallback} is built from the photos and recognises far less"
            )
            return None

    def _named_weights(self) -> str | Path | None:
        """The weights as the plan names them, where that is the same on every machine."""
        named = self._plan.model.weights or ""
        return named if self._weights is not None and named.startswith(PREFIX) else self._weights


def _own_model(path: Path) -> Network:
    """A model that `fit` or `import` made, as it is; CheckpointError for a classifier."""
    model = load_model(path)
    if not model.config.describes:
        raise CheckpointError(f"{path} is a classifier and describes no places", allowed="a model of places")
    return model


def _written(out: Path, model: Network, source: Path, notes: tuple[str, ...] = ()) -> fit.Fitted:
    """A whole model as the run's own, fitted on no photo."""
    made_from = {"checkpoint": source.name, "sha256": artifact.file_sha256(source)}
    save_model(out, model, made_from, force=True)
    weights = sum(parameter.numel() for parameter in model.parameters())
    return fit.Fitted(str(out), megabytes(out), 0, weights, (), model.config.to_json(), notes=notes)
