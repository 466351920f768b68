"""The summary: what it says of the run, and that its file holds all of it."""

import json
from dataclasses import replace

import pytest

from pocketvlad.errors import ArtifactError
from pocketvlad.report.summary import ReportSummary
from pocketvlad.schema import from_table, to_table
from report_example import APP, example, example_with_everything


def test_its_file_holds_all_of_it():
    summary = example_with_everything()
    table = json.loads(json.dumps(to_table(summary)))
    assert from_table(ReportSummary, table, "summary.json", ArtifactError) == summary
    assert table["variants"][2]["change"] == {"mean": -1.4, "low": -2.3, "high": -0.4}
    assert table["layers"]["paper-5bit"][-1]["mask"] == 4_194_304 // 8


def test_before_is_the_first_variant_and_after_the_one_in_the_app():
    summary = example(app=replace(APP, recipe="paper-8bit"))
    assert (summary.before.name, summary.after.name) == ("float32", "paper-8bit")


@pytest.mark.parametrize(("path", "name"), [((), "variants"), (("app",), "install"), (("data",), "queries")])
def test_a_missing_key_is_named(path, name):
    table = inner = to_table(example())
    for step in path:
        inner = inner[step]
    del inner[name]
    with pytest.raises(ArtifactError, match=f"key '{name}' is missing"):
        from_table(ReportSummary, table, "summary.json", ArtifactError)
