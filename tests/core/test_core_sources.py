"""The sources of the C core, read by compilers as every build reads them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pocketvlad.core.build import C_FLAGS, core_sources


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_source_draws_a_warning(compiler):
    """C takes a function that nothing declares with a warning alone, and cuts what it returns to an int."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, *C_FLAGS, "-Werror", "-fsyntax-only", *map(str, core_sources())]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
