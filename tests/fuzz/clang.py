"""The C code that reads programs, indexes and packed weights, by libFuzzer under ASan and UBSan."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from fuzz.outcome import Outcome, sources_key, timed
from fuzz.readers import write_program
from pocketvlad import artifact
from pocketvlad.resources import resource_dir

ROOT = Path(__file__).parents[2]
OUT = ROOT / "out/fuzz"
_SANITIZE = ("-O1", "-g", "-std=c11", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
_MEMORY = (
    "-rss_limit_mb=0",
    "-malloc_limit_mb=256",
)  # of one piece: what a process's peak says starts at its parent's


@dataclass(frozen=True)
class Target:
    """A libFuzzer target.

    Attributes:
        sources: below ``tests``.
        kernels: the folder of C that it tries.
        flags: of the compiler.
        longest: bytes of an input.
    """

    sources: tuple[str, ...]
    kernels: str
    flags: tuple[str, ...] = ()
    longest: int = 20_000

    def files(self) -> list[Path]:
        """What is compiled, headers included."""
        folder = resource_dir("kernels") / self.kernels
        inner = [path for path in sorted(folder.iterdir()) if path.suffix in (".c", ".h", ".inc")]
        return [*inner, *(ROOT / "tests" / source for source in self.sources)]


TARGETS = {
    "program": Target(("corrupt/program_fuzz.c",), "program"),
    "index": Target(("index/index_fuzz.c", "index/isa_choice.c"), "search"),
    **{
        f"lut {function}": Target(("kernels/lut_fuzz.c",), "lut", (f"-DPV_FUZZ={function}",), 700)
        for function in ("linear", "conv2d", "vlad_pool", "int8_conv2d")
    },
}


def compiled(name: str) -> Path:
    """A target under sanitizers, made once of the same sources."""
    target = TARGETS[name]
    binary = OUT / f"{name.replace(' ', '-')}-{sources_key(target.files())[:12]}"
    if not binary.exists():
        sources = [str(path) for path in target.files() if path.suffix == ".c"]
        command = ["clang", *_SANITIZE, *target.flags, f"-I{resource_dir('kernels')}", *sources, "-lm"]
        OUT.mkdir(parents=True, exist_ok=True)
        with artifact.atomic_path(binary) as out:
            subprocess.run([*command, "-o", str(out)], check=True)
        binary.chmod(0o755)
    return binary


def fuzz_c(name: str, binary: Path, seconds: int, corpus: Path, seed: int) -> Outcome:
    """libFuzzer for a while by the clock, on what lies in ``corpus``, which grows."""
    write_seeds(name, corpus)
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={TARGETS[name].longest}",
        f"-seed={seed}",
        *_MEMORY,
        "-print_final_stats=1",
        f"-artifact_prefix={OUT}/",
    ]
    with timed() as spent:
        done = subprocess.run(
            [str(binary), *limits, str(corpus)], capture_output=True, text=True, check=False
        )
    runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    words = done.stderr[-3000:] if done.returncode else ""
    return Outcome(int(runs[0]) if runs else 0, spent(), int(done.returncode != 0), words)


def write_seeds(name: str, corpus: Path) -> None:
    """Sound files that a target starts from; the kernels' are made of nothing."""
    if name == "program" and not (corpus / "sound.pte").exists():
        write_program(corpus / "sound.pte")
    elif name == "index":
        (corpus / "tiny.pvix").write_bytes((ROOT / "tests/golden/tiny.pvix").read_bytes())
