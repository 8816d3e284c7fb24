"""Lab 9's guests that take turns on one hart: each sets CSRs, has the other's turn, and looks what is there.

    0x80000000  code     0x80008000  the root table: 1 GiB of RAM at 0 and at its own address     0x80009000  data
"""

from __future__ import annotations

from random import Random
from typing import Final

from ...core.machine.memory_map import RAM_BASE
from ..judge import writing
from ..judge.guests import Guest

ROOT: Final = RAM_BASE + 0x8000
DATA: Final = RAM_BASE + 0x9000
LEAF: Final = 0x8000_0000 >> 2 | 0xCF
EVERY_BIT: Final = (1 << 64) - 1

BEGIN: Final = """
_start:
    la t0, handler
    csrw stvec, t0
    j main
    .align 2
handler:
    csrr s9, scause
    slli s11, s11, 1
    xor s11, s11, s9
    csrr s9, sstatus
    xor s11, s11, s9
    csrr s9, sepc
    xor s11, s11, s9
    addi s9, s9, 4
    csrw sepc, s9
    sret
    .align 2
other:
    addi s11, s11, 1
    j handler
main:
"""
END: Final = """
end:
    ecall
    j end
"""
PLAIN: Final = ("sscratch", "sepc", "scause", "stval", "scounteren", "senvcfg", "sie", "stvec", "sstatus")


class Writer(writing.Writer):
    """Its traps are counted and gone on from; its end is not an end, since the other's turn follows."""

    BEGIN = BEGIN
    END = END

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.is_paged = False

    def value(self, name: str) -> int:
        """Something for a CSR, after which the program can go on."""
        random = self.random
        if name == "sie":
            return random.choice((0, 0x220, 0x200, 0x20))
        if name == "sstatus":
            return random.choice((0, 1 << 18, 1 << 19, 3 << 18, 0x100, 0x120))
        return random.choice((EVERY_BIT, 1 << random.randrange(64), random.getrandbits(64)))

    def csr(self) -> None:
        """Set a CSR, have the other one's turn, and look."""
        name = self.random.choice(PLAIN)
        if name == "stvec":
            self.emit(f"la t0, {self.random.choice(('handler', 'other'))}")
        else:
            self.emit(f"li t0, {self.value(name):#x}")
        self.emit(f"csrw {name}, t0")
        self.turn()
        self.emit(f"csrr t0, {name}", "xor s11, s11, t0")

    def turn(self) -> None:
        """The other's turn."""
        self.emit("ecall")

    def trap(self) -> None:
        """A trap of its own, and a turn inside what follows it."""
        self.emit("ebreak", "slli s11, s11, 1")

    def memory(self) -> None:
        """Its own data, at one address or another."""
        page = DATA - RAM_BASE if self.is_paged and self.random.random() < 0.5 else DATA
        place = page + 8 * self.random.randrange(64)
        self.emit(f"li t1, {place:#x}", f"li t0, {self.random.getrandbits(64):#x}", "sd t0, 0(t1)")
        self.turn()
        self.emit("ld t0, 0(t1)", "xor s11, s11, t0")

    def pending(self) -> None:
        """A software interrupt that waits."""
        self.emit(self.random.choice(("csrsi sip, 2", "csrci sip, 2")))
        self.turn()
        self.emit("csrr t0, sip", "xor s11, s11, t0")

    def time(self) -> None:
        """What time it is."""
        self.emit("csrr t0, time", "xor s11, s11, t0")

    def space(self) -> None:
        """Translation on or off."""
        self.is_paged = self.random.random() < 0.7
        if not self.is_paged:
            self.emit("csrw satp, zero", "sfence.vma")
        else:
            self.emit(f"li t0, {8 << 60 | 7 << 44 | ROOT >> 12:#x}", "csrw satp, t0", "sfence.vma")
        self.turn()


def guest(random: Random, name: str, length: int = 24) -> Guest:
    """One of the two."""
    writer = Writer(random)
    writer.emit(f"li t1, {ROOT:#x}", f"li t0, {LEAF:#x}", "sd t0, 0(t1)", "sd t0, 16(t1)")
    writer.space()
    for _ in range(length):
        random.choices((writer.csr, writer.trap, writer.memory, writer.pending, writer.time, writer.space),
                       (8, 2, 4, 2, 1, 1))[0]()
    return writer.guest(name, base=RAM_BASE)
