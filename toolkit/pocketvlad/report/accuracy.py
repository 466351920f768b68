"""Programs beside each other, the index's threshold, and how the whitening was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from pocketvlad.report import units
from pocketvlad.report.figures import Plot
from pocketvlad.report.parts import cell, escape, section, table
from pocketvlad.report.plots import accepted, size_accuracy, threshold_curve, whitening_curves
from pocketvlad.report.summary import ReportSummary, Thresholds, VariantRow

_KERNELS = {"lut": "lookup", "lut-int8": "lookup, int8 throughout", "int8": "XNNPACK int8"}


def variant_section(summary: ReportSummary) -> str:
    """Every program: size, score and time; below, what the paper counts."""
    chosen = [index for index, row in enumerate(summary.variants) if row is summary.after]
    head = ("model", ".pte", "smaller", summary.metric, "change (95%)", "a photo", "first answer")
    rows = [_measured(row, summary) for row in summary.variants]
    more = ("model", "codes only", "pruned", "cosine", "load", "convolutions")
    details = [_counted(row, summary) for row in summary.variants]
    plot = figure(size_accuracy(summary.variants, summary.metric, summary.app.recipe))
    return section(
        "Before and after",
        table(head, rows, chosen)
        + f'<div class="plots">{plot}<div class="beside">{_reading(summary)}</div></div>'
        + f"<details><summary>More about each program</summary>{table(more, details, chosen)}</details>",
        f"Size is the file on disk, MB = 10⁶ bytes. {summary.metric} is measured on the .pte itself, on the test "
        "photos; the change is paired over the queries, its interval by bootstrap.",
    )


def _reading(summary: ReportSummary) -> str:
    notes = (
        "Each point is a program: the original, and every recipe that was tried. Further left is smaller, further up "
        "recognises better. The filled blue point is in the app.",
        "Whiskers are the 95% interval of the change against the original.",
        "“Codes only” counts masks and codes, as the paper does. Convolutions compute by our lookup kernels or by "
        "XNNPACK in int8; where two times stand there, they decided, on the machine that exported.",
    )
    return "".join(f"<p>{escape(note)}</p>" for note in notes)


def _measured(row: VariantRow, summary: ReportSummary) -> list[str]:
    base, change = row is summary.before, row.change
    name = cell(row.name)
    if row is summary.after:
        name = name.replace("</td>", ' <span class="tag">in the app</span></td>')
    texts = (
        units.size(row.program_bytes),
        "" if base else units.ratio(row.ratio),
        f"{row.score:.1f}",
        "" if base else f"{units.signed(change.mean)} ({units.spread(change.low, change.high)})",
        units.milliseconds(row.latency.median_ms),
        units.milliseconds(row.latency.first_ms),
    )
    return [name, *map(cell, texts)]


def _counted(row: VariantRow, summary: ReportSummary) -> list[str]:
    base = row is summary.before
    return [
        cell(row.name),
        cell(units.size(row.codes_bytes) if row.codes_bytes else ""),
        cell("" if base else units.percent(row.pruned)),
        cell("" if base else units.cosine(row.cosine)),
        cell(units.milliseconds(row.latency.load_ms)),
        cell(_convolutions(row), "wrap"),
    ]


def _convolutions(row: VariantRow) -> str:
    """``XNNPACK int8, 92.1 ms (lookup 120 ms)``: what computes them, and what it was chosen over."""
    if row.convolutions is None:
        return ""
    name, ms = _KERNELS.get(row.convolutions, row.convolutions), row.convolutions_ms
    if row.convolutions not in ms:
        return name
    others = [f"{_KERNELS.get(k, k)} {units.milliseconds(v)}" for k, v in ms.items() if k != row.convolutions]
    return f"{name}, {units.milliseconds(ms[row.convolutions])} ({', '.join(others)})"


def threshold_section(summary: ReportSummary) -> str:
    """The curve of known and unknown places, and what it means for visitors."""
    found = summary.thresholds
    if found is None or not found.known:
        return ""
    notes = "".join(f"<p>{escape(note)}</p>" for note in _threshold_notes(found))
    return section(
        "Known or unknown: the threshold",
        f'<div class="plots">{figure(threshold_curve(found))}<div class="beside">{notes}</div></div>',
        "The app names a place where the best match is at least this similar, and says “unknown place” below.",
    )


def _threshold_notes(found: Thresholds) -> list[str]:
    if found.chosen is None:
        return ["The index has no threshold: its photos do not tell known from unknown places."]
    notes = [
        f"{_share(found.known, found.chosen)} of the index's own photos pass {found.chosen:.3f} when their place is in "
        f"the index, and {_share(found.unknown, found.chosen)} when it is taken out. It was chosen on them: a higher "
        "threshold refuses more of both.",
    ]
    if found.visitors:
        notes.append(
            f"Visitors' photos chose nothing: {_share(found.visitors, found.chosen)} of {len(found.visitors)} pass "
            f"when their place is in the index, {_share(found.strangers, found.chosen)} of {len(found.strangers)} "
            "when it is not."
        )
    return notes


def _share(cosines: Sequence[float], chosen: float) -> str:
    """The share of ``cosines`` that passes, as the curve has it."""
    if not cosines:
        return "none"
    return units.percent(float(accepted(cosines, chosen, chosen)[1][0]))


def whitening_section(summary: ReportSummary) -> str:
    """Curves of what was tried, the chosen whitening marked, and what choosing cost."""
    choice = summary.whitening
    if choice is None:
        return ""
    plots = "".join(map(figure, whitening_curves(choice)))
    chosen = choice.chosen
    verb = "Taken" if chosen.score is None else "Chosen"
    scale = "0 is PCA alone, 1 is full whitening"
    said = (
        "No whitening recognised best"
        if chosen.dim is None
        else f"{verb}: {chosen.dim} dimensions, strength {chosen.strength:g} ({scale}), {chosen.views} views a photo"
    )
    if chosen.score is None:
        cost = "Nothing was measured: too few of the fitting places have two photos or more; this is the usual one."
    else:
        cost = (
            f"mAP {100 * chosen.score:.1f} in {choice.queries} queries on {choice.places} places that were held out of "
            f"the fit in turns; choosing took {units.seconds(choice.seconds)}. A held-out part is a small collection: "
            "its mAP is not the test's. One score alone may be luck, so its neighbours in strength count too."
        )
    return section(
        "How the whitening was chosen",
        f'<p>{escape(said)}.</p><p>{escape(cost)}</p><div class="plots small">{plots}</div>',
        "Whitening turns and scales the descriptor's dimensions. Only the fitting photos chose it, the test "
        "photos did not.",
    )


def figure(plot: Plot) -> str:
    """A plot inside a page."""
    return f'<div class="plot">{plot.inline()}</div>'
