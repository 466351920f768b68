"""Child process: opens and runs programs one by one, so that a signal of the runtime ends it and not the tests.

Arguments: paths. Prints a line when each is done: its path, and what became of it.
"""

from __future__ import annotations

import sys

import numpy as np

from pocketvlad.errors import PocketvladError
from pocketvlad.runtime.runner import ProgramRunner


def outcome(path: str) -> str:
    """``ran``, or the error's name."""
    try:
        runner = ProgramRunner(path, threads=1)
        size = runner.preprocess
        runner.describe_tensor(np.zeros((3, size.height, size.width), np.float32))
    except PocketvladError as error:
        return type(error).__name__
    except (RuntimeError, ValueError, MemoryError) as error:  # the runtime's
        return f"refused by the runtime: {str(error).splitlines()[0]}"
    return "ran"


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(f"{each}\t{outcome(each)}", flush=True)
