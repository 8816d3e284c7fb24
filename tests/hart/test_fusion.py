"""Fused rows of instructions do what these do one by one, wherever a run is cut and wherever a row faults."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.hart import EXIT_MMIO
from tools.fuse_handlers import read_sequences

from .bench import DATA, Bench, state

ROWS = read_sequences()
LOADS = ("lb", "lbu", "lh", "lhu", "lw", "lwu", "ld", "fld")
STORES = ("sb", "sh", "sw", "sd", "fsd")
BRANCHES = ("beq", "bne", "blt", "bge", "bltu", "bgeu")
SHIFTS = ("slli", "srli", "srai")
REGISTERS = ("x0", "x5", "x6", "x7", "x28", "x29")
NOWHERE = 0x4000_0000
MSTATUS_FS = 3 << 13


def operands(name: str, rng: random.Random, base: str) -> str:
    """Of one instruction; loads and stores go to what `base` points to, jumps to the row's end."""
    one, two, three = (rng.choice(REGISTERS) for _ in range(3))
    if name in LOADS:
        return f"{f'f{rng.randrange(4)}' if name[0] == 'f' else one}, {8 * rng.randrange(8)}({base})"
    if name in STORES:
        return f"{f'f{rng.randrange(4)}' if name[0] == 'f' else one}, {8 * rng.randrange(8)}({base})"
    if name in BRANCHES:
        return f"{one}, {two}, end"
    if name == "jal":
        return f"{one}, end"
    if name == "jalr":
        return f"{one}, 0(x12)"
    if name == "auipc":
        return f"{one}, {rng.randrange(1 << 20)}"
    if name in SHIFTS:
        return f"{one}, {two}, {rng.randrange(64)}"
    if name.endswith("i") or name == "addiw" or name == "sltiu":
        return f"{one}, {two}, {rng.randrange(-2048, 2048)}"
    return f"{one}, {two}, {three}"


def text_of(row: tuple[str, ...], rng: random.Random, bases: list[str]) -> str:
    """The row, and something on either way behind it."""
    lines = [f"{name} {operands(name, rng, base)}" for name, base in zip(row, bases, strict=True)]
    if row[-2:] == ("auipc", "jalr"):
        lines[-2:] = ["auipc x5, 0", "jalr x6, 12(x5)"]
    return "\n".join([*lines, "addi x31, x31, 1", "end: addi x30, x30, 1", "j end"])


def make(source: str, rng: random.Random) -> Bench:
    """A bench with this code, random registers and random data."""
    bench = Bench(source)
    bench["mstatus"] = bench["mstatus"] | MSTATUS_FS
    bench.memory.write(DATA, rng.randbytes(64))
    small = rng.random() < 0.5
    for name in REGISTERS[1:]:
        bench.set(**{name: rng.getrandbits(3 if small else 64)})
    for index in range(4):
        bench.hart.write_fpr(index, rng.getrandbits(64))
    bench.set(x10=DATA, x11=NOWHERE, x12=bench.symbols["end"])
    return bench


def seen(bench: Bench) -> tuple[object, ...]:
    """All that there is to be seen of it."""
    return state(bench.hart), bench.hart.read_fprs(), bench.memory.read(DATA, 64)


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_row_is_its_instructions(row: tuple[str, ...]) -> None:
    for seed in range(6):
        rng = random.Random(f"{row} {seed}")
        source = text_of(row, rng, ["x10"] * len(row))
        start = rng.getrandbits(32)
        total = len(row) + 3
        single = make(source, random.Random(start))
        for _ in range(total):
            single.hart.run(1)
        for cut in range(total):
            whole = make(source, random.Random(start))
            whole.hart.run(50)  # so that its code is known and linked
            again = make(source, random.Random(start))
            again.hart.run(cut)
            again.hart.run(total - cut)
            assert seen(again) == seen(single), source


@pytest.mark.parametrize("row", [row for row in ROWS if {*row} & {*LOADS, *STORES}], ids=" ".join)
def test_a_row_that_leaves_in_its_middle_has_done_what_comes_before(row: tuple[str, ...]) -> None:
    for place, name in enumerate(row):
        if name not in (*LOADS, *STORES):
            continue
        rng = random.Random(f"{row} {place}")
        source = text_of(row, rng, ["x11" if at == place else "x10" for at in range(len(row))])
        start = rng.getrandbits(32)
        fused, single = make(source, random.Random(start)), make(source, random.Random(start))
        exit_ = fused.hart.run(100)
        for _ in range(place):
            assert single.hart.run(1).reason != EXIT_MMIO
        other = single.hart.run(1)
        assert (exit_.reason, exit_.pc, exit_.address) == (EXIT_MMIO, other.pc, other.address)
        assert fused.hart.steps == place and seen(fused) == seen(single)


def test_a_call_by_auipc_and_jalr_is_linked_and_writes_both_registers() -> None:
    bench = Bench("""
        li x5, 3
    again: auipc x6, 0
        jalr x1, 16(x6)
        addi x7, x7, 1
        addi x7, x7, 1
    there: addi x5, x5, -1
        bnez x5, again
    end: j end
    """)
    bench.hart.run(1 + 3 * 4)
    assert bench.x(7) == 0 and bench.x(5) == 0
    assert bench.x(6) == bench.symbols["again"] and bench.x(1) == bench.symbols["again"] + 8
    assert bench.hart.pc == bench.symbols["end"]
