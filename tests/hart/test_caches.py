"""Caches that cannot be told from none: stores to code and page tables, and changes of what permits, without a fence.

`--tlb stale` is the exception on purpose: it keeps translations until the fence that the manual asks for.
"""

from __future__ import annotations

import pytest

from hartvisor.core.hart import Hart
from hartvisor.core.isa.assembler import assemble

from .bench import CODE, DATA, RAM, U64, Bench
from .tables import ALL, Tables, U, pte

TABLES = RAM + 0x8000


def insn(source: str) -> int:
    return int.from_bytes(assemble(source).code, "little")


class TestCode:
    """Stores to instructions that are about to run, with no fence.i."""

    @pytest.mark.parametrize("distance", [4, 8, 40, 120, 0x400])
    def test_ahead_in_the_same_page(self, distance: int) -> None:
        bench = Bench("sw x7, (x6)\n" + "nop\n" * (distance // 4 - 1) + "addi x5, x5, 1\nnop")
        bench.set(x6=CODE + distance, x7=insn("addi x5, x5, 2"))
        bench.hart.run(distance // 4 + 1)
        assert bench.x(5) == 2

    @pytest.mark.parametrize("width", ["b", "h", "w", "d"])
    def test_of_every_width_in_a_loop_that_was_run_before(self, width: str) -> None:
        bench = Bench(f"1: addi x5, x5, 1\ns{width} x7, (x6)\nj 1b")
        two = insn("addi x5, x5, 2") | insn(f"s{width} x7, (x6)") << 32
        at, new = {"b": (CODE + 2, two >> 16), "h": (CODE + 2, two >> 16), "w": (CODE, two), "d": (CODE, two)}[width]
        bench.set(x6=DATA, x7=new & U64)
        bench.hart.run(30)
        bench.set(x5=0, x6=at)
        bench.hart.run(6)
        assert bench.x(5) == 1 + 2

    def test_in_a_page_not_yet_executed(self) -> None:
        bench = Bench("sw x7, (x6)\njr x6")
        bench.set(x6=DATA, x7=insn("addi x5, x5, 7"))
        bench.hart.run(3)
        assert bench.x(5) == 7

    def test_the_second_half_of_an_instruction_across_pages(self) -> None:
        bench = Bench()
        bench.put("addi x5, x5, 1\nj .-4", RAM + 0x2FFE)
        bench.hart.pc = RAM + 0x2FFE
        bench.hart.run(10)
        assert bench.x(5) == 5
        bench.memory.store(RAM + 0x3000, 2, insn("addi x5, x5, 3") >> 16)
        bench.hart.run(2)
        assert bench.x(5) == 8

    def test_a_half_that_changes_the_length_of_the_instruction(self) -> None:
        bench = Bench("1: addi x5, x5, 1\nj 1b")
        bench.hart.run(20)
        bench.memory.store(CODE, 2, 0x0285)  # c.addi x5, 1; then what was the upper half
        bench.memory.store(CODE + 2, 2, 0x0285)
        bench.hart.run(2)
        assert bench.x(5) == 12

    def test_by_a_hart_beside(self) -> None:
        bench = Bench("1: addi x5, x5, 1\nj 1b")
        bench.put("sw x7, (x6)\nsw x7, (x6)", RAM + 0x3000)
        other = Hart(bench.memory)
        other.pc = RAM + 0x3000
        other.write_gpr(6, DATA)
        other.write_gpr(7, insn("addi x5, x5, 2"))
        other.run(1)
        bench.hart.run(20)
        other.write_gpr(6, CODE)
        other.run(1)
        bench.hart.run(2)
        assert bench.x(5) == 12

    def test_by_an_alias_of_the_page(self) -> None:
        bench, tables = translated("1: addi x5, x5, 1\nj 1b")
        tables.map(0x5000, CODE)
        bench.hart.run(10)
        bench.put("sw x7, (x6)\njr x8", RAM + 0x3000)
        bench.set(x6=0x5000, x7=insn("addi x5, x5, 2"), x8=CODE)
        bench.hart.pc = RAM + 0x3000
        bench.hart.run(4)
        assert bench.x(5) == 7


def translated(source: str, mode: str = "HS", tlb: str = "precise") -> tuple[Bench, Tables]:
    """A supervisor (or user) with RAM's first 64 KiB mapped to itself page by page."""
    bench = Bench(source, tlb=tlb)
    tables = Tables(bench.memory, TABLES)
    tables.identity(RAM, 16, ALL | (U if mode == "U" else 0))
    bench["satp"] = tables.satp
    bench.enter(mode)
    return bench, tables


class TestPageTables:
    """Stores to page-table entries, with no sfence.vma."""

    @pytest.mark.parametrize("level", [0, 1, 2])
    def test_an_entry_of_each_level(self, level: int) -> None:
        bench, tables = translated("ld x5, (x6)\nsd x7, (x8)\nld x9, (x6)")
        tables.map(0x40000000, DATA)
        other = Tables(bench.memory, DATA + 0x8000)
        other.map(0x40000000, DATA + 0x1000)
        bench.memory.store(DATA, 8, 1)
        bench.memory.store(DATA + 0x1000, 8, 2)
        tables.map(TABLES, TABLES)
        entry = tables.entry(0x40000000, level)
        tables.map(entry & ~0xFFF, entry & ~0xFFF)
        bench.set(x6=0x40000000, x7=bench.memory.load(other.entry(0x40000000, level), 8), x8=entry)
        bench.hart.run(3)
        assert (bench.x(5), bench.x(9)) == (1, 2)

    def test_the_entry_of_the_page_that_executes(self) -> None:
        bench, tables = translated("1: addi x5, x5, 1\nsd x7, (x6)\naddi x5, x5, 1\nj 1b")
        bench.put("1: addi x9, x9, 1\nsd x7, (x6)\naddi x9, x9, 1\nj 1b", RAM + 0x4000)
        entry = tables.entry(CODE)
        tables.map(entry & ~0xFFF, entry & ~0xFFF)
        bench.set(x6=RAM + 0x3000, x7=pte(RAM + 0x4000, ALL))
        bench.hart.run(20)
        bench.set(x5=0, x6=entry)
        bench.hart.run(4)
        assert (bench.x(5), bench.x(9)) == (1, 1)

    def test_by_python(self) -> None:
        bench, tables = translated("1: ld x5, (x6)\nj 1b")
        entry = tables.map(0x1000, DATA)
        bench.memory.store(DATA + 0x1000, 8, 2)
        bench.set(x6=0x1000)
        bench.hart.run(10)
        bench.memory.store(entry, 8, pte(DATA + 0x1000, ALL))
        bench.hart.run(2)
        assert bench.x(5) == 2
        bench.memory.store(entry + 7, 1, 0x80)
        assert bench.trap().cause == 13

    @pytest.mark.parametrize("bit", [0, 1, 6])
    def test_a_flag_that_goes(self, bit: int) -> None:
        bench, tables = translated("1: ld x5, (x6)\nj 1b")
        entry = tables.map(0x1000, DATA)
        bench.set(x6=0x1000)
        bench.hart.run(10)
        bench.memory.store(entry, 8, pte(DATA, ALL & ~(1 << bit)))
        assert bench.trap().cause == 13

    def test_dirty_is_needed_by_stores_alone(self) -> None:
        bench, tables = translated("ld x5, (x6)\nsd x5, (x6)")
        entry = tables.map(0x1000, DATA, ALL & ~0x80)
        bench.set(x6=0x1000)
        bench.hart.run(1)
        assert bench.trap().cause == 15
        bench.memory.store(entry, 8, pte(DATA, ALL))
        bench.enter("HS")
        bench.hart.pc = CODE
        bench.hart.run(2)
        assert bench.hart.guest_traps == 1

    def test_the_g_stages(self) -> None:
        bench = Bench("1: ld x5, (x6)\nj 1b")
        host = Tables(bench.memory, RAM + 0x18000, gstage=True)
        host.identity(RAM, 4, ALL | U)
        entry = host.map(0x1000, DATA, ALL | U)
        bench.memory.store(DATA + 0x1000, 8, 2)
        bench["hgatp"] = host.satp
        bench.enter("VS")
        bench.set(x6=0x1000)
        bench.hart.run(10)
        assert bench.x(5) == 0
        bench.memory.store(entry, 8, pte(DATA + 0x1000, ALL | U))
        bench.hart.run(2)
        assert bench.x(5) == 2


class TestPermissions:
    """SUM, MXR, MPRV and satp act at once."""

    def test_sum(self) -> None:
        bench, tables = translated("csrs sstatus, x7\nld x5, (x6)\ncsrc sstatus, x7\nld x5, (x6)")
        tables.map(0x1000, DATA, ALL | U)
        bench.set(x6=0x1000, x7=1 << 18)
        bench.hart.run(3)
        assert bench.hart.guest_traps == 0
        assert bench.trap().cause == 13

    def test_mxr(self) -> None:
        bench, tables = translated("csrs sstatus, x7\nld x5, (x6)\ncsrc sstatus, x7\nld x5, (x6)")
        tables.map(0x1000, DATA, ALL & ~6)
        bench.set(x6=0x1000, x7=1 << 19)
        bench.hart.run(3)
        assert bench.hart.guest_traps == 0
        assert bench.trap().cause == 13

    def test_a_user_page_never_executes_in_s_mode(self) -> None:
        bench, tables = translated("ld x5, (x6)\njr x6")
        tables.map(0x1000, DATA, ALL | U)
        bench["sstatus"] = 1 << 18
        bench.set(x6=0x1000)
        bench.hart.run(2)
        assert bench.trap().cause == 12

    def test_another_root_with_the_same_asid(self) -> None:
        bench, tables = translated("ld x5, (x6)\ncsrw satp, x7\nld x9, (x6)")
        tables.map(0x1000, DATA)
        other = Tables(bench.memory, DATA + 0x8000)
        other.identity(RAM, 4)
        other.map(0x1000, DATA + 0x1000)
        bench.memory.store(DATA + 0x1000, 8, 2)
        bench.set(x6=0x1000, x7=other.satp)
        bench.hart.run(3)
        assert (bench.x(5), bench.x(9)) == (0, 2)

    def test_many_roots_more_than_any_cache_holds(self) -> None:
        bench, tables = translated("ld x5, (x6)\ncsrw satp, x7\nld x9, (x6)")
        tables.map(0x1000, DATA)
        bench.set(x6=0x1000)
        for asid in range(60):
            bench["satp"] = tables.satp | asid << 44
            bench.memory.store(DATA, 8, asid)
            bench.hart.pc = CODE
            bench.hart.run(1)
            assert bench.x(5) == asid

    def test_mprv_changes_data_accesses_alone(self) -> None:
        bench = Bench("csrs mstatus, x7\nld x5, (x6)\ncsrc mstatus, x7\nld x9, (x8)")
        tables = Tables(bench.memory, TABLES)
        tables.map(0x1000, DATA)
        bench["satp"], bench["mstatus"] = tables.satp, 1 << 11
        bench.memory.store(DATA, 8, 7)
        bench.set(x6=0x1000, x7=1 << 17, x8=DATA)
        bench.hart.run(4)
        assert (bench.x(5), bench.x(9)) == (7, 7)


class TestStale:
    """tlb="stale": a missing fence shows, the fence mends it."""

    @staticmethod
    def machine(fence: str) -> tuple[Bench, int]:
        bench, tables = translated(f"1: ld x5, (x6)\n{fence}\nj 1b", tlb="stale")
        entry = tables.map(0x1000, DATA)
        bench.memory.store(DATA + 0x1000, 8, 2)
        bench.set(x6=0x1000, x7=0x5000)
        bench.hart.run(30)
        bench.memory.store(entry, 8, pte(DATA + 0x1000, ALL))
        bench.hart.run(9)
        return bench, bench.x(5)

    @pytest.mark.parametrize(
        ("fence", "value"),
        [
            ("nop", 0),
            ("sfence.vma", 2),
            ("sfence.vma x6", 2),
            ("sfence.vma x0, x0", 2),
            ("sfence.vma x6, x0", 2),
            ("sfence.vma x7, x0", 0),
            ("sfence.vma x0, x7", 0),
            ("hfence.vvma", 0),
            ("hfence.gvma", 0),
            ("fence.i", 0),
        ],
    )
    def test_which_fence_drops_the_old_translation(self, fence: str, value: int) -> None:
        """x6 holds the address, x7 another address, or as an ASID another one."""
        assert self.machine(fence)[1] == value

    def test_a_fence_by_address_reaches_code_whose_entry_was_displaced(self) -> None:
        bench, tables = translated(
            "jalr x1, (x5)\njalr x1, (x6)\nnop\nsfence.vma x5, x0\njalr x1, (x5)\nnop", tlb="stale"
        )
        for place, register in ((DATA, 10), (DATA + 0x1010, 11), (DATA + 0x2000, 12)):
            bench.put(f"addi x{register}, x{register}, 1\njr x1", place)
        entry = tables.map(0x1000, DATA)
        tables.map(0x20_1000, DATA + 0x1000)
        bench.set(x5=0x1000, x6=0x20_1010)
        bench.hart.run(7)
        bench.memory.store(entry, 8, pte(DATA + 0x2000, ALL))
        bench.hart.run(4)
        assert (bench.x(10), bench.x(11), bench.x(12)) == (1, 1, 1)

    def test_the_guests_fence_is_for_the_guest(self) -> None:
        for fence, value in (("sfence.vma", 2), ("nop", 0)):
            bench = Bench(f"1: ld x5, (x6)\n{fence}\nj 1b", tlb="stale")
            tables = Tables(bench.memory, TABLES)
            tables.identity(RAM, 4)
            entry = tables.map(0x1000, DATA)
            bench.memory.store(DATA + 0x1000, 8, 2)
            bench["vsatp"] = tables.satp
            bench.enter("VS")
            bench.set(x6=0x1000)
            bench.hart.run(30)
            bench.memory.store(entry, 8, pte(DATA + 0x1000, ALL))
            bench.hart.run(9)
            assert bench.x(5) == value

    def test_code_is_never_stale(self) -> None:
        bench = Bench("1: addi x5, x5, 1\nj 1b", tlb="stale")
        bench.hart.run(10)
        bench.put("addi x5, x5, 2")
        bench.hart.run(2)
        assert bench.x(5) == 7
