import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from pocketvlad.errors import ArtifactError
from pocketvlad.model.choice import Candidate, Choice
from pocketvlad.report import units
from pocketvlad.report.html import render_report, write_report

VOID = {"meta", "img", "br", "link", "wbr"}


class Balance(HTMLParser):
    """Every opened element is closed in order; collects resource attributes."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.resources: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.resources += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_startendtag(self, tag, attrs):
        self.resources += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(summary):
    return render_report(summary)


def test_elements_are_balanced_and_nothing_is_fetched(page):
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert parser.resources
    assert all(value.startswith(("data:image/jpeg;base64,", "#")) for value in parser.resources)
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\(\s*['\"]?https?:", page)


def test_text_from_files_is_escaped(page):
    assert "Tiny &lt;places&gt; &amp; more" in page
    assert "<places>" not in page


def test_the_figures_of_the_run_stand_on_the_page(page, summary):
    after, app = summary.after, summary.app
    texts = [units.size(row.program_bytes) for row in summary.variants]
    texts += [
        units.ratio(after.ratio),
        units.spread(after.change.low, after.change.high),
        escape(app.install),
    ]
    texts += [f"{row.score:.1f}" for row in summary.variants]
    texts += [row.sha256 for row in summary.files] + [row.op for row in summary.ops]
    texts += [units.percent(row.share) for row in summary.ops]
    texts += [escape(command) for command in summary.commands]
    texts += [row.layer for rows in summary.layers.values() for row in rows]
    texts += ["broken.jpg", f"<b>{app.recognised}</b>", f"{summary.data.fit_photos} photos of 2 places"]
    whole = page.replace("<wbr>", "")
    assert [text for text in texts if text not in whole] == []


def test_the_kernels_of_the_convolutions_stand_with_what_decided(page, summary):
    assert ">lookup<" in page
    *others, last = summary.variants
    chosen = replace(last, convolutions="int8", convolutions_ms={"int8": 7.4, "lut": 9.1})
    shown = render_report(replace(summary, variants=(*others, chosen)))
    assert "XNNPACK int8, 7.40 ms (lookup 9.10 ms)" in shown


def test_each_query_shows_four_photos_framed_by_verdict(page, summary):
    queries = len(summary.matches)
    assert queries == 2 and page.count("data:image/jpeg") == 4 * queries
    assert page.count('<figure class="right">') == 2 * queries - 1
    assert page.count('<figure class="wrong">') == 1


def test_parts_of_a_bar_fill_it(page):
    bars = re.findall(r'<div class="bar" title=[^>]*>(.*?)</div>', page)
    assert bars
    for bar in bars:
        assert sum(map(float, re.findall(r"width:([\d.]+)%", bar))) == pytest.approx(100, abs=0.1)


def test_a_report_without_emulation_or_held_out_places_says_so(summary):
    page = render_report(replace(summary, emulated=(), data=replace(summary.data, fit_split="all")))
    assert "No emulated self-test was run here" in page
    assert "upper bound" in page
    assert "every photo fits, calibrates and tests" in page and "the others test" not in page


def test_photos_of_no_places_are_counted_alone(summary):
    data = replace(summary.data, fit_places=0, test_places=0)
    page = render_report(replace(summary, data=data))
    assert f"tested on {data.test_photos} other photos." in page and "0 places" not in page


def test_writing_refuses_an_existing_page(tmp_path, summary):
    out = tmp_path / "report.html"
    write_report(summary, out)
    assert out.read_text().startswith("<!doctype html>")
    with pytest.raises(ArtifactError, match="exists already"):
        write_report(summary, out)
    write_report(summary, out, force=True)


def test_a_vanished_photo_leaves_a_card(tmp_path, summary):
    first, *others = summary.matches
    gone = replace(first, query=str(tmp_path / "gone.jpg"))
    assert render_report(replace(summary, matches=(gone, *others))).count("data:image/jpeg") == 8


def test_the_metric_is_the_datasets(summary):
    data = replace(summary.data, fit_split="all")
    page = render_report(replace(summary, metric="Recall@1", data=data))
    page = re.sub(r"base64,[^\"]+", "", page)  # photos may spell anything
    assert "mAP" not in page
    assert "upper bound" in page


def test_what_compression_lost_stands_first(page, summary):
    assert page.index("Lost: right before, wrong now") < page.index("Alike before and now")
    assert "AP " in page or summary.metric != "mAP"


def test_the_headline_is_one_sentence_of_what_was_found(page, summary):
    first = re.search(r'<p class="point">(.*?)</p>', page)[1]
    assert units.ratio(summary.after.ratio) in first and f"{summary.after.score:.1f} against" in first


def test_stages_layers_and_the_threshold_are_there(page, summary):
    assert summary.stages and all(row.stage in page for row in summary.stages)
    assert all(row.seconds > 0 for row in summary.stages)
    assert {row.layer for row in summary.layer_times} >= {"head", "backbone.0", "whitening"}
    assert "By layer" in page and "Known or unknown: the threshold" in page
    assert f"{summary.thresholds.chosen:.3f}" in page


def test_a_whitening_that_nothing_measured_says_so(summary):
    plain = Choice(Candidate(16, 0.9, 8))
    assert "Nothing was measured" in render_report(replace(summary, whitening=plain))
