"""Several processes of one job, as torchrun starts them, or one process alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pocketvlad.errors import PocketvladError

_SAYS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # of torchrun; others set some of them
_PATIENCE = timedelta(days=2)  # shares of one job may take unlike times


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) unless torchrun started it.

    Raises:
        PocketvladError: the others cannot be reached.
    """
    if not _one_of_several():
        return 0, 1
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        with _others_reached():
            distributed.init_process_group(
                None if torch.cuda.is_available() else "gloo", timeout=_PATIENCE
            )  # None: one per kind of device
    return distributed.get_rank(), distributed.get_world_size()


def speaks() -> bool:
    """Whether this process is the first; without waiting for the others."""
    return not _one_of_several() or os.environ["RANK"] == "0"


def is_first() -> bool:
    """Whether this process is the one that writes files and reports."""
    return rank_and_world()[0] == 0


def wait_for_all() -> None:
    """No process goes on before all are here.

    Raises:
        PocketvladError: one of them has ended.
    """
    if rank_and_world()[1] > 1:
        from torch import distributed

        with _others_reached():
            distributed.barrier()


def _one_of_several() -> bool:
    return all(name in os.environ for name in _SAYS)


@contextmanager
def _others_reached() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:
        raise PocketvladError(
            "the other processes of this job cannot be reached",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            do=f"start them all by torchrun; alone, unset {_SAYS[1]}",
        ) from error
