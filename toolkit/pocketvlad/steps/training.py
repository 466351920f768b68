"""Fine-tuning of a compressed model on a dataset's labels, resumable from a folder beside the output."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pocketvlad import artifact, ranks
from pocketvlad.compress.calibrate.noise import noise_costs
from pocketvlad.compress.compressed import Compressed, load_compressed, save_compressed
from pocketvlad.compress.post_training import as_inputs, compress_network
from pocketvlad.compress.ratio import with_promise
from pocketvlad.compress.recipe import Recipe
from pocketvlad.compress.train import parallel
from pocketvlad.compress.train.photos import TrainingSplit, split_for_training
from pocketvlad.compress.train.trained import train_compressed
from pocketvlad.compress.train.trainer import TrainProgress, train_options
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.dataset import Dataset
from pocketvlad.dataset.tensors import PhotoTensors, open_tensors
from pocketvlad.errors import ArtifactError
from pocketvlad.locks import exclusive
from pocketvlad.model.network import Network, load_model
from pocketvlad.progress import Progress, quiet, with_text
from pocketvlad.schema import parse_json
from pocketvlad.steps.common import dataset_hash
from pocketvlad.steps.validation import Validation

_RUN, _START, _STATE, _LAYERS = "run.json", "start.safetensors", "state.pt", "layers of the start"


class StateFolder:
    """``OUT.training/``: what a run needs to go on after a kill, and what it was started on."""

    def __init__(self, out: Path):
        self.path = out.with_name(f"{out.name}.training")
        self.start, self.state = self.path / _START, self.path / _STATE
        self.layers = self.path / _LAYERS

    @contextmanager
    def held(self) -> Iterator[StateFolder]:
        """While the block lasts nobody else trains here; a folder that is then empty goes.

        Under torchrun every process calls this.

        Raises:
            ArtifactError: another process trains here, or the folder cannot be used.
        """
        with ExitStack() as stack:
            if ranks.is_first():
                stack.enter_context(exclusive(self.path))
                stack.callback(self._remove_empty)
            ranks.wait_for_all()
            yield self

    def claim(self, run: dict[str, Any], *, afresh: bool) -> None:
        """Make it this run's folder, which is held; ``afresh`` throws away the state of another run.

        Raises:
            ArtifactError: it belongs to another run, or holds files that are not ours.
        """
        if self._belongs_to() != json.loads(json.dumps(run)):
            if (self.path / _RUN).exists() and not afresh:
                raise ArtifactError(
                    f"{self.path} is the unfinished training of another model, recipe or photos",
                    do="write elsewhere, or throw it away by force",
                )
            self.empty()
            if self._left():
                raise ArtifactError(f"{self.path} is in the way", found="files that no training wrote")
        artifact.write_json(self.path / _RUN, run, force=True)

    def _belongs_to(self) -> object:
        try:
            return parse_json((self.path / _RUN).read_text())
        except (OSError, ValueError):
            return None

    def empty(self) -> None:
        """Delete what a training run writes."""
        ours = [_RUN, _START, _STATE]
        for file in self._left():
            if file == self.layers:
                shutil.rmtree(file)
            elif file.name in ours or (file.suffix == ".part" and file.name.startswith(".")):
                file.unlink()

    def _left(self) -> list[Path]:
        return list(self.path.iterdir()) if self.path.is_dir() else []

    def _remove_empty(self) -> None:
        with suppress(OSError):  # files lie there
            self.path.rmdir()


@dataclass(frozen=True)
class Trained:
    """A fine-tuned model, its validation among its figures, and the photos that could not be read."""

    compressed: Compressed
    skipped: tuple[str, ...]


def fine_tune(
    model: Path,
    recipe: Recipe,
    dataset: Dataset,
    folder: StateFolder,
    *,
    afresh: bool,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Trained | None:
    """Compress a model file and train it while compressed.

    Under torchrun every process calls this; the first one writes, the others get None.

    Args:
        model: the uncompressed model's file.
        recipe: with a ``train`` table.
        dataset: trains and calibrates, the places the recipe holds out apart.
        folder: of the state, held; whoever writes the model empties it then.
        afresh: throw away the state of another run.
        progress: of reading, of the start's compression, of the steps.
        device: that trains, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ArtifactError: the state in ``folder`` belongs to another run.
        DatasetError: no query has a positive to learn from.
        RecipeError: the recipe does not train, the model describes no places, or this machine lacks the device.
    """
    parallel.training_device(device)
    source = load_model(model)
    train = train_options(source, recipe)
    first = ranks.is_first()
    shown = progress if first and progress is not None else quiet
    tensors = open_tensors(dataset, source.config.preprocess, progress=with_text(shown, "reading photos"))
    split = split_for_training(tensors, train.validation)
    photos = split.training
    recipe = with_promise(source, recipe, lambda: noise_costs(source, as_inputs(tensors.calibration(photos))))
    if first:
        run = {
            "model": artifact.file_sha256(model),
            "recipe": recipe.key(),
            "photos": dataset_hash(dataset),
        }
        folder.claim({**run, "versions": artifact.versions()}, afresh=afresh)
        if not folder.start.exists():
            _write_start(folder, source, recipe, tensors, split, shown)
    ranks.wait_for_all()
    found = train_compressed(
        source,
        load_compressed(folder.start),
        recipe,
        split.photos,
        state=folder.state,
        device=device,
        progress=lambda step: shown(step.step, step.steps, step_text(step)),
    )
    if not first:
        return None
    figures = _figures(source, found, tensors, split, train)
    return Trained(replace(found, figures=figures), tensors.skipped)


def _write_start(
    folder: StateFolder,
    source: Network,
    recipe: Recipe,
    tensors: PhotoTensors,
    split: TrainingSplit,
    progress: Progress,
) -> None:
    calibration = tensors.calibration(split.training) if recipe.needs_photos else None
    start = compress_network(
        source,
        recipe,
        calibration=calibration,
        kept=folder.layers,
        progress=with_text(progress, "post-training start"),
    )
    save_compressed(folder.start, start, {})
    shutil.rmtree(folder.layers, ignore_errors=True)


def _figures(
    source: Network,
    found: Compressed,
    tensors: PhotoTensors,
    split: TrainingSplit,
    train: TrainRecipe,
) -> dict[str, Any]:
    """What the held-out places say of the finished model, measured on its program."""
    if not split.photos.validation:
        return {"validation": "none: the recipe holds no place out", "train_steps": train.steps}
    held_out = tensors.dataset.subset(split.held_out)
    renumbered = PhotoTensors(held_out, lambda i: tensors.tensor(split.held_out[i]), ())
    validation = Validation(source, renumbered)
    about = f"held-out places ({validation.describe()})"
    return {"train_steps": train.steps, "validation": about, **validation.measure(found).as_values()}


def step_text(step: TrainProgress) -> str:
    """Loss, share of tuples with a violating negative, mAP of the last validation."""
    score = "" if step.validation_map is None else f", validation mAP {100 * step.validation_map:.1f}"
    return f"loss {step.loss:.4f}, violating {step.violating:.0%}{score}"
