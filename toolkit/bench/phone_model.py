"""Cycles per 1,000 weights of the GEMV loops on phone cores, after llvm-mca: a model, not a measurement.

Ours are the loops that the app's compiler makes of ``kernels/lut/neon*.c``; XNNPACK's are read out of the prebuilt
Android runtime that goes into the app. The model knows a core's execution units and latencies, and takes every
load for a hit of the first cache: what memory allows, and how well rows and columns divide, it does not see.

Two int4 and two int8 kernels of XNNPACK are there. On a core with the dot product and without the int8 matrix
product (Cortex-A55, A76, X1) it runs KleidiAI's, which the runtime exports by name
(``init_qp8_f32_qc4w_gemm_config`` in its ``src/configs/gemm-config.c``); builds without KleidiAI run XNNPACK's own
(``init_qd8_f32_qc4w_gemm_config``). Those have no symbols and are found by the shape of their inner loop, compared
with ``src/qd8-f32-qc4w-gemm/gen/*-1x16c4-minmax-neondot.c`` and so on: 8 steps of 16 rows are 8 ``sdot``, and 4 bits
need a shift and a mask per 32 weights. Kernels of other outputs (float16, per block) share these loops; of all that
match, the fastest counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.asked import Asked
from bench.assembly import Loop, Tools, find_tools
from bench.rows import Comparison
from pocketvlad.android import native, runtime
from pocketvlad.android.zig import find_zig
from pocketvlad.errors import PocketvladError
from pocketvlad.resources import resource_dir

UNIT = "cycles per 1000 weights"
_ABI = "arm64-v8a"


@dataclass(frozen=True)
class Isa:
    """One of our NEON kernel sets: its source, the cores that run it, and the instruction it has per 16 products."""

    name: str
    source: str
    attribute: str
    cores: tuple[str, ...]
    product: str


DOTPROD = Isa("dot product", "neon_dotprod", "dotprod", ("cortex-a55", "cortex-a76", "cortex-x1"), "sdot")
PLAIN = Isa("plain NEON", "neon", "neon", ("cortex-a53", "cortex-a72"), "sadalp")


@dataclass(frozen=True)
class Peer:
    """A kernel of XNNPACK for one row of activations: ``weights`` in an iteration, by its symbol or its shape."""

    name: str
    isa: Isa
    bits: int
    weights: int
    symbol: str = ""
    shape: dict[str, int] = field(default_factory=dict, hash=False)
    cores: tuple[str, ...] = ()


_KAI = "kai_run_matmul_clamp_f32_qai8dxp1x4_{}_1x4_neon_dotprod"
PEERS = [
    Peer("XNNPACK int4 (KleidiAI)", DOTPROD, 4, 128, _KAI.format("qsi4cxp4x4")),
    Peer("XNNPACK int4 (its own)", DOTPROD, 4, 128, shape={"sdot": 8, "shl": 4, "and": 4, "ldp": 2}),
    Peer("XNNPACK int8 (KleidiAI)", DOTPROD, 8, 128, _KAI.format("qsi8cxp4x4")),
    Peer("XNNPACK int8 (its own)", DOTPROD, 8, 128, shape={"sdot": 8, "shl": 0, "ldp": 4, "ldr": 1}),
    Peer("XNNPACK int4", PLAIN, 4, 128, shape={"smlal": 16, "smlal2": 16, "sshll": 17, "shl": 8, "and": 8}),
    Peer(
        "XNNPACK int8",
        PLAIN,
        8,
        128,
        cores=("cortex-a53",),
        shape={"smlal2": 16, "sshll": 17, "shl": 0, "prfm": 2},
    ),
    Peer(
        "XNNPACK int8",
        PLAIN,
        8,
        128,
        cores=("cortex-a72",),
        shape={"smull": 8, "sadalp": 8, "ldp": 9, "ext": 6},
    ),
]


@dataclass(frozen=True)
class Ours:
    """A GEMV of ``bits``-bit codes (``grid``: 8 bits are the weights), or a tile of a 1:``block`` layer."""

    name: str
    bits: int
    peer_bits: int
    block: int = 0

    def probe(self, symbol: str) -> str:
        """C: a function whose hot loop is this kernel's, every constant known as in the dispatch of neon.inc."""
        if self.block:
            call = f"tile_bits(t, {self.bits}, {4 * self.block}, sums);"
            return f"void {symbol}(const pv_tile* t, int32_t* sums) {{ {call} }}\n"
        bits = "NEON_GRID" if self.bits == 8 else self.bits
        return f"void {symbol}(pv_dot d, int32_t* sums) {{ d.batch = 1; gemv_bits(&d, {bits}, sums); }}\n"

    def weights(self, products: int) -> int:
        """Weights of the layer behind an iteration with ``products`` products of 16 codes."""
        return 16 * products * max(self.block, 1)


OURS = [
    Ours("8-bit", 8, 8),
    Ours("5-bit", 5, 8),
    Ours("4-bit", 4, 4),
    Ours("3-bit", 3, 4),
    Ours("2-bit", 2, 4),
    Ours("ternary, 1:16", 5, 4, block=16),
    Ours("ternary, 1:8", 4, 4, block=8),
]
GOALS = {("4-bit", "cortex-a76"): 1.0}


def run(asked: Asked) -> list[Comparison]:
    """A row for each kernel, peer, core and installed LLVM; none without llvm-mca."""
    tools = find_tools()
    if not tools:
        asked.say(
            "phone model skipped: llvm-mca and llvm-objdump are missing (apt-get install llvm-19, or llvm)"
        )
        return []
    try:
        asked.say("phone model: reading XNNPACK's loops out of the Android runtime")
        theirs = _peer_loops(tools[0])
        ours = _our_loops(tools[0])
    except PocketvladError as error:
        asked.say(f"phone model skipped: {error}")
        return []
    return [row for tool in tools for row in _rows(tool, ours, theirs)]


def _rows(
    tools: Tools, ours: dict[tuple[Isa, Ours], Loop], theirs: dict[Peer, list[Loop]]
) -> Iterator[Comparison]:
    for (isa, kernel), loop in ours.items():
        weights = kernel.weights(loop.counts[isa.product])
        for core in isa.cores:
            cycles = 1000 * tools.cycles(loop, core) / weights
            for peer, found in theirs.items():
                if (
                    peer.isa is not isa
                    or peer.bits != kernel.peer_bits
                    or core not in (peer.cores or isa.cores)
                ):
                    continue
                best = 1000 * min(tools.cycles(one, core) for one in found) / peer.weights
                model = f"model of {core} ({tools.tables(core)} of LLVM {tools.version})"
                name = f"{model}: GEMV, {isa.name}, {kernel.name}"
                goal = GOALS.get((kernel.name, core))
                yield Comparison(name, cycles, peer.name, best, best / cycles, goal, 1, unit=UNIT)


def _our_loops(tools: Tools) -> dict[tuple[Isa, Ours], Loop]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for isa in (DOTPROD, PLAIN):
            probes = [kernel.probe(f"probe{number}") for number, kernel in enumerate(OURS)]
            compiled = compiled_probes(Path(folder), isa.source, isa.attribute, probes)
            for number, kernel in enumerate(OURS):
                found[isa, kernel] = busiest(tools.loops(compiled, f"probe{number}"), isa.product)
    return found


def compiled_probes(folder: Path, source: str, attribute: str, probes: Sequence[str]) -> Path:
    """The object that the app's compiler makes of one of our NEON files with more functions behind it."""
    zig, kernels = find_zig(), resource_dir("kernels") / "lut"
    file, compiled = folder / f"{source}.c", folder / f"{source}.o"
    lines = [f'#include "{kernels / source}.c"\n', f'PV_TARGET_BEGIN("{attribute}")\n']
    file.write_text("".join([*lines, *probes, "PV_TARGET_END\n"]))
    options = [*native.compiler_options(zig, _ABI, file), f"-I{kernels}", "-w"]
    zig.run("clang", "--target=aarch64-linux-android26", *options, "-c", str(file), "-o", str(compiled))
    return compiled


def busiest(loops: Iterable[Loop], instruction: str) -> Loop:
    """The loop with most of them."""
    return max(loops, key=lambda loop: loop.counts[instruction])


def _peer_loops(tools: Tools) -> dict[Peer, list[Loop]]:
    library = runtime.library(_ABI)
    unnamed = [loop for loop in tools.loops(library) if loop.counts["sdot"] or loop.counts["smlal"]]
    found = {}
    for peer in PEERS:
        if peer.symbol:
            found[peer] = [loop for loop in tools.loops(library, peer.symbol) if loop.counts["sdot"]]
        else:
            found[peer] = [loop for loop in unnamed if loop.has(**peer.shape)]
        if not found[peer]:
            raise PocketvladError(f"the Android runtime has no loop like that of {peer.name}")
    return found
