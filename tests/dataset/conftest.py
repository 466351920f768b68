"""Small photos on disk."""

import pytest

from helpers.photos import write_photo


@pytest.fixture
def photo():
    """Writes a tiny photo with its folders, returns its path."""
    return write_photo
