"""What a search has measured, in files: one that was stopped goes on behind it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketvlad import artifact
from pocketvlad.compress.compressed import load_compressed, save_compressed
from pocketvlad.compress.search.budget import Candidate, Judged, Measured
from pocketvlad.errors import ArtifactError, PocketvladError
from pocketvlad.schema import from_table, parse_json, to_table


class KeptSearch:
    """The losses and the candidates of one search, below a folder; those of another one there are removed.

    Args:
        folder: None: nothing is kept.
        tensors, about: all that they depend on.

    Attributes:
        layers: folder of the candidate's finished layers that is compressed; see
            :func:`pocketvlad.compress.post_training.compress_network`.
    """

    def __init__(self, folder: Path | None, tensors: Mapping[str, np.ndarray], about: Mapping[str, Any]):
        self._folder = self.layers = None
        if folder is None:
            return
        said = {**about, "versions": artifact.versions()}
        self._folder = self.layers = folder / f"search-{artifact.tensors_fingerprint(tensors, said)[:16]}"
        for other in folder.glob("search-*"):
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def losses(self, what: Mapping[str, Any], count: int, measure: Callable[[], list[float]]) -> list[float]:
        """``count`` of them as they are kept of ``what``, or measured now and written down.

        Raises:
            ArtifactError: the disk refuses them.
        """
        if self._folder is None:
            return measure()
        path = self._file("losses", what, ".json")
        try:
            found = [float(each) for each in parse_json(path.read_bytes())]
        except (OSError, TypeError, ValueError):  # missing, or damaged
            found = []
        if len(found) != count:
            found = measure()
            artifact.write_json(path, found, force=True)
        return found

    def judged(self, candidate: Candidate, judge: Callable[[], Judged]) -> Judged:
        """A candidate as it is kept, or judged now and written down.

        Raises:
            ArtifactError: the disk refuses it.
        """
        if self._folder is None:
            return judge()
        path = self._file("candidate", candidate.recipe.key(), ".safetensors")
        try:
            compressed = load_compressed(path)
            about = artifact.load_info(path)["made_from"]
            return Judged(compressed, from_table(Measured, about, str(path), ArtifactError))
        except (PocketvladError, KeyError):  # missing, or damaged
            found = judge()
            save_compressed(path, found.compressed, to_table(found.measured), force=True)
            return found

    def _file(self, kind: str, what: Mapping[str, Any], suffix: str) -> Path:
        assert self._folder is not None
        name = artifact.tensors_fingerprint({}, what)[:16]
        return self._folder / f"{kind}-{name}{suffix}"
