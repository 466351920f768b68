"""A run's summary as `pocketvlad run` writes it, small and plausible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pocketvlad.resources import resource_dir


def photos() -> list[str]:
    """Embedded photos, by name."""
    return sorted(str(path) for path in (resource_dir("calibration") / "scenes").glob("*.jpg"))


def _variant(
    name: str, size: int, score: float, drop: tuple[float, float, float], **more: Any
) -> dict[str, Any]:
    mean, low, high = drop
    return {
        "name": name,
        "program": f"{name}.pte",
        "program_bytes": size,
        "codes_bytes": 0,
        "ratio": 70_700_000 / size,
        "pruned": 0.0,
        "map": score,
        "recalls": {"1": 88.9, "5": 96.7},
        "drop": {"mean": mean, "low": low, "high": high},
        "cosine": 1.0,
        "cosine_to_torch": 0.99999,
        "load_ms": 41.0,
        "first_ms": 62.3,
        "median_ms": 21.4,
        "min_ms": 20.9,
        "runs": 15,
        **more,
    }


def _layer(name: str, weights: int, bits: int, layout: str, pruned: float) -> dict[str, Any]:
    mask = weights // 8 if layout == "sparse" else 0
    codes = int(weights * (1 - pruned if mask else 1) * bits / 8)
    parts = {"mask": mask, "codes": codes, "codebook": 4 * 2**bits, "scales": 256, "bias": 512}
    total = sum(parts.values())
    return {
        "layer": name,
        "weights": weights,
        "bits": bits,
        "layout": layout,
        "pruned": pruned,
        **parts,
        "total": total,
        "bits_per_weight": 8 * total / weights,
        "entropy": bits * 0.83,
        "share": 0.1,
        "ratio": 4 * weights / total,
    }


def example() -> dict[str, Any]:
    """A float32 model and two recipes, the second in the app."""
    names = photos()
    layers = [
        _layer("backbone.0", 1_728, 8, "dense", 0.02),
        _layer("backbone.12.expand3x3", 147_456, 5, "dense", 0.2),
        _layer("pool.assignment", 32_768, 5, "sparse", 0.5),
        _layer("whitening", 4_194_304, 5, "sparse", 0.7),
    ]
    return {
        "title": "Street <scenes> & more",
        "variants": [
            _variant("float32", 70_700_000, 71.2, (0.0, 0.0, 0.0)),
            _variant(
                "paper-8bit",
                14_200_000,
                71.3,
                (0.1, -0.4, 0.6),
                median_ms=12.1,
                load_ms=4.2,
                first_ms=16.0,
                codes_bytes=14_000_000,
                pruned=0.31,
                cosine=0.99997,
                convolutions="lut",
            ),
            _variant(
                "paper-5bit",
                6_120_000,
                69.8,
                (-1.4, -2.3, -0.4),
                median_ms=11.6,
                load_ms=2.9,
                first_ms=15.2,
                codes_bytes=5_900_000,
                pruned=0.66,
                cosine=0.981,
                convolutions="int8",
                convolutions_ms={"int8": 7.4, "lut": 9.1},
            ),
        ],
        "app": {
            "apk": "out/demo/demo.apk",
            "apk_bytes": 16_400_000,
            "index_bytes": 480_000,
            "photos": 75,
            "threshold": 0.41,
            "recipe": "paper-5bit",
            "visitors": 15,
            "recognised": 14,
            "install": "adb install -r out/demo/demo.apk",
            "abis": ["arm64-v8a", "x86_64"],
            "min_sdk": 26,
            "target_sdk": 35,
            "signed": ["v2", "v3"],
        },
        "emulated": [
            {
                "passed": True,
                "machine": "qemu cortex-a53",
                "pictures": [{"cosine": 0.9999996, "same_top": True}] * 3,
            }
        ],
        "layers": {"paper-8bit": layers[1:], "paper-5bit": layers},
        "matches": [
            {
                "query": names[6 * i],
                "truth": names[6 * i + 1],
                "place": Path(names[6 * i]).name[:18],
                "before": {"photo": names[6 * i + 2], "cosine": 0.83, "right": True},
                "after": {"photo": names[6 * i + (2 if i != 1 else 20)], "cosine": 0.7912, "right": i != 1},
            }
            for i in range(3)
        ],
        "data": {
            "datasets": ["folder:../scenes"],
            "fit_split": "even",
            "fit_photos": 90,
            "fit_places": 15,
            "test_photos": 90,
            "test_places": 15,
            "queries": 90,
        },
        "machine": {
            "cpu": "A processor",
            "isa": "x86_64 avx2",
            "cores": 2,
            "system": "Linux",
            "python": "3.11",
        },
        "versions": {"pocketvlad": "0.1.0", "torch": "2.14.1", "executorch": "1.5.1"},
        "skipped": ["broken.jpg: cannot be decoded"],
        "report": "out/demo/report.html",
    }


def example_with_everything() -> dict[str, Any]:
    """The same with every optional part."""
    edges = [i / 20 - 1 for i in range(41)]
    before = [int(4000 * 2.7 ** (-abs(edge) * 6)) for edge in edges[:-1]]
    after = [
        40 * count if abs(edge) < 0.06 else count // 9 for edge, count in zip(edges, before, strict=False)
    ]
    return {
        **example(),
        "histograms": [
            {"layer": name, "edges": edges, "before": before, "after": after}
            for name in ("backbone.0", "whitening")
        ],
        "stages": [
            {"stage": "preprocess", "ms": 1.9, "where": "host"},
            {"stage": "describe", "ms": 11.6, "where": "host"},
            {"stage": "search 75 photos", "ms": 0.02, "where": "host"},
        ],
        "ops": [
            {"op": "lut_conv2d", "by": "pocketvlad", "calls": 25, "ms": 10.2, "share": 0.879},
            {"op": "between the ops", "by": "ExecuTorch", "calls": 1, "ms": 0.31, "share": 0.027},
        ],
        "files": [{"name": "model.pte", "bytes": 6_120_000, "sha256": "ab" * 32}],
        "commands": ["pocketvlad run calibration/plans/demo.toml --out out/demo"],
        "notes": ["The index holds the places the model never saw."],
    }
