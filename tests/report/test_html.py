import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pocketvlad.errors import ArtifactError
from pocketvlad.report.html import render_report, write_report
from report_example import DATA, example, example_with_everything, matches

VOID = {"meta", "img", "br", "link"}


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
def page():
    return render_report(example_with_everything())


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
    assert "Street &lt;scenes&gt; &amp; more" in page
    assert "<scenes>" not in page


def test_the_figures_of_the_run_stand_on_the_page(page):
    for text in (
        "70.7 MB",
        "6.12 MB",
        "11.6×",
        "−2.3 to −0.4",
        "adb install -r out/demo/demo.apk",
        "lut_conv2d",
        "88%",
        "ab" * 32,
    ):
        assert text in page
    assert "<b>14</b>" in page
    assert "broken.jpg" in page


def test_the_kernels_of_the_convolutions_stand_with_what_decided(page):
    assert ">lookup<" in page
    assert "XNNPACK int8, 7.40 ms (lookup 9.10 ms)" in page


def test_each_query_shows_four_photos_framed_by_verdict(page):
    assert page.count("data:image/jpeg") == 3 * 4
    assert page.count('<figure class="right">') == 5
    assert page.count('<figure class="wrong">') == 1


def test_parts_of_a_bar_fill_it(page):
    bars = re.findall(r'<div class="bar" title=[^>]*>(.*?)</div>', page)
    assert bars
    for bar in bars:
        assert sum(map(float, re.findall(r"width:([\d.]+)%", bar))) == pytest.approx(100, abs=0.1)


def test_optional_sections_are_absent_without_their_figures():
    page = render_report(example())
    assert "Weights before and after" not in page
    assert "Op by op" not in page


def test_a_report_without_emulation_or_held_out_places_says_so():
    page = render_report(example(emulated=(), data=replace(DATA, fit_split="all")))
    assert "No emulated self-test was run here" in page
    assert "upper bound" in page


def test_writing_refuses_an_existing_page(tmp_path):
    out = tmp_path / "report.html"
    write_report(example(), out)
    assert out.read_text().startswith("<!doctype html>")
    with pytest.raises(ArtifactError, match="exists already"):
        write_report(example(), out)
    write_report(example(), out, force=True)


def test_a_vanished_photo_leaves_a_card(tmp_path):
    first, *others = matches()
    gone = replace(first, query=str(tmp_path / "gone.jpg"))
    assert render_report(example(matches=(gone, *others))).count("data:image/jpeg") == 12


def test_the_metric_is_the_datasets():
    page = render_report(example(metric="Recall@1", matches=(), data=replace(DATA, fit_split="all")))
    assert "mAP" not in page
    assert page.count("Recall@1") == 5  # the card, the table and its hint, the plot, the note
