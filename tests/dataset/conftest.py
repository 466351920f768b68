"""Small photos on disk."""

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def photo():
    """Writes a tiny photo with its folders, returns its path."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), "teal").save(path)
        return path

    return write
