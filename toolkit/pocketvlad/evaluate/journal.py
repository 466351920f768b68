"""What became of each photo, written down as it comes: memory stays flat, and a stopped job goes on at the next photo.

A journal is a folder of files, one of each process of each run: 32 bytes that say what describes, then records

    ==========  =====  ================================================================
    photo       16     hash of its path, name, box, position, size and time of change
    described   1      whether a descriptor follows, or the line that says why there is none
    row         4      bytes of the descriptor, float32, or of the line
    beside      4      bytes that follow it: what goes with the photo
    checksum    4      CRC-32 of what stands before it and of what follows
    ==========  =====  ================================================================

then row and beside. A record that a killed process wrote in part, or that was damaged, ends its file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from pocketvlad import ranks
from pocketvlad.artifact import write_error
from pocketvlad.dataset.types import Photo
from pocketvlad.locks import exclusive

_HEAD = struct.Struct("<16s?II")
_CHECKSUM = struct.Struct("<I")
_FRONT = _HEAD.size + _CHECKSUM.size
_SUFFIX = ".photos"
_NONE, _UNREADABLE = -1, -2  # of a photo's place in the journal


@contextmanager
def kept_folder(folder: Path) -> Iterator[Path]:
    """A folder of journals while the block lasts, no other job's; it goes when the block ends well.

    Under torchrun every process calls this.

    Raises:
        ArtifactError: another job is at work there, or it cannot be used.
    """
    with ExitStack() as stack:
        if ranks.is_first():
            stack.enter_context(exclusive(folder))
        ranks.wait_for_all()
        yield folder
        ranks.wait_for_all()
        if ranks.is_first():
            shutil.rmtree(folder, ignore_errors=True)


class Journal:
    """The records of a dataset's photos.

    Args:
        folder: of the journal; None: a file that goes with this object.
        describes: what makes the descriptors; records of anything else are removed.
        photos: n of them; a photo that has changed since is another one.
    """

    def __init__(self, folder: Path | None, describes: bytes, photos: Sequence[Photo]):
        self.folder, self._head = folder, hashlib.sha256(describes).digest()
        self._keys = [_key(photo) for photo in photos]
        self._files: list[BinaryIO] = []
        self._file = np.full(len(photos), _NONE, np.int32)
        self._at = np.zeros(len(photos), np.int64)
        self._mine: BinaryIO | None = None

    def __enter__(self) -> Journal:
        if self.folder is not None:
            self._remove_others()
            self.read()
            ranks.wait_for_all()  # none writes before all have read
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()

    def missing(self) -> list[int]:
        """Photos without a descriptor, in their order: those that could not be read are tried again."""
        return np.flatnonzero(self._file < 0).tolist()

    def described(self) -> list[int]:
        """Photos with a descriptor, in their order."""
        return np.flatnonzero(self._file >= 0).tolist()

    def add(self, photo: int, row: np.ndarray | str, beside: bytes = b"") -> None:
        """Write down a photo's descriptor float32 [dim], or the line that says why there is none.

        Raises:
            ArtifactError: the disk refuses it.
        """
        described = not isinstance(row, str)
        data = (
            row.encode("utf-8", "surrogateescape")
            if isinstance(row, str)
            else row.astype(np.float32).tobytes()
        )
        head = _HEAD.pack(self._keys[photo], described, len(data), len(beside))
        record = head + _CHECKSUM.pack(zlib.crc32(beside, zlib.crc32(data, zlib.crc32(head))))
        try:
            file = self._own()
            at = _append(file, record + data + beside)
        except OSError as error:
            raise write_error(self.folder or Path(tempfile.gettempdir()), error) from error
        self._note(photo, self._files.index(file), at, described)

    def finish(self) -> None:
        """After the last photo: what every process has written is known to all."""
        if self.folder is not None and ranks.rank_and_world()[1] > 1:
            ranks.wait_for_all()
            self.read()

    def row(self, photo: int) -> np.ndarray:
        """Descriptor float32 [dim]."""
        return np.frombuffer(self._record(photo)[0], np.float32)

    def beside(self, photo: int) -> bytes:
        """What goes with a described photo."""
        return self._record(photo)[1]

    def line(self, photo: int) -> str:
        """Why a photo has no descriptor."""
        return self._record(photo)[0].decode("utf-8", "surrogateescape")

    def _record(self, photo: int) -> tuple[bytes, bytes]:
        number = int(self._file[photo])
        handle = self._files[number if number >= 0 else _UNREADABLE - number].fileno()
        at = int(self._at[photo])
        _, _, size, more = _HEAD.unpack(os.pread(handle, _HEAD.size, at))
        data = os.pread(handle, size + more, at + _FRONT)
        return data[:size], data[size:]

    def _note(self, photo: int, file: int, at: int, described: bool) -> None:
        """A descriptor stays; of lines the last one."""
        if described or self._file[photo] < 0:
            self._file[photo], self._at[photo] = file if described else _UNREADABLE - file, at

    def _own(self) -> BinaryIO:
        if self._mine is None:
            mine: BinaryIO
            if self.folder is None:
                mine = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            else:
                handle, _ = tempfile.mkstemp(_SUFFIX, f"{ranks.rank_and_world()[0]}-", self.folder)
                mine = open(handle, "r+b", buffering=0)  # noqa: SIM115  closed with the journal
            self._files.append(mine)
            _write_all(mine, self._head)
            self._mine = mine
        return self._mine

    def _remove_others(self) -> None:
        """Records of another model go; so do the folder's others, once."""
        if ranks.is_first():
            for path in self._paths():
                with path.open("rb") as file:
                    known = file.read(len(self._head)) == self._head
                if not known:
                    path.unlink()
        ranks.wait_for_all()

    def _paths(self) -> list[Path]:
        assert self.folder is not None
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def read(self) -> None:
        """All files of the folder that are not read yet."""
        numbers = {key: number for number, key in enumerate(self._keys)}
        read = {os.fstat(file.fileno()).st_ino for file in self._files}
        for path in self._paths():
            if path.stat().st_ino not in read:
                self._files.append(path.open("rb", buffering=1 << 20))
                self._read(self._files[-1], len(self._files) - 1, numbers)

    def _read(self, file: BinaryIO, number: int, numbers: dict[bytes, int]) -> None:
        end = os.fstat(file.fileno()).st_size
        at = file.seek(len(self._head))
        while len(front := file.read(_FRONT)) == _FRONT:
            key, described, size, more = _HEAD.unpack_from(front)
            head, checksum = front[: _HEAD.size], _CHECKSUM.unpack_from(front, _HEAD.size)[0]
            if at + _FRONT + size + more > end:
                return
            data = file.read(size + more)
            if zlib.crc32(data, zlib.crc32(head)) != checksum:
                return
            if key in numbers:
                self._note(numbers[key], number, at, described)
            at += _FRONT + size + more


def _append(file: BinaryIO, record: bytes) -> int:
    """Write a record behind the others, or nothing of it; where it begins."""
    at = file.seek(0, os.SEEK_END)
    try:
        _write_all(file, record)
    except OSError:
        file.truncate(at)
        raise
    return at


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write to a file without a buffer, whose ``write`` may take less than it is given; raises OSError for the rest."""
    left = memoryview(data)
    while left:
        written = file.write(left)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[written:]


def _key(photo: Photo) -> bytes:
    """A photo is another one where its file is, or anything that decides what is written down of it."""
    try:
        about = photo.path.stat()
        seen = about.st_size, about.st_mtime_ns
    except OSError:
        seen = 0, 0
    position = photo.latitude, photo.longitude
    said = f"{photo.path}\0{photo.name}\0{photo.box}\0{position}\0{seen}"
    return hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).digest()
