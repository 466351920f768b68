"""The golden index on arm64 (under qemu) and under sanitizers; bytes that a fuzzer makes up."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest

import index_golden as golden
from helpers.machines import ARM64, SANITIZERS, arm64, arm64_compiler, tool
from pocketvlad.core import build
from pocketvlad.core.native import isa_names
from pocketvlad.index import PlaceIndex, write_index
from pocketvlad.index.types import encode_vectors
from pocketvlad.resources import resource_dir

HERE = Path(__file__).parent
KERNELS = resource_dir("kernels")


def _compile(compiler: str, flags: list[str], main: str, out: Path) -> Path:
    """The search and the choice of the instruction set, without the lookup kernels."""
    sources = [str(path) for path in sorted((KERNELS / "search").glob("*.c"))]
    command = [
        compiler,
        *build.C_FLAGS,
        *flags,
        f"-I{KERNELS}",
        str(HERE / main),
        str(HERE / "isa_choice.c"),
        *sources,
        "-lm",
    ]
    done = subprocess.run([*command, "-o", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


def _assert_golden(command: list[str], isa: str) -> None:
    """The driver prints what the golden JSON says, for this instruction set."""
    arguments = [str(golden.INDEX), str(golden.QUERIES), str(golden.TOP), isa]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip(f"this machine lacks {isa}")
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    wanted = json.loads(golden.EXPECTED.read_text())
    lines: dict[str, list[list[str]]] = {}
    for line in done.stdout.splitlines():
        kind, *fields = line.split("\t")
        lines.setdefault(kind, []).append(fields)
    assert float(lines["threshold"][0][0]) == wanted["threshold"]
    assert json.loads(lines["info"][0][0]) == wanted["info"]
    assert lines["fingerprint"] == [[wanted["fingerprint"]]]
    for found, record in zip(lines["record"], wanted["records"], strict=True):
        numbers = [None if math.isnan(float(value)) else float(value) for value in found[2:4]]
        assert [*found[:2], *numbers, found[4]] == record
    top = golden.TOP
    rows = [int(row) for _, row, _ in lines["match"]]
    cosines = [float(cosine) for _, _, cosine in lines["match"]]
    assert [rows[i : i + top] for i in range(0, len(rows), top)] == wanted["rows"]
    assert cosines == pytest.approx([cosine for row in wanted["cosines"] for cosine in row], abs=2e-6)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory) -> Path:
    return _compile(
        tool("gcc", "gcc"), SANITIZERS, "index_driver.c", tmp_path_factory.mktemp("asan") / "driver"
    )


@pytest.mark.parametrize("isa", isa_names())
def test_golden_index_under_sanitizers(sanitized, isa):
    _assert_golden([str(sanitized)], isa)


@pytest.fixture(scope="module")
def arm64_driver(tmp_path_factory) -> Path:
    compiler = arm64_compiler()
    return _compile(compiler, ["-static"], "index_driver.c", tmp_path_factory.mktemp("arm64") / "driver")


@pytest.mark.parametrize(("cpu", "isa"), ARM64)
def test_golden_index_on_arm64(arm64_driver, cpu, isa):
    _assert_golden([*arm64(cpu), str(arm64_driver)], isa)


def test_broken_index_on_arm64(arm64_driver, tmp_path):
    (tmp_path / "cut.pvix").write_bytes(golden.INDEX.read_bytes()[:-1])
    command = [*arm64("max"), str(arm64_driver), str(tmp_path / "cut.pvix"), "-", "1", "neon"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (
        2,
        "rule\t2: the header says 136 header bytes and the file's own length\n",
    )


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory) -> Path:
    compiler, folder = tool("clang", "clang"), tmp_path_factory.mktemp("fuzz")
    probe = (
        "#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char* d, size_t n) { return d && n > 99; }\n"
    )
    command = [compiler, "-fsanitize=fuzzer", "-x", "c", "-", "-o", str(folder / "probe")]
    if subprocess.run(command, input=probe, text=True, capture_output=True, check=False).returncode:
        pytest.skip("clang's fuzzer runtime is missing: apt-get install libclang-rt-14-dev")
    flags = ["-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    return _compile(compiler, flags, "index_fuzz.c", folder / "index")


def test_fuzz(fuzzer, tmp_path):
    """A fixed number of inputs from a fixed seed, starting at sound files; without -runs it searches on."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("int8", "float16", "float32"):
        stored = encode_vectors(golden.tiny_index().descriptors()[:3], name)
        write_index(corpus / name, PlaceIndex(*stored, golden.tiny_index().entries[:3], bytes(32)))
    limits = [
        "-seed=1",
        "-runs=100000",
        "-max_len=2000",
        "-max_total_time=40",
        "-rss_limit_mb=0",  # the peak a child reports starts at its parent's
        "-malloc_limit_mb=256",
        f"-artifact_prefix={tmp_path}/",
    ]
    done = subprocess.run([str(fuzzer), *limits, str(corpus)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
