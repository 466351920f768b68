"""Checks what `make demo` left: every file there, the summary typed and plausible, the APK accepted.

python tests/helpers/check_demo.py out/demo
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

FILES = ("model.pte", "places.pvix", "demo.apk", "report.html", "summary.json")


def check(folder: Path) -> None:
    from pocketvlad.android.check import check_apk
    from pocketvlad.report.summary import ReportSummary
    from pocketvlad.schema import from_table

    missing = [name for name in FILES if not (folder / name).is_file()]
    assert not missing, f"{folder} lacks {missing}"
    summary = from_table(ReportSummary, json.loads((folder / "summary.json").read_text()), str(folder))
    assert len(summary.variants) >= 3 and summary.before.name == "float32", summary.variants
    assert 0 < summary.after.program_bytes < summary.before.program_bytes / 4
    assert summary.after.program_bytes == (folder / "model.pte").stat().st_size
    assert all(0 < row.score <= 100 for row in summary.variants)
    assert all(result["passed"] for result in summary.emulated), summary.emulated
    assert check_apk(folder / "demo.apk").abis
    assert summary.title in (folder / "report.html").read_text()
    print(f"{folder}: {summary.metric} {summary.after.score:.1f} of {summary.before.score:.1f}")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
