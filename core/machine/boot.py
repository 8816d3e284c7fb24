"""What the bare machine boots, placed as QEMU's `virt` places it.

    0x80000000         firmware (bios), or the kernel where there is none
    0x80200000         the kernel: a Linux Image, or raw bytes such as U-Boot's; an ELF file says itself where
    kernel + half of RAM, at most 128 MiB:   the initial ramdisk
    below RAM's end    device tree
    0x1000             the reset ROM: a stub, the addresses that it reads, and what fw_dynamic wants to be told

The harts start in M-mode as the stub leaves them, which they have no need to run: at the firmware, a0 = their number,
a1 = device tree, a2 = fw_dynamic's information. Source: QEMU hw/riscv/boot.c; OpenSBI docs/firmware/fw_dynamic.md.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError
from ..isa.assembler import assemble
from .loader import Image, load_raw, read_file
from .memory_map import MIB, PAGE_SIZE, RAM_BASE, RESET_ROM, Region, device_tree_region

KERNEL_BASE = RAM_BASE + 2 * MIB
"""Where firmware expects what it starts (OpenSBI's FW_JUMP_ADDR for a 64-bit generic platform)."""

MAX_INITRD_DISTANCE = 128 * MIB
CPIO_ALIGNMENT = 4

DYNAMIC_INFO = "<6Q"
DYNAMIC_MAGIC, DYNAMIC_VERSION = 0x4942534F, 2  # "OSBI"
NEXT_IS_S_MODE = 1

RESET_STUB = """
    auipc   t0, 0
    addi    a2, t0, 40              # what fw_dynamic wants to be told
    csrr    a0, mhartid
    ld      a1, 32(t0)              # the device tree
    ld      t0, 24(t0)              # the first instruction
    jr      t0
"""
RESET_ADDRESSES = "<2Q"
DYNAMIC_INFO_ADDRESS = RESET_ROM.base + 40


@dataclass(frozen=True)
class BootFiles:
    """What was given to boot, each part or none; read and sound in itself.

    bios: runs first, in M-mode. kernel: what the bios starts, in S-mode; without a bios it runs in M-mode. initrd: the
    ramdisk's bytes. bootargs: the kernel's command line.
    """

    bios: Image | None = None
    kernel: Image | None = None
    initrd: bytes = b""
    bootargs: str = ""

    @property
    def first(self) -> Image:
        """What the harts start with. Raises ImageError where there is nothing."""
        image = self.bios or self.kernel
        if image is None:
            raise ImageError("nothing to boot: neither a bios nor a kernel is given")
        return image


def read_boot_files(
    bios: Path | None = None, kernel: Path | None = None, initrd: Sequence[Path] = (), bootargs: str = ""
) -> BootFiles:
    """Read the files. A bios that is no ELF goes to RAM's start, such a kernel to KERNEL_BASE. Raises ImageError."""
    return BootFiles(
        bios=load_raw(bios, RAM_BASE) if bios is not None else None,
        kernel=load_raw(kernel, KERNEL_BASE) if kernel is not None else None,
        initrd=read_files(initrd),
        bootargs=bootargs,
    )


def read_files(paths: Sequence[Path]) -> bytes:
    """The files, joined. Raises ImageError."""
    return join_archives([read_file(path) for path in paths])


def join_archives(archives: Sequence[bytes]) -> bytes:
    """One behind the other, each from a multiple of 4 bytes: so Linux takes several archives as one initial ramdisk."""
    whole = b""
    for archive in archives:
        whole += bytes(-len(whole) % CPIO_ALIGNMENT) + archive
    return whole


def initrd_region(size: int, kernel: Image, memory_size: int) -> Region | None:
    """Where a ramdisk of `size` bytes goes: clear of the kernel and of where it unpacks itself, and yet in the low part
    of a large RAM. None for an empty one. Raises ImageError where RAM does not hold it."""
    if not size:
        return None
    start = kernel.segments[0].gpa
    base = start + min(memory_size // 2, MAX_INITRD_DISTANCE)
    base = -(-max(base, kernel.segments[-1].region.end) // PAGE_SIZE) * PAGE_SIZE
    region = Region("initial ramdisk", base, size)
    limit = device_tree_region(memory_size).base
    if region.end > limit:
        # A small RAM: right below the device tree is the farthest from the kernel that there is.
        region = Region("initial ramdisk", (limit - size) // PAGE_SIZE * PAGE_SIZE, size)
    if region.base < kernel.segments[-1].region.end:
        raise ImageError(f"an initial ramdisk of {size} bytes does not fit behind {kernel.name}; give it more memory")
    return region


def dynamic_info(kernel: Image | None) -> bytes:
    """struct fw_dynamic_info: what comes next, in which mode; hart 0 is preferred as the one that boots."""
    entry = kernel.entry if kernel is not None else 0
    return struct.pack(DYNAMIC_INFO, DYNAMIC_MAGIC, DYNAMIC_VERSION, entry, NEXT_IS_S_MODE, 0, 0)


def reset_rom(entry: int, device_tree: int, kernel: Image | None) -> bytes:
    """The ROM from which QEMU's harts start."""
    stub = assemble(RESET_STUB, RESET_ROM.base).code
    return stub + struct.pack(RESET_ADDRESSES, entry, device_tree) + dynamic_info(kernel)
