"""Computing whose bits do not depend on how many cores there are.

Libraries share a sum out among their threads, in as many parts as there are threads: its last bits change with their
number, and with them what a convolution, an eigenvector or a k-means gives. Here every sum is one thread's; several
threads work on several things, each on its own.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
MOST_THREADS = 256  # that may be asked for: each one is started, needed or not
_WAITING = 2  # things begun for each thread: bounds what is in memory
# threads there are, inside of one_thread; else 0
_allowed: ContextVar[int] = ContextVar("allowed", default=0)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch, BLAS and OpenMP compute on the calling thread alone; also a decorator.

    As many threads as torch had before (OMP_NUM_THREADS) may work in :func:`in_order`. Where torch is not loaded,
    as where programs alone are run, nothing is changed.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    token = _allowed.set(_allowed.get() or before)
    try:
        with threadpool_limits(1):
            torch.set_num_threads(1)
            yield
    finally:
        torch.set_num_threads(before)
        _allowed.reset(token)


def in_order(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """``work`` of each item in their order, as many at a time as threads are allowed, each on one thread.

    For use inside of :func:`one_thread`. The items are taken on the calling thread; gradients are as it has them.
    """
    if not _allowed.get():
        raise RuntimeError("in_order outside of one_thread")
    import torch

    if _allowed.get() == 1:
        yield from map(work, items)
        return
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def alone(item: Item) -> Made:
        with torch.inference_mode(modes[1]), torch.set_grad_enabled(modes[0]):
            return work(item)

    begun: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(_allowed.get(), initializer=torch.set_num_threads, initargs=(1,))
    try:
        for item in items:
            begun.append(pool.submit(alone, item))
            if len(begun) >= _WAITING * _allowed.get():
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
