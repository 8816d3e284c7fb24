"""What a trace tells, one class a kind of event, and how the hart's records become them.

The hart records differences between neighbours (see `Trace.take` in core/hart), which compress well; here they are
added up again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from ...isa.paging import PAGE_SHIFT, PAGE_SIZE
from ...isa.registers import ABI, FLOAT_ABI

EXITS: Final = "exits"
INSN: Final = "insn"
MEM: Final = "mem"
IRQ: Final = "irq"
KINDS: Final = (EXITS, INSN, MEM, IRQ)
"""What can be traced, as --trace has it."""

INSTRUCTIONS, MEMORY, EVENTS = range(3)
"""The hart's streams (`Trace.take`)."""

WORDS: Final = (4, 6, 6)
"""64-bit words a record, by stream."""

TRAP, WIRE, EXIT = 1, 2, 3
"""Kinds of records in the stream of events; the hart writes the first two, the hypervisor the last, and traps that it
delivers itself."""

BY_HYPERVISOR: Final = 1 << 24
"""In a trap's head: the hypervisor delivered it, not the hart."""

NO_CAUSE: Final = 0xFF
"""An exit's cause where no trap was the reason."""

GUEST_PAGE: Final = 1 << 63
"""In a frame number: of guest-physical memory already."""

UNKNOWN_FRAME: Final = (1 << 64 - PAGE_SHIFT) - 1
UNKNOWN: Final = -1
_WORD: Final = (1 << 64) - 1
_OFFSET: Final = PAGE_SIZE - 1

MODES: Final = {0: "U", 1: "S", 3: "M", 4: "VU", 5: "VS"}
"""A recorded mode's name: bits 1:0 privilege, bit 2 V. A VM's guest has U and S only."""

FIRST_FLOAT: Final = 64
"""Registers from here on are floating-point ones."""


class Instruction(NamedTuple):
    """An instruction retired, executed by the hart or emulated. register: 0 for none, 1 to 31 x, 64 to 95 f; value is
    what it holds afterwards."""

    step: int
    hart: int
    pc: int
    bits: int
    mode: int
    register: int
    value: int


class Access(NamedTuple):
    """A load or store of an instruction. pa: guest-physical, of the first byte; UNKNOWN where nobody could tell. value:
    unsigned, at most eight bytes of it. An AMO is a load and then a store."""

    step: int
    hart: int
    pc: int
    va: int
    pa: int
    value: int
    size: int
    is_store: bool
    mode: int


class ExitEvent(NamedTuple):
    """An exit to the hypervisor. reason: as counts of exits name it. cause: the trap's, None if there was none.
    address: guest-physical, of a guest-page fault or a device access, else 0. insn: the instruction's bits, 0 if
    unknown."""

    step: int
    hart: int
    reason: str
    pc: int
    tval: int
    address: int
    cause: int | None
    insn: int
    mode: int


class TrapEvent(NamedTuple):
    """A trap that the guest took. cause: as in scause, its top bit says interrupt; handler: where it went on."""

    step: int
    hart: int
    cause: int
    pc: int
    tval: int
    mode: int
    target: int
    handler: int
    by_hypervisor: bool


class WireEvent(NamedTuple):
    """An interrupt became pending (level 1), or no longer is (0); a timer's when it is due."""

    step: int
    hart: int
    interrupt: int
    level: int


Event = Instruction | Access | ExitEvent | TrapEvent | WireEvent


def register_name(register: int) -> str:
    """The ABI's name of a recorded register."""
    return FLOAT_ABI[register - FIRST_FLOAT] if register >= FIRST_FLOAT else ABI[register]


def columns(words: bytes, stream: int) -> list[array[int]]:
    """A stream's words, one array a field."""
    whole = array("Q", words)
    return [whole[start :: WORDS[stream]] for start in range(WORDS[stream])]


def _sums(gaps: Sequence[int]) -> Iterator[int]:
    """The running sum, modulo 2**64."""
    return accumulate(gaps, lambda total, gap: total + gap & _WORD)


def instructions(fields: Sequence[Sequence[int]], hart: int) -> Iterator[Instruction]:
    """The instructions of a stream's columns."""
    step = pc = 0
    known = [0] * 128
    for step_gap, pc_gap, what, value_gap in zip(*fields, strict=True):
        step = step + step_gap & _WORD
        pc = pc + pc_gap & _WORD
        bits, register = what & 0xFFFF_FFFF, what >> 40
        value = known[register] = known[register] + value_gap & _WORD
        yield Instruction(step, hart, pc, bits, what >> 32 & 0xFF, register, value)
        step += 1
        pc += 4 if bits & 3 == 3 else 2


def accesses(fields: Sequence[Sequence[int]], hart: int) -> Iterator[Access]:
    """The accesses of a stream's columns, whose frames are guest-physical by now."""
    steps, pcs, gvas = (_sums(field) for field in fields[:3])
    for step, pc, va, frame, value, what in zip(steps, pcs, gvas, *fields[3:], strict=True):
        pa = UNKNOWN if frame == UNKNOWN_FRAME else frame << PAGE_SHIFT | va & _OFFSET
        yield Access(step, hart, pc, va, pa, value, what & 0xFF, bool(what >> 8 & 1), what >> 16)


def others(fields: Sequence[Sequence[int]], hart: int, reasons: Sequence[str]) -> Iterator[Event]:
    """Exits, traps and wires of a stream's columns. reasons: the exits' names by number."""
    for step, head, a, b, c, d in zip(_sums(fields[0]), *fields[1:], strict=True):
        mode = head >> 8 & 0xFF
        if head & 0xFF == TRAP:
            yield TrapEvent(step, hart, a, b, c, mode, head >> 16 & 0xFF, d, bool(head & BY_HYPERVISOR))
        elif head & 0xFF == WIRE:
            yield WireEvent(step, hart, a, head >> 32)
        else:
            cause = None if d & 0xFF == NO_CAUSE else d & 0xFF
            yield ExitEvent(step, hart, reasons[head >> 32], a, b, c, cause, d >> 32, mode)


def kind_of(event: Event) -> str:
    """Which of KINDS an event belongs to."""
    return _KIND[type(event)]


_KIND: Final[dict[type, str]] = {
    Instruction: INSN, Access: MEM, ExitEvent: EXITS, TrapEvent: IRQ, WireEvent: IRQ}

