r"""Programs of studies.families in the app's own arm64 library, on emulated phones: do they answer as they do here?

Each program is packed with an index of two photos, as an app would be; its self-test runs by qemu on a Cortex-A53
(no dot product) and on all that qemu emulates. Emulation says nothing of speed. Run studies.families first:

    PYTHONPATH=toolkit .venv/bin/python -m studies.phones --photos folder:outdoor --only megaloc-224
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pocketvlad.android import selftest
from pocketvlad.android.apk import build_apk
from pocketvlad.android.emulate import run_selftest
from pocketvlad.android.native import build_libraries
from pocketvlad.android.runtime import smallest
from pocketvlad.android.signing import debug_keys
from pocketvlad.dataset import Dataset, open_dataset
from pocketvlad.index import build_index, write_index
from pocketvlad.runtime.runner import ProgramRunner
from studies.command import publish, study_parser
from studies.contenders import OUT
from studies.recognisers import FAMILIES

CPUS = ("cortex-a53", "max")
COLUMNS = ("model", "recipe", *CPUS)
_PHOTOS = 2


def packaged(program: Path, photos: Dataset, folder: Path, *, pictures: int = 1) -> Path:
    """An APK with the program and an index of these photos, the first of which are the self-test's pictures."""
    runner, index = ProgramRunner(program), folder / "places.pvix"
    places, _ = build_index(runner.describe, photos, runner.info.fingerprint)
    write_index(index, places, force=True)
    test = selftest.build(program, index, [photo.path for photo in photos.photos[:pictures]])
    executorch = smallest(program)
    config = {
        "title": program.stem,
        "threshold": None,
        "fingerprint": places.fingerprint.hex(),
        "runtime": executorch.name,
    }
    apk = folder / f"{program.stem}.apk"
    apk.unlink(missing_ok=True)
    build_apk(
        apk,
        program=program,
        index=index,
        libraries=build_libraries(executorch=executorch),
        config=config,
        selftest=test,
        keys=debug_keys(folder / "debug.p12"),
    )
    return apk


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    photos = open_dataset(options.photos)
    rows = []
    for name in options.only:
        folder = options.programs / name
        for program in sorted(folder.glob("compact-*.pte")):
            apk = packaged(program, photos.subset(range(_PHOTOS)), folder)
            said = [_verdict(apk, cpu) for cpu in CPUS]
            rows.append((FAMILIES[name].name, f"`{program.stem}`", *said))
            apk.unlink()
            print(*rows[-1], sep="  ", file=sys.stderr)
    data = "the app's arm64 library by qemu, one picture"
    publish(
        options.programs / "phones.json",
        COLUMNS,
        rows,
        title=f"on emulated phones; {data}",
        data=data,
        module="studies.phones",
        arguments=arguments,
        width=110,
    )


def _verdict(apk: Path, cpu: str) -> str:
    found = run_selftest(apk, cpu=cpu)
    if not found.passed:
        return "; ".join(found.reasons)
    return f"agrees, {found.native.isa}"


def _parser() -> argparse.ArgumentParser:
    parser = study_parser("studies.phones", __doc__)
    parser.add_argument("--photos", required=True, help="KIND:PATH")
    parser.add_argument("--only", nargs="+", choices=list(FAMILIES), default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--programs", type=Path, default=OUT / "families", help="folder of studies.families")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
