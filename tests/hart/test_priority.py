"""Which of several exceptions an instruction raises, and what xtval holds.

From the manual's table "Synchronous exception priority when the hypervisor extension is implemented", top to bottom,
and Sstvala.  Where it leaves a choice: misaligned atomics fault before translation, other misaligned accesses work.
"""

from __future__ import annotations

import pytest

from hartvisor.core.hart import EXIT_MMIO
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .bench import CODE, DATA, RAM, U64, Bench, Trap
from .tables import ALL, Tables, U
from .test_triggers import ANY_MODE, EXECUTE, LOAD, STORE, arm
from .two_stages import CODE_GVA, DATA_GVA, OFFSET, Guest

NOWHERE = 0x4000  # no RAM, no device
GOOD, READ_ONLY = ALL, 0x43


def paged(source: str, pages: dict[int, tuple[int, int]], mode: str = "HS") -> Bench:
    """A machine in the mode at `source`, at its own address; `pages` maps addresses to (physical address, flags)."""
    bench = Bench(source)
    own = Tables(bench.memory, RAM + 0x2_0000)
    own.identity(CODE, 1, ALL | (U if mode == "U" else 0))
    for va, (physical, flags) in pages.items():
        own.map(va, physical, flags | (U if mode == "U" else 0))
    bench["satp"] = own.satp
    bench["mstatus"] = 1 << 3
    bench.enter(mode)
    return bench


def deny(bench: Bench, first: int, size: int) -> None:
    """PMP grants nothing for [first, first + size), and everything else."""
    bench["pmpaddr0"], bench["pmpaddr1"], bench["pmpcfg0"] = first + size // 2 - 1 >> 2, U64, 0x1F18


def jumped(bench: Bench, to: int) -> Trap:
    """Jump there; what the fetch raises."""
    bench.put("jr x6", CODE)
    bench.set(x6=to)
    bench.hart.run(1)
    return bench.trap()


class TestFetch:
    def test_an_address_breakpoint_is_first(self) -> None:
        for pages, denied in (({}, False), ({0x5000: (NOWHERE, GOOD)}, False), ({0x5000: (DATA, GOOD)}, True)):
            bench = paged("nop", pages)
            if denied:
                deny(bench, DATA, 0x1000)
            arm(bench, 0, 0x5000, EXECUTE | ANY_MODE)
            assert (jumped(bench, 0x5000).cause, bench["mtval"]) == (3, 0x5000)

    def test_then_what_translation_meets_first(self) -> None:
        bench = paged("nop", {})
        assert jumped(bench, 0x5000).cause == 12
        bench = paged("nop", {})
        bench.memory.store(RAM + 0x2_0008, 8, NOWHERE >> 2 | 1)
        assert (jumped(bench, 0x4000_0000).cause, bench["mtval"]) == (1, 0x4000_0000), "no table there"
        bench = paged("nop", {0x5000: (NOWHERE, READ_ONLY)})
        assert jumped(bench, 0x5000).cause == 12, "the leaf before what it leads to"

    def test_then_the_physical_address(self) -> None:
        bench = paged("nop", {0x5000: (NOWHERE, GOOD)})
        assert (jumped(bench, 0x5000).cause, bench["mtval"]) == (1, 0x5000)
        bench = paged("nop", {0x5000: (DATA, GOOD)})
        deny(bench, DATA, 0x1000)
        assert jumped(bench, 0x5000).cause == 1

    def test_an_instruction_across_pages_reports_the_page_that_fails(self) -> None:
        bench = paged("nop", {0x5000: (DATA, GOOD)})
        bench.memory.write(DATA + 0xFFE, assemble("add x5, x5, x5").code)
        trap = jumped(bench, 0x5FFE)
        assert (trap.cause, trap.epc, trap.tval) == (12, 0x5FFE, 0x6000)

    def test_in_a_guest_the_second_stage_is_met_entry_by_entry(self) -> None:
        """A guest-page fault for the guest's table comes before anything its entry could say."""
        guest = Guest("jr x6")
        table = guest.own.entry(0x4000_0000) & ~0xFFF
        guest.host.map(table - OFFSET, table, 0)
        guest.bench.set(x6=0x4000_0000)
        guest.bench.hart.run(1)
        assert guest.bench.trap().cause == 20
        guest = Guest("jr x6", flags=READ_ONLY)
        guest.host.map(DATA_GVA, DATA, 0)
        guest.bench.hart.run(1)
        assert guest.bench.trap().cause == 12, "the guest's own leaf before the second stage of where it leads"


class TestInstruction:
    @pytest.mark.parametrize(("source", "mode", "cause"), [("hlv.w x5, (x6)", "U", 2), ("hlv.w x5, (x6)", "VS", 22),
                                                          ("hsv.w x5, (x6)", "VU", 22)])
    def test_illegal_and_virtual_come_before_a_watchpoint(self, source: str, mode: str, cause: int) -> None:
        bench = Bench(source, mode=mode)
        arm(bench, 0, DATA, LOAD | STORE | ANY_MODE)
        bench.set(x6=DATA)
        assert bench.trap().cause == cause

    def test_a_misaligned_target_is_the_jumps_own_fault(self) -> None:
        """Where instructions are 4 bytes apart: the jump traps, with the target in tval, and links nothing."""
        bench = Bench("jalr x5, 2(x6)", isa=without(DEFAULT_ISA, "C", "Zca"))
        bench.set(x5=7, x6=NOWHERE)
        trap = bench.trap()
        assert (trap.cause, trap.epc, trap.tval, bench.x(5)) == (0, CODE, NOWHERE + 2, 7)

    def test_a_watchpoint_comes_before_misalignment_and_misalignment_before_translation(self) -> None:
        for armed in (True, False):
            bench = paged("amoadd.w x5, x7, (x6)", {})
            if armed:
                arm(bench, 0, 0x5002, STORE | ANY_MODE)
            bench.set(x6=0x5002)
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (3 if armed else 6, 0x5002)

    @pytest.mark.parametrize(("source", "cause"), [
        ("lr.w x5, (x6)", 4), ("sc.d x5, x7, (x6)", 6), ("amoor.d x5, x7, (x6)", 6)])
    def test_misaligned_atomics(self, source: str, cause: int) -> None:
        bench = paged(source, {})
        bench.set(x6=0x5001)
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (cause, 0x5001)


class TestAccess:
    @pytest.mark.parametrize(("source", "page", "access"), [("ld x5, (x6)", 13, 5), ("sd x5, (x6)", 15, 7),
                                                           ("lr.d x5, (x6)", 13, 5), ("sc.d x5, x5, (x6)", 15, 7),
                                                           ("amoor.d x5, x5, (x6)", 15, 7)])
    def test_translation_comes_before_the_physical_address(self, source: str, page: int, access: int) -> None:
        for pages, cause in (({}, page), ({0x5000: (DATA, 0x49)}, page), ({0x5000: (DATA, GOOD)}, access)):
            bench = paged(source, pages)
            deny(bench, DATA, 0x1000)
            bench.set(x6=0x5000)
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (cause, 0x5000)

    def test_a_page_table_that_pmp_hides_is_an_access_fault(self) -> None:
        bench = paged("sd x5, (x6)", {})
        deny(bench, RAM + 0x2_8000, 0x1000)
        own = RAM + 0x2_0000
        bench.memory.store(own + 8, 8, RAM + 0x2_8000 >> 2 | 1)
        bench.set(x6=0x4000_0000)
        assert (bench.trap().cause, bench["mtval"]) == (7, 0x4000_0000)

    @pytest.mark.parametrize("source", ["ld x5, (x6)", "sd x5, (x6)"])
    def test_a_misaligned_access_is_translated_lower_page_first_and_does_nothing_by_halves(self, source: str) -> None:
        """A fault in either page: tval is the first byte that fails, and no byte was written."""
        load = source.startswith("ld")
        for pages, tval in (({0x6000: (DATA, GOOD)}, 0x5FFC), ({0x5000: (DATA, GOOD)}, 0x6000), ({}, 0x5FFC)):
            bench = paged(source, pages)
            bench.set(x5=U64, x6=0x5FFC)
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (13 if load else 15, tval)
            assert bench.memory.read(DATA, 0x1000) == bytes(0x1000)

    def test_misaligned_access_to_a_device_is_an_access_fault(self) -> None:
        for source, cause in (("lw x5, 2(x6)", 5), ("sw x5, 2(x6)", 7)):
            bench = Bench(source)
            bench.set(x6=0x1000_0000)
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (cause, 0x1000_0002)
        bench = Bench("lw x5, 4(x6)")
        bench.set(x6=0x1000_0000)
        assert bench.hart.run(1).reason == EXIT_MMIO

    def test_in_a_guest_its_own_leaf_comes_before_the_second_stage_of_the_page(self) -> None:
        for flags, cause in ((READ_ONLY, 15), (GOOD, 23)):
            guest = Guest("sd x5, (x6)", flags=flags)
            guest.host.map(DATA_GVA, DATA, 0)
            assert guest.bench.trap().cause == cause

    def test_in_a_guest_the_second_stage_comes_before_pmp(self) -> None:
        for g_flags, cause in ((0, 21), (ALL | U, 5)):
            guest = Guest("ld x5, (x6)")
            guest.host.map(DATA_GVA, DATA + 0x1_8000, g_flags)
            deny(guest.bench, DATA + 0x1_8000, 0x1000)
            trap = guest.bench.trap()
            assert (trap.cause, trap.tval) == (cause, DATA_GVA)
            assert guest.bench["htval"] == (DATA_GVA >> 2 if cause == 21 else 0)


class TestTval:
    """Sstvala: the faulting address or instruction, never zero instead."""

    @pytest.mark.parametrize(("source", "cause", "tval"), [
        (".half 0", 2, 0), ("mret", 2, 0x30200073), ("ebreak", 3, CODE), ("c.ebreak", 3, CODE), ("ecall", 9, 0),
        ("csrw cycle, x0", 2, 0xC0001073)])
    def test_of_instructions(self, source: str, cause: int, tval: int) -> None:
        trap = Bench(source, mode="HS").trap()
        assert (trap.cause, trap.tval) == (cause, tval)

    @pytest.mark.parametrize("to_vs", [False, True])
    def test_a_guests_fault_tells_its_own_handler_the_same(self, to_vs: bool) -> None:
        guest = Guest("ld x5, (x6)", to_vs=to_vs)
        guest.bench.set(x6=0x9000)
        trap = guest.bench.trap()
        assert (trap.mode, trap.cause, trap.tval, trap.epc) == ("VS" if to_vs else "HS", 13, 0x9000, CODE_GVA)
