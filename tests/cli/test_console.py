"""What a terminal is shown: harmless names, whole tables, the nearest of mistyped names, completion."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from pocketvlad.cli.console import Output, Stages, _console, progress

EVIL = "[red]x[/red] [/] \x1b[31mred\x07\n\u202e.jpg"
SHOWN = r"[red]x[/red] [/] \x1b[31mred\x07\n\u202e.jpg"


def harmless(text: str) -> bool:
    return not any(letter in text for letter in "\x1b\x07\u202e")


def test_results_and_tables_show_names_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    output = Output(as_json=False)
    output.result({"photo": EVIL, "skipped": [EVIL]})
    output.table(EVIL, [{"place": EVIL, "cosine": 0.5}])
    captured = capsys.readouterr()
    assert captured.out.count(SHOWN) == 3 and SHOWN in captured.err
    assert harmless(captured.out + captured.err)


def test_lists_of_words_are_read_by_people_too(capsys):
    """An import's notes, an APK's libraries; not what a table shows, nor what was skipped twice."""
    values = {
        "abis": ("arm64-v8a", "x86_64"),
        "notes": ["480x640 is assumed"],
        "rows": [{"a": 1}],
        "none": [],
    }
    Output(False).result({**values, "skipped": ["one"]})
    shown = capsys.readouterr()
    assert shown.out.split("\n")[:2] == [
        "                abis  arm64-v8a; x86_64",
        "               notes  480x640 is assumed",
    ]
    assert shown.err.strip() == "skipped  one"


def test_stages_and_progress_show_names_as_they_are(capsys):
    with Stages(_console(True)).stage(f"compress {EVIL}") as line:
        line.text = EVIL
    with progress(EVIL) as report:
        report(1, 2, EVIL)
    said = capsys.readouterr().err
    assert said.count(SHOWN) == 2 and harmless(said)


def test_an_error_shows_a_name_as_it_is(run):
    code, _, err = run("index", "info", "/nowhere/[/red]\x1b[31m\u202ex.pvix")
    assert code == 1 and r"/nowhere/[/red]\x1b[31m\u202ex.pvix" in err and harmless(err)


def test_a_photo_whose_name_is_no_utf8_is_searched_and_described(chain, photos, tmp_path):
    """As old archives unpack to, in a terminal whose encoding is strict."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/stra\xdfe")
    shutil.copytree(photos / "place-1", folder)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    for words in (
        ("index", "search", chain["p.pvix"], f"{folder}/0.jpg", "--program", chain["model.pte"]),
        ("describe", chain["model.pte"], "--photos", tmp_path, "--out", tmp_path / "d.h5"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pocketvlad", *map(str, words)],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        assert ("place-1" in done.stdout and "stra\ufffde" in done.stdout) or words[0] == "describe"


def test_a_table_into_a_pipe_is_not_wrapped(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    Output(as_json=False).table("", [{"name": "word " * 60, "found": "x" * 90}])
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("compres",), "compress"),
        (("index", "serch"), "search"),
        (("compress", "m", "--recip", "x"), "--recipe"),
    ],
)
def test_mistyped_commands_and_options_are_answered(run, typed, meant):
    code, _, err = run(*typed)
    assert code == 2 and meant in err


def test_the_tab_key_completes_commands():
    source = "import sys; sys.argv = ['pocketvlad']; from pocketvlad.cli import main; main()"
    asked = {"_POCKETVLAD_COMPLETE": "complete_bash", "COMP_WORDS": "pocketvlad comp", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["compress"], done.stderr
