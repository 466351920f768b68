"""The same cases on arm64 under qemu and under sanitizers; and bytes nobody packed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import attention_cases
import int8_cases
import lut_cases
from helpers.machines import ARM64, SANITIZERS, arm64, arm64_compiler, tool
from pocketvlad.core import build
from pocketvlad.core.native import isa_names
from pocketvlad.resources import resource_dir

HERE = Path(__file__).parent
KERNELS = resource_dir("kernels")
SOURCES = [str(path) for path in sorted((KERNELS / "lut").glob("*.c"))]


@pytest.fixture(scope="module", params=["lut", "int8", "attention"])
def driven(request, tmp_path_factory) -> tuple[str, Path]:
    """A driver's name and the file of its cases."""
    path = tmp_path_factory.mktemp("cases") / f"{request.param}.bin"
    module = {"lut": lut_cases, "int8": int8_cases, "attention": attention_cases}[request.param]
    module.write_cases(path, list(module.all_cases()))
    return f"{request.param}_driver", path


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


def _core(compiler: str, flags: list[str], folder: Path) -> list[str]:
    """The core's objects, which the drivers share."""
    objects = [folder / f"{Path(source).stem}.o" for source in SOURCES]
    for source, out in zip(SOURCES, objects, strict=True):
        _compile(compiler, [*flags, "-c"], [source], out)
    return [str(out) for out in objects]


@pytest.fixture(scope="module")
def arm64_core(tmp_path_factory) -> tuple[str, list[str]]:
    compiler = arm64_compiler()
    return compiler, _core(compiler, [], tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="module")
def arm64_driver(tmp_path_factory, arm64_core, driven) -> Path:
    compiler, objects = arm64_core
    out = tmp_path_factory.mktemp("arm64") / "driver"
    return _compile(compiler, ["-static"], [str(HERE / f"{driven[0]}.c"), *objects], out)


@pytest.mark.slow
@pytest.mark.parametrize(("cpu", "isa"), ARM64)
def test_arm64(arm64_driver, driven, cpu, isa):
    _run([*arm64(cpu), str(arm64_driver), str(driven[1]), isa])


def test_arm64_without_dot_product_chooses_plain_neon(arm64_driver, driven):
    refused = subprocess.run(
        [*arm64("cortex-a53"), str(arm64_driver), str(driven[1]), "neon_dotprod"], check=False
    )
    assert refused.returncode == 77


@pytest.fixture(scope="module")
def sanitized_core(tmp_path_factory) -> list[str]:
    return _core(tool("gcc", "gcc"), SANITIZERS, tmp_path_factory.mktemp("asan"))


@pytest.fixture(scope="module")
def sanitized_driver(tmp_path_factory, sanitized_core, driven) -> Path:
    out = tmp_path_factory.mktemp("asan") / "driver"
    return _compile(tool("gcc", "gcc"), SANITIZERS, [str(HERE / f"{driven[0]}.c"), *sanitized_core], out)


@pytest.mark.parametrize("isa", isa_names())
def test_sanitizers(sanitized_driver, driven, isa):
    _run([str(sanitized_driver), str(driven[1]), isa])


@pytest.fixture(scope="module")
def fuzz_core(tmp_path_factory) -> tuple[str, list[str]]:
    """clang and the core's objects, instrumented once for all targets."""
    compiler, folder = tool("clang", "clang"), tmp_path_factory.mktemp("fuzz")
    probe = subprocess.run(
        [compiler, "-fsanitize=fuzzer", "-x", "c", "-", "-o", str(folder / "probe")],
        input="int LLVMFuzzerTestOneInput(const char *data, unsigned long n) { return data && n > 9; }",
        text=True,
        capture_output=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip("clang's fuzzer runtime is missing: apt-get install libclang-rt-14-dev")
    flags = ["-O1", "-g", "-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize-recover=all"]
    return compiler, _core(compiler, flags, folder)


# the peak a child reports starts at its parent's, so the limit is on single allocations
FUZZ_MEMORY = ("-rss_limit_mb=0", "-malloc_limit_mb=256")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["linear", "conv2d", "vlad_pool", "int8_conv2d"])
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
