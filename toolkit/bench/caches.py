"""The caches of this machine, and plain memory reads on it."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

_READ = """
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
typedef uint64_t vector __attribute__((vector_size(64), aligned(1)));
typedef struct part { const uint8_t* bytes; size_t count; uint64_t sum; } part;
static void* read_part(void* argument) {
  part* p = argument;
  vector sum[4] = {{0}};
  for (size_t i = 0; i + 256 <= p->count; i += 256)
    for (int j = 0; j < 4; j++) sum[j] ^= *(const vector*)(p->bytes + i + 64 * j);
  const vector all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
  p->sum = all[0] ^ all[1] ^ all[2] ^ all[3] ^ all[4] ^ all[5] ^ all[6] ^ all[7];
  return NULL;
}
uint64_t pv_read(const uint8_t* bytes, size_t count, int threads) {
  pthread_t other[64];
  part parts[64];
  uint64_t sum = 0;
  const size_t share = count / (size_t)threads;
  for (int t = 0; t < threads; t++) parts[t] = (part){bytes + (size_t)t * share, share, 0};
  for (int t = 1; t < threads; t++) pthread_create(&other[t], NULL, read_part, &parts[t]);
  read_part(&parts[0]);
  for (int t = 1; t < threads; t++) pthread_join(other[t], NULL);
  for (int t = 0; t < threads; t++) sum ^= parts[t].sum;
  return sum;
}
"""


def l3_bytes() -> int:
    """Bytes of the last-level cache; 32 MiB where the system does not say."""
    return _cache_bytes(3, 32 << 20)


def l2_bytes() -> int:
    """Bytes of a core's second cache; 512 KiB where the system does not say."""
    return _cache_bytes(2, 512 << 10)


@cache
def _cache_bytes(level: int, unknown: int) -> int:
    path = Path(f"/sys/devices/system/cpu/cpu0/cache/index{level}/size")
    if not path.is_file():
        return unknown
    text = path.read_text().strip()
    return int(text[:-1]) << {"K": 10, "M": 20, "G": 30}[text[-1]]


@cache
def _read_function() -> Callable[[int, int, int], int]:
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "read.c", Path(folder) / "read.so"
        source.write_text(_READ)
        flags = ("-O3", "-march=native", "-shared", "-fPIC", "-pthread")
        subprocess.run(["cc", *flags, source, "-o", library], check=True)
        function = ctypes.CDLL(str(library)).pv_read
    function.restype, function.argtypes = ctypes.c_uint64, [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def read_bytes(array: np.ndarray, threads: int = 1) -> int:
    """A plain streaming read of an array, a slice for each of at most 64 threads: what memory alone allows."""
    return _read_function()(array.ctypes.data, array.nbytes, threads)


@cache
def _large() -> np.ndarray:
    return np.ones(max(5 * l3_bytes(), 192 << 20), np.uint8)


def evict() -> None:
    """Push everything else out of the caches: stream through more than four times the last level."""
    read_bytes(_large())
