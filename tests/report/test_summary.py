"""The summary: what it says of the run, and that its file holds all of it."""

import json
from dataclasses import asdict, replace

import pytest

from pocketvlad.errors import ArtifactError
from pocketvlad.report.summary import ReportSummary
from pocketvlad.schema import from_table, to_table


def test_its_file_holds_all_of_it(summary):
    table = json.loads(json.dumps(to_table(summary)))
    assert from_table(ReportSummary, table, "summary.json", ArtifactError) == summary
    assert table["variants"][2]["change"] == asdict(summary.variants[2].change)
    for recipe, rows in summary.layers.items():
        assert [row["mask"] for row in table["layers"][recipe]] == [row.mask for row in rows]


def test_before_is_the_first_variant_and_after_the_one_in_the_app(summary):
    other = replace(summary, app=replace(summary.app, recipe="paper-8bit"))
    assert (summary.before.name, summary.after.name) == ("float32", "fitted.toml")
    assert (other.before.name, other.after.name) == ("float32", "paper-8bit")


@pytest.mark.parametrize(("path", "name"), [((), "variants"), (("app",), "install"), (("data",), "queries")])
def test_a_missing_key_is_named(summary, path, name):
    table = inner = to_table(summary)
    for step in path:
        inner = inner[step]
    del inner[name]
    with pytest.raises(ArtifactError, match=f"key '{name}' is missing"):
        from_table(ReportSummary, table, "summary.json", ArtifactError)
