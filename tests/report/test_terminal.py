import io

from rich.console import Console

from pocketvlad.report.terminal import terminal_summary
from report_example import example


def shown(value, width=110):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal_summary(value))
    return console.export_text()


def test_the_table_ends_with_where_the_apk_is_and_how_to_install_it():
    text = shown(example(title="Street scenes"))
    for part in ("Street scenes", "70.7 MB", "6.12 MB", "11.6×", "69.8", "−1.4 (−2.3 to −0.4)", "21.4 ms"):
        assert part in text
    assert "out/demo/demo.apk (16.4 MB)" in text
    assert "adb install -r out/demo/demo.apk" in text
    assert "14 of 15 photos" in text


def test_the_apps_recipe_is_marked():
    lines = shown(example()).splitlines()
    assert [line.split()[1] for line in lines if "▸" in line] == ["paper-5bit"]


def test_brackets_in_a_title_are_text_not_markup():
    assert "[bold] places [/]" in shown(example(title="[bold] places [/]"))


def test_the_metric_is_the_datasets():
    text = shown(example(metric="Recall@1"))
    assert text.count("Recall@1") == 2 and "mAP" not in text
