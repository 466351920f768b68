"""Resumable stages: a stage whose inputs and outputs have not changed is not run again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pocketvlad import artifact
from pocketvlad.schema import parse_json

_LOG = "stages.json"
_KEYS = {"key", "outputs", "figures", "seconds", "sum"}  # of an entry


class StageLog:
    """What each finished stage of an output folder was made from, kept in ``stages.json``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._path = folder / _LOG
        self._entries: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            entries = parse_json(self._path.read_bytes())
        except (OSError, ValueError):
            return {}  # a first run, or a log that cannot be trusted: every stage runs
        if not isinstance(entries, dict):
            return {}
        return {
            name: entry
            for name, entry in entries.items()
            if isinstance(entry, dict) and entry.keys() == _KEYS and entry["sum"] == _sum(entry)
        }

    def run(
        self, name: str, inputs: dict[str, Any], outputs: Sequence[Path], body: Callable[[], dict[str, Any]]
    ) -> tuple[dict[str, Any], bool]:
        """Run ``body`` unless it ran before on equal ``inputs`` and its ``outputs`` are still what it wrote.

        Args:
            name: of the stage.
            inputs: JSON values that decide the result: options, hashes of files.
            outputs: files ``body`` writes.
            body: returns JSON-able figures.

        Returns:
            The figures, and whether ``body`` ran now.
        """
        key = hashlib.sha256(json.dumps([inputs, artifact.versions()], sort_keys=True).encode()).hexdigest()
        entry = self._entries.get(name)
        if entry and entry["key"] == key and entry["outputs"] == _hashes(outputs):
            return entry["figures"], False
        start = time.perf_counter()
        figures = body()
        entry = {
            "key": key,
            "outputs": _hashes(outputs),
            "figures": figures,
            "seconds": time.perf_counter() - start,
        }
        self._entries[name] = {**entry, "sum": _sum(entry)}
        artifact.write_json(self._path, self._entries, force=True)
        return figures, True

    def seconds(self, name: str) -> float:
        """What a finished stage took when it ran last, this time or before."""
        return float(self._entries[name]["seconds"])


def _sum(entry: dict[str, Any]) -> str:
    """Over what an entry says, so that a damaged one is noticed and its stage runs again."""
    said = {key: value for key, value in entry.items() if key != "sum"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _hashes(paths: Sequence[Path]) -> dict[str, str | None]:
    return {path.name: artifact.file_sha256(path) if path.is_file() else None for path in paths}
