"""The app's native library under ASan and UBSan in a JVM: changed files, random calls, long use."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from fuzz import native
from fuzz.outcome import Outcome, timed
from pocketvlad.android.native import _headers, _sources


def modes(count: int) -> dict[str, int]:
    """How often each kind of trial is made where files are changed ``count`` times."""
    return {"files": count, "calls": 100 * count, "memory": max(10, count // 5)}


def fuzz_jvm(times: Mapping[str, int], seed: int) -> dict[str, Outcome]:
    """Each mode so many times; ``words`` says what became of them."""
    outcomes = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = native.write_recogniser(folder)
        native.compile_java(folder)
        library, environment = [native.sanitized_library()], native.sanitizer_environment()
        for mode, count in times.items():
            failed = ""
            with timed() as spent:
                try:
                    found = native.run(
                        folder, library, mode, files, count, seed=seed, environment=environment
                    )
                except RuntimeError as error:
                    found, failed = [], str(error)
            shown = failed or ", ".join(f"{what} {number}" for what, number in found)
            tried = sum(number for what, number in found if not what.startswith("kilobytes"))
            outcomes[mode] = Outcome(tried, spent(), int(bool(failed)), shown)
    return outcomes


def files() -> list[Path]:
    """What is compiled, and what tries it."""
    tries = [native.JAVA / "NativeFuzz.java", native.JAVA / "NativeRecognizer.java", Path(native.__file__)]
    return [*_sources(), *_headers(), *tries]
