import io
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

from PIL import Image

from pocketvlad.report import figures

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> str:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert "width" not in root.attrib
    return " ".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))


def test_size_plot_names_every_variant_in_the_pages_colour(summary):
    svg = figures.size_accuracy_plot(summary.variants, "Recall@1", summary.app.recipe)
    words = texts(svg)
    assert all(row.name in words for row in summary.variants)
    assert b"currentColor" in svg
    assert b"#010203" not in svg
    assert "Recall@1" in words and "mAP" not in words


def test_histograms_have_a_panel_per_layer(summary):
    (histogram,) = summary.histograms
    words = texts(figures.weight_histograms([histogram, replace(histogram, layer="another")]))
    assert histogram.layer in words and "another" in words


def test_equal_input_gives_equal_bytes(summary):
    first, second = (figures.size_accuracy_plot(summary.variants, "mAP") for _ in range(2))
    assert first == second


def test_match_picture_frames_right_and_wrong(summary):
    with Image.open(io.BytesIO(figures.qualitative_rows(summary.matches))) as picture:
        pixels = picture.convert("RGB")
        colours = {
            pixels.getpixel((152 + column * 248, 8 + 3 * 188 + 2)) for column in range(len(summary.matches))
        }
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
