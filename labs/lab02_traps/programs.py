"""Lab 2's guests: CSR programs that a seed has written."""

from __future__ import annotations

from random import Random
from typing import Final

from ..judge import writing
from ..judge.guests import Guest

PLAIN: Final = ("sscratch", "sepc", "scause", "stval", "scounteren", "senvcfg", "sstatus", "sie", "sip", "stvec",
                "satp")
REGISTERS: Final = ("t0", "t1", "t2", "t3", "t4", "t5", "a0", "a1", "a2", "a3")
EVERY_BIT: Final = (1 << 64) - 1

# Exceptions: skip the instruction, or, from ecall, come back to S-mode behind it. Interrupts: clear SSIP.
BEGIN: Final = """
_start:
    la t0, handler
    csrw stvec, t0
    j main

    .align 2
handler:
    csrrw s11, sscratch, s11
    csrr s10, scause
    bltz s10, interrupt
    csrr s9, sepc
    addi s9, s9, 4
    addi s8, s8, 1
    li s7, 8
    bne s10, s7, back
    li s7, 0x100
    csrs sstatus, s7       # from U-mode's ecall: on in S-mode
back:
    csrw sepc, s9
    csrrw s11, sscratch, s11
    sret
interrupt:
    csrci sip, 2
    csrrw s11, sscratch, s11
    sret

main:
"""


class Writer(writing.Writer):
    """Traps are answered so that a program of any choices goes on."""

    BEGIN = BEGIN

    def value(self) -> int:
        """A value where something may go wrong."""
        random = self.random
        return random.choice((0, EVERY_BIT, 1 << random.randrange(64), EVERY_BIT ^ 1 << random.randrange(64),
                              random.getrandbits(64), random.getrandbits(20)))

    def csr(self, names: tuple[str, ...] = PLAIN) -> None:
        """One CSR instruction of any kind, and what it needs to be harmless."""
        random = self.random
        name, to = random.choice(names), random.choice(("zero", *REGISTERS))
        source = random.choice(("zero", *REGISTERS))
        if name in ("stvec", "satp", "sie", "sip", "sstatus"):
            self._delicate(name, to)
            return
        self.emit(f"li {random.choice(REGISTERS)}, {self.value():#x}")
        if random.random() < 0.6:
            self.emit(f"{random.choice(('csrrw', 'csrrs', 'csrrc'))} {to}, {name}, {source}")
        else:
            self.emit(f"{random.choice(('csrrwi', 'csrrsi', 'csrrci'))} {to}, {name}, {random.randrange(32)}")

    def _delicate(self, name: str, to: str) -> None:
        """What would derail the program is put back at once; interrupts stay off while SSIP may be pending."""
        random = self.random
        value = self.value()
        if name == "satp":
            mode = random.choice((0, 1, 7, 11, 15))
            value = mode << 60 | value & EVERY_BIT >> 4 if mode else 0
        if name == "sstatus":
            value &= ~2
        self.emit(f"li t6, {value:#x}", f"csrrw s6, {name}, t6", f"csrr {to}, {name}")
        if name == "stvec":
            self.emit("csrw stvec, s6")
        elif name in ("sie", "sip"):
            self.emit(f"csrw {name}, zero")

    def counters(self) -> None:
        """Counters are read, and cannot be written."""
        name = self.random.choice(("cycle", "time", "instret"))
        to = self.random.choice(REGISTERS)
        self.emit(f"csrr {to}, {name}" if self.random.random() < 0.7 else f"csrrs {to}, {name}, zero")

    def forbidden(self) -> None:
        """What is illegal in S-mode, too."""
        self.emit(self.random.choice((
            "csrr t0, mstatus", "csrw medeleg, t0", "csrr t1, 0x5a8", "csrw cycle, t0", "csrrsi t1, time, 1", ".word 0",
            "csrr t2, hstatus", "mret", "csrr t3, vsatp", "csrr t4, hpmcounter3", ".word 0xffffffff",
            "csrr t5, 0xf14")))

    def user(self, length: int) -> None:
        """Down to U-mode, some instructions there, and back."""
        label = f"user{len(self.lines)}"
        mask = self.random.choice((0, 7, 1, 2, 5))
        self.emit(f"li t6, {mask}", "csrw scounteren, t6", f"la t6, {label}", "csrw sepc, t6", "li t6, 0x100",
                  "csrc sstatus, t6", "sret")
        self.lines.append(f"{label}:")
        for _ in range(length):
            self.emit(self.random.choice((
                "csrr t0, cycle", "csrr t1, time", "csrr t2, instret", "csrw sscratch, t0", "csrr t3, sstatus", "sret",
                "csrr t4, satp", "csrsi sip, 2", "addi t0, t0, 1", "csrr a0, mstatus")))
        self.emit("ecall")

    def interrupt(self) -> None:
        """A software interrupt to oneself, with SIE on."""
        self.emit("csrsi sie, 2", "csrsi sstatus, 2", "csrsi sip, 2", "addi a3, a3, 1", "csrci sstatus, 2",
                  "csrci sie, 2")

    def returning(self) -> None:
        """sret within S-mode, with SPIE and SIE of any kind."""
        label = f"on{len(self.lines)}"
        bits = self.random.choice((0x100, 0x120))
        self.emit(f"la t6, {label}", "csrw sepc, t6", "csrw sip, zero", "li t6, 0x122", "csrc sstatus, t6",
                  f"li t6, {bits:#x}", "csrs sstatus, t6", "sret")
        self.lines.append(f"{label}:")
        self.emit("csrr a2, sstatus", "csrci sstatus, 2")


def supervisor(random: Random, length: int = 60) -> Guest:
    """S-mode alone."""
    writer = Writer(random)
    for _ in range(length):
        random.choices((writer.csr, writer.counters, writer.returning), (10, 2, 1))[0]()
    return writer.guest("supervisor")


def everything(random: Random, length: int = 40) -> Guest:
    """Both modes, interrupts, and what is illegal."""
    writer = Writer(random)
    for _ in range(length):
        random.choices((writer.csr, writer.counters, writer.forbidden, lambda: writer.user(random.randrange(1, 6)),
                        writer.interrupt, writer.returning), (6, 1, 2, 2, 1, 1))[0]()
    return writer.guest("everything")


def illegal(random: Random, length: int = 30) -> Guest:
    """Mostly what the guest must get back as an exception, between what it must not."""
    writer = Writer(random)
    for _ in range(length):
        writer.forbidden()
        writer.csr(("sscratch", "scause"))
    writer.user(8)
    return writer.guest("illegal")


def storm(random: Random, rounds: int = 40) -> Guest:
    """A kernel's way in and out, again and again: many privileged instructions in a row."""
    writer = Writer(random)
    writer.emit(f"li s5, {rounds}")
    writer.lines.append("again:")
    for name in random.sample(("sscratch", "sepc", "scause", "stval", "scounteren", "senvcfg"), 6):
        writer.emit(f"csrr {random.choice(REGISTERS)}, {name}")
    writer.emit("li t6, 0x40000", "csrs sstatus, t6", "csrc sstatus, t6", "csrr t5, sstatus", "addi s5, s5, -1",
                "bnez s5, again")
    return writer.guest("storm")
