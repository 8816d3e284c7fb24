"""Guests that mean harm, one a way to try: programs, and what they find in their virtio slots.

Each goes on for ever, at whatever it does, unless it is ended. `s11` is a random generator's state where one is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hartvisor.core.devices.network.echo_host import EchoHost
from hartvisor.core.devices.network.wire import Wire
from hartvisor.core.devices.virtio.balloon import VirtioBalloon
from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.devices.virtio.net import VirtioNet
from hartvisor.core.devices.virtio.storage import MemoryDisk
from hartvisor.core.machine.loader import Image, load_image
from hartvisor.core.machine.memory_map import RAM_BASE
from hartvisor.guest import image
from tests.vmm.programs import program
from tests.vmm.support import guest

MEMORY = 8 << 20
TOP = RAM_BASE + MEMORY
RINGS = RAM_BASE + 0x30_0000
DATA = RAM_BASE + 0x31_0000
SLOT = 0x1000_1000
FOREIGN = RAM_BASE + 0x180_0000  # the machine has RAM there, this guest has not

SKIP = """
    j main
    .align 2
skip:
    csrr t6, sepc
    addi t6, t6, 4
    csrw sepc, t6
    sret
main:
    la t0, skip
    csrw stvec, t0
    li s11, 88172645463325252
    li s0, {slot}
"""
"""Whatever faults is skipped."""

RANDOM = """
    slli t6, s11, 13
    xor s11, s11, t6
    srli t6, s11, 7
    xor s11, s11, t6
    slli t6, s11, 17
    xor s11, s11, t6
"""


def ring(queue: int, descriptors: str, available: int = 1, size: int = 8, area: int = RINGS) -> str:
    """Set the device up with one queue, whose table holds `descriptors` (code that stores to s1), and let it look."""
    return f"""
    sw zero, 0x70(s0)
    li t1, 3
    sw t1, 0x70(s0)
    li t1, 1
    sw t1, 0x24(s0)
    sw t1, 0x20(s0)
    li t1, 11
    sw t1, 0x70(s0)
    li t1, {queue}
    sw t1, 0x30(s0)
    li t1, {size}
    sw t1, 0x38(s0)
    li s1, {area}
    li t1, {area & 0xFFFFFFFF}
    sw t1, 0x80(s0)
    li t1, {area >> 32}
    sw t1, 0x84(s0)
    li t1, {area + 0x100 & 0xFFFFFFFF}
    sw t1, 0x90(s0)
    li t1, {area + 0x100 >> 32}
    sw t1, 0x94(s0)
    li t1, {area + 0x200 & 0xFFFFFFFF}
    sw t1, 0xa0(s0)
    li t1, {area + 0x200 >> 32}
    sw t1, 0xa4(s0)
    {descriptors}
    li t1, {available << 16}
    sw t1, 0x100(s1)
    li t1, 1
    sw t1, 0x44(s0)
    li t1, 15
    sw t1, 0x70(s0)
    li t1, {queue}
    sw t1, 0x50(s0)
    """


def descriptor(index: int, gpa: int, length: int, flags: int = 0, following: int = 0) -> str:
    """A descriptor at s1."""
    return f"""
    li t1, {gpa}
    sd t1, {16 * index}(s1)
    li t1, {length | flags << 32 | following << 48}
    sd t1, {16 * index + 8}(s1)
    """


def again(text: str, slot: int = SLOT) -> str:
    return SKIP.format(slot=slot) + "again:\n" + text + "\nj again"


NEXT, WRITE, INDIRECT = 1, 2, 4


def disk() -> list[VirtioDevice]:
    return [VirtioBlock(MemoryDisk(1 << 20))]


def card() -> list[VirtioDevice]:
    return [VirtioNet(Wire(EchoHost()))]


def balloon() -> list[VirtioDevice]:
    return [VirtioBalloon()]


def nothing() -> list[VirtioDevice]:
    return []


@dataclass(frozen=True)
class Hostile:
    """program: text or an image. devices: makes what is in its slots. is_lost: it is ended, or stuck, by what it does.
    memory: bytes."""

    program: str | Image
    devices: Callable[[], list[VirtioDevice]] = field(default=nothing)
    memory: int = MEMORY

    @property
    def image(self) -> Image:
        """What to load."""
        return guest(self.program) if isinstance(self.program, str) else self.program


HEADER = "sd zero, 0x400(s1)\nsd zero, 0x408(s1)\n"  # a read of sector 0

HOSTILE: dict[str, Hostile] = {
    "wild DMA addresses": Hostile(again("".join(
        ring(0, HEADER + descriptor(0, RINGS + 0x400, 16, NEXT, 1) + descriptor(1, gpa, 512, NEXT | WRITE, 2)
             + descriptor(2, DATA, 1, WRITE))
        for gpa in (0, FOREIGN, TOP, TOP - 256, 1 << 40, (1 << 64) - 512, SLOT, 0xC00_0000))), disk),
    "a status byte that lies elsewhere": Hostile(again("".join(
        ring(0, HEADER + descriptor(0, RINGS + 0x400, 16, NEXT, 1) + descriptor(1, DATA, 512, NEXT | WRITE, 2)
             + descriptor(2, gpa, 1, WRITE)) for gpa in (FOREIGN, TOP, (1 << 64) - 1))), disk),
    "rings outside of RAM": Hostile(again("".join(
        ring(0, "", area=area) for area in (FOREIGN, TOP - 0x80, 0, SLOT, 1 << 50, (1 << 64) - 0x1000))), disk),
    "a ring that bites its tail": Hostile(again(
        ring(0, descriptor(0, RINGS + 0x400, 16, NEXT, 1) + descriptor(1, DATA, 16, NEXT, 0))
        + ring(0, descriptor(0, RINGS, 16 * 8, INDIRECT) + descriptor(1, RINGS, 128, INDIRECT | NEXT, 0))), disk),
    "indices out of range": Hostile(again("".join(
        ring(0, descriptor(0, DATA, 16, NEXT, 0xFFFF) + "li t1, 0xffff\nsh t1, 0x104(s1)\n", available=count)
        for count in (1, 2, 9, 0xFFFF))), disk),
    "lengths beyond all bounds": Hostile(again(
        ring(0, HEADER + descriptor(0, RINGS + 0x400, 16, NEXT, 1) + "".join(
            descriptor(index, RAM_BASE, 0xFFFFFFFF, NEXT | WRITE, index + 1) for index in range(1, 7))
             + descriptor(7, DATA, 1, WRITE)) + ring(0, descriptor(0, DATA, 0, 0)))
        , disk),
    "sectors beyond the disk": Hostile(again(
        ring(0, "li t1, -1\nsd t1, 0x408(s1)\nsd zero, 0x400(s1)\n" + descriptor(0, RINGS + 0x400, 16, NEXT, 1)
             + descriptor(1, DATA, 4096, NEXT | WRITE, 2) + descriptor(2, DATA, 1, WRITE))
        + ring(0, "li t1, 0x7fffffffffffff\nsd t1, 0x408(s1)\nli t1, 13\nsd t1, 0x400(s1)\n"
               + descriptor(0, RINGS + 0x400, 16, NEXT, 1) + descriptor(1, DATA, 16, NEXT, 2)
               + descriptor(2, DATA, 1, WRITE))), disk),
    "MMIO at random": Hostile(again(RANDOM + """
        li t1, 0x7ffc
        and t1, s11, t1
        add t1, t1, s0
        srli t2, s11, 20
        sw t2, 0(t1)
        lw t3, 0(t1)
        sb t2, 1(t1)
        sd t2, 0(t1)
        """ + RANDOM + """
        li t1, 0x10000000
        srli t2, s11, 36
        or t1, t1, t2
        sw s11, 0(t1)
        li t1, 0xc000000
        srli t2, s11, 40
        slli t2, t2, 2
        add t1, t1, t2
        sw s11, 0(t1)
        lw t3, 0(t1)
        """), disk),
    "a flood of frames": Hostile(again(
        ring(1, descriptor(0, DATA, 1526) + "sd s11, 18(s1)\n") + "li t1, 1\nsw t1, 0x50(s0)\n" * 8), card),
    "frames of no size": Hostile(again("".join(
        ring(1, descriptor(0, DATA, size)) for size in (0, 1, 11, 12, 25, 26, 70_000, 1 << 24))), card),
    "a balloon of what is not its own": Hostile(again(
        ring(0, f"li t2, {FOREIGN >> 12}\nsw t2, 0x400(s1)\nli t2, -1\nsw t2, 0x404(s1)\nli t2, {DATA >> 12}\n"
             "sw t2, 0x408(s1)\nsw t2, 0x40c(s1)\n" + descriptor(0, RINGS + 0x400, 16))
        + ring(0, f"li t2, {RINGS >> 12}\nsw t2, 0x400(s1)\n" + descriptor(0, RINGS + 0x400, 4))), balloon),
    "page tables that point outside": Hostile(again(f"""
        li t0, {FOREIGN >> 2 | 0xCF}
        li s2, {DATA}
        li t1, 512
    fill:
        sd t0, 0(s2)
        addi s2, s2, 8
        addi t1, t1, -1
        bnez t1, fill
        li s2, {DATA}
        li t0, {(RAM_BASE >> 2) | 0xCF}
        sd t0, 16(s2)
        li t0, {8 << 60 | DATA >> 12}
        csrw satp, t0
        li t1, 0x40000000
        ld t2, 0(t1)
        sd t2, 0(t1)
        li t0, {8 << 60 | FOREIGN >> 12}
        csrw satp, t0
        ld t2, 0(t1)
        csrw satp, zero
        """)),
    "tables within themselves": Hostile(again(f"""
        li s2, {DATA}
        li t0, {DATA >> 2 | 1}
        sd t0, 0(s2)
        sd t0, 8(s2)
        li t0, {(RAM_BASE >> 2) | 0xCF}
        sd t0, 16(s2)
        li t0, {DATA >> 2 | 0xCF}
        sd t0, 24(s2)
        li t0, {8 << 60 | DATA >> 12}
        csrw satp, t0
        sd t0, 0x200(zero)
        li t1, 0x40201000
        sd t0, 0(t1)
        li t1, 0xc0000000
        """ + RANDOM + """
        sd s11, 32(t1)
        sfence.vma
        csrw satp, zero
        """)),
    "roots at random": Hostile(again(RANDOM + f"""
        li t1, {(1 << 44) - 1}
        and t0, s11, t1
        li t1, {8 << 60}
        or t0, t0, t1
        csrw satp, t0
        ld t2, 0(zero)
        csrw satp, zero
        """)),
    "SBI calls at random": Hostile(again(RANDOM + """
        mv a0, s11
        srli a1, s11, 5
        srli a2, s11, 40
        srli a3, s11, 9
        andi a6, s11, 15
        la t0, extensions
        srli t1, s11, 58
        andi t1, t1, 0x3c
        add t0, t0, t1
        lwu a7, 0(t0)
        andi t2, s11, 64
        beqz t2, small
        andi a0, a0, 7
        andi a1, a1, 3
    small:
        ecall
        """) + """
        .align 3
    extensions:
        .word 0x10, 0x54494d45, 0x735049, 0x52464e43, 0x48534d, 0x504d55, 0x4442434e, 0x46574654
        .word 0, 1, 2, 4, 5, 6, 7, 0x535441
        """),
    "a storm of timers": Hostile("""
        la t0, storm
        csrw stvec, t0
        li t0, 0x222
        csrw sie, t0
        csrsi sstatus, 2
        li a0, 0
        li a6, 0
        li a7, 0x54494d45
        ecall
    loop: j loop
        .align 2
    storm:
        csrsi sip, 2
        sret
        """),
    "all of its memory, again and again": Hostile(f"""
    restart:
        li s1, {DATA}
        li s2, {TOP - 0x20_0000}
        li t2, 0x1000
    touch:
        sd s2, 0(s1)
        add s1, s1, t2
        bltu s1, s2, touch
        j restart
        """),
    "stores to whatever is shared": Hostile(f"""
        li s3, 0
    restart:
        addi s3, s3, 1
        li t0, 3000000
        remu t1, s3, t0
        li s1, {DATA}
        li s2, {DATA + 0x10_0000}
        li t2, 0x1000
    touch:
        sd s1, 8(s1)
        bnez t1, same
        sd s3, 0(s1)
    same:
        add s1, s1, t2
        bltu s1, s2, touch
        j restart
        """),
    "a console without end": Hostile("""
    again:
        li a0, 88
        li a7, 1
        ecall
        li t0, 0x10000000
        sb a0, 0(t0)
        j again
        """),
    "code that rewrites itself": Hostile(again(RANDOM + f"""
        li t0, {DATA}
        li t1, 0x8067
        sw t1, 4(t0)
        slli t1, s11, 20
        srli t1, t1, 12
        addi t1, t1, 0x513
        sw t1, 0(t0)
        jalr t0
        """)),
    "harts started everywhere": Hostile(again(RANDOM + """
        andi a0, s11, 3
        srli a1, s11, 7
        li a2, 0
        li a6, 0
        li a7, 0x48534d
        ecall
        """)),
    "a trap vector that faults": Hostile(load_image(image("badvec"))),
    "a jump into nothing": Hostile(load_image(image("jumpnowhere"))),
    "a loop without interrupts": Hostile(load_image(image("spin"))),
    "sleep for ever": Hostile(load_image(image("sleep"))),
    **{f"random code {seed}": Hostile(program(seed, 200)) for seed in range(300, 304)},
}
"""By what each does."""
