"""Lab 3's guests: kernels that are interrupted, and wait to be, as a seed says.

    s11  a hash of every trap: its cause, sepc, stval and the stack in sstatus
    s6   where to go on after a trap, if it is not the next instruction
    s5   ticks from one deadline to the next; 0: none. s4: the last deadline. s3: ticks counted
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..judge import writing
from ..judge.guests import Guest

SSIE: Final = 0x002
STIE: Final = 0x020
SEIE: Final = 0x200
ROOT: Final = 0x8030_0000
HOLE: Final = 0x4000_0000
UART_IER: Final = 0x1000_0001

BEGIN: Final = """
_start:
    la t0, handler
    csrw stvec, t0
    li t0, 0xc000028       # the UART's interrupt: priority 1, for S-mode
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002080
    li t1, 0x400
    sw t1, 0(t0)
    j main

    .align 8
vectors:
    j handler
    j vector1
    j vector
    j vector
    j vector
    j vector5
    j vector
    j vector
    j vector
    j vector9
    j vector
    j vector
vector9:
    addi s11, s11, 4
vector5:
    addi s11, s11, 2
vector1:
    addi s11, s11, 1
vector:
    addi s11, s11, 16
handler:
    csrr s10, scause
    slli s11, s11, 1
    xor s11, s11, s10
    csrr s9, stval
    xor s11, s11, s9
    csrr s9, sstatus
    andi s9, s9, 0x122
    xor s11, s11, s9
    csrr s9, sepc
    xor s11, s11, s9
    bltz s10, interrupt
    li s8, 8
    bne s10, s8, exception
    li s8, 0x100           # U-mode's ecall: go on in S-mode
    csrs sstatus, s8
exception:
    addi s9, s9, 4
    beqz s6, back
    mv s9, s6
    li s6, 0
back:
    csrw sepc, s9
    sret
interrupt:
    slli s10, s10, 1
    srli s10, s10, 1
    li s8, 5
    beq s10, s8, timer
    bgtu s10, s8, external
    csrci sip, 2
    sret
timer:
    addi s3, s3, 1
    li a0, -1
    beqz s5, arm
    add s4, s4, s5
    mv a0, s4
arm:
    li a6, 0
    li a7, 0x54494d45
    ecall
    sret
external:
    li s8, 0x10000001
    sb zero, 0(s8)
    li s8, 0xc201004
    lw s9, 0(s8)
    sw s9, 0(s8)
    sret

main:
"""


class Writer(writing.Writer):
    """Traps are answered so that a program of any choices goes on."""

    BEGIN = BEGIN

    # --- pieces

    def stvec(self) -> None:
        """Direct or vectored."""
        self.emit(*(("la t6, vectors", "ori t6, t6, 1") if self.random.random() < 0.5 else ("la t6, handler",)),
                  "csrw stvec, t6")

    def work(self, most: int = 40) -> None:
        """A loop that does nothing."""
        again = self.label("again")
        self.emit(f"li t0, {self.random.randrange(1, most)}", f"{again}:", "addi t0, t0, -1", f"bnez t0, {again}")

    def stack(self) -> None:
        """SPIE and SPP of any kind, SIE off."""
        self.emit("li t6, 0x122", "csrc sstatus, t6", f"li t6, {self.random.choice((0, 0x20, 0x100, 0x120)):#x}",
                  "csrs sstatus, t6")

    def down(self, interrupts: bool = False) -> str:
        """sret to U-mode, at the label given."""
        label = self.label("user")
        self.emit(f"la t6, {label}", "csrw sepc, t6", "li t6, 0x100", "csrc sstatus, t6", "li t6, 0x20",
                  f"{'csrs' if interrupts else 'csrc'} sstatus, t6", "sret", f"{label}:")
        return label

    def up(self) -> None:
        """Back to S-mode, SIE off."""
        self.emit("ecall", "csrci sstatus, 2")

    def arm(self, deadline: str, new: bool = True) -> None:
        """set_timer with what stands in a register."""
        self.emit(f"mv a0, {deadline}", "li a6, 0", f"li a7, {'0x54494d45' if new else '0'}", "ecall")

    def arm_in(self, ticks: int) -> None:
        """set_timer, from now; below 0: never."""
        self.emit(*((f"li t6, {ticks}",) if ticks < 0 else ("csrr t6, time", f"addi t6, t6, {ticks}")))
        self.arm("t6", self.random.random() < 0.8)

    def raise_(self, interrupts: int) -> None:
        """Make interrupts pending."""
        pieces = [["csrsi sip, 2"]] * bool(interrupts & SSIE)
        pieces += [[f"li t5, {UART_IER:#x}", "li t6, 2", "sb t6, 0(t5)"]] * bool(interrupts & SEIE)
        self.random.shuffle(pieces)
        for piece in pieces:
            self.emit(*piece)
        if interrupts & STIE:
            self.arm("zero")

    def lower(self) -> None:
        """None pending, none enabled."""
        self.emit("csrci sstatus, 2", "csrw sie, zero", "csrci sip, 2", f"li t5, {UART_IER:#x}", "sb zero, 0(t5)",
                  "li t5, 0xc201004", "lw t6, 0(t5)", "sw t6, 0(t5)")
        self.arm_in(-1)

    def enable(self, interrupts: int) -> None:
        """sie."""
        self.emit(f"li t6, {interrupts:#x}", "csrw sie, t6")

    def some(self) -> int:
        """Interrupts, any."""
        return self.random.choice((SSIE, STIE, SEIE, SSIE | STIE, SSIE | SEIE, STIE | SEIE, SSIE | STIE | SEIE))

    def fault(self, is_user: bool) -> None:
        """Something that raises an exception."""
        random = self.random
        odd = ROOT + 0x1000 * random.randrange(1, 8) + 8 * random.randrange(64) + random.randrange(1, 8)
        hole = HOLE + 8 * random.randrange(1 << 20)
        after = self.label("after")
        choices = [["ebreak"], [".word 0xffffffff"], ["csrr t3, mstatus"], ["csrw cycle, t3"],
                   [f"li t5, {odd:#x}", "lr.d t4, (t5)"], [f"li t5, {odd:#x}", "amoadd.d t4, t4, (t5)"],
                   [f"li t5, {hole:#x}", "ld t4, 0(t5)"], [f"li t5, {hole:#x}", "sw t4, 0(t5)"],
                   [f"la s6, {after}", f"li t5, {hole:#x}", "jr t5", f"{after}:"]]
        if is_user:
            choices += [["csrr t3, sscratch"], ["sret"], ["wfi"], ["sfence.vma"]]
        self.emit(*random.choice(choices))


def exceptions(random: Random, length: int = 30) -> Guest:
    """All kinds of exceptions, from both modes, with and without translation, direct and vectored."""
    writer = Writer(random)
    ram = 0x8000_0000 >> 2 | 0xCF
    writer.emit(f"li t0, {ROOT:#x}", f"li t1, {ram:#x}", "sd t1, 16(t0)", "li t1, 0xc7", "sd t1, 0(t0)")
    for _ in range(length):
        writer.stvec()
        if random.random() < 0.4:
            writer.down()
            for _ in range(random.randrange(1, 4)):
                writer.fault(True)
            writer.up()
            continue
        writer.stack()
        if random.random() < 0.5:
            writer.emit("li t6, 1", "slli t6, t6, 63", f"li t5, {ROOT >> 12:#x}", "or t6, t6, t5", "csrw satp, t6",
                        "sfence.vma")
            writer.fault(False)
            writer.emit("csrw satp, zero", "sfence.vma")
        else:
            writer.fault(False)
    return writer.guest("exceptions")


def interrupts(random: Random, length: int = 24) -> Guest:
    """Several at once, enabled in part; let in by SIE, by sret, or by U-mode."""
    writer = Writer(random)
    for _ in range(length):
        writer.stvec()
        writer.raise_(writer.some())
        writer.enable(writer.some())
        how = random.randrange(4)
        if how == 0:
            writer.emit("csrsi sstatus, 2", "addi t4, t4, 1")
        elif how == 1:
            writer.down(random.random() < 0.5)
            writer.work(6)
            writer.emit("ecall")
        elif how == 2:
            label = writer.label("on")
            writer.emit(f"la t6, {label}", "csrw sepc, t6", "li t6, 0x120", "csrs sstatus, t6", "sret", f"{label}:")
        else:
            writer.emit("csrsi sstatus, 2", "csrci sstatus, 2")
            writer.enable(writer.some())
            writer.emit("csrsi sstatus, 2", "addi t4, t4, 3")
        writer.emit("csrr t3, sip", "xor s11, s11, t3")
        writer.lower()
    return writer.guest("interrupts")


def masked(random: Random, length: int = 14) -> Guest:
    """Pending, but not to be taken: not enabled, or SIE off in S-mode. In between one that is."""
    writer = Writer(random)
    for _ in range(length):
        pending = writer.some()
        writer.raise_(pending)
        if random.random() < 0.5:
            writer.enable((SSIE | STIE | SEIE) & ~pending)
            writer.emit("csrsi sstatus, 2")
            writer.work(8)
            if random.random() < 0.5:
                writer.down(True)
                writer.emit("addi t4, t4, 1", "wfi")
                writer.emit("ecall")
        else:
            writer.enable(writer.some() | pending)
            writer.work(8)
        writer.lower()
        if random.random() < 0.4:
            writer.raise_(SSIE)
            writer.enable(SSIE)
            writer.emit("csrsi sstatus, 2", "nop")
            writer.lower()
    return writer.guest("masked")


def _until(writer: Writer, ticks: int, body: list[str]) -> None:
    """Go round until so many ticks have been counted."""
    again = writer.label("until")
    writer.emit("li s3, 0", f"{again}:", *body, f"li t1, {ticks}", f"blt s3, t1, {again}")


def _begin(writer: Writer, interval: int) -> None:
    """A periodic tick, from now on."""
    writer.emit(f"li s5, {interval}", "csrr s4, time", f"addi s4, s4, {interval}")
    writer.arm("s4")


def ticks(random: Random, length: int = 8) -> Guest:
    """Periodic ticks; deadlines that are past, moved, called off, or come while STIE is off."""
    writer = Writer(random)
    for _ in range(length):
        writer.stvec()
        writer.enable(STIE)
        how = random.randrange(5)
        if how == 0:  # periodic, in either mode
            _begin(writer, random.randrange(12, 30))
            if random.random() < 0.5:
                writer.emit("csrsi sstatus, 2")
                _until(writer, 4, ["addi t4, t4, 1"])
            else:
                writer.down(True)
                _until(writer, 4, ["addi t4, t4, 1"])
                writer.emit("ecall")
        elif how == 1:  # moved before it fires, earlier and later
            writer.emit("csrsi sstatus, 2", "li s5, 0")
            for _ in range(4):
                writer.arm_in(random.randrange(20, 60))
                writer.work(12)
            writer.arm_in(random.randrange(4))
            writer.work(60)
        elif how == 2:  # called off
            writer.emit("csrsi sstatus, 2", "li s5, 0")
            writer.arm_in(random.randrange(8, 20))
            writer.work(6)
            writer.arm_in(-1)
            writer.work(80)
        elif how == 3:  # comes while nobody listens; is then heard, or called off
            writer.emit("li s5, 0", "csrw sie, zero", "csrsi sstatus, 2")
            writer.arm_in(random.randrange(1, 6))
            writer.work(60)
            writer.emit("csrr t3, sip", "xor s11, s11, t3")
            if random.random() < 0.5:
                writer.arm_in(random.choice((-1, 100)))
                writer.emit("csrr t3, sip", "xor s11, s11, t3")
            writer.enable(STIE)
            writer.emit("nop", "nop")
        else:  # past, again and again
            writer.emit("li s5, 0", "csrsi sstatus, 2")
            for _ in range(3):
                writer.arm(random.choice(("zero", "t4")))
                writer.emit("addi t4, t4, 1")
        writer.emit("csrci sstatus, 2", "li s5, 0")
        writer.lower()
    return writer.guest("ticks")


def sleep(random: Random, length: int = 16) -> Guest:
    """wfi: with a timer, with something pending already, with SIE on and off, enabled and not."""
    writer = Writer(random)
    for _ in range(length):
        writer.emit("li s5, 0")
        how = random.randrange(5)
        on = ["csrsi sstatus, 2"] if random.random() < 0.5 else []
        if how == 0:  # the timer wakes it, whatever SIE says
            writer.enable(STIE | random.choice((0, SSIE)))
            writer.arm_in(random.randrange(6, 400))  # not before the wfi
            writer.emit(*on, "wfi", "addi t4, t4, 1")
        elif how == 1:  # pending already
            writer.raise_(writer.some() | SSIE)
            writer.enable(SSIE)
            writer.emit("wfi", "addi t4, t4, 2")
        elif how == 2:  # pending, but not enabled: it is the timer that wakes it
            writer.raise_(SSIE)
            writer.enable(STIE)
            writer.arm_in(random.randrange(30, 200))
            writer.emit("wfi", *on, "addi t4, t4, 3")
        elif how == 3:  # the deadline is over
            writer.enable(STIE)
            writer.arm("zero")
            writer.emit("wfi", "csrr t3, sip", "xor s11, s11, t3")
        else:  # the idle loop of a kernel
            writer.enable(STIE)
            _begin(writer, random.randrange(40, 90))
            writer.emit("csrsi sstatus, 2")
            _until(writer, 3, ["wfi"])
        writer.emit("csrr t3, instret", "xor s11, s11, t3", "csrr t3, time", "xor s11, s11, t3", "csrci sstatus, 2",
                    "li s5, 0")
        writer.lower()
    return writer.guest("sleep")


def watchdog(random: Random, rounds: int = 40) -> Guest:
    """A deadline that is moved long before it comes, round after round; then ticks, in work and in sleep."""
    writer = Writer(random)
    writer.enable(STIE)
    writer.emit("li s5, 0", "csrsi sstatus, 2", f"li s2, {rounds}", "round:")
    writer.arm_in(random.randrange(150, 250))
    writer.work(30)
    writer.emit("addi s2, s2, -1", "bnez s2, round")
    for body in (["addi t4, t4, 1"], ["wfi"]):
        _begin(writer, random.randrange(60, 120))
        _until(writer, random.randrange(4, 8), body)
    return writer.guest("watchdog")
