"""Every unprivileged instruction against its plain model, with edge and random operands."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.hart import op_counts, op_names
from hartvisor.core.isa.decoder import decode
from hartvisor.core.isa.instructions import BY_NAME, COMPRESSED_ROWS, INSTRUCTIONS, OP_BY_NAME, OPS, Instruction

from ..hart.bench import CODE, DATA, U64, Bench
from . import bit_models
from .unprivileged import AMOS, LOADS, STORES, TAKEN, s, u
from .unprivileged import IMMEDIATE as BASE_IMMEDIATE
from .unprivileged import REGISTER as BASE_REGISTER

REGISTER = BASE_REGISTER | bit_models.REGISTER
IMMEDIATE = BASE_IMMEDIATE | bit_models.IMMEDIATE

EDGES = (
    0,
    1,
    2,
    3,
    U64,
    U64 - 1,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    (1 << 32) - 1,
    1 << 63,
    (1 << 63) - 1,
    0xFFFF_FFFF_8000_0000,
    63,
    64,
    31,
    32,
)
PLACES = tuple(range(32))
FS_DIRTY = 3 << 13


class Runner:
    """Executes one instruction at a time, at CODE, on given registers."""

    def __init__(self, name: str) -> None:
        self.row = BY_NAME[name]
        self.rng = random.Random(name)
        self.bench = Bench()

    def value(self) -> int:
        """An operand: an edge, a random number, or a random number of few bits."""
        return self.rng.choice(
            (self.rng.choice(EDGES), self.rng.getrandbits(64), self.rng.getrandbits(self.rng.randrange(1, 64)))
        )

    def encode(self, **operands: int) -> int:
        """The instruction with these operands; the others (aq, rl, …) random."""
        insn = self.row.match | self.rng.getrandbits(32) & ~self.row.mask
        for name, value in operands.items():
            place = self.row.format.operands[name]
            insn = insn & ~place.source_mask | place.insert(value)
        return insn

    def run(self, insn: int, registers: list[int]) -> list[int]:
        """The registers after the one instruction, which must not trap."""
        bench = self.bench
        bench.memory.store(CODE, 4, insn)
        bench.hart.pc = CODE
        bench.hart.write_gprs([0, *registers[1:]])
        traps, steps = bench.hart.guest_traps, bench.hart.steps
        bench.hart.run(1)
        assert (bench.hart.guest_traps, bench.hart.steps) == (traps, steps + 1), f"{insn:#010x} trapped"
        return list(bench.hart.read_gprs())

    def registers(self) -> list[int]:
        return [0] + [self.value() for _ in range(31)]


def changed(registers: list[int], rd: int, value: int) -> list[int]:
    """The registers with rd set; x0 stays 0."""
    result = list(registers)
    if rd:
        result[rd] = u(value)
    return result


@pytest.mark.parametrize("name", REGISTER)
def test_register_register(name: str) -> None:
    runner = Runner(name)
    cases = [(a, b) for a in EDGES for b in EDGES] + [(runner.value(), runner.value()) for _ in range(150)]
    for a, b in cases:
        rd, rs1, rs2 = (runner.rng.choice(PLACES) for _ in range(3))
        registers = runner.registers()
        registers[rs1], registers[rs2], registers[0] = a, b, 0
        want = changed(registers, rd, REGISTER[name](registers[rs1], registers[rs2]))
        assert runner.run(runner.encode(rd=rd, rs1=rs1, rs2=rs2), registers) == want, (
            f"{registers[rs1]:#x}, {registers[rs2]:#x}"
        )
        assert runner.bench.hart.pc == CODE + 4


@pytest.mark.parametrize("name", IMMEDIATE)
def test_register_immediate(name: str) -> None:
    runner = Runner(name)
    place = runner.row.format.operands["imm"]
    for number in range(400):
        imm = (
            place.extract(runner.rng.getrandbits(32))
            if number > 8
            else place.extract((0, U64, 1 << 31, 0x7FF << 20)[number % 4])
        )
        rd, rs1 = runner.rng.choice(PLACES), runner.rng.choice(PLACES)
        registers = runner.registers()
        want = changed(registers, rd, IMMEDIATE[name](registers[rs1], imm))
        assert runner.run(runner.encode(rd=rd, rs1=rs1, imm=imm), registers) == want, f"{registers[rs1]:#x}, {imm}"


@pytest.mark.parametrize("name", bit_models.UNARY)
def test_register_alone(name: str) -> None:
    runner = Runner(name)
    for a in (*EDGES, *(1 << place for place in range(64)), *(runner.value() for _ in range(200))):
        rd, rs1 = runner.rng.choice(PLACES), runner.rng.choice(PLACES[1:])
        registers = runner.registers()
        registers[rs1] = a
        assert runner.run(runner.encode(rd=rd, rs1=rs1), registers) == changed(registers, rd, bit_models.UNARY[name](a))


@pytest.mark.parametrize("name", [row.name for row in INSTRUCTIONS if row.extension == "Zimop"])
def test_may_be_operations_write_zero(name: str) -> None:
    runner = Runner(name)
    for rd in PLACES:
        registers = runner.registers()
        assert runner.run(runner.encode(rd=rd), registers) == changed(registers, rd, 0)


@pytest.mark.parametrize("name", ["lui", "auipc"])
def test_upper_immediate(name: str) -> None:
    runner = Runner(name)
    for upper in (0, 1, 0x7FFFF, 0x80000, 0xFFFFF, *(runner.rng.getrandbits(20) for _ in range(100))):
        rd = runner.rng.choice(PLACES)
        registers = runner.registers()
        value = s(upper << 12, 32) + (CODE if name == "auipc" else 0)
        assert runner.run(runner.row.match | upper << 12 | rd << 7, registers) == changed(registers, rd, value)


def test_auipc_counts_from_its_own_address_deep_in_a_block() -> None:
    for upper in (0, 1, 0x7FFFF, 0x80000):
        bench = Bench("nop\nnop\nc.nop\n" + f".word {0x297 | upper << 12:#x}\nnop")
        bench.hart.run(5)
        assert bench.x(5) == u(CODE + 10 + s(upper << 12, 32))


@pytest.mark.parametrize("name", TAKEN)
def test_branches(name: str) -> None:
    runner = Runner(name)
    for a, b in [(a, b) for a in EDGES for b in EDGES]:
        rs1, rs2 = runner.rng.choice(PLACES), runner.rng.choice(PLACES)
        imm = runner.rng.choice((-4096, 4094, runner.rng.randrange(-4096, 4096, 2)))
        registers = runner.registers()
        registers[rs1], registers[rs2], registers[0] = a, b, 0
        assert runner.run(runner.encode(rs1=rs1, rs2=rs2, imm=imm), registers) == registers
        assert runner.bench.hart.pc == CODE + (imm if TAKEN[name](registers[rs1], registers[rs2]) else 4)


def test_jal_links_and_jumps() -> None:
    runner = Runner("jal")
    for imm in (-(1 << 20), (1 << 20) - 2, *(runner.rng.randrange(-(1 << 20), 1 << 20, 2) for _ in range(100))):
        rd = runner.rng.choice(PLACES)
        registers = runner.registers()
        assert runner.run(runner.encode(rd=rd, imm=imm), registers) == changed(registers, rd, CODE + 4)
        assert runner.bench.hart.pc == CODE + imm


def test_jalr_clears_bit_0_and_reads_its_base_before_it_links() -> None:
    runner = Runner("jalr")
    for _ in range(300):
        rd, rs1, imm = runner.rng.choice(PLACES), runner.rng.choice(PLACES), runner.rng.randrange(-2048, 2048)
        registers = runner.registers()
        assert runner.run(runner.encode(rd=rd, rs1=rs1, imm=imm), registers) == changed(registers, rd, CODE + 4)
        assert runner.bench.hart.pc == u(registers[rs1] + imm) & ~1


@pytest.mark.parametrize("name", LOADS)
def test_loads(name: str) -> None:
    """At every alignment, page ends included; with rd the base too."""
    runner = Runner(name)
    size, signed = LOADS[name]
    memory = runner.bench.memory
    memory.write(DATA, runner.rng.randbytes(0x2000))
    for _ in range(300):
        rd, rs1, imm = runner.rng.choice(PLACES), runner.rng.choice(PLACES[1:]), runner.rng.randrange(-2048, 2048)
        address = DATA + runner.rng.choice((runner.rng.randrange(0x1FF8), 0x1000 - runner.rng.randrange(9)))
        registers = runner.registers()
        registers[rs1] = u(address - imm)
        value = int.from_bytes(memory.read(address, size), "little", signed=signed)
        assert runner.run(runner.encode(rd=rd, rs1=rs1, imm=imm), registers) == changed(registers, rd, value)


@pytest.mark.parametrize("name", STORES)
def test_stores(name: str) -> None:
    runner = Runner(name)
    size = STORES[name]
    memory = runner.bench.memory
    for _ in range(300):
        rs1, rs2, imm = runner.rng.choice(PLACES[1:]), runner.rng.choice(PLACES), runner.rng.randrange(-2048, 2048)
        address = DATA + runner.rng.choice((runner.rng.randrange(8, 0x1FF0), 0x1000 - runner.rng.randrange(9)))
        registers = runner.registers()
        registers[rs1] = u(address - imm)
        before = memory.read(DATA, 0x2000)
        assert runner.run(runner.encode(rs1=rs1, rs2=rs2, imm=imm), registers) == registers
        at = address - DATA
        assert (
            memory.read(DATA, 0x2000)
            == before[:at] + u(registers[rs2], 8 * size).to_bytes(size, "little") + before[at + size :]
        )


@pytest.mark.parametrize("width", ["w", "d"])
@pytest.mark.parametrize("name", AMOS)
def test_amos(name: str, width: str) -> None:
    runner = Runner(f"{name}.{width}")
    bits = 32 if width == "w" else 64
    memory = runner.bench.memory
    for old, operand in [(a, b) for a in EDGES for b in EDGES]:
        rd, rs1, rs2 = runner.rng.choice(PLACES), runner.rng.choice(PLACES[1:]), runner.rng.choice(PLACES)
        address = DATA + runner.rng.randrange(0, 0x1000, bits // 8)
        memory.store(address, bits // 8, u(old, bits))
        registers = runner.registers()
        registers[rs2] = operand
        registers[rs1], registers[0] = address, 0
        assert runner.run(runner.encode(rd=rd, rs1=rs1, rs2=rs2), registers) == changed(registers, rd, s(old, bits))
        assert memory.load(address, bits // 8) == u(AMOS[name](u(old, bits), u(registers[rs2], bits), bits), bits)


@pytest.mark.parametrize("width", ["w", "d"])
def test_lr_and_sc(width: str) -> None:
    size = 4 if width == "w" else 8
    reserve, conditional = Runner(f"lr.{width}"), Runner(f"sc.{width}")
    conditional.bench = reserve.bench
    memory = reserve.bench.memory
    for old in EDGES:
        rd, rs1, rs2 = (reserve.rng.choice(PLACES[1:]) for _ in range(3))
        memory.store(DATA, 8, old)
        registers = reserve.registers()
        registers[rs1] = DATA
        assert reserve.run(reserve.encode(rd=rd, rs1=rs1), registers) == changed(registers, rd, s(old, 8 * size))
        registers[rs2] = reserve.value()
        registers[rs1] = DATA
        assert conditional.run(conditional.encode(rd=rd, rs1=rs1, rs2=rs2), registers) == changed(registers, rd, 0)
        assert memory.load(DATA, size) == u(registers[rs2], 8 * size)
        memory.store(DATA, 8, 0)
        assert conditional.run(conditional.encode(rd=rd, rs1=rs1, rs2=rs2), registers) == changed(registers, rd, 1)
        assert memory.load(DATA, 8) == 0


def halfwords(row: Instruction, count: int) -> list[int]:
    """Encodings of a compressed row, all-zeros and all-ones operands among them."""
    rng = random.Random(row.name)
    free = ~row.mask & 0xFFFF
    tries = [row.match, row.match | free, *(row.match | rng.getrandbits(16) & free for _ in range(count))]
    return [bits for bits in dict.fromkeys(tries) if (found := decode(bits)) and found.row is row]


@pytest.mark.parametrize("row", COMPRESSED_ROWS, ids=lambda row: row.name)
def test_a_compressed_instruction_does_what_its_expansion_does(row: Instruction) -> None:
    """But for its length: pc moves by 2, and a link register gets pc + 2."""
    rng = random.Random(row.name)
    for bits in halfwords(row, 60):
        operands = {name: place.extract(bits) for name, place in row.format.operands.items()}
        full = BY_NAME[row.expands]
        insn = full.match
        for name, value in operands.items():
            insn |= full.format.operands[name].insert(value) if name in full.format.operands else 0
        registers = [0] + [rng.getrandbits(64) for _ in range(31)]
        if full.name in (*LOADS, *STORES):
            registers[operands["rs1"]] = DATA + 0x800
        results = []
        for code, length in ((bits, 2), (insn, 4)):
            bench = Bench()
            bench.memory.write(DATA, random.Random(7).randbytes(0x1000))
            bench.memory.store(CODE, 4, code if length == 4 else code | 0x0001 << 16)
            bench.hart.write_gprs(registers)
            bench.hart.run(1)
            after = list(bench.hart.read_gprs())
            if row.expands in ("jal", "jalr") and operands["rd"]:
                assert after[operands["rd"]] == CODE + length
                after[operands["rd"]] = 0
            fell_through = bench.hart.pc == CODE + length
            results.append(
                (
                    after,
                    fell_through or bench.hart.pc,
                    bench.hart.guest_traps,
                    bench["mepc"],
                    bench.memory.read(DATA, 0x1000),
                )
            )
        assert results[0] == results[1], f"{bits:#06x}"


CASES_ELSEWHERE = {"amocas.w", "amocas.d", "amocas.q", "wrs.nto"} | {
    "fence", "fence.i", "csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"}


def test_rows_handlers_and_executed_cases_are_the_same_set() -> None:
    """One fact, once: every row has a handler, and every handler runs here once, in M-mode."""
    names = {row.name for row in OPS}
    assert set(OP_BY_NAME) == names == set(op_names()) == set(op_counts())
    before = op_counts()
    for row in OPS:
        runner = Runner(row.name)
        operands = {
            name: value
            for name, value in {"rd": 4, "rs1": 6, "rs2": 8, "imm": 0x1000 if row.format.name == "U" else 8}.items()
            if name in row.format.operands and row.format.operands[name].pieces
            and not (name == "imm" and "rm" in row.format.operands)
        }
        insn = row.match
        for name, value in operands.items():
            insn |= row.format.operands[name].insert(0x340 if row.name.startswith("csr") and name == "imm" else value)
        bench = runner.bench
        bench["mstatus"] = FS_DIRTY
        bench.memory.store(CODE, 4, insn)
        bench.set(x6=DATA, x8=1)
        bench.hart.run(1)
        assert bench.hart.steps == 1, row.name
        traps = row.name in ("ecall", "ebreak")
        assert bench.hart.guest_traps == traps, row.name
    after = op_counts()
    assert {name for name in names if after[name] > before[name]} == names


def test_the_models_and_the_tests_by_hand_cover_every_row() -> None:
    modelled = {
        *REGISTER,
        *IMMEDIATE,
        *bit_models.UNARY,
        *TAKEN,
        *LOADS,
        *STORES,
        "lui",
        "auipc",
        "jal",
        "jalr",
        "lr.w",
        "lr.d",
        "sc.w",
        "sc.d",
    }
    modelled |= {f"{name}.{width}" for name in AMOS for width in "wd"}
    privileged = {row.name for row in OPS if row.privilege.section and not row.name.startswith("csr")}
    assert {row.name for row in OPS} == modelled | CASES_ELSEWHERE | privileged
