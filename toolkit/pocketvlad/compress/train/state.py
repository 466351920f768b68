"""A training run on disk: saved atomically, read back without unpickling code."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import torch

from pocketvlad.artifact import atomic_path
from pocketvlad.compress.train.trainer import Trainer
from pocketvlad.dataset.types import queries_hash
from pocketvlad.errors import ArtifactError


def save_state(path: Path, trainer: Trainer) -> None:
    """Write everything the steps to come depend on."""
    state = {
        "run": run_fingerprint(trainer),
        "step": trainer.step,
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "cache": torch.from_numpy(trainer.cache),
        "validation_map": trainer.validation_map,
    }
    with atomic_path(path, force=True) as temporary:
        torch.save(state, temporary)


def load_state(path: Path, trainer: Trainer) -> None:
    """Go on where a saved run stood.

    Raises:
        ArtifactError: the file is damaged, or of a run with another model, recipe or photos.
    """
    state = _read(path)
    if state.get("run") != run_fingerprint(trainer):
        raise ArtifactError(
            f"{path} belongs to a training run with another model, recipe or photos",
            do="delete it to start afresh",
        )
    tensors = state["model"]
    for name in trainer.model.names:  # a mask comes and goes with pruning
        layer = trainer.model.layer(name)
        key = f"layers.{name.replace('.', '/')}.keep"
        layer.keep = tensors[key].to(trainer.device) if key in tensors else None
    trainer.model.load_state_dict(tensors)
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.cache, trainer.step = state["cache"].numpy(), state["step"]
    trainer.validation_map, trainer.first_step = state["validation_map"], state["step"]


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise ArtifactError(f"{path} is not a readable training state", found=str(error)) from error


def run_fingerprint(trainer: Trainer) -> str:
    """Hex SHA-256 of what decides the run: recipe, queries, the start's configuration and tensors."""
    digest = hashlib.sha256(json.dumps(trainer.recipe.key(), sort_keys=True).encode())
    truth = [trainer.photos.count, queries_hash(trainer.photos.queries)]
    digest.update(json.dumps([*truth, trainer.start.config.to_json()], sort_keys=True).encode())
    for name, tensor in sorted(trainer.start.tensors().items()):
        digest.update(name.encode() + tensor.tobytes())
    return digest.hexdigest()
