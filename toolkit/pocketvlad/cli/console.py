"""How the command line shows things: results on stdout, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from pocketvlad import ranks
from pocketvlad.errors import printable
from pocketvlad.progress import Progress as Report
from pocketvlad.progress import quiet
from pocketvlad.report.rows import Rows

_SHOW_AFTER = 1.0  # seconds: shorter work shows no bar
_SPEED_OVER = 600.0  # seconds that the time left is estimated from: steps may be slow
_SKIPPED_SHOWN = 5  # lines about what could not be read
_WIDE = 1000  # columns of what is no terminal
_LINE_EVERY = 30.0  # seconds between the lines that take a bar's place in a log


def _console(stderr: bool) -> Console:
    """Where results (stdout) or progress go; a table into a file or a pipe is as wide as it needs to be.

    Of the processes of torchrun the first one alone speaks; errors are everybody's.
    """
    found = Console(stderr=stderr, highlight=False, soft_wrap=not stderr, quiet=not ranks.speaks())
    if not stderr and not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = _WIDE
    return found


class Output:
    """Results for people, or one JSON object on stdout and nothing else there."""

    def __init__(self, as_json: bool):
        self.as_json = as_json

    def result(self, values: Mapping[str, Any], *, silent: bool = False) -> None:
        """The command's result; ``silent`` when a table has shown it already. What was skipped goes to stderr.

        What is None was not measured, and has no line.
        """
        if self.as_json:
            if ranks.speaks():
                print(json.dumps(values, default=str))
            return
        shown = {} if silent else {key: value for key, value in values.items() if key != "skipped"}
        for key, value in shown.items():
            if value is not None and (_is_words(value) or not isinstance(value, (list, dict))):
                _console(False).print(_line(key, value), markup=False)
        skipped = values.get("skipped", ())
        for line in skipped[:_SKIPPED_SHOWN]:
            _console(True).print(_line("skipped", line), markup=False, soft_wrap=True)
        if len(skipped) > _SKIPPED_SHOWN:
            more = f"{len(skipped) - _SKIPPED_SHOWN} more; --json names all"
            _console(True).print(_line("skipped", more), markup=False, soft_wrap=True)

    def table(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows with equal keys as a table."""
        if self.as_json or not rows:
            return
        head = [key.replace("_", " ") for key in rows[0]]
        numbers = {at for at, key in enumerate(rows[0]) if all(_is_number(row[key]) for row in rows)}
        cells = [[Text(_cell(value)) for value in row.values()] for row in rows]
        self.show(Rows(printable(title), head, cells, numbers))

    def show(self, renderable: Any) -> None:
        if not self.as_json:
            _console(False).print(renderable, crop=False, soft_wrap=False)

    @contextlib.contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A spinner on stderr while one opaque step runs."""
        with _console(True).status(text):
            yield

    @contextlib.contextmanager
    def stages(self) -> Iterator[Stages]:
        """The stage lines of `pocketvlad run`, on stderr."""
        yield Stages(_console(True))


class Stages:
    """One line per stage with its result and seconds; a bar while it runs."""

    def __init__(self, console: Console):
        self._console = console

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[StageLine]:
        line, start = StageLine(), time.perf_counter()
        with progress(name) as report:
            line.report = report
            yield line
        seconds = f"{time.perf_counter() - start:6.1f} s" if line.ran else "  kept  "
        said = f"  {printable(line.text)}"
        parts = (("✓ ", "green"), f"{printable(name):<25} ", (seconds, "dim"), said)
        self._console.print(Text.assemble(*parts), soft_wrap=True)


class StageLine:
    """What a running stage reports: progress, whether it ran, and the line that stays."""

    def __init__(self) -> None:
        self.text = ""
        self.ran = True
        self.report: Report = quiet


@contextlib.contextmanager
def progress(text: str) -> Iterator[Report]:
    """A bar on stderr that appears when the work takes more than a second; in a log, a line now and then."""
    console = _console(True)
    bar = _Bar(text, console) if console.is_terminal else _Lines(text, console)
    try:
        yield bar.report
    finally:
        bar.stop()


class _Bar:
    """What the user watches: phase, bar, count, time left, a few words."""

    def __init__(self, text: str, console: Console):
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", style="dim", markup=False),
            console=console,
            transient=True,
            speed_estimate_period=_SPEED_OVER,
        )
        self._start, self._done = time.perf_counter(), 0
        self._task = self._bar.add_task(printable(text), total=None, words="")
        self._shown = False

    def report(self, done: int, total: int, text: str = "") -> None:
        if done < self._done:
            self._bar.reset(self._task)
        self._done = done
        self._bar.update(self._task, completed=done, total=total, words=printable(text))
        if not self._shown and time.perf_counter() - self._start >= _SHOW_AFTER:
            self._bar.start()
            self._shown = True

    def stop(self) -> None:
        if self._shown:
            self._bar.stop()


class _Lines:
    """The same for a log: only what comes with words, at most every half minute."""

    def __init__(self, text: str, console: Console):
        self._text, self._console = text, console
        self._next = time.perf_counter() + _LINE_EVERY

    def report(self, done: int, total: int, text: str = "") -> None:
        if text and time.perf_counter() >= self._next:
            self._console.print(printable(f"{self._text} {done}/{total}  {text}"), markup=False)
            self._next = time.perf_counter() + _LINE_EVERY

    def stop(self) -> None:
        """Nothing is left to clear."""


def _line(key: str, value: Any) -> str:
    return f"{key.replace('_', ' '):>20}  {_cell(value)}"


def _is_number(value: Any) -> bool:
    """A number, or text that starts like one: ``+0.3``, ``8.5 %``."""
    if isinstance(value, str):
        return not value or (value[0] in "0123456789+-−" and not any(map(str.isalpha, value[1:])))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_words(value: Any) -> bool:
    """Whether it is a list of texts, such as an import's notes."""
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(each, str) for each in value)


def _cell(value: Any) -> str:
    if _is_words(value):
        return "; ".join(map(printable, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else printable(str(value))
