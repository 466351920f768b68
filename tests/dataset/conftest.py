"""Small photos on disk, and the writers of .mat files that the importer's tests have."""

import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "importer"))  # for matfiles


@pytest.fixture
def photo():
    """Writes a tiny photo with its folders, returns its path."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), "teal").save(path)
        return path

    return write
