import io
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from pocketvlad.report import figures
from pocketvlad.report.summary import ReportSummary
from report_example import example_with_everything

SVG = "{http://www.w3.org/2000/svg}"
BENCH = [
    {"name": "4-bit GEMV", "peer": "int4", "ours_ms": 1.02, "peer_ms": 1.19, "ratio": 1.17, "goal": 1.0},
    {"name": "AlexNet", "peer": "int8", "ours_ms": 40.0, "peer_ms": 35.0, "ratio": 0.875, "goal": 1.0},
    {"name": "search", "peer": "faiss", "ours_ms": 2.0, "peer_ms": 3.0, "ratio": 1.5, "goal": None},
]


@pytest.fixture(scope="module")
def summary():
    return ReportSummary.from_dict(example_with_everything())


def texts(svg: bytes) -> str:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert "width" not in root.attrib
    return " ".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))


def test_size_plot_names_every_variant_in_the_pages_colour(summary):
    svg = figures.size_accuracy_plot(summary.variants, "paper-5bit")
    words = texts(svg)
    assert all(row.name in words for row in summary.variants)
    assert b"currentColor" in svg
    assert b"#010203" not in svg


def test_histograms_have_a_panel_per_layer(summary):
    words = texts(figures.weight_histograms(summary.histograms))
    assert "backbone.0" in words
    assert "whitening" in words


def test_bench_plot_shows_each_row_and_whether_it_meets_its_goal():
    svg = figures.bench_plot(BENCH)
    words = texts(svg)
    assert "4-bit GEMV · int4" in words
    assert "0.88×" in words or "0.87×" in words
    assert svg.count(figures.WRONG.encode()) == 1
    assert svg.count(figures.RIGHT.encode()) == 2


def test_equal_input_gives_equal_bytes(summary):
    assert figures.size_accuracy_plot(summary.variants) == figures.size_accuracy_plot(summary.variants)


def test_match_picture_frames_right_and_wrong(summary):
    with Image.open(io.BytesIO(figures.qualitative_rows(summary.matches))) as picture:
        pixels = picture.convert("RGB")
        colours = {pixels.getpixel((152 + column * 248, 8 + 3 * 188 + 2)) for column in range(3)}
    assert colours == {(42, 157, 92), (208, 69, 60)}


def test_thumbnails_follow_exif_rotation(tmp_path):
    photo = Image.new("RGB", (40, 80), "blue")
    photo.paste("red", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's top is on the right: turn by 90 degrees clockwise to show
    photo.save(tmp_path / "turned.jpg", exif=exif)
    shown = figures.thumbnail(tmp_path / "turned.jpg", (80, 40))
    red, _, blue = shown.getpixel((70, 20))
    assert red > 200 > blue
