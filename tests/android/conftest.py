"""One small but real APK, made once."""

from __future__ import annotations

import pytest

from helpers.packages import Package, make_package, small_model, write_photos
from pocketvlad.compress.recipe import LayerRecipe


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    write_photos(folder / "photos")
    return make_package(folder, small_model(), LayerRecipe(bits=5, sparsity=0.3, layout="sparse"))
