"""One self-contained page about a run: no script, no request, light and dark, phone to paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pocketvlad.artifact import write_bytes
from pocketvlad.report import units
from pocketvlad.report.accuracy import figure, threshold_section, variant_section, whitening_section
from pocketvlad.report.headline import headline
from pocketvlad.report.layers import layer_section
from pocketvlad.report.matches import match_section
from pocketvlad.report.parts import cell, code, escape, section, table
from pocketvlad.report.plots import weight_histograms
from pocketvlad.report.summary import DataInfo, ReportSummary
from pocketvlad.report.theme import CSS
from pocketvlad.report.times import time_section

Section = Callable[[ReportSummary], str]


def write_report(summary: ReportSummary, out: Path | str, force: bool = False) -> None:
    """Write the report of a run as one HTML file.

    Args:
        summary: what `pocketvlad run` measured.
        out: the page.
        force: replace an existing page.

    Raises:
        ArtifactError: ``out`` exists without ``force``, or cannot be written.
    """
    write_bytes(out, render_report(summary).encode(), force=force)


def render_report(summary: ReportSummary) -> str:
    """The page as text."""
    body = "\n".join(part(summary) for part in _SECTIONS)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(summary.title)}: pocketvlad report</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _header(summary: ReportSummary) -> str:
    data = summary.data
    tested = "" if data.held_out else ", the same ones"
    return (
        f'<header><h1>{escape(summary.title)}</h1><p class="point">{escape(headline(summary))}</p>'
        f"<p>Place recognition on a phone: fitted on {units.photos(data.fit_photos, data.fit_places)}, "
        f"tested on {units.photos(data.test_photos, data.test_places, 'other ' if data.held_out else '')}{tested}.</p>"
        "</header>"
    )


def _headline(summary: ReportSummary) -> str:
    before, after = summary.before, summary.after
    change, was, now = after.change, before.latency, after.latency
    speed = was.median_ms / max(now.median_ms, 1e-9)
    faster = f"{units.ratio(speed)} as fast" if speed >= 1 else f"takes {units.ratio(1 / speed)} as long"
    cards = [
        _card("Program", units.size(before.program_bytes), units.size(after.program_bytes),
              f"{units.ratio(after.ratio)} smaller, bytes of the .pte"),
        _card(summary.metric, f"{before.score:.1f}", f"{after.score:.1f}",
              f"{units.signed(change.mean)} points (95%: {units.spread(change.low, change.high)})"),
        _card("One photo, on this host", units.milliseconds(was.median_ms),
              units.milliseconds(now.median_ms), f"{faster}, median, one thread"),
        _card("First answer", units.milliseconds(was.first_ms), units.milliseconds(now.first_ms),
              "loading included, host"),
    ]  # fmt: skip
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(what: str, was: str, now: str, say: str) -> str:
    return (
        f'<div class="card"><div class="what">{what}</div><div class="was">{escape(was)} →</div>'
        f'<div class="now">{escape(now)}</div><div class="say">{escape(say)}</div></div>'
    )


def _app(summary: ReportSummary) -> str:
    app = summary.app
    facts = [
        f"{units.size(app.apk_bytes)} with {app.photos} photos in an index of {units.size(app.index_bytes)}",
        f"for {', '.join(app.abis)}",
        f"Android SDK {app.min_sdk} and later",
    ]
    lines = [f"<p>{escape('; '.join(facts))}.</p>", code(app.install)]
    if app.visitors:
        lines.append(
            f"<p>Tried on {app.visitors} visitors' photos, one of each place, none of them in the index: the best "
            f"match shows the right place for <b>{app.recognised}</b>.{_answers(summary)}</p>"
        )
    for result in summary.emulated:
        lines.append(f"<p>{_emulated(result)}</p>")
    return section("The app", "\n".join(lines), f"Signed and ready to install: {app.apk}")


def _answers(summary: ReportSummary) -> str:
    """What the app says to the visitors, which its threshold decides."""
    found = summary.thresholds
    if found is None or found.chosen is None:
        return ""
    parts = [f"names the right place for {found.named}"]
    parts += [f"says “unknown place” to {found.doubted + found.refused}"]
    parts += [f"names a wrong place for {found.mistaken}"]
    return f" With its threshold of {found.chosen:.3f} the app {', '.join(parts)}."


def _emulated(result: Mapping[str, Any]) -> str:
    pictures = result.get("pictures", [])
    worst = min((picture["cosine"] for picture in pictures), default=float("nan"))
    same = sum(bool(picture.get("same_top")) for picture in pictures)
    verdict = "passed" if result.get("passed") else "FAILED"
    return (
        f"Self-test of the APK's own arm64 libraries, emulated here ({escape(result['machine'])}): "
        f"<b>{verdict}</b>; worst cosine to the host {units.cosine(worst)}, "
        f"same ranking for {same} of {len(pictures)} pictures."
    )


def _histograms(summary: ReportSummary) -> str:
    plot = figure(weight_histograms(summary.histograms))
    return section(
        "Weights before and after", f'<div class="plots">{plot}</div>', "Counts per bin, on a log axis."
    )


def _split(data: DataInfo) -> str:
    if data.held_out:
        return f"{data.fit_split} places fit and calibrate, the others test"
    return "every photo fits, calibrates and tests"


def _provenance(summary: ReportSummary) -> str:
    data, machine = summary.data, summary.machine
    facts = [
        ("data", ", ".join(data.datasets)),
        ("split", f"{_split(data)}; {data.queries} queries"),
        (
            "machine",
            f"{machine.get('cpu', '?')} · {machine.get('isa', '?')} · {machine.get('cores', '?')} cores",
        ),
        ("versions", ", ".join(f"{name} {version}" for name, version in summary.versions.items())),
    ]
    if summary.skipped:
        facts.append(("skipped photos", "; ".join(summary.skipped)))
    rows = [[cell(name), cell(value, "text wrap")] for name, value in facts]
    body = table(("", ""), rows)
    if summary.files:
        files = [
            [cell(f.name), cell(units.size(f.bytes)), cell(f.sha256, "text hash")] for f in summary.files
        ]
        body += "<h3>Files</h3>" + table(("file", "size", "SHA-256"), files)
        body += '<p class="hint">Every plot lies beside this page as SVG and PNG, in the folder plots.</p>'
    body += "".join(code(command) for command in summary.commands)
    return section("Provenance", body)


_STANDING_NOTES = (
    "Times are those of the host named below, one thread unless a row says otherwise. They are "
    "not a phone's: run “pocketvlad phone bench” on a connected one.",
    "An emulated self-test runs the APK's own arm64 code and shows that a phone computes the same answers; "
    "its timings mean nothing and are not shown.",
)
_SAME_PLACES = "The model was fitted on the same photos it was tested on: its {metric} is an upper bound."


def _notes(summary: ReportSummary) -> str:
    notes = list(_STANDING_NOTES)
    if not summary.data.held_out:
        notes.insert(0, _SAME_PLACES.format(metric=summary.metric))
    if not summary.emulated:
        notes.append("No emulated self-test was run here (it needs qemu-user and an aarch64 compiler).")
    return section(
        "How to read this", "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"
    )


_SECTIONS: tuple[Section, ...] = (
    _header, _headline, _app, variant_section, match_section, threshold_section, whitening_section, layer_section,
    time_section, _histograms, _notes, _provenance,
)  # fmt: skip
