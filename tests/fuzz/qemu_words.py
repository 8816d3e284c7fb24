"""Random instructions for the programs that are compared with QEMU, straight from the instruction table.

Registers have roles, so that programs go on for a while: x1, x3 to x7 and x10 to x15 are computed with; x2, x8, x9
and x16 to x23
hold addresses; x24 to x27 are the trap handlers', x28 and x30 count loops, x29 holds the arena's address, x31 is spare.
"""

from __future__ import annotations

import random
from functools import cache

from hartvisor.core.hart import op_names
from hartvisor.core.isa.csrs import CSRS
from hartvisor.core.isa.decoder import decode
from hartvisor.core.isa.instructions import BY_NAME, COMPRESSED_ROWS, OPS, Instruction

from .qemu_layout import FINAL_CSRS, INITIAL_CSRS, LOGGED_CSRS, csr

COMPUTED = (1, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15)
POINTERS = (2, 8, 9, *range(16, 24))
BASE = 29

WIDTHS = {"b": 1, "h": 2, "w": 4, "d": 8}
_NOT_COMPUTING = ("jal", "jalr", "ecall", "ebreak", "sret", "mret", "wfi", "fence.i", "lr.w", "lr.d", "sc.w", "sc.d")
# What a machine may answer as it likes: clocks, counters, who it is; and what the harness needs for itself.
_COUNTERS = tuple(
    csr.name for csr in CSRS if csr.name in ("cycle", "time", "instret") or csr.name.startswith("hpmcounter")
)
_LEFT_ALONE = (
    "mtvec",
    "mscratch",
    "misa",
    "mvendorid",
    "marchid",
    "mimpid",
    "mconfigptr",
    "mcycle",
    "minstret",
    "mseccfg",
)
_KNOWN = frozenset((*LOGGED_CSRS, *FINAL_CSRS, *INITIAL_CSRS))
CSR_NUMBERS = tuple(
    csr.number for csr in CSRS if csr.name in _KNOWN and csr.name not in _LEFT_ALONE and not csr.name.startswith("pmp")
)
FFLAGS, FRM = csr("fflags"), csr("frm")
COUNTER_NUMBERS = tuple(csr.number for csr in CSRS if csr.name in _COUNTERS)
# Written with chosen values only: QEMU can make a mode 32 bits wide, which is its right (UXL and SXL are WARL).
_CHOSEN = tuple(
    csr.number
    for csr in CSRS
    if csr.name
    in (
        "sstatus",
        "mstatus",
        "hstatus",
        "vsstatus",
        "hvip",
        "hip",
        "scause",
        "vscause",
        "mcause",
        "htinst",
        "mtinst",
        "mie",
        "sie",
        "hie",
        "vsie",
        "hgatp",
        "vsatp",
        "mtval",
        "mtval2",
        "stval",
        "vstval",
        "htval",
        "mstateen0",
        "hstateen0",
        "sstateen0",
        "mepc",
        "sepc",
        "vsepc",
        "medeleg",
        "mideleg",
        "hedeleg",
        "hideleg",
        "menvcfg",
        "henvcfg",
        "senvcfg",
        "stvec",
        "vstvec",
        "mip",
        "sip",
        "vsip",
        "mcountinhibit",
        "stimecmp",
        "vstimecmp",
    )
)
STATUS_CSRS = tuple(
    csr.number
    for csr in CSRS
    if csr.name
    in (
        "sstatus",
        "mstatus",
        "hstatus",
        "vsstatus",
        "mip",
        "sip",
        "hvip",
        "vsip",
        "hip",
        "mie",
        "sie",
        "hie",
        "vsie",
        "mepc",
        "sepc",
        "vsepc",
        "medeleg",
        "hedeleg",
        "mideleg",
        "hideleg",
        "sscratch",
        "scause",
        "stval",
        "scounteren",
        "hcounteren",
    )
)


def _rows(*formats: str) -> list[Instruction]:
    executed = set(op_names())
    return [
        row for row in OPS if row.format.name in formats and row.name in executed and row.name not in _NOT_COMPUTING
    ]


COMPUTING = [
    row for row in _rows("R", "I", "I-shift", "I-shiftw", "U") if row.match & 0x7F not in (0x03, 0x0F, 0x67, 0x73)
]
FLOAT = [row for row in OPS if row.name in set(op_names()) and row.match & 0x7F in (0x43, 0x47, 0x4B, 0x4F, 0x53)]
FLOAT_LOADS, FLOAT_STORES = _rows("F-load"), _rows("F-store")
CACHE_BLOCK = [row for row in OPS if row.format.name == "block"]
ROUNDING = (0, 0, 0, 1, 2, 3, 4, 7, 7, 7, 7)
LOADS = [row for row in _rows("I") if row.match & 0x7F == 0x03]
STORES = _rows("S")
AMOS = _rows("amo")
BRANCHES = _rows("B")
GUEST_LOADS, GUEST_STORES = _rows("hlv"), [row for row in _rows("hsv") if row.name.startswith("hsv")]
PLAIN_GUEST_LOADS = [row for row in GUEST_LOADS if not row.name.startswith("hlvx")]
FENCES = [row for row in _rows("hsv", "fence") if row not in GUEST_STORES]


@cache
def compressed_pool() -> tuple[int, ...]:
    """Compressed instructions that keep the registers' roles and do not jump."""
    source = random.Random("compressed")
    pool = []
    for _ in range(6000):
        row = source.choice(COMPRESSED_ROWS)
        insn = row.match | source.getrandbits(16) & ~row.mask
        found = decode(insn)
        if found is None or found.name in ("jal", "jalr", "beq", "bne"):
            continue
        if found.rd and found.rd not in COMPUTED:
            continue
        if found.rs1 not in POINTERS and BY_NAME[found.name].match & 0x5F in (0x03, 0x07):  # loads and stores
            continue
        pool.append(insn)
    return tuple(pool)


def compute(rng: random.Random) -> int:
    """Arithmetic on any registers, into one that is computed with; a third of it floating-point."""
    if rng.random() < 0.35:
        return _float_compute(rng)
    row = rng.choice(COMPUTING)
    return row.match | rng.getrandbits(32) & ~row.mask & ~(31 << 7) | rng.choice(COMPUTED) << 7


def _float_compute(rng: random.Random) -> int:
    row = rng.choice(FLOAT)
    insn = row.match | rng.getrandbits(32) & ~row.mask
    operands = row.format.operands
    if "rm" in operands and rng.random() < 0.98:
        insn = insn & ~(7 << 12) | rng.choice(ROUNDING) << 12
    if not operands["rd"].is_float:
        insn = insn & ~(31 << 7) | rng.choice(COMPUTED) << 7
    return insn


def load(rng: random.Random, pointer: int, offset: int) -> int:
    """A load by a pointer; the destination of a floating-point one is any register."""
    if rng.random() < 0.25:
        return rng.choice(FLOAT_LOADS).match | rng.randrange(32) << 7 | pointer << 15 | (offset & 0xFFF) << 20
    return rng.choice(LOADS).match | rng.choice(COMPUTED) << 7 | pointer << 15 | (offset & 0xFFF) << 20


def store(rng: random.Random, pointer: int, offset: int) -> int:
    """A store of any register by a pointer."""
    row = rng.choice(FLOAT_STORES if rng.random() < 0.25 else STORES)
    return row.match | pointer << 15 | rng.randrange(32) << 20 | (offset & 31) << 7 | (offset >> 5 & 0x7F) << 25


def cache_block(rng: random.Random, pointer: int) -> int:
    """A cache-block instruction."""
    return rng.choice(CACHE_BLOCK).match | pointer << 15


def atomic(rng: random.Random, pointer: int) -> int:
    """An AMO, any aq and rl."""
    return (
        rng.choice(AMOS).match
        | rng.choice(COMPUTED) << 7
        | pointer << 15
        | rng.randrange(32) << 20
        | rng.randrange(4) << 25
    )


def reserve(rng: random.Random, pointer: int) -> list[int]:
    """LR and its SC, something in between perhaps."""
    width = rng.choice("wd")
    words = [BY_NAME[f"lr.{width}"].match | rng.choice(COMPUTED) << 7 | pointer << 15]
    if rng.random() < 0.5:
        words.append(compute(rng))
    words.append(BY_NAME[f"sc.{width}"].match | rng.choice(COMPUTED) << 7 | pointer << 15 | rng.randrange(32) << 20)
    return words


def guest_access(rng: random.Random, pointer: int, has_hlvx: bool) -> int:
    """HLV, HSV or, if wanted, HLVX."""
    if rng.random() < 0.5:
        return (
            rng.choice(GUEST_LOADS if has_hlvx else PLAIN_GUEST_LOADS).match | rng.choice(COMPUTED) << 7 | pointer << 15
        )
    return rng.choice(GUEST_STORES).match | pointer << 15 | rng.randrange(32) << 20


def csr_access(rng: random.Random) -> int:
    """Any of the six CSR instructions on a CSR that the machines must agree about; of counters only whether they may
    be read."""
    chance = rng.random()
    how = rng.choice((1, 2, 3, 5, 6, 7))
    if chance < 0.06:
        return 2 << 12 | 0x73 | rng.choice(COUNTER_NUMBERS) << 20
    if chance < 0.2:  # the floating-point ones; frm mostly with a rounding mode that there is
        if rng.random() < 0.5:
            return 5 << 12 | 0x73 | rng.choice((0, *COMPUTED)) << 7 | rng.randrange(5) << 15 | FRM << 20
        return how << 12 | 0x73 | rng.choice((0, *COMPUTED)) << 7 | rng.choice(COMPUTED) << 15 | FFLAGS << 20
    number = rng.choice(STATUS_CSRS) if chance < 0.65 else rng.choice(CSR_NUMBERS)
    if chance > 0.99:
        number = rng.choice((0x8FF, 0xCC0, 0xDFF, 0x9C0, 0x5C0, 0x6C0))
    if number in _CHOSEN:
        return 2 << 12 | 0x73 | number << 20
    source = rng.choice((0, *COMPUTED, *COMPUTED)) if how < 4 else rng.randrange(32)
    return how << 12 | 0x73 | rng.choice((0, *COMPUTED)) << 7 | source << 15 | number << 20


def branch(rng: random.Random, distance: int) -> int:
    """A branch of `distance` bytes."""
    row = rng.choice(BRANCHES)
    return (
        row.match
        | row.format.operands["imm"].insert(distance)
        | rng.choice(COMPUTED) << 15
        | rng.choice(COMPUTED) << 20
    )


def li(register: int, value: int) -> list[int]:
    """The shortest plain way to a 64-bit constant: lui, addi and shifts."""
    value = value & (1 << 64) - 1
    signed = value - (1 << 64) if value >> 63 else value
    low = (signed & 0xFFF) - (1 << 12 if signed & 0x800 else 0)
    if -2048 <= signed < 2048:
        return [0x13 | register << 7 | (signed & 0xFFF) << 20]
    if -(1 << 31) <= signed < (1 << 31) - 2048:
        words = [0x37 | register << 7 | (signed - low) & 0xFFFFF000]
        return words + ([0x1B | register << 7 | register << 15 | (low & 0xFFF) << 20] if low else [])
    rest, shift = (signed - low) >> 12, 12
    while not rest & 1:
        rest, shift = rest >> 1, shift + 1
    words = [*li(register, rest), 0x1013 | register << 7 | register << 15 | shift << 20]
    return words + ([0x13 | register << 7 | register << 15 | (low & 0xFFF) << 20] if low else [])
