"""The virtual hart of a guest in deprivileged mode: plain values, which are yours to keep as a real hart would."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..jail.codec import changes, travels
from . import remote

USER: Final = 0
SUPERVISOR: Final = 1

SSTATUS: Final = 0x100
SIE: Final = 0x104
STVEC: Final = 0x105
SCOUNTEREN: Final = 0x106
SENVCFG: Final = 0x10A
SSCRATCH: Final = 0x140
SEPC: Final = 0x141
SCAUSE: Final = 0x142
STVAL: Final = 0x143
SIP: Final = 0x144
SATP: Final = 0x180
CYCLE: Final = 0xC00
TIME: Final = 0xC01
INSTRET: Final = 0xC02

SSTATUS_SIE: Final = 1 << 1
SSTATUS_SPIE: Final = 1 << 5
SSTATUS_SPP: Final = 1 << 8
SSTATUS_FS: Final = 3 << 13
SSTATUS_SUM: Final = 1 << 18
SSTATUS_MXR: Final = 1 << 19
SSTATUS_SD: Final = 1 << 63

WORD: Final = (1 << 64) - 1


@travels
@dataclass(frozen=True)
class CsrRow:
    """A CSR that the guest has. write_mask: the bits that a write changes. is_counter: cycle, time or instret, read by
    VirtualHart.counters, never written."""

    number: int
    name: str
    write_mask: int
    is_counter: bool = False


@travels
@dataclass(frozen=True)
class Trapped:
    """An instruction that trapped because the guest's hart is in U-mode. name: "csrrw", ..., "sret", or "" for one that
    is illegal everywhere. rs1: a register's number, or the five-bit constant of csrrwi, csrrsi, csrrci."""

    name: str
    rd: int = 0
    rs1: int = 0
    csr: int = 0


@changes
@dataclass
class VirtualHart:
    """What the guest believes its hart to be.

    gprs: x0 to x31. mode: USER or SUPERVISOR, the mode that the guest believes it is in. csrs: the values of the
    guest's S-mode CSRs by number; what is in there is what your code put there, no mask is applied. counters: CYCLE,
    TIME and INSTRET, as they read now. steps: how many steps you have taken in this call.
    """

    gprs: list[int] = field(default_factory=lambda: [0] * 32)
    pc: int = 0x8020_0000
    mode: int = SUPERVISOR
    csrs: dict[int, int] = field(default_factory=dict)
    counters: dict[int, int] = field(default_factory=dict)
    steps: int = 0
    has_jumped: bool = False

    def read_gpr(self, number: int) -> int:
        """A register; x0 is 0."""
        return self.gprs[number] if number else 0

    def write_gpr(self, number: int, value: int) -> None:
        """Set a register, modulo 2**64; x0 stays 0."""
        if number:
            self.gprs[number] = value & WORD

    def retire(self, length: int = 4) -> None:
        """The instruction at pc has been executed: pc moves on, one step."""
        self.pc = self.pc + length & WORD
        self._step()

    def jump(self, pc: int) -> None:
        """The instruction at pc has been executed and went to another: one step."""
        self.pc = pc & WORD
        self.has_jumped = True
        self._step()

    def following(self) -> Trapped | None:
        """The instruction at pc now, if it is one that would trap into your code at once; None if it is another one, or
        an interrupt comes before it. Whoever goes on with it saves an exit."""
        found: Trapped | None = remote.ask("hart.following", (self,))
        return found

    def _step(self) -> None:
        self.steps += 1
        for number in (CYCLE, INSTRET):
            if number in self.counters:
                self.counters[number] += 1
