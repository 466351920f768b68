"""Results as rows of the command line's tables; --json has all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketvlad.steps.evaluate import Evaluation

_MISTAKES = 8  # rows shown
_LAYER_COLUMNS = ("layer", "weights", "bits", "layout", "pruned", "total", "bits_per_weight", "share")


def layer_row(layer: dict[str, Any]) -> dict[str, Any]:
    """Of a layer's size what fits 80 columns; --json has all."""
    shares = {name: f"{100 * layer[name]:.1f}%" for name in ("pruned", "share")}
    per_weight = {"bits_per_weight": f"{layer['bits_per_weight']:.2f}"}
    return {name: {**layer, **shares, **per_weight}[name] for name in _LAYER_COLUMNS}


def difference_rows(found: Evaluation, baseline: Path | None) -> list[dict[str, Any]]:
    """The scores of a baseline and of what is compared with it, 0 to 100, and the change; none without a baseline."""
    before, change, name = found.baseline, found.difference, found.measure
    if before is None or change is None:
        return []
    spread = f"{change.low:+.2f} to {change.high:+.2f}"
    return [
        {"model": str(baseline), name: f"{100 * before[name]:.2f}", "points": "", "95% interval": ""},
        {
            "model": found.file,
            name: f"{100 * found.scores[name]:.2f}",
            "points": f"{change.mean:+.2f}",
            "95% interval": spread,
        },
    ]


def mistakes_title(found: Evaluation) -> str:
    """How many answers are wrong, and how many of them are shown."""
    more = f", the first {_MISTAKES} (--json has all)" if len(found.mistakes) > _MISTAKES else ""
    answers = "answer" if len(found.mistakes) == 1 else "answers"
    return f"{len(found.mistakes)} wrong {answers}{more}"


def mistake_rows(found: Evaluation) -> list[dict[str, Any]]:
    """Some of the wrong answers; columns that say nothing of any of them are left out."""
    rows: list[dict[str, Any]] = [
        {
            "query": mistake.query,
            "best match": mistake.answer,
            "shows": mistake.answered,
            "metres": "" if mistake.metres is None else f"{mistake.metres:,.0f}",
            "": "nothing is right" if mistake.unanswerable else "",
        }
        for mistake in found.mistakes[:_MISTAKES]
    ]
    told = [key for key in (rows[0] if rows else ()) if any(row[key] for row in rows)]
    return [{key: row[key] for key in told} for row in rows]


def curve_title(choice: dict[str, Any] | None) -> str:
    """What the curve shows, and what choosing cost."""
    if choice is None or not choice["queries"]:
        return "whitening; not measured, too few places of two photos or more"
    asked = f"{choice['queries']} queries on {choice['places']} places held out of the fit"
    return f"whitening by mAP, {asked}; choosing, neighbours counted in, took {choice['seconds']:.1f} s"


def curve_rows(choice: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The curve of a choice, the chosen whitening marked."""
    if choice is None:
        return []
    chosen = choice["chosen"]
    return [
        {
            "dimensions": "no whitening" if each["dim"] is None else each["dim"],
            "strength": "" if each["dim"] is None else each["strength"],
            "views": "" if each["dim"] is None else each["views"],
            "mAP": "" if each["score"] is None else f"{100 * each['score']:.1f}",
            "": "chosen" if each == chosen else "",
        }
        for each in choice["curve"]
    ]
