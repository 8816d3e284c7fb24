"""What lies behind the translation caches cannot be seen either: not in results, not in what is counted."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import TLB_ENTRIES

from .bench import CODE, RAM, Bench
from .tables import ALL, Tables, U, pte

PAGES = 1100  # more than one address space's own cache holds, and fewer than there are behind it
SIZE = 1 << 24
WINDOW = 0x1_0000_0000
FIRST, TABLES, G_TABLES = RAM + 0x40_0000, RAM + 0x10_0000, RAM + 0x20_0000
LOOP = """
    mv x6, x10
loop: ld x7, 0(x6)
    add x5, x5, x7
    sd x7, 8(x6)
    add x6, x6, x11
    bltu x6, x12, loop
end: j end
"""
STEPS_A_PASS = 1 + 5 * PAGES


def window(mode: str, **settings: object) -> tuple[Bench, Tables]:
    """A bench with PAGES pages in a window, page i holding i; in HS under Sv39, or in VS under both stages."""
    bench = Bench(LOOP, size=SIZE, **settings)  # type: ignore[arg-type]
    tables = Tables(bench.memory, TABLES)
    tables.identity(CODE, 16)
    for page in range(PAGES):
        place = FIRST + (page << 12)
        bench.memory.store(place, 8, page)
        tables.map(WINDOW + (page << 12), place)
    if mode == "VS":
        stage = Tables(bench.memory, G_TABLES, gstage=True)
        stage.identity(RAM, SIZE >> 12, ALL | U)
        bench["hgatp"], bench["vsatp"] = stage.satp, tables.satp
    else:
        bench["satp"] = tables.satp
    bench.enter(mode)
    bench.set(x10=WINDOW, x11=0x1000, x12=WINDOW + (PAGES << 12))
    return bench, tables


def run_pass(bench: Bench) -> int:
    """Go once through the window; the sum of what was read."""
    bench.hart.pc = CODE
    bench.set(x5=0)
    bench.hart.run(STEPS_A_PASS)
    return bench.x(5)


@pytest.mark.parametrize(("mode", "reads"), [("HS", 3), ("VS", 15)])
def test_each_miss_counts_as_the_walk_that_it_would_be(mode: str, reads: int) -> None:
    assert PAGES < TLB_ENTRIES
    bench, _ = window(mode)
    hart = bench.hart
    for _ in range(2):
        walks, walk_reads, misses = hart.walks, hart.walk_reads, hart.tlb_misses
        assert run_pass(bench) == sum(range(PAGES))
        walks, walk_reads = hart.walks - walks, hart.walk_reads - walk_reads
        assert walks == hart.tlb_misses - misses
        assert 2 * PAGES >= walks >= PAGES - 512
        assert walk_reads == reads * walks


@pytest.mark.parametrize("mode", ["HS", "VS"])
def test_a_change_of_an_entry_is_seen_at_once_without_a_fence(mode: str) -> None:
    bench, tables = window(mode)
    run_pass(bench)
    for page in (0, 300, PAGES - 1):
        place = tables.entry(WINDOW + (page << 12))
        bench.memory.store(place, 8, pte(FIRST + (7 << 12), ALL))
        assert run_pass(bench) == sum(range(PAGES)) - page + 7
        bench.memory.store(place, 8, pte(FIRST + (page << 12), ALL))
        assert run_pass(bench) == sum(range(PAGES))


@pytest.mark.parametrize("mode", ["HS", "VS"])
def test_a_change_of_a_table_further_up_is_seen_too(mode: str) -> None:
    bench, tables = window(mode)
    run_pass(bench)
    place = tables.entry(WINDOW + (512 << 12), 1)
    table = bench.memory.load(place, 8)
    bench.memory.store(place, 8, bench.memory.load(tables.entry(WINDOW, 1), 8))
    assert run_pass(bench) == sum(range(PAGES)) - 512 * 512
    bench.memory.store(place, 8, table)
    assert run_pass(bench) == sum(range(PAGES))


def test_a_page_that_became_read_only_faults_though_a_store_to_it_was_cached() -> None:
    bench, tables = window("HS")
    run_pass(bench)
    bench.memory.store(tables.entry(WINDOW + (5 << 12)), 8, pte(FIRST + (5 << 12), ALL & ~4))
    bench.hart.pc = CODE
    bench.hart.run(1 + 5 * 5 + 2)
    trap = bench.trap()
    assert (trap.cause, trap.tval) == (15, WINDOW + (5 << 12) + 8)


def test_dirty_marks_are_exact() -> None:
    """A frame whose mark was taken back is marked again by the next store, wherever its translation was."""
    bench, _ = window("HS")
    run_pass(bench)
    pages = [FIRST + (page << 12) for page in range(PAGES)]
    assert set(pages) <= set(bench.memory.take_dirty(RAM, SIZE))
    assert not bench.memory.take_dirty(RAM, SIZE)
    run_pass(bench)
    assert bench.memory.take_dirty(RAM, SIZE) == pages


def test_a_stale_hart_keeps_to_its_own_entries() -> None:
    """Its caches are state, and are what they were."""
    bench, tables = window("HS", tlb="stale")
    run_pass(bench)
    bench.memory.store(tables.entry(WINDOW), 8, pte(FIRST + (7 << 12), ALL))
    assert run_pass(bench) == sum(range(PAGES)) + 7, "another page took the entry's place long ago"
    assert bench.hart.walks == bench.hart.tlb_misses
