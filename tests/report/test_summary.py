import pytest

from pocketvlad.errors import ArtifactError
from pocketvlad.report.summary import ReportSummary
from report_example import example, example_with_everything


def test_a_runs_summary_is_read_with_its_nested_rows():
    summary = ReportSummary.from_dict(example_with_everything())
    assert [row.name for row in summary.variants] == ["float32", "paper-8bit", "paper-5bit"]
    assert summary.after.drop.low == -2.3
    assert summary.layers["paper-5bit"][-1].mask == 4_194_304 // 8
    assert summary.matches[1].after.right is False
    assert summary.histograms[0].edges[0] == -1.0


def test_before_is_the_first_variant_and_after_the_one_in_the_app():
    value = example()
    value["app"]["recipe"] = "paper-8bit"
    summary = ReportSummary.from_dict(value)
    assert (summary.before.name, summary.after.name) == ("float32", "paper-8bit")


@pytest.mark.parametrize(("path", "name"), [((), "variants"), (("app",), "install"), (("data",), "queries")])
def test_a_missing_key_is_named(path, name):
    value = example()
    table = value
    for step in path:
        table = table[step]
    del table[name]
    with pytest.raises(ArtifactError, match=f"has no '{name}'"):
        ReportSummary.from_dict(value)


def test_a_value_of_another_kind_is_named_with_its_place():
    value = example()
    value["variants"][1]["map"] = "high"
    with pytest.raises(ArtifactError, match=r"variants\[1\].map has a wrong type"):
        ReportSummary.from_dict(value)


def test_a_truth_value_is_no_number():
    value = example()
    value["variants"][0]["program_bytes"] = True
    with pytest.raises(ArtifactError, match="program_bytes"):
        ReportSummary.from_dict(value)


def test_a_summary_without_variants_is_refused():
    with pytest.raises(ArtifactError, match="no variants"):
        ReportSummary.from_dict({**example(), "variants": []})
