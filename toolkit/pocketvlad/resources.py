"""Where the files beside the Python package are, in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

from pocketvlad.errors import ArtifactError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = {
    "kernels": _PACKAGE.parent / "kernels",
    "android_demo": _PACKAGE.parent.parent / "android_demo",
    "calibration": _PACKAGE.parent.parent / "calibration",
}


def resource_dir(name: str) -> Path:
    """The folder ``kernels``, ``android_demo`` or ``calibration``.

    Raises:
        ArtifactError: the installation lacks that folder.
    """
    for folder in (_CHECKOUT[name], _PACKAGE / "_data" / name):
        if folder.is_dir():
            return folder
    raise ArtifactError(f"pocketvlad's own folder {name!r} is missing", do="reinstall pocketvlad")
