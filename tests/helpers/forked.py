"""Processes of their own that start at once: forked from one that has imported everything, good for killing."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pocketvlad.cli", "pocketvlad.pipeline.run", "pocketvlad.compress.train.trained"]
)


def start(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Run a module's function in a new process that computes on one thread."""
    process = _FORKS.Process(target=_alone, args=(target, *arguments))
    process.start()
    return process


def finish(target: Callable[..., object], *arguments: object) -> None:
    """Run a module's function in a new process; it must succeed."""
    process = start(target, *arguments)
    process.join()
    assert process.exitcode == 0


def command(arguments: list[str], stderr: str = os.devnull) -> None:
    """`pocketvlad ARGUMENTS`, in the process that this is called in; its words go to a file."""
    from pocketvlad.cli import main

    sys.argv = ["pocketvlad", *arguments]
    sys.stdout, sys.stderr = open(os.devnull, "w"), open(stderr, "w", buffering=1)  # noqa: SIM115
    main()


def _alone(target: Callable[..., object], *arguments: object) -> None:
    import torch

    torch.set_num_threads(1)
    target(*arguments)
