"""Random programs: words biased to what decodes, page tables biased to what maps, in any mode."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hartvisor.core.hart import EXIT_BUDGET, EXIT_MMIO, EXIT_WFI, Exit, Hart, Memory
from hartvisor.core.isa import csrs
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.instructions import BY_NAME, COMPRESSED_ROWS, OPS, Instruction

from .bench import M_VECTOR, MODES, RAM, S_VECTOR, U64, VS_VECTOR, number

FRAMES = 32
SIZE = FRAMES << 12
S_ROOT, S_L1, S_L0 = (RAM + (frame << 12) for frame in (8, 9, 10))
G_ROOT, G_L1, G_L0 = (RAM + (frame << 12) for frame in (12, 16, 17))
VS_ROOT, VS_L1, VS_L0 = (RAM + (frame << 12) for frame in (18, 19, 20))
S_DEEP, VS_DEEP, G_DEEP = (RAM + (frame << 12) for frame in (21, 22, 24))
"""Roots of Sv48 tables whose first entry, and that of RAM, lead to the others."""
ATPS = [mode << 60 | root >> 12 for mode, roots in ((8, (S_ROOT, VS_ROOT, G_ROOT)), (9, (S_DEEP, VS_DEEP, G_DEEP)))
        for root in roots]
CODE_FRAMES = (0, 1, 3, 4)

_HANDLER = """
    csrr x1, {x}cause
    bltz x1, 1f
    csrr x1, {x}epc
    addi x1, x1, {skip}
    csrw {x}epc, x1
1:  {mask}
    {x}ret
"""
_CSR_OPS = [row for row in OPS if row.name.startswith("csrr")]
_MEMORY_OPS = [row for row in OPS if row.format.name in ("S", "amo", "lr") or row.match & 0x7F == 0x03]
_BRANCHES = [row for row in OPS if row.format.name in ("B", "J")]
_SYSTEM = [row for row in OPS if row.match & 0x7F == 0x73 and not row.name.startswith("csrr")]
_INTEGER = [row for row in OPS if row.match & 0x7F in (0x13, 0x33, 0x1B, 0x3B, 0x37, 0x17)]
_CSRS = [csr.number for csr in csrs.CSRS if not csr.name.startswith(("mhpm", "hpm", "pmp", "mseccfg"))]
_PMP = [csr.number for csr in csrs.CSRS if csr.name.startswith(("pmp", "mseccfg"))]


@dataclass
class Case:
    """A program, its page tables and the state it starts in, all from one seed."""

    seed: int
    image: bytes = b""
    registers: list[int] = field(default_factory=list)
    csr_values: dict[str, int] = field(default_factory=dict)
    mode: str = "M"
    pc: int = RAM
    mtimecmp: int = U64
    has_h: bool = True

    def start(self, isa: frozenset[str] | None = None, guest_files: int | None = None) -> Hart:
        """A new hart on a new memory, at the program's first instruction."""
        memory = Memory(SIZE)
        memory.write(RAM, self.image)
        hart = Hart(memory, has_h=self.has_h, isa=isa, guest_files=guest_files)
        for name, value in self.csr_values.items():
            if csrs.BY_NAME[name].exists_in(hart.isa):
                hart.write_csr(number(name), value)
        hart.privilege, virtual = MODES[self.mode]
        if virtual:
            hart.virtual = True
        hart.pc, hart.mtimecmp = self.pc, self.mtimecmp
        hart.write_gprs(self.registers)
        return hart


def make_case(seed: int) -> Case:
    """The program of `seed`."""
    rng = random.Random(seed)
    case = Case(seed, has_h=rng.random() < 0.8)
    case.mode = rng.choice(list(MODES) if case.has_h else ["M", "HS", "U"])
    case.pc = RAM + rng.choice((0, 0xF00, 0xFFE, 0x1000))
    image = bytearray(SIZE)
    for frame in (*CODE_FRAMES, 5, 6):
        image[frame << 12 : frame + 1 << 12] = _code(rng)
    for vector, x, mask in (
        (M_VECTOR, "m", "csrw mie, x0"),
        (S_VECTOR, "s", "csrw sie, x0"),
        (VS_VECTOR, "s", "csrw sie, x0"),
    ):
        source = _HANDLER.format(x=x, skip=rng.choice((2, 4, 4, 4)), mask=mask if rng.random() < 0.7 else "nop")
        code = assemble(source, vector).code
        image[vector - RAM : vector - RAM + len(code)] = code
    for root, l1, l0, base in ((S_ROOT, S_L1, S_L0, 0), (VS_ROOT, VS_L1, VS_L0, 0), (G_ROOT, G_L1, G_L0, 0x10)):
        user = 0x10 if base or case.mode in ("U", "VU") else 0
        _tables(rng, image, root, l1, l0, user)
    for deep, root in ((S_DEEP, S_ROOT), (VS_DEEP, VS_ROOT), (G_DEEP, G_ROOT)):
        image[deep - RAM:deep - RAM + 8] = (root >> 12 << 10 | 1).to_bytes(8, "little")
    case.image = bytes(image)
    case.registers = [0] + [_value(rng) for _ in range(15)] + [_pointer(rng) for _ in range(16)]
    case.csr_values = _csr_values(rng)
    if rng.random() < 0.5:
        case.mtimecmp = rng.randrange(1, 40)
    return case


def _code(rng: random.Random) -> bytes:
    code = bytearray()
    while len(code) < 4096:
        if rng.random() < 0.3:
            row = rng.choice(COMPRESSED_ROWS)
            code += (row.match | rng.getrandbits(16) & ~row.mask & 0xFFFF).to_bytes(2, "little")
        else:
            code += word(rng).to_bytes(4, "little")
    return bytes(code[:4096])


def word(rng: random.Random) -> int:
    """A random 32-bit instruction, mostly a valid one that stays near and works on the pointers in x16 to x31."""
    kind = rng.random()
    if kind < 0.02:
        return rng.getrandbits(32) | 3
    if kind < 0.45:
        row = rng.choice(_MEMORY_OPS)
        return _with(
            row,
            rng,
            rd=rng.randrange(16),
            rs1=rng.randrange(16, 32),
            rs2=rng.randrange(32),
            imm=rng.choice((0, 8, -8, 16, 4, rng.randrange(-64, 64), rng.randrange(-2048, 2048))),
        )
    if kind < 0.62:
        return _with(rng.choice(_INTEGER), rng, rd=rng.randrange(16))
    if kind < 0.76:
        return _with(rng.choice(_BRANCHES), rng, rd=rng.randrange(2), imm=rng.choice((4, 6, 8, 2, 12, 40, -4, -20, 64)))
    if kind < 0.79:
        return _with(
            next(row for row in OPS if row.name == "jalr"),
            rng,
            rd=rng.randrange(2),
            rs1=rng.randrange(16, 32),
            imm=rng.randrange(0, 64, 2),
        )
    if kind < 0.90:
        row = rng.choice(_CSR_OPS)
        return _with(row, rng, rd=rng.randrange(16), imm=rng.choice(_PMP if rng.random() < 0.02 else _CSRS))
    return _with(rng.choice(_SYSTEM), rng, rd=rng.randrange(16), rs1=rng.randrange(16, 32))


def encode(name: str, rng: random.Random, **operands: int) -> int:
    """The named instruction with these operands, the rest random."""
    return _with(BY_NAME[name], rng, **operands)


def _with(row: Instruction, rng: random.Random, **operands: int) -> int:
    """The row's bits with these operands where it has them, the rest random."""
    insn = row.match | rng.getrandbits(32) & ~row.mask
    for name, value in operands.items():
        place = row.format.operands.get(name)
        if place and place.pieces:
            try:
                insn = insn & ~place.source_mask | place.insert(value)
            except ValueError:
                continue
    return insn


def _tables(rng: random.Random, image: bytearray, root: int, l1: int, l0: int, user: int) -> None:
    """Map both the first pages of the address space and RAM's addresses to RAM's frames, each mostly to its own."""

    def put(address: int, value: int) -> None:
        image[address - RAM : address - RAM + 8] = value.to_bytes(8, "little")

    for index in (0, 2):
        put(root + 8 * index, l1 >> 12 << 10 | 1)
    put(l1, l0 >> 12 << 10 | 1)
    put(l1 + 8, rng.choice((RAM >> 12 << 10 | 0xCF | user, l0 >> 12 << 10 | 1, rng.getrandbits(64))))
    for frame in range(FRAMES):
        target = frame if rng.random() < 0.85 else rng.randrange(FRAMES)
        flags = 0xCF | user
        if rng.random() < 0.15 and frame not in (2,):
            flags = rng.choice((0xDF, 0xCF, rng.getrandbits(8) | 1, rng.getrandbits(8)))
        put(l0 + 8 * frame, RAM + (target << 12) >> 12 << 10 | flags)


def _value(rng: random.Random) -> int:
    return rng.choice(
        (
            0,
            1,
            U64,
            1 << 63,
            1 << 31,
            rng.getrandbits(64),
            rng.getrandbits(12),
            1 << rng.randrange(64),
            RAM + rng.randrange(SIZE),
            *ATPS,
        )
    )


def _pointer(rng: random.Random) -> int:
    """An address that is likely mapped: code, data or a page-table entry, in RAM or by the alias at 0."""
    frame = rng.choice((0, 1, 3, 4, 5, 6, 7, 10, 17, 20, rng.randrange(FRAMES)))
    offset = rng.choice((rng.randrange(0, 4096, 8), rng.randrange(0, 128, 4), 0xFF8, 0xFFC, 0xFFE, rng.randrange(4096)))
    base = rng.choice((RAM, RAM, RAM, 0))
    return 0x1000_0000 if rng.random() < 0.03 else base + (frame << 12) + offset


def _csr_values(rng: random.Random) -> dict[str, int]:
    values = {
        "pmpaddr0": (1 << 54) - 1,
        "pmpcfg0": 0x1F,
        "mtvec": M_VECTOR | rng.randrange(2),
        "stvec": S_VECTOR,
        "vstvec": VS_VECTOR,
        "medeleg": rng.choice((0, U64, rng.getrandbits(24))),
        "mideleg": rng.getrandbits(14),
        "hedeleg": rng.choice((0, U64, rng.getrandbits(24))),
        "hideleg": rng.getrandbits(14),
        "mie": rng.getrandbits(14) if rng.random() < 0.5 else 0,
        "mip": rng.getrandbits(14) if rng.random() < 0.3 else 0,
        "mcounteren": rng.getrandbits(32),
        "scounteren": rng.getrandbits(32),
        "hcounteren": rng.getrandbits(32),
        "mstatus": rng.getrandbits(40) & ~(1 << 17 | 7 << 20) | rng.choice((0, 0, 1 << 17)),
        "vsstatus": rng.getrandbits(20),
        "hstatus": rng.getrandbits(10) | rng.choice((0, 0, 7 << 20)),
        "satp": rng.choice((0, ATPS[0], ATPS[3])),
        "vsatp": rng.choice((0, ATPS[1], ATPS[4])),
        "hgatp": rng.choice((0, ATPS[2], ATPS[5])),
        "menvcfg": rng.choice((0, 0, 1 << 61, 3 << 61)),
        "henvcfg": rng.choice((0, 0, 1 << 61, 3 << 61)),
        "htimedelta": rng.getrandbits(64),
    }
    for name in ("mepc", "sepc", "vsepc"):
        values[name] = RAM + rng.choice((0, 0x1000, 0x3000, 0x4000)) + rng.randrange(0, 64, 2)
    return values


def answer(hart: Hart, seen: Exit) -> bool:
    """Be the platform: devices answer by their address, every eighth faults. False when the hart cannot go on."""
    if seen.reason == EXIT_MMIO:
        if seen.address >> 3 & 7 == 7:
            hart.fault_mmio()
        else:
            hart.complete_mmio(0 if seen.is_store else seen.address * 0x0123_4567_89AB_CDEF & U64)
        return True
    assert seen.reason in (EXIT_BUDGET, EXIT_WFI)
    return seen.reason == EXIT_BUDGET


def run_to(hart: Hart, end: int) -> bool:
    """Run to the step `end`; False if the hart sleeps for good before."""
    while hart.steps < end:
        if not answer(hart, hart.run(end - hart.steps)):
            return False
    return True
