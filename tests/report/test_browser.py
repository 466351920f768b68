"""The report in a real browser, on a phone and on a desktop."""

import pytest

from helpers.browser import CHROMIUM, open_page
from pocketvlad.report.html import write_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_leaves_the_page_and_the_console_is_silent(tmp_path, summary, width):
    write_report(summary, tmp_path / "report.html")
    seen = open_page(tmp_path / "report.html", width, tmp_path)
    assert seen.window == width
    assert seen.page <= seen.frame
    assert seen.wide == () and seen.console == ()


def test_a_page_that_is_too_wide_or_complains_is_noticed(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<main><p style='width: 900px'>wide</p></main><script>missing()</script>")
    seen = open_page(page, 400, tmp_path)
    assert seen.page > seen.frame and "900px" in seen.wide[0]
    assert "missing is not defined" in seen.console[0]
