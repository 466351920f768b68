"""What a run found, in one sentence."""

from __future__ import annotations

from pocketvlad.report import units
from pocketvlad.report.summary import ReportSummary, VariantRow

_ALIKE = 1.0  # points of 100: an interval of a change within them is "as well"


def headline(summary: ReportSummary) -> str:
    """Size and accuracy of the app's model beside the uncompressed one's, as plain text."""
    before, after = summary.before, summary.after
    size = (
        f"{after.name} makes the model {units.ratio(after.ratio)} smaller "
        f"({units.size(before.program_bytes)} to {units.size(after.program_bytes)})"
    )
    change = (
        f"{units.signed(after.change.mean)} points, 95%: {units.spread(after.change.low, after.change.high)}"
    )
    scores = f"{summary.metric} {after.score:.1f} against {before.score:.1f} ({change})"
    return f"{size} and {_accuracy(after)}: {scores}."


def _accuracy(row: VariantRow) -> str:
    """What compression did to recognition; an interval that holds 0 shows neither loss nor gain."""
    low, mean, high = row.change.low, row.change.mean, row.change.high
    if low >= -_ALIKE and high <= _ALIKE:
        return "recognises places as well"
    if high < 0:
        return f"loses {abs(mean):.1f} points of accuracy"
    if low > 0:
        return f"gains {mean:.1f} points of accuracy"
    return "recognition is not told apart from the original's on so few photos"
