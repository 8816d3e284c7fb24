"""Cache-block instructions: who may use them, where they fault, and what cbo.zero stores (manual, "CMO")."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.isa import causes

from .bench import CODE, DATA, MODES, RAM, Bench
from .tables import ALL, A, D, R, Tables, V, W, X

GATES = {"cbo.inval": (4, (1, 3)), "cbo.clean": (6, (1,)), "cbo.flush": (6, (1,)), "cbo.zero": (7, (1,))}
"""Each instruction's field in the envcfg registers: its lowest bit, and the values that open it."""


def verdict(mode: str, m: bool, h: bool, s: bool) -> int | None:
    """The exception that the manual's pseudocode gives, from which of menvcfg, henvcfg, senvcfg are open."""
    if (mode != "M" and not m) or (mode == "U" and not s):
        return causes.ILLEGAL_INSTRUCTION
    if (mode == "VS" and not h) or (mode == "VU" and not (h and s)):
        return causes.VIRTUAL_INSTRUCTION
    return None


@pytest.mark.parametrize("name", GATES)
def test_gates_are_the_manuals(name: str) -> None:
    shift, opens = GATES[name]
    for mode, m, h, s in product(MODES, (0, *opens), (0, *opens), (0, *opens)):
        bench = Bench(f"{name} (x5)", mode=mode)
        bench["menvcfg"], bench["henvcfg"], bench["senvcfg"] = m << shift, h << shift, s << shift
        bench.set(x5=DATA)
        wanted = verdict(mode, bool(m), bool(h), bool(s))
        if wanted is None:
            bench.hart.run(1)
            assert (bench.hart.pc, bench.hart.guest_traps) == (CODE + 4, 0), (mode, m, h, s)
        else:
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (wanted, bench.memory.load(CODE, 4)), (mode, m, h, s)


@pytest.mark.parametrize("name", ["menvcfg", "henvcfg", "senvcfg"])
def test_reserved_cbie_keeps_its_value(name: str) -> None:
    bench = Bench()
    for value in (0, 1, 3):
        bench[name] = value << 4
        bench[name] = 2 << 4 | 1 << 6
        assert bench[name] == value << 4 | 1 << 6
        bench[name] = 0


@pytest.mark.parametrize("offset", [0, 1, 8, 63])
def test_cbo_zero_clears_the_block_that_holds_the_address(offset: int) -> None:
    bench = Bench("cbo.zero (x5)")
    bench.memory.write(DATA, b"\xff" * 256)
    bench.set(x5=DATA + 64 + offset)
    bench.hart.run(1)
    assert bench.memory.read(DATA, 256) == b"\xff" * 64 + bytes(64) + b"\xff" * 128
    assert bench.hart.pc == CODE + 4


def test_cbo_zero_over_code_is_seen_by_the_next_instruction() -> None:
    bench = Bench("la x5, next\ncbo.zero (x5)\nj next\n.align 6\nnext: li x6, 1\n")
    bench.hart.run(5)
    assert bench["mcause"] == causes.ILLEGAL_INSTRUCTION
    assert bench["mepc"] == bench.symbols["next"]


def test_cbo_zero_leaves_the_harts_own_reservation() -> None:
    bench = Bench("lr.d x6, (x5)\ncbo.zero (x5)\nsc.d x7, x5, (x5)")
    bench.set(x5=DATA)
    bench.hart.run(3)
    assert (bench.x(7), bench.memory.load(DATA, 8)) == (0, DATA)


@pytest.mark.parametrize("name", GATES)
def test_outside_ram_is_a_store_access_fault(name: str) -> None:
    bench = Bench(f"{name} (x5)")
    bench.set(x5=0x1000_0005)
    trap = bench.trap()
    assert (trap.cause, trap.tval) == (causes.STORE_ACCESS_FAULT, 0x1000_0005)


OPEN = 3 << 4 | 1 << 6 | 1 << 7
PAGE = 0x4000_0000
PERMISSIONS = [
    ("cbo.inval", ALL, True),
    ("cbo.flush", V | R | A, True),
    ("cbo.clean", V | R | A, True),
    ("cbo.clean", V | R, False),
    ("cbo.clean", V | X | A, False),
    ("cbo.clean", 0, False),
    ("cbo.zero", V | R | W | A | D, True),
    ("cbo.zero", V | R | W | A, False),
    ("cbo.zero", V | R | A | D, False),
    ("cbo.zero", 0, False),
]


@pytest.mark.parametrize(("name", "flags", "is_allowed"), PERMISSIONS)
@pytest.mark.parametrize("stage", ["HS", "VS", "G"])
def test_managing_needs_a_loads_permission_and_zeroing_a_stores(
    name: str, flags: int, is_allowed: bool, stage: str
) -> None:
    bench = Bench(f"{name} (x5)", mode="HS" if stage == "HS" else "VS")
    bench["menvcfg"] = bench["henvcfg"] = OPEN
    tables = Tables(bench.memory, RAM + 0x2_0000, gstage=stage == "G")
    user = 0x10 if stage == "G" else 0
    tables.identity(RAM, 16, ALL | user)
    tables.map(PAGE, DATA, flags | user)
    bench[{"HS": "satp", "VS": "vsatp", "G": "hgatp"}[stage]] = tables.satp
    bench.memory.write(DATA, b"\xff" * 128)
    bench.set(x5=PAGE + 77)
    if is_allowed:
        bench.hart.run(1)
        assert bench.hart.guest_traps == 0
        assert bench.memory.read(DATA, 64) == b"\xff" * 64
        assert bench.memory.read(DATA + 64, 64) == (bytes(64) if name == "cbo.zero" else b"\xff" * 64)
        return
    trap = bench.trap()
    cause = causes.STORE_GUEST_PAGE_FAULT if stage == "G" else causes.STORE_PAGE_FAULT
    assert (trap.cause, trap.tval) == (cause, PAGE + 77)
    if stage == "G":
        assert bench["mtval2"] == PAGE + 77 >> 2
        assert bench["mtinst"] == bench.memory.load(CODE, 4) & ~(31 << 15)


@pytest.mark.parametrize("hint", ["prefetch.i -32(x5)", "prefetch.r 64(x5)", "prefetch.w 0(x5)"])
def test_prefetch_never_traps(hint: str) -> None:
    for mode in MODES:
        bench = Bench(hint, mode=mode)
        bench.set(x5=3)
        bench.hart.run(1)
        assert (bench.hart.pc, bench.hart.guest_traps) == (CODE + 4, 0)
