import io
from dataclasses import replace

from rich.console import Console

from pocketvlad.report import units
from pocketvlad.report.headline import headline
from pocketvlad.report.terminal import terminal_summary


def shown(value, width=160):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal_summary(value))
    return console.export_text()


def test_the_table_ends_with_where_the_apk_is_and_how_to_install_it(summary):
    text, app, change = " ".join(shown(summary).split()), summary.app, summary.after.change
    parts = [
        summary.title,
        f"{app.recognised} of {app.visitors} photos",
        headline(summary),
        app.install,
        app.apk,
    ]
    parts += [f"({units.size(app.apk_bytes)})", f"{summary.data.queries} queries on 6 photos of 2 places"]
    parts.append(f"{units.signed(change.mean)} ({units.spread(change.low, change.high)})")
    for row in summary.variants:
        parts += [
            units.size(row.program_bytes),
            f"{row.score:.1f}",
            units.milliseconds(row.latency.median_ms),
        ]
    assert [part for part in parts if part not in text] == []


def test_the_apps_recipe_is_marked(summary):
    lines = shown(summary).splitlines()
    assert [line.split()[1] for line in lines if "▸" in line] == [summary.app.recipe]


def test_brackets_in_a_title_are_text_not_markup(summary):
    assert "[bold] places [/]" in shown(replace(summary, title="[bold] places [/]"))


def test_the_metric_is_the_datasets(summary):
    text = shown(replace(summary, metric="Recall@1"))
    assert text.count("Recall@1") == 3 and "mAP" not in text


def test_photos_of_no_places_are_counted_alone(summary):
    text = shown(replace(summary, data=replace(summary.data, test_places=0)))
    assert "queries on 6 photos;" in text
