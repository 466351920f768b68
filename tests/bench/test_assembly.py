"""The loops that the phone model times are found in a disassembly, and llvm-mca takes them."""

from __future__ import annotations

import pytest

from bench.assembly import find_loops, find_tools

DISASSEMBLY = """
library.so:\tfile format elf64-littleaarch64

0000000000000100 <one>:
     100:      \tmov\tx2, #16
     104:      \tcbz\tx2, 0x120 <one+0x20>
     108:      \tldr\tq0, [x0], #16
     10c:      \tldr\tq1, [x1], #16
     110:      \tsdot\tv2.4s, v0.16b, v1.16b
     114:      \tsubs\tx2, x2, #1
     118:      \tb.ne\t0x108 <one+0x8>
     11c:      \tb.lt\t0x100 <one>
     120:      \tret

0000000000000124 <two>:
     124:      \tadd\tx0, x0, #1
     128:      \tcmp\tx0, x1
     12c:      \tb.eq\t0x134 <two+0x10>
     130:      \tb.ne\t0x124 <two>
     134:      \tret
"""


def test_only_loops_without_a_branch_inside_are_found():
    (loop,) = find_loops(DISASSEMBLY.splitlines(keepends=True))
    assert loop.address == 0x108 and loop.lines[-1] == "b.ne\t.Lloop" and len(loop.lines) == 5
    assert loop.has(ldr=2, sdot=1, subs=1) and not loop.has(ldr=1)


@pytest.mark.skipif(not find_tools(), reason="llvm-mca is missing: apt-get install llvm")
def test_a_model_gives_cycles():
    (loop,) = find_loops(DISASSEMBLY.splitlines(keepends=True))
    for tools in find_tools():
        assert 0.5 < tools.cycles(loop, "cortex-a76") < tools.cycles(loop, "cortex-a55") < 20
