"""`pocketvlad run` as a script meets it."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import pocketvlad.pipeline.files
import pocketvlad.pipeline.whole
import pocketvlad.report.terminal

REASON = "a.jpg: a cosine of 0.990000, under 0.999900"


@pytest.mark.parametrize("passed", [True, False])
def test_an_emulated_phone_that_disagrees_is_exit_status_1(run, monkeypatch, passed):
    result = {"passed": passed, "machine": "qemu max", "reasons": [] if passed else [REASON]}
    summary = SimpleNamespace(emulated=(result,), to_json=lambda: {"emulated": [result]})
    monkeypatch.setattr(pocketvlad.pipeline.files, "open_plan", lambda plan: plan)
    monkeypatch.setattr(pocketvlad.pipeline.whole, "run_plan", lambda *_: summary)
    monkeypatch.setattr(pocketvlad.report.terminal, "terminal_summary", lambda _: "the table")
    code, out, err = run("run", "plan.toml", "--out", "out")
    assert "the table" in out and code == (0 if passed else 1)
    assert (REASON in err) is not passed
    assert json.loads(run("run", "plan.toml", "--out", "out", "--json")[1])["emulated"] == [result]
