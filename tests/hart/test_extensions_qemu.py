"""The small unprivileged extensions on QEMU 10 and on our hart: the same registers and memory after each."""

from __future__ import annotations

import random

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import decode
from hartvisor.core.isa.disassembler import disassemble
from hartvisor.core.isa.instructions import INSTRUCTIONS, Instruction
from tests.oracles import require_oracle

from .bench import U64
from .float_qemu import FINISHER, OPERANDS, RAM, RESULTS, on_ours, on_qemu

EXTENSIONS = {"Zba", "Zbb", "Zbc", "Zbs", "Zicond", "Zacas", "Zcb", "Zimop", "Zcmop", "Zawrs", "Zicbom", "Zicboz"}
ROWS = [row for row in INSTRUCTIONS if row.extension in EXTENSIONS]
EACH = 40
ARENA = RAM + 0x300_0000
POINTER, REGISTERS = 8, range(10, 16)
OPERAND_SIZE, RESULT_SIZE = 72, 72

# x5 walks the operands, x6 the results, x8 is the arena's address. The first six operands go to x10 to x15, the other
# three to the ends and the middle of the cache block that the instruction may access.
SETUP = f"li x5, {OPERANDS}\nli x6, {RESULTS}\nli x8, {ARENA}"
PLACES = (0, 8, 56)
BEFORE = assemble("\n".join([
    *(f"ld x7, {48 + 8 * i}(x5)\nsd x7, {place}(x8)" for i, place in enumerate(PLACES)),
    *(f"ld x{register}, {8 * i}(x5)" for i, register in enumerate(REGISTERS)), f"addi x5, x5, {OPERAND_SIZE}"])).code
AFTER = assemble("\n".join([
    *(f"sd x{register}, {8 * i}(x6)" for i, register in enumerate(REGISTERS)),
    *(f"ld x7, {place}(x8)\nsd x7, {48 + 8 * i}(x6)" for i, place in enumerate(PLACES)),
    f"addi x6, x6, {RESULT_SIZE}"])).code
END = f"li t0, {FINISHER}\nli t1, 0x5555\nsw t1, 0(t0)\nj ."


def encoding(row: Instruction, source: random.Random) -> int:
    """The instruction with random operands: addresses are the arena's, results go to x10 to x15."""
    is_memory = row.format.name.startswith("amo") or (row.name.startswith(("cbo.", "c.l", "c.s")) \
        and "ext" not in row.name)
    while True:
        insn = row.match | source.getrandbits(8 * row.length) & ~row.mask & (1 << 8 * row.length) - 1
        if row.length == 4:
            registers = {7: source.choice(REGISTERS), 15: POINTER if is_memory else source.choice(REGISTERS),
                         20: source.choice(REGISTERS)}
            if row.name.startswith("amocas"):
                registers |= {7: source.choice((10, 12, 14)), 20: source.choice((10, 12, 14))}
            for place, register in registers.items():
                if not row.mask >> place & 31:
                    insn = insn & ~(31 << place) | register << place
        found = decode(insn)
        if found is not None and found.rd in (0, *REGISTERS) and (not is_memory or found.rs1 == POINTER):
            return insn


def value(source: random.Random) -> int:
    """Often small, so that compare-and-swap finds what it expects."""
    return source.choice((0, 1, 1, U64, source.getrandbits(64), source.getrandbits(64), 1 << source.randrange(64)))


def test_results_are_qemus() -> None:
    qemu, source = require_oracle("qemu-system-riscv64-10"), random.Random("extensions")
    code, data, cases = bytearray(assemble(SETUP, RAM).code), bytearray(), []
    for row in ROWS:
        for _ in range(EACH):
            insn = encoding(row, source)
            cases.append(insn)
            code += BEFORE + insn.to_bytes(row.length, "little") + (b"\1\0" if row.length == 2 else b"") + AFTER
            data += b"".join(value(source).to_bytes(8, "little") for _ in range(OPERAND_SIZE // 8))
    code += assemble(END, RAM + len(code)).code
    assert RAM + len(code) < OPERANDS and OPERANDS + len(data) < ARENA
    image = bytes(code) + bytes(OPERANDS - RAM - len(code)) + bytes(data)
    end = RESULTS + len(cases) * RESULT_SIZE
    ours, theirs = on_ours(image, end), on_qemu(qemu, "max", image, end)
    wrong = {}
    for i, insn in enumerate(cases):
        at = RESULTS - RAM + i * RESULT_SIZE
        if ours[at : at + RESULT_SIZE] != theirs[at : at + RESULT_SIZE]:
            wrong[disassemble(insn, 0)] = tuple(one[at : at + RESULT_SIZE].hex(" ", 8) for one in (ours, theirs))
    assert wrong == {}, "instruction: (ours, QEMU's)"
    assert any(ours[RESULTS - RAM :]) and len(cases) > 4000
