"""Lab 1: the reference answer."""

from __future__ import annotations

from dataclasses import replace

from hartvisor.labs.kit.hart import (
    SCAUSE,
    SEPC,
    SIE,
    SSCRATCH,
    SSTATUS,
    STVAL,
    STVEC,
    SUPERVISOR,
    USER,
    CsrRow,
)
from hartvisor.labs.kit.sensitive import (
    BEHAVIOUR,
    CONTROL,
    INNOCUOUS,
    MODE,
    TRAPS,
    Box,
    Instruction,
    Outcome,
    Patched,
    Silent,
    State,
)

ALWAYS = ("ecall", "ebreak", "mret")
SUPERVISORS = ("sret", "wfi", "sfence.vma", "sinval.vma")
ORDERING = ("sfence.w.inval", "sfence.inval.ir")
HYPERVISORS = ("hlv", "hsv", "hfence", "hinval")
EBREAK = 0x0010_0073
CODE = 0x8000_0000


class Theorem:
    """What Popek and Goldberg ask of a machine, and what to do about one that has it not."""

    def use(self, csrs: list[CsrRow]) -> None:
        """The CSRs below M-mode that the hart has."""
        self.csrs = {row.number: row for row in csrs}

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """TRAPS, CONTROL, BEHAVIOUR or INNOCUOUS."""
        name = instruction.name
        if csr is not None:
            return self.classify_csr(csr, instruction.writes, mode)
        if name in ALWAYS or name.startswith(HYPERVISORS):
            return TRAPS
        if name in SUPERVISORS:
            return TRAPS if mode == USER else CONTROL
        if name in ORDERING:
            return TRAPS if mode == USER else INNOCUOUS
        return INNOCUOUS

    def classify_csr(self, csr: int, writes: bool, mode: int) -> str:
        """Who may is in bits 9:8 of the number, and whether it can be written in bits 11:10."""
        if csr not in self.csrs or mode == USER or (writes and csr >> 10 == 3):
            return TRAPS
        return CONTROL if writes else BEHAVIOUR

    def find_silent(self, box: Box, words: list[int]) -> list[int]:
        """Those of the words that are sensitive, and do not trap in user mode."""
        return [word for word in words if self.is_silent(box, word)]

    def is_silent(self, box: Box, word: int) -> bool:
        """Whatever does not trap in user mode must do the same there, whatever the supervisor's state, and in
        supervisor mode; and must leave that state alone in both."""
        states = list(self.states())
        first: Outcome | None = None
        for state in states:
            user = box.run(word, state)
            if user.cause is not None:
                return False
            supervisor = box.run(word, replace(state, mode=SUPERVISOR))
            first = first or user
            for each, mode in ((user, USER), (supervisor, SUPERVISOR)):
                seen = each.state
                if each.cause is not None or (seen.gprs, seen.pc) != (first.state.gprs, first.state.pc):
                    return True
                if seen.mode != mode or seen.csrs != state.csrs:
                    return True
        return False

    def states(self) -> list[State]:
        """User states that are the same, under supervisors' that are not."""
        gprs = [0, *(0x0101_0101 * index for index in range(1, 32))]
        gprs[5] = CODE + 0x100  # an address; bits 1 and 3 are 0
        base = {SSTATUS: 2 << 32, SIE: 0, STVEC: CODE, SSCRATCH: 0, SEPC: CODE, SCAUSE: 0, STVAL: 0}
        found = [State(USER, CODE, gprs, base)]
        for number, value in ((SSTATUS, 2 << 32 | 0x2), (SSTATUS, 2 << 32 | 0xC0120), (SIE, 0x222), (STVEC, CODE + 64),
                              (SSCRATCH, 77), (SEPC, CODE + 32), (SCAUSE, 5), (STVAL, 9)):
            found.append(State(USER, CODE, gprs, base | {number: value}))
        return found

    def deprivilege(self, words: list[int], silent: list[Silent], users: list[int]) -> Patched:
        """A trap in the place of each silent instruction, but for those that do in user mode what a user's should."""
        patched, originals, only_users = list(words), {}, set(users)
        for index, word in enumerate(words):
            for each in silent:
                if word & each.mask == each.match and not (each.needs == MODE and index in only_users):
                    patched[index], originals[index] = EBREAK, word
        return Patched(patched, originals)
