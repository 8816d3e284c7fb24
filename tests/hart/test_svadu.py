"""Svadu: the hart sets A and D itself, in either stage (supervisor chapter, "Addressing and Memory Protection")."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import Hart
from hartvisor.core.isa.assembler import assemble

from .bench import RAM, U64, Bench
from .tables import ALL, A, D, R, Tables, U, V, W, X, pte
from .walker import STORE

ADUE = 1 << 61


class TestSvadu:
    """The hart sets A and D itself (supervisor chapter, "Addressing and Memory Protection"; Svadu)."""

    @staticmethod
    def machine(source: str, flags: int, adue: int = ADUE) -> tuple[Bench, int]:
        """HS-mode at an identity-mapped page of code; x6 points at a page whose entry has `flags`."""
        bench = Bench(source)
        own = Tables(bench.memory, RAM + 0x20000)
        own.identity(bench.hart.pc, 1)
        place = own.map(0x5000, RAM + 0x9000, flags)
        bench["satp"], bench["menvcfg"] = own.satp, adue
        bench.delegate_all()
        bench.enter("HS")
        bench.set(x6=0x5000)
        return bench, place

    @pytest.mark.parametrize(("source", "flags", "then"), [
        ("ld x5, (x6)", R | W | V, A), ("ld x5, (x6)", R | W | V | D, A), ("sd x5, (x6)", R | W | V, A | D),
        ("sd x5, (x6)", R | W | V | A, D), ("amoadd.d x5, x5, (x6)", R | W | V, A | D), ("lr.d x5, (x6)", R | V, A),
        ("sc.d x5, x5, (x6)", R | W | V, A | D)])
    def test_a_is_set_by_any_access_and_d_by_stores(self, source: str, flags: int, then: int) -> None:
        bench, place = self.machine(source, flags)
        bench.hart.run(1)
        assert bench.mode == "HS"
        assert bench.memory.load(place, 8) == pte(RAM + 0x9000, flags | then)
        bench, place = self.machine(source, flags, adue=0)
        assert bench.trap().cause == (15 if then & D else 13)
        assert bench.memory.load(place, 8) == pte(RAM + 0x9000, flags), "Svade"

    def test_a_fetch_sets_a(self) -> None:
        bench, place = self.machine("jr x6", R | X | V)
        bench.memory.write(RAM + 0x9000, assemble("nop").code)
        bench.hart.run(2)
        assert bench.memory.load(place, 8) == pte(RAM + 0x9000, R | X | V | A)

    @pytest.mark.parametrize("flags", [R | V, R | W | V | U, R | W])
    def test_an_access_that_faults_sets_nothing(self, flags: int) -> None:
        bench, place = self.machine("sd x5, (x6)", flags)
        assert bench.trap().cause == 15
        assert bench.memory.load(place, 8) == pte(RAM + 0x9000, flags)

    def test_looking_sets_nothing(self) -> None:
        bench, place = self.machine("nop", R | W | V)
        assert bench.hart.translate(0x5000, STORE) == (RAM + 0x9000, 0)
        assert bench.memory.load(place, 8) == pte(RAM + 0x9000, R | W | V)

    def test_the_update_is_a_store_to_pmp(self) -> None:
        bench, place = self.machine("ld x5, (x6)", R | W | V)
        bench["pmpaddr0"], bench["pmpaddr1"] = place >> 2 | 0x1FF, U64
        bench["pmpcfg0"] = 0x1F19
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (5, 0x5000)
        assert bench.memory.load(place, 8) == pte(RAM + 0x9000, R | W | V)

    def test_the_update_breaks_the_reservation_of_another_hart(self) -> None:
        bench, place = self.machine("ld x5, (x6)", R | W | V)
        other = Hart(bench.memory)
        other.reservation = place
        bench.hart.run(1)
        assert other.reservation == -1

    def test_the_update_of_code_in_a_running_block_is_seen_at_once(self) -> None:
        """An entry lies in the code that uses it: as the program wrote it, it is a load; with A set, no instruction."""
        bench, _ = self.machine("ld x5, (x6)\nnop", ALL)
        tables = Tables(bench.memory, RAM + 0x28000)
        tables.identity(RAM, 1)
        bench.memory.store(tables.entry(0x40_0000, 1), 8, pte(RAM, V))
        bench.memory.store(RAM + 8, 8, pte(RAM + 0x9000, R | V))
        bench["satp"] = tables.satp
        bench.set(x6=0x40_1000)
        bench.hart.run(2)
        assert (bench.mode, bench.hart.pc) == ("HS", RAM + 8)
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (2, pte(RAM + 0x9000, R | V | A) & 0xFFFF_FFFF)


class TestSvaduInTwoStages:
    @staticmethod
    def guest(source: str, vs_flags: int, g_flags: int, table_flags: int, machine: int, guest: int) -> tuple[
            Bench, int, int, int]:
        """VS-mode at GVA 0x1000; x6 at 0x2000. Returns the bench and where the entries for 0x2000 lie: the guest's own,
        the G-stage's for its GPA, and the G-stage's for the guest's leaf table."""
        bench = Bench()
        host = Tables(bench.memory, RAM + 0x4000, gstage=True)
        own = Tables(bench.memory, RAM + 0x20000, offset=RAM)
        for page in range(64):
            host.map(page << 12, RAM + (page << 12), ALL | U)
        own.map(0x1000, 0x1000, ALL)
        own_place = own.map(0x2000, 0x9000, vs_flags)
        table = own_place - RAM & ~0xFFF
        g_place = host.map(0x9000, RAM + 0x9000, g_flags | U)
        t_place = host.map(table, RAM + table, table_flags | U)
        bench.put(source, RAM + 0x1000)
        bench.delegate_all()
        bench["hgatp"], bench["vsatp"], bench["menvcfg"], bench["henvcfg"] = host.satp, own.satp, machine, guest
        bench.enter("VS")
        bench.hart.pc = 0x1000
        bench.set(x6=0x2000)
        return bench, own_place, g_place, t_place

    def test_each_stage_sets_its_own(self) -> None:
        bench, own, host, table = self.guest("sd x5, (x6)", R | W | V, R | W | V, R | W | V, ADUE, ADUE)
        bench.hart.run(1)
        assert bench.mode == "VS" and bench.hart.pc == 0x1004
        assert [bench.memory.load(place, 8) & 0xC0 for place in (own, host, table)] == [A | D] * 3

    def test_a_load_dirties_the_page_of_the_guests_table_only_where_it_updates_an_entry(self) -> None:
        bench, own, host, table = self.guest("ld x5, (x6)", R | W | V, R | W | V, R | W | V, ADUE, ADUE)
        bench.hart.run(1)
        assert [bench.memory.load(place, 8) & 0xC0 for place in (own, host, table)] == [A, A, A | D]
        bench, own, host, table = self.guest("ld x5, (x6)", R | W | V | A, R | W | V, R | W | V, ADUE, ADUE)
        bench.hart.run(1)
        assert [bench.memory.load(place, 8) & 0xC0 for place in (own, host, table)] == [A, A, A]

    def test_henvcfg_governs_the_guests_entries(self) -> None:
        bench, own, _, _ = self.guest("sd x5, (x6)", R | W | V, ALL, ALL, ADUE, 0)
        trap = bench.trap()
        assert (trap.mode, trap.cause) == ("HS", 15)
        assert bench.memory.load(own, 8) & 0xC0 == 0

    def test_menvcfg_governs_the_hypervisors_entries(self) -> None:
        bench, _, host, _ = self.guest("sd x5, (x6)", ALL, R | W | V, ALL, 0, 0)
        trap = bench.trap()
        assert (trap.cause, bench["htval"]) == (23, 0x9000 >> 2)
        assert bench.memory.load(host, 8) & 0xC0 == 0

    @pytest.mark.parametrize(("source", "cause"), [
        ("jr x6", 20), ("ld x5, (x6)", 21), ("lr.d x5, (x6)", 21), ("fld f5, (x6)", 21), ("sd x5, (x6)", 23),
        ("amoor.d x5, x5, (x6)", 23)])
    @pytest.mark.parametrize("target", ["HS", "M"])
    def test_an_update_that_the_g_stage_forbids_reports_a_write_of_an_entry(
        self, source: str, cause: int, target: str
    ) -> None:
        """Checked as a store, reported as the original access, with pseudo-instruction 0x3020 and the entry's GPA
        (H, "Guest Physical Address Translation", "Transformed Instruction or Pseudoinstruction")."""
        bench, own, _, _ = self.guest(source, R | W | X | V, ALL, R | V | A, ADUE, ADUE)
        bench["mstatus"], bench["vsstatus"] = 3 << 13, 3 << 13
        if target == "M":
            bench["medeleg"] = 0
        if cause == 20:
            bench.hart.run(1)
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.tval) == (target, cause, 0x2000)
        names = ("htinst", "htval") if target == "HS" else ("mtinst", "mtval2")
        assert tuple(bench[name] for name in names) == (0x3020, own - RAM >> 2)
        assert bench.memory.load(own, 8) & 0xC0 == 0

    @pytest.mark.parametrize(("source", "cause"), [("hlv.d x5, (x6)", 21), ("hlvx.wu x5, (x6)", 21),
                                                   ("hsv.d x5, (x6)", 23)])
    def test_and_so_it_does_when_a_hypervisor_accesses_its_guest(self, source: str, cause: int) -> None:
        bench, own, _, _ = self.guest("nop", R | W | X | V, ALL, R | V | A, ADUE, ADUE)
        bench.put(source, RAM + 0x1000)
        bench.enter("HS")
        bench.hart.pc, bench["hstatus"] = RAM + 0x1000, 1 << 8
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.tval) == ("HS", cause, 0x2000)
        assert (bench["htinst"], bench["htval"]) == (0x3020, own - RAM >> 2)
