"""What compression costs, on photos that calibrated and trained nothing, measured on the exported program."""

from __future__ import annotations

import numpy as np
import torch

from pocketvlad.compress.compressed import Compressed
from pocketvlad.compress.search.budget import Measured
from pocketvlad.dataset.tensors import PhotoTensors
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.evaluate.retrieval import compare, evaluate_descriptors
from pocketvlad.export.program import export_program
from pocketvlad.model.network import Network
from pocketvlad.runtime.runner import ProgramRunner
from pocketvlad.threads import in_order, one_thread
from pocketvlad.unfinished import scratch_folder

_THREADS = 2


class Validation:
    """Photos that judge candidates, described once by the uncompressed model."""

    def __init__(self, model: Network, photos: PhotoTensors):
        """Describe every photo.

        Raises:
            DatasetError: no query has a positive.
        """
        self.photos, count = photos, len(photos.dataset.photos)
        with torch.inference_mode(), one_thread():
            rows = list(in_order(lambda i: model(photos.tensor(i)[None])[0].numpy(), range(count)))
        self.descriptors = np.stack(rows)
        self.reference = evaluate_descriptors(photos.dataset, self.descriptors)

    def describe(self) -> str:
        """A few words for people."""
        dataset = self.photos.dataset
        return f"{len(dataset.places())} places, {len(self.reference.queries)} queries"

    def measure(self, compressed: Compressed) -> Measured:
        """Export to a temporary program and measure that."""
        with scratch_folder() as folder:
            program = folder / "candidate.pte"
            size = export_program(compressed, program)
            runner = ProgramRunner(program, threads=_THREADS)
            tensors = (self.photos.tensor(i).numpy() for i in range(len(self.descriptors)))
            found = np.stack([runner.describe_tensor(tensor) for tensor in tensors])
        cosine = float((found * self.cut(found.shape[1])).sum(axis=1).mean())
        return Measured(size, self.drop(found), cosine)

    def cut(self, dim: int) -> np.ndarray:
        """The uncompressed descriptors cut to ``dim`` values, at unit length again, float32 [n, dim]."""
        rows = self.descriptors[:, :dim]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def drop(self, descriptors: np.ndarray) -> Difference:
        """What descriptors float32 [n, dim] lose against the uncompressed ones, in points."""
        change = compare(self.reference, evaluate_descriptors(self.photos.dataset, descriptors))
        return Difference(-change.mean, -change.high, -change.low)
