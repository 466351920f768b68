"""Cycles per 1,000 products of the int8 tiles of convolutions and tokens on phone cores, after llvm-mca: a model, not a
measurement (:mod:`bench.phone_model`, whose limits hold here too).

Ours are the loops of ``kernels/lut/neon_dotprod.c`` and ``neon_i8mm.c``, 8 output channels or tokens beside 12 or 8
pixels or rows. XNNPACK's own, 4 x 16, have no symbols in the Android runtime and are found by their shape: 64 ``sdot``
or 32 ``smmla`` between 8 or 13 loads, ``src/qd8-f32-qc8w-gemm`` and ``qs8-qc8w-gemm``, ``4x16c4`` and ``4x16c8``;
KleidiAI's have names. In all of them a step multiplies what lies in registers; what decodes, packs and finishes is not
in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.asked import Asked
from bench.assembly import Loop, Tools, find_tools
from bench.phone_model import busiest, compiled_probes
from bench.rows import Comparison
from pocketvlad.android import runtime
from pocketvlad.errors import PocketvladError

UNIT = "cycles per 1000 products"
_ABI = "arm64-v8a"
_PROBE = "void {}(const pv_i8_tile* t) {{ i8_tile_of(t, NEON_VECTORS); }}\n"


@dataclass(frozen=True)
class TileIsa:
    """One of our kernel sets: its source, attribute, the cores that run it, its instruction and the products of one."""

    name: str
    source: str
    attribute: str
    cores: tuple[str, ...]
    instruction: str
    products: int

    def cost(self, tools: Tools, loop: Loop, core: str) -> float:
        return 1000 * tools.cycles(loop, core) / (self.products * loop.counts[self.instruction])


@dataclass(frozen=True)
class TilePeer:
    """A kernel of the Android runtime for many rows, by its symbol or by the shape of its loop."""

    name: str
    isa: TileIsa
    symbol: str = ""
    shape: dict[str, int] = field(default_factory=dict, hash=False)


DOTPROD = TileIsa(
    "dot product", "neon_dotprod", "dotprod", ("cortex-a55", "cortex-a76", "cortex-x1"), "sdot", 16
)
I8MM = TileIsa(
    "int8 matrix product",
    "neon_i8mm",
    "dotprod,i8mm",
    ("cortex-a510", "cortex-a710", "cortex-x3"),
    "smmla",
    32,
)
_KAI = "kai_run_matmul_clamp_f32_qai8dxp4x{}_neon_{}"
PEERS = (
    TilePeer("XNNPACK int8 (its own)", DOTPROD, shape={"sdot": 64, "ldp": 7, "ldr": 6}),
    TilePeer("XNNPACK int8 (KleidiAI)", DOTPROD, _KAI.format("4_qsi8cxp4x4_16x4", "dotprod")),
    TilePeer("XNNPACK int4 (KleidiAI)", DOTPROD, _KAI.format("8_qsi4cxp4x4_16x4x32", "dotprod")),
    TilePeer("XNNPACK int8 (its own)", I8MM, shape={"smmla": 32, "ldp": 8, "shl": 0}),
    TilePeer("XNNPACK int8 (KleidiAI)", I8MM, _KAI.format("8_qsi8cxp4x8_16x4", "i8mm")),
    TilePeer("XNNPACK int4 (KleidiAI)", I8MM, _KAI.format("8_qsi4cxp8x8_8x8x32", "i8mm")),
)


def run(asked: Asked) -> list[Comparison]:
    """A row for each instruction set, peer and core, by the newest LLVM installed; none without llvm-mca."""
    tools = find_tools()
    if not tools:
        asked.say(
            "phone tiles skipped: llvm-mca and llvm-objdump are missing (apt-get install llvm-19, or llvm)"
        )
        return []
    try:
        return list(_rows(tools[0]))
    except PocketvladError as error:
        asked.say(f"phone tiles skipped: {error}")
        return []


def _rows(tools: Tools) -> Iterator[Comparison]:
    library = runtime.library(_ABI)
    unnamed = list(tools.loops(library))
    with tempfile.TemporaryDirectory() as folder:
        for isa in (DOTPROD, I8MM):
            compiled = compiled_probes(Path(folder), isa.source, isa.attribute, [_PROBE.format("probe0")])
            ours = busiest(tools.loops(compiled, "probe0"), isa.instruction)
            for peer in (each for each in PEERS if each.isa is isa):
                for core in isa.cores:
                    theirs = _best(tools, library, unnamed, peer, core)
                    name = f"model of {core} ({tools.tables(core)} of LLVM {tools.version}): tile, {isa.name}"
                    cycles = isa.cost(tools, ours, core)
                    yield Comparison(name, cycles, peer.name, theirs, theirs / cycles, None, 1, unit=UNIT)


def _best(tools: Tools, library: Path, unnamed: list[Loop], peer: TilePeer, core: str) -> float:
    """The fastest of the loops that may be the peer's."""
    loops = tools.loops(library, peer.symbol) if peer.symbol else unnamed
    found = [loop for loop in loops if loop.counts[peer.isa.instruction] and loop.has(**peer.shape)]
    if not found:
        raise PocketvladError(f"the Android runtime has no loop like that of {peer.name}")
    return min(peer.isa.cost(tools, loop, core) for loop in found)
