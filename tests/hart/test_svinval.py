"""Svinval: the permissions of its instructions, and that they drop what the whole fences drop."""

from __future__ import annotations

import pytest

from hartvisor.core.isa import causes

from .bench import CODE, MODES, Bench

ILLEGAL, VIRTUAL = causes.ILLEGAL_INSTRUCTION, causes.VIRTUAL_INSTRUCTION
TVM = 1 << 20
RULES: dict[str, dict[str, int | None]] = {
    "sinval.vma x5, x6": {"U": ILLEGAL, "VU": VIRTUAL},
    "hinval.vvma x5, x6": {"U": ILLEGAL, "VS": VIRTUAL, "VU": VIRTUAL},
    "hinval.gvma x5, x6": {"U": ILLEGAL, "VS": VIRTUAL, "VU": VIRTUAL},
    "sfence.w.inval": {"U": ILLEGAL, "VU": VIRTUAL},
    "sfence.inval.ir": {"U": ILLEGAL, "VU": VIRTUAL},
}
"""Without TVM and VTVM; the other modes may."""
UNDER_TVM = {"sinval.vma x5, x6": {"HS": ILLEGAL}, "hinval.gvma x5, x6": {"HS": ILLEGAL}}
UNDER_VTVM = {"sinval.vma x5, x6": {"VS": VIRTUAL}}


@pytest.mark.parametrize("tlb", ["precise", "stale"])
@pytest.mark.parametrize("source", RULES)
def test_permissions(source: str, tlb: str) -> None:
    for mode in MODES:
        for tvm, vtvm in ((0, 0), (TVM, 0), (0, TVM)):
            bench = Bench(source, mode=mode, tlb=tlb)
            bench["mstatus"] = bench["mstatus"] | tvm
            bench["hstatus"] = bench["hstatus"] | vtvm
            extra = (UNDER_TVM if tvm else UNDER_VTVM if vtvm else {}).get(source, {})
            wanted = {**RULES[source], **extra}.get(mode)
            if wanted is None:
                bench.hart.run(1)
                assert (bench.hart.pc, bench.hart.guest_traps) == (CODE + 4, 0), (mode, tvm, vtvm)
            else:
                assert bench.trap().cause == wanted, (mode, tvm, vtvm)
