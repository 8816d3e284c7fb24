"""Machines that are not what they seem: our hart, and some instructions of a seed's own beside its own ones.

A hole is a sensitive instruction that does not trap in user mode, as real machines had them; a decoy is an instruction
that looks like one and is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from ...core.hart import EXIT_TRAP, HOST_M, Hart, Memory
from ...core.isa.assembler import assemble
from ...core.isa.csrs import BY_NAME
from ...core.machine.memory_map import RAM_BASE
from ..judge.session import Refused, number
from ..kit.hart import (
    SCAUSE,
    SEPC,
    SIE,
    SSCRATCH,
    SSTATUS,
    SSTATUS_SIE,
    STVAL,
    STVEC,
    SUPERVISOR,
    USER,
    WORD,
)
from ..kit.sensitive import MODE, STATE, Outcome, Silent, State
from .experiment import ISA

SHOWN: Final = (SSTATUS, SIE, STVEC, SSCRATCH, SEPC, SCAUSE, STVAL)
OPCODES: Final = (0x0B, 0x2B, 0x5B, 0x7B)
"""Those that the unprivileged manual leaves to custom instructions."""
MASK: Final = 0xFFF0_707F
ILLEGAL: Final = 2
SHOWN_STATUS: Final = 0xC0122
"""Of sstatus: SIE, SPIE, SPP, SUM, MXR."""


@dataclass(frozen=True)
class Seen:
    """What a custom instruction sees, and what it leaves: the mode, pc, and rd's new value (None: as it was)."""

    mode: int
    pc: int
    rs1: int
    csrs: dict[int, int]
    rd: int | None = None


Act = Callable[[Seen], Seen | None]
"""What an instruction does; None: it traps."""


def _next(hart: Seen) -> Seen:
    return replace(hart, pc=hart.pc + 4 & WORD)


def _popf(hart: Seen) -> Seen:
    """Sets SIE; in user mode it does not, and says nothing (80286, POPF)."""
    if hart.mode == SUPERVISOR:
        status = hart.csrs[SSTATUS] & ~SSTATUS_SIE | (SSTATUS_SIE if hart.rs1 & 2 else 0)
        hart = replace(hart, csrs=hart.csrs | {SSTATUS: status})
    return _next(hart)


def _pushf(hart: Seen) -> Seen:
    """Reads sstatus, whoever asks (80286, PUSHF and SMSW)."""
    return replace(_next(hart), rd=hart.csrs[SSTATUS] & SHOWN_STATUS)


def _whoami(hart: Seen) -> Seen:
    """Reads the mode (80286, a move from CS; ARM, MRS)."""
    return replace(_next(hart), rd=hart.mode)


def _jrst(hart: Seen) -> Seen:
    """Jumps to user mode; in user mode it jumps (PDP-10, JRST 1)."""
    return replace(hart, pc=hart.rs1 & ~1, mode=USER)


def _sscr(hart: Seen) -> Seen:
    """Reads sscratch, whoever asks (80286, SGDT)."""
    return replace(_next(hart), rd=hart.csrs[SSCRATCH] ^ hart.rs1)


def _mix(hart: Seen) -> Seen:
    """Nothing but arithmetic."""
    return replace(_next(hart), rd=hart.rs1 * 0x9E37_79B9 & WORD)


def _jump(hart: Seen) -> Seen:
    """A jump in every mode."""
    return replace(hart, pc=hart.rs1 & ~1)


def _set(hart: Seen) -> Seen | None:
    """Sets sscratch; in user mode it traps."""
    return None if hart.mode == USER else replace(_next(hart), csrs=hart.csrs | {SSCRATCH: hart.rs1})


def _get(hart: Seen) -> Seen | None:
    """Reads sepc; in user mode it traps."""
    return None if hart.mode == USER else replace(_next(hart), rd=hart.csrs[SEPC])


HOLES: Final[dict[str, tuple[Act, str]]] = {
    "popf": (_popf, MODE), "pushf": (_pushf, STATE), "whoami": (_whoami, MODE), "jrst": (_jrst, MODE),
    "sscr": (_sscr, STATE)}
"""By name: what it does, and what its doing in user mode depends on."""
DECOYS: Final[dict[str, Act]] = {"mix": _mix, "jump": _jump, "set": _set, "get": _get}
_LINES: Final = (
    "add t2, t0, t1", "addi t2, t0, 1", "nop", "ecall", "ebreak", "sret", "wfi", "csrr t2, sstatus",
    "csrw sscratch, t0", "csrsi sie, 2", "csrr t2, time", "csrr t2, cycle", "csrr t2, satp", "csrrw t2, stvec, t0",
    "csrci sstatus, 2", "fence", "fence.i", "sfence.vma", "mret", "beq t0, t1, .+8", "j .+12", "mul t2, t0, t1",
    "csrr t2, mstatus", "sltu t2, t1, t0", "csrr t2, hstatus", ".word 0xffffffff")
ORDINARY: Final = tuple(int.from_bytes(assemble(line).code, "little") for line in _LINES)


@dataclass(frozen=True)
class Custom:
    """A custom instruction of a seed's: `word & MASK == match` is it."""

    name: str
    match: int
    act: Act

    def word(self, rd: int, rs1: int) -> int:
        """With these registers."""
        return self.match | rd << 7 | rs1 << 15

    @property
    def silent(self) -> Silent:
        """As the student gets it."""
        return Silent(self.name, self.match, MASK, HOLES[self.name][1])


def customs(random: Random, names: tuple[str, ...]) -> list[Custom]:
    """These holes and decoys, at places of the seed's."""
    places: set[int] = set()
    while len(places) < len(names):
        places.add(random.choice(OPCODES) | random.getrandbits(32) & MASK & ~0x7F)
    acts = {name: act for name, (act, _) in HOLES.items()} | DECOYS
    return [Custom(name, place, acts[name]) for name, place in zip(names, sorted(places), strict=True)]


def find_custom(instructions: list[Custom], word: int) -> Custom | None:
    """The one that the word is."""
    return next((each for each in instructions if word & MASK == each.match), None)


class BlackBox:
    """A hart with these instructions beside its own."""

    def __init__(self, instructions: list[Custom]) -> None:
        self._customs = instructions
        self._memory = Memory(1 << 16, base=RAM_BASE)
        self._hart = Hart(self._memory, isa=ISA, has_h=False, hosts=HOST_M)
        for name, value in (("pmpaddr0", (1 << 54) - 1), ("pmpcfg0", 0x1F), ("mcounteren", 7), ("mideleg", 0x222)):
            self._hart.write_csr(BY_NAME[name].number, value)
        self.runs = 0

    def run(self, word: object, state: object) -> Outcome:
        """Box.run. Raises Refused."""
        bits, asked = number(word, "the word", 32), _checked(state)
        self.runs += 1
        custom = find_custom(self._customs, bits)
        if custom is None:
            return self._on_hart(bits, asked)
        rd, rs1 = bits >> 7 & 31, bits >> 15 & 31
        found = custom.act(Seen(asked.mode, asked.pc, asked.gprs[rs1] if rs1 else 0, asked.csrs))
        if found is None:
            return Outcome(ILLEGAL, asked)
        gprs = list(asked.gprs)
        if rd and found.rd is not None:
            gprs[rd] = found.rd
        return Outcome(None, State(found.mode, found.pc, gprs, found.csrs))

    def _on_hart(self, word: int, state: State) -> Outcome:
        hart = self._hart
        for each in SHOWN:
            hart.write_csr(each, state.csrs[each])
        hart.write_gprs(state.gprs)
        for name in ("satp", "scounteren", "senvcfg", "mip"):
            hart.write_csr(BY_NAME[name].number, 0)
        before = {each: hart.read_csr(each) for each in SHOWN}
        hart.pc, hart.privilege, hart.waiting = RAM_BASE, state.mode, False
        self._memory.write(RAM_BASE, word.to_bytes(4, "little"))
        exit = hart.run(1)
        if exit.reason == EXIT_TRAP:
            return Outcome(exit.cause, state)
        # Of what the CSRs cannot hold nothing has changed.
        after = {each: hart.read_csr(each) for each in SHOWN}
        csrs = {each: state.csrs[each] if after[each] == before[each] else after[each] for each in SHOWN}
        pc = state.pc + hart.pc - RAM_BASE & WORD if abs(hart.pc - RAM_BASE) < 1 << 20 else hart.pc
        return Outcome(None, State(hart.privilege, pc, list(hart.read_gprs()), csrs))


def _checked(state: object) -> State:
    if not isinstance(state, State):
        raise Refused("box.run takes a word and a State")
    gprs, csrs = state.gprs, state.csrs
    if not isinstance(gprs, list) or len(gprs) != 32 or not isinstance(csrs, dict) or csrs.keys() != set(SHOWN):
        raise Refused(f"a State has 32 gprs, and the CSRs {', '.join(f'{each:#x}' for each in SHOWN)}")
    for each in (*gprs, *csrs.values(), state.pc):
        number(each, "a register's value")
    if state.mode not in (USER, SUPERVISOR) or type(state.mode) is not int:
        raise Refused("a State's mode is 0 or 1")
    return state
