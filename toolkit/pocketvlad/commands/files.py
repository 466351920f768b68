"""What the commands share: sizes, checks of programs, photos as tensors."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from pocketvlad.dataset import open_dataset
from pocketvlad.errors import RecipeError
from pocketvlad.export.describer import Describer, open_describer
from pocketvlad.model.fit import load_photo_tensors
from pocketvlad.model.netvlad import ModelConfig


def parse_size(text: str) -> tuple[int, int]:
    """``480x640`` -> (height, width)."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    if not match:
        raise RecipeError("the size is not HEIGHTxWIDTH in pixels", found=repr(text), allowed="e.g. 480x640")
    return int(match[1]), int(match[2])


def megabytes(path: Path | str) -> float:
    """Size of a file in MB of 10^6 bytes."""
    return Path(path).stat().st_size / 1e6


def calibration_tensor(photos: str, config: ModelConfig) -> torch.Tensor:
    """All photos of a dataset that can be read, float32 [N, 3, H, W]."""
    paths = [photo.path for photo in open_dataset(photos).photos]
    tensors, _ = load_photo_tensors(paths, config)
    return torch.stack(tensors)


def require_program(path: Path, threads: int) -> Describer:
    """A describer for an index: only a program will do, since the phone runs that."""
    describer = open_describer(path, threads=threads)
    if describer.kind != "program":
        raise RecipeError(
            f"{path} is not a program", found=describer.kind, allowed="a .pte; run `pocketvlad export`"
        )
    return describer
