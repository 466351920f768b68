"""What holds for tests of the app."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketvlad.android import template
from pocketvlad.errors import MissingToolError


@pytest.fixture(scope="session")
def aapt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Android's own tool for manifests and resources."""
    try:
        return Path(template.aapt2(tmp_path_factory.mktemp("aapt2")))
    except MissingToolError as error:
        pytest.skip(str(error))
