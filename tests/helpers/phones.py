"""A phone's answers for the scripted adb server, and what its app writes after a self-test."""

from __future__ import annotations

import json
from typing import Any

from helpers.adb_server import Rule

SERIAL = "ABC123"
MODEL_RULES = (
    Rule("getprop ro.product.model", "Pixel 7\n"),
    Rule("getprop ro.build.version.sdk", "34\n"),
    Rule("getprop ro.product.cpu.abilist", "arm64-v8a,armeabi-v7a,armeabi\n"),
    Rule(r"^date '?\+%s", "1790000000\n"),
    Rule("am start", "Starting: Intent { }\nStatus: ok\n"),
    Rule("^pidof", "4711\n"),
)
NO_FILE = Rule("^cat ", "cat: /sdcard: Permission denied")
PICTURE: dict[str, Any] = {
    "name": "a.jpg", "cosine": 0.99999, "max_difference": 0.001, "same_top": True, "passed": True,
    "preprocess_ms": [4.0, 4.5, 3.5], "inference_ms": [20.0, 21.0, 30.0], "search_ms": [0.1, 0.1, 0.1],
}  # fmt: skip
NATIVE: dict[str, Any] = {
    "isa": "neon_dotprod", "threads": 4, "load_ms": 12.5, "image_size": [64, 96], "dim": 24, "fingerprint": "00",
    "photos": 8, "threshold": 0.5, "program_bytes": 1000, "index_bytes": 100, "activation_bytes": 10,
}  # fmt: skip
RESULT: dict[str, Any] = {
    "format": 2, "token": "TOKEN", "where": "phone", "passed": True, "reasons": [], "runs": 3,
    "device": {"model": "Google Pixel 7", "sdk": 34, "abi": "arm64-v8a"}, "native": NATIVE,
    "pictures": [PICTURE], "memory": {"pss_kb": 90_000, "peak_kb": 120_000},
}  # fmt: skip
THREADS = [
    {"threads": 1, "preprocess_ms": [4.0], "inference_ms": [40.0, 42.0, 44.0], "search_ms": [0.1]},
    {"threads": 64, "preprocess_ms": [4.0], "inference_ms": [12.0], "search_ms": [0.1]},
]
REASON = "a.jpg: a cosine of 0.990000, under 0.999900"
FAILED: dict[str, Any] = {
    **RESULT, "passed": False, "reasons": [REASON], "pictures": [{**PICTURE, "cosine": 0.99, "passed": False}],
}  # fmt: skip


def wrote(result: dict[str, Any]) -> Rule:
    """The app's result file on the phone."""
    return Rule("^cat .*selftest.json", json.dumps(result))
