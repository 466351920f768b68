"""The same cases on arm64 under qemu and under sanitizers; and bytes nobody packed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from lut_cases import all_cases, write_cases
from pocketvlad.core import build
from pocketvlad.core.native import isa_names
from pocketvlad.resources import resource_dir

HERE = Path(__file__).parent
KERNELS = resource_dir("kernels")
SOURCES = [str(path) for path in sorted((KERNELS / "lut").glob("*.c"))]


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lut") / "cases.bin"
    write_cases(path, list(all_cases()))
    return path


def _tool(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: apt-get install {package}")
    return path


def _compile(compiler: str, flags: list[str], sources: list[str], out: Path) -> Path:
    command = [compiler, *build.C_FLAGS, *flags, f"-I{KERNELS}", *sources, "-lm", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip(f"this machine lacks {command[-1]}")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


@pytest.fixture(scope="module")
def arm64_driver(tmp_path_factory) -> Path:
    compiler = _tool("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
    out = tmp_path_factory.mktemp("arm64") / "driver"
    return _compile(compiler, ["-static"], [str(HERE / "lut_driver.c"), *SOURCES], out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "cpu,isa",
    [
        ("cortex-a53", "neon"),
        ("cortex-a53", "scalar"),
        ("cortex-a76", "neon_dotprod"),
        ("max", "neon_dotprod"),
    ],
)
def test_arm64(arm64_driver, cases, cpu, isa):
    qemu = _tool("qemu-aarch64-static", "qemu-user-static")
    _run([qemu, "-cpu", cpu, str(arm64_driver), str(cases), isa])


def test_arm64_without_dot_product_chooses_plain_neon(arm64_driver, cases):
    qemu = _tool("qemu-aarch64-static", "qemu-user-static")
    refused = subprocess.run(
        [qemu, "-cpu", "cortex-a53", str(arm64_driver), str(cases), "neon_dotprod"], check=False
    )
    assert refused.returncode == 77


@pytest.fixture(scope="module")
def sanitized_driver(tmp_path_factory) -> Path:
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    out = tmp_path_factory.mktemp("asan") / "driver"
    return _compile(_tool("gcc", "gcc"), flags, [str(HERE / "lut_driver.c"), *SOURCES], out)


@pytest.mark.parametrize("isa", isa_names())
def test_sanitizers(sanitized_driver, cases, isa):
    _run([str(sanitized_driver), str(cases), isa])


@pytest.fixture(scope="module")
def fuzz_core(tmp_path_factory) -> tuple[str, list[str]]:
    """clang and the core's objects, instrumented once for all targets."""
    compiler, folder = _tool("clang", "clang"), tmp_path_factory.mktemp("fuzz")
    probe = subprocess.run(
        [compiler, "-fsanitize=fuzzer", "-x", "c", "-", "-o", str(folder / "probe")],
        input="int LLVMFuzzerTestOneInput(const char *data, unsigned long n) { return data && n > 9; }",
        text=True,
        capture_output=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip("clang's fuzzer runtime is missing: apt-get install libclang-rt-14-dev")
    objects = []
    for source in SOURCES:
        out = folder / (Path(source).stem + ".o")
        flags = [
            "-O1",
            "-g",
            "-fsanitize=fuzzer-no-link,address,undefined",
            "-fno-sanitize-recover=all",
            "-c",
        ]
        objects.append(str(_compile(compiler, flags, [source], out)))
    return compiler, objects


# the peak a child reports starts at its parent's, so the limit is on single allocations
FUZZ_MEMORY = ("-rss_limit_mb=0", "-malloc_limit_mb=256")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["linear", "conv2d", "vlad_pool"])
def test_fuzz(fuzz_core, tmp_path, target):
    """A fixed number of inputs from a fixed seed; run the same binary without -runs to search on."""
    compiler, objects = fuzz_core
    flags = [
        "-O1",
        "-g",
        "-fsanitize=fuzzer,address,undefined",
        "-fno-sanitize-recover=all",
        f"-DPV_FUZZ={target}",
    ]
    binary = _compile(compiler, flags, [str(HERE / "lut_fuzz.c"), *objects], tmp_path / target)
    _run(
        [
            str(binary),
            "-seed=1",
            "-runs=20000",
            "-max_len=700",
            "-max_total_time=60",
            *FUZZ_MEMORY,
            f"-artifact_prefix={tmp_path}/",
        ]
    )
