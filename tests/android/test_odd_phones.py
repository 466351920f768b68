"""Phones whose kernel says less than their processor can: the APK's own library, with what it is told replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketvlad.android import emulate
from pocketvlad.android.zig import find_zig
from test_emulate import needs_qemu, needs_x86

# What a kernel of 2018 tells of its processor: no dot product among the features, in the file or the vector.
OLD_KERNEL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>
int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  int (*real)(const char*, int, ...) = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
  return real(strcmp(path, "/proc/cpuinfo") ? path : CPUINFO, flags, mode);
}
unsigned long getauxval(unsigned long type) {
  unsigned long (*real)(unsigned long) = (unsigned long (*)(unsigned long))dlsym(RTLD_NEXT, "getauxval");
  return type == AT_HWCAP ? real(type) & ~(1ul << 20) : real(type);
}
"""
CORE = """processor\t: {number}
BogoMIPS\t: 38.40
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: {part}
CPU revision\t: 0

"""
# cpuinfo could not start: the runtime has no threads for the app's own code (its own operators want them all the same)
NO_THREADS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
void* _ZN10executorch9extension10threadpool14get_threadpoolEv(void) {
  Dl_info caller;
  if (dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "libpocketvlad.so")) return 0;
  void* runtime = dlopen("libexecutorch_jni.so", RTLD_NOW | RTLD_NOLOAD);
  return ((void* (*)(void))dlsym(runtime, "_ZN10executorch9extension10threadpool14get_threadpoolEv"))();
}
"""


def preload(folder: Path, target: str, source: str, *options: str) -> str:
    (folder / "odd.c").write_text(source)
    library = folder / "odd.so"
    arguments = ["-shared", "-fPIC", "-O1", *options, str(folder / "odd.c"), "-o", str(library)]
    find_zig().run("cc", "-target", target, *arguments)
    return str(library)


@needs_qemu
@pytest.mark.parametrize(("part", "isa"), [("0xd0b", "neon_dotprod"), ("0xd03", "neon")], ids=["A76", "A53"])
def test_an_old_kernel_hides_no_dot_product(package, tmp_path, monkeypatch, part, isa):
    """The runtime's list of cores knows that a Cortex-A76 has it, whatever its kernel says; a Cortex-A53 has none."""
    (tmp_path / "cpuinfo").write_text("".join(CORE.format(number=n, part=part) for n in range(8)))
    path = f'-DCPUINFO="{tmp_path / "cpuinfo"}"'
    monkeypatch.setenv("LD_PRELOAD", preload(tmp_path, "aarch64-linux-gnu.2.31", OLD_KERNEL, path, "-ldl"))
    result = emulate.run_selftest(package.apk, cpu="cortex-a76")
    assert result.passed and result.native.isa == isa


@needs_x86
def test_a_phone_whose_threads_do_not_start(package, tmp_path, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", preload(tmp_path, "x86_64-linux-gnu.2.31", NO_THREADS, "-ldl"))
    result = emulate.run_selftest(package.apk, abi="x86_64")
    assert result.passed and result.native.threads == 1
