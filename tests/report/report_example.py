"""A run's summary, small and plausible: a float32 model and two recipes, the second in the app."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketvlad.compress.sizes import LayerSize
from pocketvlad.evaluate.metrics import Difference
from pocketvlad.report.summary import (
    AppInfo,
    DataInfo,
    FileRow,
    Histogram,
    Match,
    MatchRow,
    ReportSummary,
    VariantRow,
)
from pocketvlad.resources import resource_dir
from pocketvlad.runtime.latency import Latency
from pocketvlad.runtime.profile import OpTime

UNCOMPRESSED = 70_700_000  # bytes
VARIANTS = (
    VariantRow(
        name="float32",
        program_bytes=UNCOMPRESSED,
        ratio=1.0,
        score=71.2,
        change=Difference(0.0, 0.0, 0.0),
        cosine=1.0,
        latency=Latency(load_ms=41.0, first_ms=62.3, median_ms=21.4, min_ms=20.9, runs=15),
    ),
    VariantRow(
        name="paper-8bit",
        program_bytes=14_200_000,
        ratio=UNCOMPRESSED / 14_200_000,
        score=71.3,
        change=Difference(0.1, -0.4, 0.6),
        cosine=0.99997,
        latency=Latency(load_ms=4.2, first_ms=16.0, median_ms=12.1, min_ms=11.9, runs=15),
        codes_bytes=14_000_000,
        pruned=0.31,
        convolutions="lut",
    ),
    VariantRow(
        name="paper-5bit",
        program_bytes=6_120_000,
        ratio=UNCOMPRESSED / 6_120_000,
        score=69.8,
        change=Difference(-1.4, -2.3, -0.4),
        cosine=0.981,
        latency=Latency(load_ms=2.9, first_ms=15.2, median_ms=11.6, min_ms=11.2, runs=15),
        codes_bytes=5_900_000,
        pruned=0.66,
        convolutions="int8",
        convolutions_ms={"int8": 7.4, "lut": 9.1},
    ),
)
APP = AppInfo(
    apk="out/demo/demo.apk",
    apk_bytes=16_400_000,
    index_bytes=480_000,
    photos=75,
    recipe="paper-5bit",
    install="adb install -r out/demo/demo.apk",
    abis=("arm64-v8a", "x86_64"),
    min_sdk=26,
    visitors=15,
    recognised=14,
)
DATA = DataInfo(
    datasets=("folder:../scenes",),
    fit_split="even",
    fit_photos=90,
    fit_places=15,
    test_photos=90,
    test_places=15,
    queries=90,
)


def layer(name: str, weights: int, bits: int, layout: str, pruned: float) -> LayerSize:
    mask = weights // 8 if layout == "sparse" else 0
    codes = int(weights * (1 - pruned if mask else 1) * bits / 8)
    parts = {"mask": mask, "codes": codes, "codebook": 4 * 2**bits, "scales": 256, "bias": 512}
    total = sum(parts.values())
    return LayerSize(
        layer=name,
        weights=weights,
        bits=bits,
        layout=layout,
        pruned=pruned,
        **parts,
        total=total,
        bits_per_weight=8 * total / weights,
        entropy=bits * 0.83,
        share=0.1,
        ratio=4 * weights / total,
    )


LAYERS = (
    layer("backbone.0", 1_728, 8, "dense", 0.02),
    layer("backbone.12.expand3x3", 147_456, 5, "dense", 0.2),
    layer("pool.assignment", 32_768, 5, "sparse", 0.5),
    layer("whitening", 4_194_304, 5, "sparse", 0.7),
)


def matches() -> tuple[MatchRow, ...]:
    """Three queries among the rendered scenes; the app's model is wrong about the second."""
    names = sorted(str(path) for path in (resource_dir("calibration") / "scenes").glob("*.jpg"))
    rows = []
    for first in (0, 6, 12):
        right = first != 6
        after = Match(names[first + (2 if right else 20)], 0.7912, right)
        place = Path(names[first]).name[:18]
        before = Match(names[first + 2], 0.83, True)
        rows.append(MatchRow(names[first], names[first + 1], place, before, after))
    return tuple(rows)


def example(**changes: Any) -> ReportSummary:
    """What every run has."""
    fields: dict[str, Any] = {
        "title": "Street <scenes> & more",
        "metric": "mAP",
        "variants": VARIANTS,
        "app": APP,
        "layers": {"paper-8bit": LAYERS[1:], "paper-5bit": LAYERS},
        "matches": matches(),
        "data": DATA,
        "machine": {"cpu": "A processor", "isa": "x86_64 avx2", "cores": 2},
        "versions": {"pocketvlad": "0.1.0", "torch": "2.14.1", "executorch": "1.5.1"},
        "emulated": (
            {
                "passed": True,
                "machine": "qemu cortex-a53",
                "pictures": [{"cosine": 0.9999996, "same_top": True}] * 3,
            },
        ),
        "skipped": ("broken.jpg: cannot be decoded",),
        "report": "out/demo/report.html",
    }
    return ReportSummary(**{**fields, **changes})


def example_with_everything() -> ReportSummary:
    """The same with every optional part."""
    edges = tuple(i / 20 - 1 for i in range(41))
    before = tuple(int(4000 * 2.7 ** (-abs(edge) * 6)) for edge in edges[:-1])
    pairs = zip(edges, before, strict=False)
    after = tuple(40 * count if abs(edge) < 0.06 else count // 9 for edge, count in pairs)
    return example(
        histograms=tuple(Histogram(name, edges, before, after) for name in ("backbone.0", "whitening")),
        ops=(
            OpTime("lut_conv2d", "pocketvlad", 25, 10.2, 0.879),
            OpTime("between the ops", "ExecuTorch", 1, 0.31, 0.027),
        ),
        files=(FileRow("model.pte", 6_120_000, "ab" * 32),),
        commands=("pocketvlad run calibration/plans/demo.toml --out out/demo",),
    )
