"""What a run measured, for the tests of its page and table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.runs import TinyRun
from pocketvlad.report.summary import ReportSummary


@pytest.fixture(scope="session")
def summary(tiny_run: TinyRun) -> ReportSummary:
    """Of the tiny run, its app wrong about the last query shown and right about the others."""
    found = tiny_run.summary
    *rows, last = (
        replace(row, before=replace(row.before, right=True), after=replace(row.after, right=True))
        for row in found.matches[-2:]
    )
    wrong = replace(last, after=replace(last.after, right=False))
    return replace(found, matches=(wrong, *rows))
