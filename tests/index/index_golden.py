"""The golden index: written once by this file, read by Python, C on this machine and C on arm64.

Run it to write the files again after a change of the format: python tests/index/index_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pocketvlad.index import Entry, PlaceIndex, write_index
from pocketvlad.index.types import encode_vectors

GOLDEN = Path(__file__).parent.parent / "golden"
INDEX, EXPECTED, QUERIES = GOLDEN / "tiny.pvix", GOLDEN / "tiny_index.json", GOLDEN / "tiny_queries.bin"
DIM, PHOTOS, TOP = 37, 12, 5
# The smallest JPEG header and end marker: thumbnails are opaque to the format.
_THUMBNAIL = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.sqrt((rows * rows).sum(1, keepdims=True))).astype(np.float32)


def tiny_index() -> PlaceIndex:
    """Four places of three photos; whole numbers behind every value: any machine makes the same bytes."""
    photo, i = np.mgrid[0:PHOTOS, 0:DIM].astype(np.float64)
    place = photo // 3
    rows = (37 * i + 101 * place + 7 * i * place) % 255 - 127 + 9 * ((photo + 2 * i) % 3)
    stored = encode_vectors(_unit(rows), "int8")
    labels = ("Café", "広場", "station", "")
    entries = tuple(
        Entry(
            f"{labels[n // 3]}/photo {n}.jpg",
            labels[n // 3],
            48.5 + n if n % 2 else None,
            -2.25 * n if n % 2 else None,
            _THUMBNAIL if n % 3 else b"",
        )
        for n in range(PHOTOS)
    )
    info = {"made_from": "index_golden.py", "photos": PHOTOS}
    return PlaceIndex(*stored, entries, bytes(range(32)), 0.75, info)


def tiny_queries() -> np.ndarray:
    """float32 [7, DIM]: rows of the index, disturbed; enough of them for a panel."""
    query, i = np.mgrid[0:7, 0:DIM].astype(np.float64)
    rows = tiny_index().descriptors()[(5 * np.arange(7)) % PHOTOS].astype(np.float64)
    return _unit(rows + 0.02 * ((3 * i + 5 * query) % 7 - 3))


def expected() -> dict:
    """What every reader must find."""
    index, queries = tiny_index(), tiny_queries().astype(np.float64)
    quarters = [index.residuals >> shift & 3 for shift in (0, 2, 4, 6)]
    residuals = np.stack(quarters, axis=2).reshape(PHOTOS, -1)[:, :DIM]
    values = index.vectors + (residuals.astype(np.float64) - 1.5) / 4
    cosines = queries @ (values * index.scales.astype(np.float64)[:, None]).T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :TOP]
    return {
        "fingerprint": index.fingerprint.hex(),
        "threshold": index.threshold,
        "info": dict(index.info),
        "records": [
            [entry.name, entry.label, entry.latitude, entry.longitude, entry.thumbnail.hex()]
            for entry in index.entries
        ],
        "rows": rows.tolist(),
        "cosines": np.take_along_axis(cosines, rows, 1).round(6).tolist(),
    }


if __name__ == "__main__":
    write_index(INDEX, tiny_index(), force=True)
    QUERIES.write_bytes(tiny_queries().tobytes())
    EXPECTED.write_text(json.dumps(expected(), indent=1, ensure_ascii=False) + "\n")
