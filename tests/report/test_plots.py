"""The plots of a run: what they say, inside a page and as files."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pocketvlad.model.choice import Candidate, Choice
from pocketvlad.report import plots
from pocketvlad.report.summary import Thresholds

SVG = "{http://www.w3.org/2000/svg}"
CHOSEN = Candidate(64, 0.9, 5, 0.8)
CHOICE = Choice(
    CHOSEN,
    (Candidate(None, 0.0, 1, 0.5), Candidate(32, 0.9, 5, 0.7), CHOSEN, Candidate(64, 1.0, 5, 0.75)),
    queries=20,
    places=9,
    seconds=1.5,
)


def texts(svg):
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    return " ".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))


def test_the_size_plot_names_every_variant(summary):
    words = texts(plots.size_accuracy(summary.variants, "Recall@1", summary.app.recipe).svg())
    assert all(row.name in words for row in summary.variants)
    assert "Recall@1" in words and "mAP" not in words


def test_in_a_page_a_plot_takes_its_width_colours_and_font(summary):
    svg = plots.size_accuracy(summary.variants, "mAP").inline()
    root = ElementTree.fromstring(svg)
    assert "width" not in root.attrib and "viewBox" in root.attrib
    assert "currentColor" in svg and "var(--after)" in svg and "DejaVu" not in svg
    assert root.find(f"{SVG}title").text == "Size against accuracy"


def test_plots_of_a_page_share_no_id(summary):
    shown = "".join(plot.inline() for plot in plots.plots_of(replace(summary, whitening=CHOICE)))
    ids = [
        element.get("id") for element in ElementTree.fromstring(f"<p>{shown}</p>").iter() if element.get("id")
    ]
    names = {plot.name for plot in plots.plots_of(replace(summary, whitening=CHOICE))}
    assert all(any(each.startswith(name) for name in names) for each in ids)


def test_equal_input_gives_equal_bytes(summary):
    first, second = (plots.size_accuracy(summary.variants, "mAP") for _ in range(2))
    assert (first.svg(), first.png()) == (second.svg(), second.png())


def test_histograms_have_a_panel_per_layer(summary):
    (histogram,) = summary.histograms
    words = texts(plots.weight_histograms([histogram, replace(histogram, layer="another")]).svg())
    assert histogram.layer in words and "another" in words


def test_every_plot_is_written_as_svg_and_png(tmp_path, summary):
    plots.write_plots(replace(summary, whitening=CHOICE), tmp_path)
    names = {"size-accuracy", "threshold", "whitening-strength", "whitening-dimensions", "weights"}
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("svg", "png")
    }
    for path in tmp_path.glob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) > 400 and len(picture.getcolors(1 << 20)) > 10
    assert all(b"var(--" not in path.read_bytes() for path in tmp_path.glob("*.svg"))


def test_a_run_writes_its_plots(tiny_run):
    assert {"size-accuracy.svg", "size-accuracy.png"} <= {
        path.name for path in (tiny_run.out / "plots").iterdir()
    }


def test_a_threshold_accepts_what_is_at_or_over_it():
    steps, shares = plots.accepted((0.5, 0.25, 0.75, 0.5), 0.0, 1.0)
    assert dict(zip(steps.tolist(), shares.tolist(), strict=True)) == {
        0.0: 1.0,
        0.25: 1.0,
        0.5: 0.75,
        0.75: 0.25,
        1.0: 0.0,
    }


def test_the_threshold_plot_marks_the_one_chosen():
    found = Thresholds(0.4, known=(0.3, 0.6), unknown=(0.1, 0.5), visitors=(0.7,), strangers=())
    words = texts(plots.threshold_curve(found).svg())
    assert "0.400" in words and "known place, visitors" in words and "unknown place, visitors" not in words


def test_a_curve_holds_what_differs_in_one_thing_alone():
    assert [each.strength for each in plots.curve_over(CHOICE, "strength")] == [0.9, 1.0]
    assert [each.dim for each in plots.curve_over(CHOICE, "dim")] == [32, 64]
    assert [plot.name for plot in plots.whitening_curves(CHOICE)] == [
        "whitening-strength",
        "whitening-dimensions",
    ]


@pytest.mark.parametrize("scores", [(79.0, 76.4, 57.5, 78.9), (50.0, 50.0, 50.0, 50.0)])
def test_names_in_the_drawn_size_plot_do_not_touch(summary, scores):
    sizes = (30.2e6, 7.51e6, 4.78e6, 5.32e6)
    base = summary.variants[0]
    rows = [
        replace(summary.variants[min(at, 1)], name=f"recipe-{at}", score=score, program_bytes=int(size))
        for at, (score, size) in enumerate(zip(scores, sizes, strict=True))
    ]
    rows[0] = replace(base, score=scores[0], program_bytes=int(sizes[0]))
    boxes = drawn_names(plots.size_accuracy(rows, "mAP"), {row.name for row in rows})
    assert len(boxes) == 4
    for at, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:at])


def drawn_names(plot, names):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(plot.width, plot.height), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    plot.draw(figure)
    canvas.draw()
    found = [text for text in figure.texts if text.get_text() in names]
    inside = figure.bbox
    extents = [text.get_window_extent() for text in found]
    assert all(np.all(each.min >= inside.min) and np.all(each.max <= inside.max) for each in extents)
    return extents
