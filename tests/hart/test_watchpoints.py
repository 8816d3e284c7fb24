"""The host's watchpoints: the access is done, and the run ends before the next step, whatever is cached."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import EXIT_BUDGET, EXIT_WATCHPOINT, WATCH_LOADS, WATCH_STORES

from .bench import CODE, DATA, M_VECTOR, Bench
from .tables import ALL, A, D, Tables

ADUE = 1 << 61
BOTH = WATCH_LOADS | WATCH_STORES


def watching(source: str, kinds: int = BOTH, *, at: int = DATA, length: int = 8, warm: bool = True) -> Bench:
    """A hart before `source`, with x6 = DATA; translations of DATA cached with `warm`."""
    bench = Bench("sd x0, 64(x6)\nld x0, 64(x6)\n" + source)
    bench.set(x6=DATA, x5=0x1122_3344_5566_7788)
    if warm:
        bench.hart.run(2)
    else:
        bench.hart.pc += 8
    bench.memory.watchpoints = [(at, length, kinds)]
    return bench


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(("source", "kind"), [
    ("sd x5, 0(x6)", WATCH_STORES), ("sb x5, 7(x6)", WATCH_STORES), ("fsd f5, 0(x6)", WATCH_STORES),
    ("c.sd x8, 0(x9)", WATCH_STORES), ("sc.d x7, x5, (x6)", WATCH_STORES), ("cbo.zero (x6)", WATCH_STORES),
    ("amoadd.w x7, x5, (x6)", BOTH), ("amocas.d x7, x5, (x6)", BOTH),
    ("ld x7, 0(x6)", WATCH_LOADS), ("lbu x7, 3(x6)", WATCH_LOADS), ("flw f7, 4(x6)", WATCH_LOADS),
    ("lr.d x7, (x6)", WATCH_LOADS),
])
def test_the_access_is_done_and_nothing_after_it(source: str, kind: int, warm: bool) -> None:
    for watched in (WATCH_LOADS, WATCH_STORES, BOTH):
        bench = watching(f"{source}\naddi x1, x1, 1", watched, warm=warm)
        bench.set(x9=DATA)
        bench["mstatus"] = 3 << 13
        bench["menvcfg"] = 1 << 7
        bench.hart.reservation = DATA if "sc" in source else -1
        plain = watching(f"{source}\naddi x1, x1, 1", watched, warm=warm)
        pc = bench.hart.pc
        seen = bench.hart.run(2)
        if not watched & kind:
            assert (seen.reason, bench.x(1)) == (EXIT_BUDGET, 1)
            continue
        assert (seen.reason, seen.pc, seen.steps, seen.hart) == (EXIT_WATCHPOINT, pc, plain.hart.steps + 1, 0)
        assert seen.is_store == bool(watched & kind & WATCH_STORES)
        assert (bench.hart.pc, bench.x(1)) == (pc + (2 if source.startswith("c.") else 4), 0)
        assert bench.hart.run(1).reason == EXIT_BUDGET
        assert bench.x(1) == 1


def test_it_tells_the_watched_bytes_before_and_after() -> None:
    bench = watching("sd x5, 0(x6)", WATCH_STORES, at=DATA + 2, length=2)
    bench.memory.watchpoints = ()
    bench.memory.store(DATA, 8, 0xAABB_CCDD_EEFF_0011)
    bench.memory.watchpoints = [(DATA + 2, 2, WATCH_STORES)]
    seen = bench.hart.run(1)
    assert (seen.address, seen.size, seen.before, seen.value) == (DATA + 2, 2, 0xEEFF, 0x5566)


def test_neighbours_in_the_page_are_not_watched() -> None:
    bench = watching("sd x5, 8(x6)\nsb x5, -1(x6)\nld x7, 8(x6)")
    assert bench.hart.run(3).reason == EXIT_BUDGET


def test_a_store_across_two_pages_hits_in_the_second() -> None:
    bench = watching("addi x6, x6, -4\nsd x5, 0(x6)", WATCH_STORES)
    seen = bench.hart.run(5)
    assert (seen.address, seen.size, seen.value) == (DATA, 4, 0x1122_3344)


def test_an_access_that_faults_is_no_hit() -> None:
    bench = watching("amoadd.w x7, x5, (x6)", at=DATA + 1)
    bench.set(x6=DATA + 1)
    bench.hart.run(1)
    assert bench.hart.pc == M_VECTOR
    assert bench.memory.take_hit() is None


def test_a_failing_sc_stores_nothing() -> None:
    bench = watching("sc.d x7, x5, (x6)")
    assert (bench.hart.run(1).reason, bench.x(7)) == (EXIT_BUDGET, 1)


def test_a_hit_in_the_budgets_last_step_is_told() -> None:
    assert watching("sd x5, 0(x6)").hart.run(1).reason == EXIT_WATCHPOINT


def test_what_no_hart_stores_waits_to_be_told() -> None:
    bench = watching("nop")
    bench.memory.write(DATA - 4, bytes(range(8)))
    hit = bench.memory.take_hit()
    assert hit is not None
    assert (hit.address, hit.size, hit.hart, hit.pc, hit.value, hit.is_store) == (DATA, 4, -1, 0, 0x7060504, True)
    assert bench.memory.take_hit() is None
    bench.memory.store(DATA, 1, 9)
    steps = bench.hart.steps
    assert (bench.hart.run(1).reason, bench.hart.steps) == (EXIT_WATCHPOINT, steps)
    assert bench.hart.run(1).reason == EXIT_BUDGET


def test_reading_from_outside_is_no_hit() -> None:
    bench = watching("nop")
    bench.memory.read(DATA, 8)
    bench.memory.load(DATA, 8)
    assert bench.memory.take_hit() is None


@pytest.mark.parametrize("access", ["ld x7, 0(x6)", "sd x5, 0(x6)", "jr x6"])
def test_setting_a_and_d_is_a_store(access: str) -> None:
    """Svadu: the entry's update belongs to the instruction that needed it, be it by its fetch."""
    bench = Bench(access, mode="HS")
    tables = Tables(bench.memory, DATA + 0x8000)
    code, data = (tables.map(page, page, ALL & ~(A | D)) for page in (CODE, DATA))
    bench.put("nop", DATA)
    bench.set(x6=DATA)
    bench["menvcfg"] = ADUE
    bench["satp"] = tables.satp
    bench.memory.watchpoints = [(code, 8, WATCH_STORES), (data, 8, WATCH_STORES)]
    first = bench.hart.run(9)
    assert (first.reason, first.address, first.pc, first.steps) == (EXIT_WATCHPOINT, code, CODE, 1)
    second = bench.hart.run(9)
    if access == "jr x6":
        assert (second.address, second.pc, second.steps) == (data, DATA, 2)
    else:
        assert second.reason != EXIT_WATCHPOINT, "both entries in one step: the first is told"
    assert bench.memory.load(data, 8) & A


def test_taken_away_they_leave_no_trace() -> None:
    plain, watched = (watching("1: sd x5, 0(x6)\nld x5, 0(x6)\naddi x5, x5, 1\nj 1b") for _ in range(2))
    plain.memory.watchpoints = ()
    plain.hart.run(1000)
    while watched.hart.steps < 500:
        assert watched.hart.run(500 - watched.hart.steps).reason in (EXIT_BUDGET, EXIT_WATCHPOINT)
    watched.memory.watchpoints = ()
    watched.hart.run(1002 - watched.hart.steps)
    assert (plain.hart.pc, plain.hart.read_gprs()) == (watched.hart.pc, watched.hart.read_gprs())
    assert watched.memory.watchpoints == ()


@pytest.mark.parametrize("wrong", [(DATA, 0, BOTH), (DATA, 8, 0), (DATA, 8, 4), (0, 8, BOTH)])
def test_a_watchpoint_that_cannot_be_is_refused(wrong: tuple[int, int, int]) -> None:
    bench = watching("nop")
    with pytest.raises(ValueError):
        bench.memory.watchpoints = [wrong]
    assert bench.memory.watchpoints == ((DATA, 8, BOTH),)
