"""The formats that are read in Python: sound files to start from, and the function that reads one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

VALUES = {"net": {"layers": [{"name": "conv1", "weights": [np.ones((2, 3), np.float32)]}]}, "text": "Straße"}


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: of its files.
        write: a sound one to a path.
        read: any one; an error of ours, or an answer.
    """

    suffix: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


def formats() -> dict[str, Format]:
    """Every format by name."""
    import torch

    from helpers import matfiles
    from pocketvlad import artifact
    from pocketvlad.android.elf import read_library
    from pocketvlad.compress.recipe import load_recipe
    from pocketvlad.dataset import open_dataset
    from pocketvlad.dataset.pickled import read_array, read_pickle
    from pocketvlad.evaluate.descriptor_files import read_descriptors, write_descriptors
    from pocketvlad.importer.matlab import read_mat
    from pocketvlad.importer.reading import read_checkpoint
    from pocketvlad.index import open_index
    from pocketvlad.model.preprocess import load_photo
    from pocketvlad.pipeline.log import StageLog
    from pocketvlad.pipeline.plan import load_plan
    from pocketvlad.runtime.sealed import check_program

    root = Path(__file__).parents[2]
    weights = {"a.weight": torch.ones(3, 2), "b": torch.arange(4)}
    old = {"_use_new_zipfile_serialization": False}
    truth = {
        "imlist": ["a"],
        "qimlist": ["b"],
        "gnd": [{"bbx": [0, 1, 2, 3], "easy": [0], "hard": [], "junk": []}],
    }
    tensors = {"a": np.ones((3, 2), np.float32)}

    def copy(source: Path) -> Callable[[Path], object]:
        return lambda path: path.write_bytes(source.read_bytes())

    return {
        "mat v5": Format("mat", lambda p: matfiles.write_v5(p, VALUES), read_mat),
        "mat v7.3": Format("mat", lambda p: matfiles.write_v73(p, VALUES), read_mat),
        "model": Format("safetensors", lambda p: artifact.save_tensors(p, "model", tensors, {}, force=True),
                        lambda p: artifact.load_tensors(p, "model")),
        "safetensors": Format("safetensors", lambda p: artifact.save_tensors(p, "x", tensors, {}, force=True),
                              read_checkpoint),
        "pth": Format("pth", lambda p: torch.save(weights, p), read_checkpoint),
        "pth, old": Format("pth", lambda p: torch.save(weights, p, **old), read_checkpoint),
        "pickled truth": Format("pkl", lambda p: p.write_bytes(pickle.dumps(truth)), read_pickle),
        "npy": Format("npy", lambda p: np.save(p, np.array([[1, 2], [3]], object), allow_pickle=True), read_array),
        "descriptors": Format("h5", lambda p: write_descriptors(p, ["a.jpg"], np.ones((1, 4)), force=True),
                              read_descriptors),
        "index": Format("pvix", copy(root / "tests/golden/tiny.pvix"), open_index),
        "program": Format("pte", write_program, check_program),
        "photo": Format("jpg", copy(next((root / "calibration/scenes").glob("*.jpg"))), load_photo),
        "manifest": Format("csv", lambda p: p.write_text("image,place,role\na.jpg,hall,query\n"),
                           lambda p: open_dataset(str(p))),
        "recipe": Format("toml", copy(root / "calibration/recipes/compact-16x.toml"), lambda p: load_recipe(str(p))),
        "plan": Format("toml", copy(root / "calibration/plans/demo.toml"), load_plan),
        "stage log": Format("json", write_log, lambda p: StageLog(p.parent)),
        "library": Format("so", write_library, read_library),
    }  # fmt: skip


def write_program(path: Path) -> None:
    """XNNPACK's and ours in 10 KB, without a seal: a seal would notice every change."""
    import torch

    from pocketvlad.export.lower import lower

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    )
    with path.open("wb") as file:
        lower(module, (torch.zeros(1, 3, 8, 8),), {"pv_dim": torch.tensor([5])}).write_to_file(file)


def write_log(path: Path) -> None:
    """A log of one stage, under the one name it is read by."""
    from pocketvlad.pipeline.log import StageLog

    StageLog(path.parent).run("s", {}, [], lambda: {"n": 1})


def write_library(path: Path) -> None:
    """Our own kernels."""
    from pocketvlad.core.build import core_library

    path.write_bytes(core_library().read_bytes())
