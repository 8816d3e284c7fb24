"""Lab 3's two predictions."""

from __future__ import annotations

from typing import Final

from ..judge.guests import Guest
from ..kit.interrupts import STI, SUPERVISOR, Gates
from ..lab import random_for
from .delivery import ISA
from .oracle import Machine, bits

PER_TICK: Final = 100


def _order(seed: int) -> Gates:
    random = random_for(3, "order", seed)
    pending = bits(*random.sample((11, 3, 7), 1), *random.sample((9, 1, 5), 2), *random.sample((10, 2, 6), 2))
    mideleg = bits(*random.sample((9, 1, 5), random.randrange(1, 3))) | bits(2, 6, 10)
    hideleg = bits(*random.sample((10, 2, 6), random.randrange(1, 3)))
    return Gates(pending, pending, mideleg, hideleg, SUPERVISOR, True, False, False, True)


def ask_order(seed: int) -> str:
    """The order of several."""
    gates = _order(seed)
    return ("In which order does a hart in VS-mode take these interrupts? mip = mie = "
            f"{gates.pending:#x}, mideleg = {gates.mideleg:#x},\n"
            f"hideleg = {gates.hideleg:#x}; mstatus.MIE = mstatus.SIE = 0, vsstatus.SIE = 1. Each handler clears its\n"
            "own pending bit and returns. Write the cause numbers as the handlers find them, in two digits each,\n"
            "behind each other: 7, then 11, then 1 is 71101.")


def order(seed: int) -> int:
    """By having a hart take them, one by one."""
    machine, gates, found = Machine(), _order(seed), ""
    while gates.pending:
        taken = machine.pick(gates)
        assert taken is not None
        found += f"{taken.cause:02}"
        bit = taken.cause + 1 if taken.target == "VS" else taken.cause
        left = gates.pending & ~bits(bit)
        gates = Gates(left, gates.enabled, gates.mideleg, gates.hideleg, gates.mode, gates.virtual, False, False, True)
    return int(found)



def _ticks(seed: int) -> tuple[int, int]:
    random = random_for(3, "ticks", seed)
    return random.randrange(3, 12), random.randrange(60, 200)


def ask_ticks(seed: int) -> str:
    """How many ticks in how much time."""
    delay, last = _ticks(seed)
    return (f"A tick of mtime takes {PER_TICK} steps. At its start, when mtime is still 0, a guest arms its timer for\n"
            f"time + {delay}, lets the interrupt in, and goes round in a loop. The handler, seven instructions, arms\n"
            f"the timer for time + {delay} again. How many timer interrupts has the guest had at step "
            f"{PER_TICK * last + 50},\nwhen mtime is {last}?")


def ticks(seed: int) -> int:
    """By running it."""
    delay, last = _ticks(seed)
    arm = f"csrr a0, time\n addi a0, a0, {delay}\n li a6, 0\n li a7, 0x54494d45\n ecall\n"
    guest = Guest.of(f"_start: la t0, handler\n csrw stvec, t0\n li t0, 0x20\n csrw sie, t0\n {arm} csrsi sstatus, 2\n"
                     f"again: j again\n.align 2\nhandler: nop\n {arm} sret\n", "ticks.s")
    vm = guest.start(guest.config("deprivileged", isa=ISA, steps_per_tick=PER_TICK))
    vm.run(PER_TICK * last + 50)
    return vm.vcpus[0].injected[STI]
