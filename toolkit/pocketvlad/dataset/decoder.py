"""Photos decoded in processes of their own: side by side, and none that ends or stops its decoder ends the work.

``python -m pocketvlad.dataset.decoder`` is such a process. It reads pickled requests of its parent; its answers are
bytes alone, for what read a hostile photo is not to be trusted.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from pocketvlad.dataset.region import load_region
from pocketvlad.dataset.types import Photo
from pocketvlad.errors import DatasetError, PhotoError
from pocketvlad.model.preprocess import Preprocess, photo_tensor

FEW = 64  # photos under which processes of their own are not worth their start
SECONDS = 120  # for one photo
_READY = b"ready"
_WAITING = 2  # photos begun for each process
_HEAD = struct.Struct("<?II")  # whether it is a photo, bytes of tensor or words, bytes beside it


@dataclass(frozen=True)
class Wish:
    """What is wanted of each photo.

    Attributes:
        preprocess: from a photo to its input.
        beside: bytes about the photo that go with it, made where it is decoded; a function of a module, or None.
    """

    preprocess: Preprocess
    beside: Callable[[Photo], bytes] | None = None


@dataclass(frozen=True, eq=False)
class Decoded:
    """A photo's input float32 [3, H, W], or the line that says why there is none; and the bytes beside it."""

    photo: Photo
    tensor: np.ndarray | str
    beside: bytes = b""


def decode(photo: Photo, wish: Wish) -> Decoded:
    """In this process."""
    try:
        source = photo.path if photo.box is None else load_region(photo)
        tensor = photo_tensor(source, wish.preprocess)
        return Decoded(photo, tensor, wish.beside(photo) if wish.beside else b"")
    except PhotoError as error:
        return Decoded(photo, str(error))


def decoded(
    photos: Iterable[Photo], count: int, wish: Wish, processes: int | None = None
) -> Generator[Decoded, None, None]:
    """The photos in their order; ``count`` of them, where there are many decoded by ``processes``."""
    processes = min(os.cpu_count() or 1, 8) if processes is None else processes
    if count < FEW or processes < 1:
        yield from (decode(photo, wish) for photo in photos)
        return
    workers, mine = [_Worker(wish) for _ in range(processes)], threading.local()
    free = deque(workers)

    def ask(photo: Photo) -> Decoded:
        if not hasattr(mine, "worker"):
            mine.worker = free.popleft()
        return mine.worker.decode(photo)

    begun: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(processes)
    try:
        for photo in photos:
            begun.append(pool.submit(ask, photo))
            if len(begun) >= _WAITING * processes:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for worker in workers:
            worker.end()
        pool.shutdown(cancel_futures=True)


class _Worker:
    """A process that decodes one photo after the other; another one takes its place when it ends."""

    def __init__(self, wish: Wish):
        self._wish, self._ended = wish, False
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, photo: Photo) -> Decoded:
        process = self._process = self._process or self._started()
        late = threading.Timer(SECONDS, process.kill)
        late.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            pickle.dump(photo, process.stdin)
            process.stdin.flush()
            return self._answer(photo, process.stdout)
        except (OSError, EOFError):
            if self._ended:
                return Decoded(photo, "stopped")
            self._process, number = None, process.wait()
            how = f"signal {-number}" if number < 0 else f"exit status {number}"
            why = f"more than {SECONDS} seconds" if late.finished.is_set() else how
            return Decoded(photo, str(PhotoError(f"photo {photo.path} ends its decoder", found=why)))
        finally:
            late.cancel()

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join([str(Path(__file__).parents[2]), *_absolute(os.environ.get("PYTHONPATH", ""))])
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pocketvlad.dataset.decoder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            pickle.dump(self._wish, process.stdin)
            process.stdin.flush()
        if process.stdout.read(len(_READY)) != _READY:
            raise DatasetError(
                "the process that decodes photos does not start",
                found=f"exit status {process.wait()}",
                do=f"see what {sys.executable} -m pocketvlad.dataset.decoder says",
            )
        return process

    def _answer(self, photo: Photo, source: IO[bytes]) -> Decoded:
        sound, size, more = _HEAD.unpack(_exactly(source, _HEAD.size))
        data, beside = _exactly(source, size), bytes(_exactly(source, more))
        if not sound:
            return Decoded(photo, data.decode("utf-8", "replace"))
        side = self._wish.preprocess
        return Decoded(photo, np.frombuffer(data, np.float32).reshape(3, side.height, side.width), beside)

    def end(self) -> None:
        self._ended = True
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


def _absolute(path: str) -> list[str]:
    """Folders of a search path but for those that depend on where a command runs: no code is taken from there."""
    return [folder for folder in path.split(os.pathsep) if os.path.isabs(folder)]


def _exactly(source: IO[bytes], size: int) -> bytearray:
    found = bytearray(size)
    if source.readinto(found) != size:  # type: ignore[attr-defined]
        raise EOFError
    return found


def main() -> None:
    """Answer until there are no more requests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    source, out = sys.stdin.buffer, sys.stdout.buffer
    wish: Wish = pickle.load(source)
    with contextlib.suppress(EOFError, BrokenPipeError):
        out.write(_READY)
        out.flush()
        while True:
            answer = decode(pickle.load(source), wish)
            found = answer.tensor
            data = found.encode("utf-8", "replace") if isinstance(found, str) else found.tobytes()
            out.write(
                _HEAD.pack(not isinstance(found, str), len(data), len(answer.beside)) + data + answer.beside
            )
            out.flush()


if __name__ == "__main__":
    from pocketvlad.dataset import decoder  # whose classes the parent pickles

    decoder.main()
