"""Guests that change their page tables, for labs 4 and 9: they map, unmap, alias and forbid pages as a seed says, and
fence every change.

    gva 0x00000000  1 GiB   devices, for the supervisor
        0x40000000  4 KiB   PAGES pages of a window, by the table LEAVES (or OTHER, under the second root)
        0x40100000  4 KiB   the user's code
        0x40200000  2 MiB   a superpage
        0x80000000  1 GiB   RAM at its own address, for the supervisor
"""

from __future__ import annotations

from random import Random
from typing import Final

from . import writing
from .guests import Guest

ROOTS: Final = (0x8030_0000, 0x8030_1000)
MIDDLES: Final = (0x8030_2000, 0x8030_3000)
LEAVES: Final = (0x8030_4000, 0x8030_5000)
DATA: Final = 0x8031_0000
FRAMES: Final = 8
WINDOW: Final = 0x4000_0000
USER_CODE: Final = 0x4010_0000
SUPERPAGE: Final = 0x4020_0000
PAGES: Final = 12
UART: Final = 0x1000_0000

V, R, W, X, U, A, D = 1, 2, 4, 8, 16, 64, 128
FLAGS: Final = (R | W | A | D, R | W | A | D, R | W | X | A | D, R | A, X | A, R | X | A, R | W | A, R | W,
                W | A | D, 0, R | W | A | D)

BEGIN: Final = """
_start:
    la t0, handler
    csrw stvec, t0
    j main

    .align 2
handler:
    csrr s10, scause
    slli s11, s11, 1
    xor s11, s11, s10
    csrr s9, stval
    xor s11, s11, s9
    li s8, 8
    beq s10, s8, returned
    csrr s9, sepc
    addi s9, s9, 4
    csrw sepc, s9
    sret
returned:
    csrw sepc, s6
    li s8, 0x100
    csrs sstatus, s8
    sret

    .align 12
user:
    ld t2, 0(a0)
    ecall
    nop
    nop
    sd t2, 8(a0)
    ecall
    nop
    nop
    ld t2, 0(a0)
    addi t2, t2, 1
    sd t2, 0(a0)
    ecall
    .align 12
main:
"""


class Writer(writing.Writer):
    """Traps are answered so that a program of any choices goes on."""

    BEGIN = BEGIN

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.root = 0

    def store(self, gpa: int, value: int) -> None:
        self.emit(f"li t0, {gpa:#x}", f"li t1, {value:#x}", "sd t1, 0(t0)")

    def pte(self, flags: int | None = None) -> int:
        """A leaf of the window."""
        random = self.random
        chosen = random.choice(FLAGS) if flags is None else flags
        user = U if random.random() < 0.5 else 0
        frame = DATA + 0x1000 * random.randrange(FRAMES) if random.random() < 0.9 else UART
        return frame >> 2 | chosen | user | (V if random.random() < 0.95 else 0)

    def begin(self) -> None:
        """Tables, and translation on."""
        ram = 0x8000_0000 >> 2 | V | R | W | X | A | D
        for root, middle, leaves in zip(ROOTS, MIDDLES, LEAVES, strict=True):
            self.store(root, V | R | W | A | D)
            self.store(root + 8, middle >> 2 | V)
            self.store(root + 16, ram)
            self.store(middle, leaves >> 2 | V)
            misaligned = 0x1000 if self.random.random() < 0.2 else 0
            user = U if self.random.random() < 0.5 else 0
            self.store(middle + 8, (0x8020_0000 + misaligned) >> 2 | V | R | A | user)
            for index in range(PAGES):
                self.store(leaves + 8 * index, self.pte())
            self.emit(f"li t0, {leaves + 0x100 * 8:#x}", "la t1, user", "srli t1, t1, 2",
                      f"ori t1, t1, {V | R | X | U | A}", "sd t1, 0(t0)")
        self.switch(0)

    def switch(self, root: int | None = None) -> None:
        """The other address space; its ASID tells it apart."""
        self.root = 1 - self.root if root is None else root
        self.emit(f"li t0, {8 << 60 | (self.root + 1) << 44 | ROOTS[self.root] >> 12:#x}", "csrw satp, t0")

    def edit(self) -> None:
        """An entry changes, and the fence that this needs follows: for the address, the space, or all there is."""
        index = self.random.randrange(PAGES)
        gva = WINDOW + 0x1000 * index
        self.emit(f"li t0, {LEAVES[self.root] + 8 * index:#x}", f"li t1, {self.pte():#x}", "sd t1, 0(t0)")
        kind = self.random.randrange(4)
        if kind == 0:
            self.emit("sfence.vma")
        elif kind == 1:
            self.emit(f"li t0, {gva:#x}", "sfence.vma t0, zero")
        elif kind == 2:
            self.emit(f"li t1, {self.root + 1}", "sfence.vma zero, t1")
        else:
            self.emit(f"li t0, {gva + 8 * self.random.randrange(512):#x}", f"li t1, {self.root + 1}",
                      "sfence.vma t0, t1")
        self.touch(index)

    def touch(self, index: int | None = None) -> None:
        """Load and store through the window."""
        page = self.random.randrange(PAGES) if index is None else index
        self.emit(f"li a0, {WINDOW + 0x1000 * page + 8 * self.random.randrange(500):#x}",
                  self.random.choice(("ld a1, 0(a0)", "sd a1, 0(a0)", "lw a1, 4(a0)", "lbu a2, 1(a0)")),
                  self.random.choice(("ld a2, 0(a0)", "sd a2, 8(a0)", "nop")), "add s11, s11, a1")

    def status(self) -> None:
        """SUM or MXR."""
        bit = self.random.choice((1 << 18, 1 << 18, 1 << 19))
        self.emit(f"li t0, {bit:#x}", f"{self.random.choice(('csrs', 'csrc'))} sstatus, t0")

    def user(self) -> None:
        """The user's code touches a page."""
        label = f"back{len(self.lines)}"
        place = self.random.randrange(3)
        page = self.random.randrange(PAGES)
        self.emit(f"li a0, {WINDOW + 0x1000 * page + 16 * self.random.randrange(200):#x}",
                  f"li t0, {USER_CODE + 16 * place:#x}", "csrw sepc, t0", "li t0, 0x100", "csrc sstatus, t0",
                  f"la s6, {label}", "sret", f"{label}:")

    def odd(self) -> None:
        """Addresses that lead nowhere, devices, the superpage, and code where none may run."""
        random = self.random
        gva = random.choice((1 << 40, 0xFFFF_FFFF_F000_0000, 0x4040_0000, 0xC000_0000, UART + 5, SUPERPAGE + 0x1238,
                             SUPERPAGE + 0x5_0000, 0x200_0000, 0x8800_0000))
        access = random.choice(("lbu a1, 0(a0)", "lbu a1, 0(a0)", "sb a1, 0(a0)"))
        self.emit(f"li a0, {gva:#x}", access, "add s11, s11, a1")

    def bare(self) -> None:
        """Without translation for a while."""
        self.emit("csrw satp, zero", f"li a0, {DATA + 0x1000 * self.random.randrange(FRAMES):#x}", "ld a1, 0(a0)",
                  "sd a1, 8(a0)")
        self.switch(self.root)


def program(random: Random, actions: dict[str, int], length: int, name: str) -> Guest:
    """A guest of so many actions, by weight."""
    writer = Writer(random)
    writer.begin()
    for _ in range(length):
        getattr(writer, random.choices(list(actions), list(actions.values()))[0])()
    return writer.guest(name)


def mapping(random: Random) -> Guest:
    """Maps and touches, in S-mode."""
    return program(random, {"touch": 6, "edit": 5, "odd": 2}, 40, "mapping")


def rights(random: Random) -> Guest:
    """Both modes, SUM and MXR."""
    return program(random, {"touch": 5, "edit": 2, "status": 4, "user": 5, "odd": 1}, 40, "rights")


def spaces(random: Random) -> Guest:
    """Two address spaces, and none."""
    return program(random, {"touch": 5, "edit": 4, "switch": 4, "bare": 1, "user": 1}, 40, "spaces")


def honest_faults(random: Random) -> Guest:
    """Mostly the guest's own faults."""
    return program(random, {"odd": 6, "touch": 3, "edit": 3, "user": 2, "status": 1}, 40, "faults")


def turns(random: Random) -> Guest:
    """A kernel that switches between two processes' spaces again and again, and fences one page now and then."""
    writer = Writer(random)
    writer.begin()
    for leaves in LEAVES:
        for index in range(PAGES):
            writer.store(leaves + 8 * index, (DATA + 0x1000 * random.randrange(FRAMES)) >> 2 | V | R | W | A | D)
    writer.emit("sfence.vma")
    for _ in range(12):
        writer.switch()
        for _ in range(4):
            writer.touch()
        if random.random() < 0.5:
            index = random.randrange(PAGES)
            frame = DATA + 0x1000 * random.randrange(FRAMES)
            writer.store(LEAVES[writer.root] + 8 * index, frame >> 2 | V | R | W | A | D)
            writer.emit(f"li t0, {WINDOW + 0x1000 * index:#x}", f"li t1, {writer.root + 1}", "sfence.vma t0, t1")
    return writer.guest("turns")
