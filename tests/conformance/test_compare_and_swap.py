"""AMOCAS against a plain model, pairs and faults included (unprivileged manual, "Zacas"), and WRS ("Zawrs")."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.isa import causes
from hartvisor.core.isa.decoder import decode

from ..hart.bench import CODE, DATA, MODES, Bench
from .test_instructions import EDGES, Runner
from .unprivileged import s, u


@pytest.mark.parametrize(("name", "size"), [("amocas.w", 4), ("amocas.d", 8)])
def test_one_register(name: str, size: int) -> None:
    runner = Runner(name)
    memory, rng = runner.bench.memory, runner.rng
    for old in EDGES * 4:
        rd, rs1, rs2 = rng.randrange(32), rng.randrange(1, 32), rng.randrange(32)
        registers = runner.registers()
        registers[rd] = old if rng.random() < 0.6 else runner.value()
        address = DATA + rng.randrange(0, 256, size)
        registers[rs1], registers[0] = address, 0
        memory.store(address, size, u(old, 8 * size))
        after = list(registers)
        if rd:
            after[rd] = u(s(old, 8 * size))
        assert runner.run(runner.encode(rd=rd, rs1=rs1, rs2=rs2), registers) == after
        is_equal = u(registers[rd], 8 * size) == u(old, 8 * size)
        assert memory.load(address, size) == u(registers[rs2] if is_equal else old, 8 * size)


def test_pairs() -> None:
    runner = Runner("amocas.q")
    memory, rng = runner.bench.memory, runner.rng
    for _ in range(300):
        rd, rs1, rs2 = rng.randrange(0, 32, 2), rng.randrange(1, 32), rng.randrange(0, 32, 2)
        old = [rng.choice((0, runner.value())), rng.choice((0, runner.value()))]
        registers = runner.registers()
        if rng.random() < 0.7:
            registers[rd : rd + 2] = old
        registers[rs1], registers[0] = DATA + 32, 0
        memory.store(DATA + 32, 8, old[0])
        memory.store(DATA + 40, 8, old[1])
        expected, new = ([0, 0] if place == 0 else registers[place : place + 2] for place in (rd, rs2))
        after = list(registers)
        if rd:
            after[rd : rd + 2] = old
        assert runner.run(runner.encode(rd=rd, rs1=rs1, rs2=rs2), registers) == after
        stored = [memory.load(DATA + 32, 8), memory.load(DATA + 40, 8)]
        assert stored == (new if expected == old else old)


def test_odd_registers_are_reserved() -> None:
    rng = random.Random(5)
    for _ in range(50):
        odd = rng.choice((1 << 7, 1 << 20, 1 << 7 | 1 << 20))
        word = 0x2800_402F | odd | rng.getrandbits(32) & (0x1F << 15 | 0xF << 8 | 3 << 25)
        assert decode(word) is None
        bench = Bench()
        bench.memory.store(CODE, 4, word)
        assert bench.trap().cause == causes.ILLEGAL_INSTRUCTION


@pytest.mark.parametrize(("name", "size"), [("amocas.w", 4), ("amocas.d", 8), ("amocas.q", 16)])
def test_misaligned_is_a_store_exception(name: str, size: int) -> None:
    bench = Bench(f"{name} x6, x8, (x5)")
    bench.set(x5=DATA + size // 2)
    trap = bench.trap()
    assert (trap.cause, trap.tval) == (causes.STORE_ADDRESS_MISALIGNED, DATA + size // 2)


TW = VTW = 1 << 21


@pytest.mark.parametrize("name", ["wrs.nto", "wrs.sto"])
@pytest.mark.parametrize(("mstatus", "hstatus"), [(0, 0), (TW, 0), (0, VTW), (TW, VTW)])
@pytest.mark.parametrize("is_reserved", [False, True])
def test_waiting_ends_at_once_whatever_tw_and_vtw_say(name: str, mstatus: int, hstatus: int, is_reserved: bool) -> None:
    """A stall may end for any reason; ours has no length that TW or VTW could find too long (Zawrs)."""
    for mode in MODES:
        bench = Bench(name, mode=mode)
        bench["mstatus"], bench["hstatus"] = bench["mstatus"] | mstatus, bench["hstatus"] | hstatus
        bench.hart.reservation = DATA if is_reserved else -1
        bench.hart.run(1)
        assert (bench.hart.pc, bench.hart.guest_traps, bench.hart.waiting) == (CODE + 4, 0, False)
        assert bench.hart.reservation == (DATA if is_reserved else -1)
