"""A guest under the glass, and its exits."""

from __future__ import annotations

from functools import cache

from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.gdb.target import Halt
from hartvisor.core.vmm.inspector import Inspection, Inspector, Moves, exit_moves, moves
from hartvisor.core.vmm.views.card import CardView, view_card
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from ...support import COUNTING_HANDLER, guest

TECHNIQUES = ("deprivileged", "shadow", "two-stage")

FAULTS = """
    la t0, handler
    csrw stvec, t0
    li a0, 0x50000000
    lw a1, 0(a0)
    sw a1, 0(a0)
    la a2, cell + 1
    lr.w a3, (a2)
    amoadd.w a3, a3, (a2)
    li t0, 0x8000000000050000
    csrw satp, t0
    nop
    j .
    .align 3
cell:
    .dword 0
"""
"""What no shipped guest does: an access to where nothing is, misaligned atomics, tables outside RAM."""


def do(move: Moves) -> Halt | None:
    """A move from beginning to end."""
    while True:
        try:
            next(move)
        except StopIteration as end:
            halt: Halt | None = end.value
            return halt


def inspect(name: str, technique: str, steps: int, **options: object) -> Inspector:
    """A shipped guest after so many steps."""
    append = "workload=1" if name.startswith("kernel") else ""
    settings = {"memory": 32 << 20, "append": append} | options
    loaded = guest(FAULTS + COUNTING_HANDLER) if name == "faults" else load_image(image(name))
    vm = Vm(VmConfig(technique=technique, **settings), loaded)  # type: ignore[arg-type]
    inspector = Inspector(name, vm)
    do(moves.goto(inspector, steps))
    return inspector


@cache
def known(name: str, technique: str, steps: int) -> Inspector:
    """The same, made once; whoever takes it elsewhere in time does no harm."""
    return inspect(name, technique, steps)


def card_of(inspector: Inspector, number: int) -> CardView:
    """The card of an exit, as one sees it who goes there."""
    do(exit_moves.goto_exit(inspector, number))
    page = view_card(Inspection([inspector]))
    assert page.card is not None
    return page.card
