"""Where everything lies in the RAM that our machine and QEMU start with, and what a log entry holds.

The harness (qemu_harness.py) runs one program after the other in M-mode's service; each is loaded into the same
arena of 40 frames. All traps to M-mode are logged, and the logs of the two machines are compared.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hartvisor.core.isa.csrs import BY_NAME

RAM = 0x8000_0000
RAM_SIZE = 64 << 20
HARNESS = RAM
VARIABLES = RAM + 0x1_0000
ARENA = RAM + 0x10_0000
FRAMES = 40
ARENA_SIZE = FRAMES << 12
ARENA_RANGE = 64 << 12
"""What PMP opens: a power of two that holds the arena."""
PROGRAMS = RAM + 0x20_0000
LOGS = RAM + 0x200_0000
END = RAM + RAM_SIZE

# The arena's frames. Every table and every page of data that random stores reach has neighbours that may be spoilt.
CODE, N_CODE = 0, 4
S_HANDLER, VS_HANDLER = 4, 5
DATA, N_DATA = 6, 4
G_ROOT = 12  # 16 KiB, and aligned to that
S_ROOT, S_L1, S_L0, VS_ROOT, VS_L1, VS_L0, G_L1, G_L0 = range(18, 26)
# Above them, where there are four or five levels; a G-stage root has 16 KiB here too.
S_L3, S_L4, VS_L3, VS_L4, G_L3 = 29, 30, 31, 32, 33
G_TOP = 36
ALIAS = 0x1410_0000  # the arena's other virtual address, which `lui` reaches; no device is there

# Harness variables, doublewords from VARIABLES on.
INDEX, COUNT, LOG_AT, TRAPS, DESCRIPTOR, PROGRESS = range(6)

LOGGED_CSRS = (
    "mcause",
    "mepc",
    "mtval",
    "mtval2",
    "mtinst",
    "mstatus",
    "mip",
    "sstatus",
    "scause",
    "sepc",
    "stval",
    "satp",
    "hstatus",
    "htval",
    "htinst",
    "hvip",
    "vsstatus",
    "vscause",
    "vsepc",
    "vstval",
    "vsip",
    "hgatp",
    "vsatp",
)
"""What each log entry holds after the registers x1 to x31, and before fcsr and f0 to f31."""

FINAL_CSRS = (
    "medeleg",
    "mideleg",
    "mie",
    "mcounteren",
    "menvcfg",
    "mstateen0",
    "hstateen0",
    "sstateen0",
    "stvec",
    "sie",
    "scounteren",
    "senvcfg",
    "sscratch",
    "sip",
    "hedeleg",
    "hideleg",
    "hie",
    "hip",
    "hcounteren",
    "henvcfg",
    "htimedelta",
    "hgeie",
    "vstvec",
    "vsie",
    "vsscratch",
    "pmpcfg0",
    "pmpaddr0",
    "pmpaddr1",
    "pmpaddr2",
    "mcountinhibit",
)
"""What the last entry of a program holds beside, once for each program."""

FLOATS = ("fcsr", *(f"f{index}" for index in range(32)))
ENTRY_NAMES = (*(f"x{index}" for index in range(1, 32)), *LOGGED_CSRS, *FLOATS)
FLOATS_AT = 8 * (31 + len(LOGGED_CSRS))
STATUS_AT = 8 * ENTRY_NAMES.index("mstatus")
ENTRY_SIZE = 8 * len(ENTRY_NAMES)
FINAL_NAMES = (*FINAL_CSRS, *(f"frame{frame}" for frame in range(FRAMES)))
FINAL_SIZE = 8 * len(FINAL_NAMES)
MAX_TRAPS = 48
LOG_HEAD = 8
LOG_SIZE = LOG_HEAD + MAX_TRAPS * ENTRY_SIZE + FINAL_SIZE
"""A program's log: the number of entries, the entries, the final state."""

MAX_PROGRAMS = (END - LOGS) // LOG_SIZE

TIMERS = tuple(name for name in ("stimecmp", "vstimecmp") if name in BY_NAME)
INITIAL_CSRS = (
    *TIMERS,
    "menvcfg",
    "mip",
    "pmpcfg0",
    "pmpaddr0",
    "pmpaddr1",
    "pmpaddr2",
    "pmpaddr3",
    "medeleg",
    "mideleg",
    "mie",
    "mcounteren",
    "mstateen0",
    "hstateen0",
    "sstateen0",
    "stvec",
    "scounteren",
    "senvcfg",
    "sscratch",
    "sepc",
    "scause",
    "stval",
    "satp",
    "hstatus",
    "hedeleg",
    "hideleg",
    "hcounteren",
    "henvcfg",
    "htimedelta",
    "hvip",
    "hgatp",
    "htval",
    "htinst",
    "hgeie",
    "vsstatus",
    "vstvec",
    "vsscratch",
    "vsepc",
    "vscause",
    "vstval",
    "vsatp",
    "mcountinhibit",
    "mtval",
    "mtval2",
    "mtinst",
    "mepc",
    "mstatus",
)
"""What the harness sets before a program starts, in this order; mepc is where it starts."""

# What to do after the i-th trap: flags, where to go on if asked to, a page-table entry to store.
ACT_JUMP, ACT_MODE, ACT_SHORT, ACT_PTE, ACT_STAY = 1, 2, 4, 8, 16
ACTION_SIZE = 32
# The modes, as mstatus.MPP and MPV have them.
MODES = {"M": 3 << 11, "S": 1 << 11, "U": 0, "VS": 1 << 39 | 1 << 11, "VU": 1 << 39}


@dataclass
class Action:
    """After a trap: the mode to go on in (bits of mstatus) if `flags` has ACT_MODE, the pc if ACT_JUMP, the entry to
    store if ACT_PTE. ACT_STAY: go on in M-mode, with MPP and MPV as the trap left them and the pc in x31.

    A fetch that failed always makes the program go on at `pc` in `mode`.
    """

    flags: int
    mode: int
    pc: int
    address: int
    value: int


@dataclass
class Program:
    """One program: its arena's frames that are not zero, its registers x1 to x31, fcsr and f0 to f31, CSRs and
    actions."""

    seed: int
    frames: dict[int, bytearray]
    registers: list[int]
    floats: list[int]
    csrs: dict[str, int]
    mode: int
    actions: list[Action]
    max_traps: int = MAX_TRAPS


# A descriptor: skip, max traps, number of frames, mode, registers x1.., fcsr, f0.., CSRs, actions, then (address, 4096
# bytes) a frame.
_HEAD = 4
REGISTERS_AT = 8 * _HEAD
FLOAT_REGISTERS_AT = REGISTERS_AT + 8 * 31
CSRS_AT = FLOAT_REGISTERS_AT + 8 * len(FLOATS)
ACTIONS_AT = CSRS_AT + 8 * len(INITIAL_CSRS)
FRAMES_AT = ACTIONS_AT + ACTION_SIZE * MAX_TRAPS


def pack(program: Program) -> bytes:
    """A program as the harness reads it."""
    words = [0, program.max_traps, len(program.frames), program.mode, *program.registers, *program.floats]
    words += [program.csrs.get(name, 0) for name in INITIAL_CSRS]
    parts: list[bytes | bytearray] = [struct.pack(f"<{len(words)}Q", *words)]
    parts += [struct.pack("<4Q", a.flags | a.mode, a.pc, a.address, a.value) for a in program.actions]
    for frame, data in program.frames.items():
        parts += [struct.pack("<Q", ARENA + (frame << 12)), data]
    return b"".join(parts)


def csr(name: str) -> int:
    """A CSR's number."""
    return BY_NAME[name].number
