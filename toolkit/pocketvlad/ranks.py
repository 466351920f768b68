"""Several processes of one job, as torchrun starts them, or one process alone."""

from __future__ import annotations

import os
from datetime import timedelta

_PATIENCE = timedelta(days=2)  # shares of one job may take unlike times


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) unless torchrun started it."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        distributed.init_process_group(
            None if torch.cuda.is_available() else "gloo", timeout=_PATIENCE
        )  # None: one per kind of device
    return distributed.get_rank(), distributed.get_world_size()


def speaks() -> bool:
    """Whether this process is the first; without waiting for the others."""
    return os.environ.get("RANK", "0") == "0"


def is_first() -> bool:
    """Whether this process is the one that writes files and reports."""
    return rank_and_world()[0] == 0


def wait_for_all() -> None:
    """No process goes on before all are here."""
    if rank_and_world()[1] > 1:
        from torch import distributed

        distributed.barrier()
