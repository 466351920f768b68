"""Stages that are shown, skipped when their inputs and outputs have not changed, and give typed results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pocketvlad import unfinished
from pocketvlad.core.build import core_key
from pocketvlad.errors import ArtifactError
from pocketvlad.lut import contract
from pocketvlad.pipeline.log import StageLog
from pocketvlad.progress import Progress
from pocketvlad.schema import from_table, to_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")


class StageLine(Protocol):
    """What the command line shows of a running stage."""

    text: str
    ran: bool
    report: Progress


class Stages(Protocol):
    """Opens a line per stage."""

    def stage(self, name: str) -> AbstractContextManager[StageLine]: ...


class StageRunner:
    """Runs stages into a folder and keeps what they found.

    Args:
        folder: of their files and their log.
        shown: where they are shown.
        prefix: of the names shown.

    Attributes:
        seconds: by stage in the order of the run, when it ran last, this time or before.
        inputs: by stage, what decided its result.
    """

    def __init__(self, folder: Path, shown: Stages, prefix: str = ""):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            unfinished.remove_leftovers(folder)
        except OSError as error:
            raise ArtifactError(
                f"cannot use the folder {folder}", found=error.strerror or str(error)
            ) from error
        self.folder, self._shown, self._prefix = folder, shown, prefix
        self._log = StageLog(folder)
        self.seconds: dict[str, float] = {}
        self.inputs: dict[str, dict[str, Any]] = {}

    def run(
        self,
        name: str,
        kind: type[R],
        inputs: dict[str, Any],
        outputs: Sequence[Path],
        body: Callable[[Progress], R],
        say: Callable[[R], str],
    ) -> R:
        """A stage's result: made now, or read back where it was made from the same.

        Args:
            name: of the stage.
            kind: dataclass of its result.
            inputs: JSON values that decide the result: options, hashes of files.
            outputs: files that ``body`` writes.
            body: makes the result.
            say: the result in a few words.
        """
        self.inputs[name] = inputs
        inputs = {**inputs, "result": [each.name for each in fields(kind)]}  # an older form is made again
        with self._shown.stage(self._prefix + name) as line:
            figures, line.ran = self._log.run(name, inputs, outputs, lambda: to_table(body(line.report)))
            self.seconds[name] = self._log.seconds(name)
            result = from_table(kind, figures, f"{self.folder}: {name}")
            line.text = say(result)
        return result

    def note(self, name: str, text: str) -> None:
        """A line of its own for what was left out."""
        with self._shown.stage(self._prefix + name) as line:
            line.ran, line.text = False, text

    def notes(self, name: str, texts: Sequence[str]) -> None:
        """A line for each, said again where the stage was kept."""
        for text in texts:
            self.note(name, text)


def kernels() -> dict[str, Any]:
    """What decides a program's results beside its file: its ops and the kernels' sources."""
    return {"ops": contract.VERSION, "kernels": core_key()}
