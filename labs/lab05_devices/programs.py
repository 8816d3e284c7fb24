"""Lab 5's guests: drivers that a seed has written, for the UART and its interrupt, and for a disk.

    0x80300000  the descriptor table        0x80308000  buffers, up to 0x8030ffff
    0x80302000  the driver area             0x80306000  request headers
    0x80304000  the device area             0x80307000  status bytes
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..judge import writing
from ..judge.guests import Around, Guest
from ..kit.devices import DESC_NEXT, DESC_WRITE
from .devices import RINGS

UART: Final = 0x1000_0000
SLOT: Final = 0x1000_1000
HEADERS: Final = RINGS.start + 0x6000
STATUSES: Final = RINGS.start + 0x7000
BUFFERS: Final = range(RINGS.start + 0x8000, RINGS.stop)
SECTORS: Final = 64
SECTOR: Final = 512

# Exceptions: skip the instruction. The external interrupt: claim it, read what the UART says, and all that came.
BEGIN: Final = """
_start:
    la t0, handler
    csrw stvec, t0
    li t0, 0xc000028       # PLIC: priority of source 10, enable for S-mode
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002080
    li t1, 0x400
    sw t1, 0(t0)
    li t0, 0x200
    csrw sie, t0
    li s0, 0x10000000
    j main

    .align 2
handler:
    csrr s10, scause
    bltz s10, interrupt
    slli s11, s11, 1
    xor s11, s11, s10
    csrr s9, sepc
    addi s9, s9, 4
    csrw sepc, s9
    sret
interrupt:
    li s9, 0xc201004
    lw s8, 0(s9)
    lbu s7, 2(s0)
    slli s11, s11, 1
    xor s11, s11, s7
more:
    lbu s7, 5(s0)
    andi s7, s7, 1
    beqz s7, done
    lbu s7, 0(s0)
    add s11, s11, s7
    j more
done:
    sw s8, 0(s9)
    sret

main:
"""


class Writer(writing.Writer):
    """Traps are answered so that a program of any choices goes on."""

    BEGIN = BEGIN

    def store(self, size: int, gpa: int, value: int) -> None:
        """A constant to RAM or a register."""
        self.emit(f"li t0, {gpa:#x}", f"li t1, {value:#x}", f"s{' bh w   d'[size]} t1, 0(t0)")

    # --- the UART

    def send(self) -> None:
        """A character, with or without asking whether there is room."""
        if self.random.random() < 0.5:
            self.emit("lbu t0, 5(s0)", "andi t0, t0, 0x20", "add s11, s11, t0")
        self.emit(f"li t1, {self.random.randrange(256)}", "sb t1, 0(s0)")

    def look(self) -> None:
        """A register; RBR among them."""
        load = self.random.choice(("lbu", "lbu", "lb"))
        self.emit(f"{load} t0, {self.random.randrange(8)}(s0)", "slli s11, s11, 1", "xor s11, s11, t0")

    def set(self) -> None:
        """A register that keeps what is written; the interrupts are among them."""
        offset, values = self.random.choice((
            (1, (0, 1, 1, 2, 3, 3)), (2, (0, 1, 7, 0xC1, 0x81, 0x41, 5)), (4, (0, 3, 8, 0xB)), (7, range(256)),
            (3, (3, 0x1B))))
        self.emit(f"li t0, {self.random.choice(values)}", f"sb t0, {offset}(s0)")

    def divisor(self) -> None:
        """The divisor latch, and back."""
        self.emit("li t0, 0x83", "sb t0, 3(s0)", f"li t0, {self.random.randrange(256)}",
                  f"sb t0, {self.random.randrange(2)}(s0)", "lbu t1, 0(s0)", "lbu t2, 1(s0)", "add s11, s11, t1",
                  "xor s11, s11, t2", "li t0, 3", "sb t0, 3(s0)")

    def wide(self) -> None:
        """Accesses of more than a byte, to the UART and elsewhere."""
        address = self.random.choice((UART, UART + 4, SLOT, SLOT + 8, 0xC00_0028, 0xC00_1000))
        self.emit(f"li t0, {address:#x}", f"{self.random.choice(('lw', 'lwu', 'lhu', 'lh'))} t1, 0(t0)",
                  "xor s11, s11, t1")

    def odd(self) -> None:
        """Holes in the map, the UART's end, and what is not aligned."""
        address = self.random.choice((UART + 8, UART + 0x100, UART - 8, 0x1000, 0x1000_9000, 0x7FFF_FFF8, SLOT + 0x200,
                                      UART + 2, UART + 5, SLOT + 6, 0x2000_0000))
        self.emit(f"li t0, {address:#x}", self.random.choice(("lw t1, 0(t0)", "sw t1, 0(t0)", "ld t1, 0(t0)")),
                  "add s11, s11, t1")

    def interrupts(self) -> None:
        """Interrupts on or off."""
        self.emit(self.random.choice(("csrsi sstatus, 2", "csrsi sstatus, 2", "csrci sstatus, 2")), "csrr t0, sip",
                  "xor s11, s11, t0")

    def wait(self) -> None:
        """A while passes, in which somebody may type."""
        label = f"wait{len(self.lines)}"
        self.emit(f"li t0, {self.random.randrange(10, 60)}", f"{label}:", "addi t0, t0, -1", f"bnez t0, {label}")

    # --- the disk

    def start_queue(self, size: int, layout: tuple[int, int, int]) -> None:
        """Reset, negotiate VERSION_1 alone, set the queue up, and run (virtio 3.1.1)."""
        self.emit(f"li s0, {SLOT:#x}")
        for offset, value in ((0x70, 0), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, 0), (0x38, size),
                              (0x80, layout[0]), (0x90, layout[1]), (0xA0, layout[2]), (0x44, 1), (0x70, 15)):
            self.emit(f"li t1, {value:#x}", f"sw t1, {offset}(s0)")

    def descriptor(self, table: int, number: int, gpa: int, length: int, flags: int, following: int) -> None:
        """One."""
        self.store(8, table + 16 * number, gpa)
        self.store(8, table + 16 * number + 8, length | flags << 32 | following << 48)


def uart(random: Random, length: int = 60) -> Guest:
    """A driver of the serial port, and somebody who types."""
    writer = Writer(random)
    actions = {"send": 5, "look": 6, "set": 6, "divisor": 1, "wide": 2, "odd": 2, "interrupts": 3, "wait": 4}
    for _ in range(length):
        getattr(writer, random.choices(list(actions), list(actions.values()))[0])()
    steps = sorted(random.sample(range(50, 1500), 4))
    typed = tuple((step, random.randbytes(random.randrange(1, 20))) for step in steps)
    return writer.guest("uart", Around(typed=typed))


def dispatching(random: Random) -> Guest:
    """Mostly accesses that lead nowhere."""
    writer = Writer(random)
    for _ in range(40):
        getattr(writer, random.choice(("wide", "odd", "odd", "send")))()
    return writer.guest("dispatch")


def layout_of(random: Random, size: int) -> tuple[int, int, int]:
    """Where the three areas lie: the last bytes of a page, and the first of the next, where that may be."""
    near = 0x1000 - random.randrange(1, 8 * size)
    return (RINGS.start + (near & -16), RINGS.start + 0x2000 + (0x1000 - random.randrange(2, 2 * size + 4) & -2),
            RINGS.start + 0x4000 + (0x1000 - random.randrange(4, 8 * size) & -4))


def disk(random: Random, batches: int = 6) -> Guest:
    """A driver that reads and writes sectors, several requests at a notification, in whatever order of descriptors."""
    writer = Writer(random)
    size = random.choice((8, 16))
    table, driver, device = layout_of(random, size)
    writer.start_queue(size, (table, driver, device))
    index = 0
    for batch in range(batches):
        free = random.sample(range(size), size)
        for request in range(random.randrange(1, 3 if size == 8 else 5)):
            head = _request(writer, random, table, free, request)
            writer.store(2, driver + 4 + 2 * (index % size), head)
            index += 1
        writer.store(2, driver + 2, index)
        writer.emit("sw zero, 0x50(s0)", "lw t1, 0x60(s0)", "sw t1, 0x64(s0)", f"li t0, {device:#x}",
                    "lhu t1, 2(t0)", "xor s11, s11, t1", f"li t0, {device + 4 + 8 * (index - 1 & size - 1):#x}",
                    "lw t1, 0(t0)", "lw t2, 4(t0)", "add s11, s11, t1", "xor s11, s11, t2")
        writer.emit(f"li t0, {STATUSES + batch:#x}", "lbu t1, 0(t0)", f"li t0, {random.choice(BUFFERS[:6]):#x}",
                    "ld t2, 0(t0)", "add s11, s11, t1", "add s11, s11, t2")
    return writer.guest("disk", Around((random.randbytes(SECTORS * SECTOR),)))


def _request(writer: Writer, random: Random, table: int, free: list[int], number: int) -> int:
    """A request of three or four descriptors; now and then one beyond the disk's end. Its head."""
    is_write = random.random() < 0.5
    header = HEADERS + 0x100 * number + random.randrange(0, 200, 4)
    writer.store(8, header, int(is_write))
    writer.store(8, header + 8, random.randrange(SECTORS + 4))
    data = random.choice(BUFFERS) - random.randrange(0, 400)
    pieces = [(data, SECTOR)]
    if random.random() < 0.5:
        cut = random.randrange(1, SECTOR)
        pieces = [(data, cut), (random.choice(BUFFERS[:6]) + random.randrange(3500), SECTOR - cut)]
    flags = 0 if is_write else DESC_WRITE
    parts = [(header, 16, 0), *((gpa, length, flags) for gpa, length in pieces),
             (STATUSES + random.randrange(8), 1, DESC_WRITE)]
    numbers = [free.pop() for _ in parts]
    for place, (gpa, length, kind) in enumerate(parts):
        is_last = place == len(parts) - 1
        writer.descriptor(table, numbers[place], gpa, length, kind if is_last else kind | DESC_NEXT,
                          random.randrange(1 << 16) if is_last else numbers[place + 1])
    return numbers[0]
