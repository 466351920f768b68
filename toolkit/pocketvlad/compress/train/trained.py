"""Trained compression: pruning and quantization while the triplet loss trains the model.

Saha, Varma, Jawahar, "Compressing Deep Neural Networks for Recognizing Places", ACPR 2017: iterative
pruning, an L1 penalty and shared weights whose gradients are summed per centroid, all in one loop over mined
tuples. Beside the paper: descriptor distillation from the uncompressed model, and stored weights that follow
their gradients from centroid to centroid (straight-through).

Everything random is a function of the seed and the step, so the state of a run is its tensors, its optimizer
and its step; it is saved atomically, and a run killed at any moment goes on to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pocketvlad import ranks
from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.recipe import Recipe
from pocketvlad.compress.train.parallel import training_device
from pocketvlad.compress.train.photos import TrainingPhotos
from pocketvlad.compress.train.state import load_state, save_state
from pocketvlad.compress.train.trainer import Trainer, TrainProgress
from pocketvlad.model.network import Network


def train_compressed(
    model: Network,
    start: Compressed,
    recipe: Recipe,
    photos: TrainingPhotos,
    *,
    state: Path | None = None,
    device: str = "cpu",
    progress: Callable[[TrainProgress], None] | None = None,
) -> Compressed:
    """Fine-tune a compressed model while it stays compressed.

    Args:
        model: the uncompressed one; it teaches the descriptors that the recipe wants.
        start: where training starts, compressed by the same recipe.
        recipe: with a ``train`` table.
        photos: to learn from.
        state: file the run is saved to and resumed from; None: not saved.
        device: ``cpu``, ``cuda``, ``mps``. Under torchrun the processes share each step's tuples.
        progress: called after every step, on the first process.

    Raises:
        DatasetError: no query has a positive.
        RecipeError: this machine lacks the device.
        ArtifactError: ``state`` belongs to another run.
    """
    trainer = Trainer(model, start, recipe, photos, training_device(device))
    if state is not None and state.exists():
        load_state(state, trainer)
    while trainer.step < trainer.options.steps:
        loss, violating = trainer.run_step()
        due = trainer.step % trainer.options.save_every == 0 or trainer.step == trainer.options.steps
        if state is not None and due and trainer.rank == 0:
            save_state(state, trainer)
        if progress is not None and trainer.rank == 0:
            progress(trainer.progress(loss, violating))
    ranks.wait_for_all()
    return trainer.model.compressed(start)
