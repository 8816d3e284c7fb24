"""Triggers (RISC-V Debug Specification, "Sdtrig"): breakpoints and watchpoints by address, mcontrol6."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .bench import CODE, DATA, U64, Bench
from .tables import ALL, Tables

TYPE6, OFF = 6 << 60, 15 << 60
LOAD, STORE, EXECUTE = 1, 2, 4
MODE_BITS = {"U": 1 << 3, "HS": 1 << 4, "M": 1 << 6, "VU": 1 << 23, "VS": 1 << 24}
ANY_MODE = sum(MODE_BITS.values())
EQUAL, NAPOT, GE, LT = (match << 7 for match in range(4))
CHAIN, HIT = 1 << 11, 1 << 22
BREAKPOINT = 3


def arm(bench: Bench, index: int, address: int, control: int, extra: int = 0) -> None:
    """Write a trigger the way the specification tells debuggers to."""
    bench["tselect"] = index
    bench["tdata1"] = 0
    bench["tdata2"], bench["tdata3"] = address, extra
    bench["tdata1"] = TYPE6 | control


def debugged(source: str, mode: str = "HS", **registers: int) -> Bench:
    """A machine in the mode, interrupts enabled so that triggers act in every mode, breakpoints going to M-mode."""
    bench = Bench(source, mode=mode)
    bench["mstatus"] = 1 << 3
    bench.set(**registers)
    return bench


class TestRegisters:
    def test_there_are_eight(self) -> None:
        bench = Bench()
        for index in range(8):
            bench["tselect"] = index
            assert bench["tselect"] == index
            assert bench["tinfo"] == 1 << 24 | 1 << 15 | 1 << 6
        bench["tselect"] = 8
        assert bench["tselect"] == 0

    def test_at_reset_all_are_off(self) -> None:
        assert Bench().hart.triggers == ((OFF, 0, 0),) * 8

    def test_zero_turns_one_off_and_only_it(self) -> None:
        bench = Bench()
        arm(bench, 1, 0x1000, EXECUTE | ANY_MODE)
        arm(bench, 2, 0x2000, LOAD | ANY_MODE)
        bench["tdata1"] = 0
        assert bench["tdata1"] == OFF
        assert bench.hart.triggers[1] == (TYPE6 | EXECUTE | ANY_MODE, 0x1000, 0)

    @pytest.mark.parametrize("kind", range(16))
    def test_types_are_address_match_or_off(self, kind: int) -> None:
        bench = Bench()
        bench["tdata1"] = kind << 60 | 0x7
        assert bench["tdata1"] == (TYPE6 | 7 if kind == 6 else OFF)

    def test_what_is_not_supported_reads_back_as_what_is(self) -> None:
        """No data match, no action but 0, no Debug Mode, no masks, no negated matches; no size for instructions."""
        bench = Bench()
        bench["tdata1"] = TYPE6 | (1 << 60) - 1
        assert bench["tdata1"] == TYPE6 | ANY_MODE | 7 | CHAIN | HIT
        for match in range(16):
            bench["tdata1"] = TYPE6 | LOAD | match << 7
            assert bench["tdata1"] >> 7 & 15 == (match if match < 4 else 0)
        for size in range(8):
            bench["tdata1"] = TYPE6 | LOAD | size << 16
            assert bench["tdata1"] >> 16 & 7 == (size if size in (1, 2, 3, 5) else 0)

    def test_without_h_there_are_no_virtual_modes(self) -> None:
        bench = Bench(has_h=False)
        bench["tdata1"] = TYPE6 | ANY_MODE
        assert bench["tdata1"] == TYPE6 | ANY_MODE & ~(3 << 23)

    def test_without_sdtrig_the_registers_do_not_exist(self) -> None:
        bench = Bench("csrr x5, tselect", isa=without(DEFAULT_ISA, "Sdtrig"))
        assert bench.trap().cause == 2

    def test_they_are_m_modes(self) -> None:
        assert Bench("csrr x5, tdata1", mode="HS").trap().cause == 2

    def test_hcontext_is_mcontext(self) -> None:
        bench = Bench()
        bench["hcontext"] = U64
        assert bench["mcontext"] == 0x3FFF
        bench["mcontext"] = 5
        assert bench["hcontext"] == 5

    def test_writing_one_takes_effect_at_the_next_instruction(self) -> None:
        bench = debugged("csrw tdata1, x5\nnop", mode="M", x5=TYPE6 | EXECUTE | ANY_MODE)
        bench["tdata2"] = CODE + 4
        bench.hart.run(1)
        assert bench.trap().cause == BREAKPOINT


class TestExecute:
    @pytest.mark.parametrize("mode", MODE_BITS)
    def test_stops_before_the_instruction_in_the_chosen_modes(self, mode: str) -> None:
        for chosen in MODE_BITS:
            bench = debugged("nop\nnop\nnop", mode)
            arm(bench, 3, CODE + 4, EXECUTE | MODE_BITS[chosen])
            bench.hart.run(1)
            if chosen == mode:
                trap = bench.trap()
                assert (trap.mode, trap.cause, trap.epc, trap.tval) == ("M", BREAKPOINT, CODE + 4, CODE + 4)
                assert bench["mstatus"] >> 38 & 1 == (mode in ("VS", "VU")), "GVA"
                assert bench["tdata1"] & HIT
            else:
                bench.hart.run(1)
                assert bench.hart.pc == CODE + 8
                assert not bench["tdata1"] & HIT

    def test_in_a_loop_that_has_run_before(self) -> None:
        """Blocks, links and the jump cache know the code already."""
        bench = debugged("loop: addi x5, x5, 1\nj next\nnop\nnext: addi x6, x6, 1\nj loop")
        bench.hart.run(1000)
        assert (bench.hart.pc, bench.x(5), bench.x(6)) == (CODE, 250, 250)
        arm(bench, 0, bench.symbols["next"], EXECUTE | ANY_MODE)
        bench.hart.run(3)
        assert (bench.mode, bench["mepc"], bench.x(5), bench.x(6)) == ("M", bench.symbols["next"], 251, 250)
        bench["tdata1"] = 0
        bench.enter("HS")
        bench.hart.pc = bench["mepc"]
        bench.hart.run(1000)
        assert bench.mode == "HS"

    def test_comes_before_a_fetch_fault(self) -> None:
        """Instruction address breakpoints are first of all."""
        bench = debugged("jr x6", x6=0x1000_0000)
        arm(bench, 0, 0x1000_0000, EXECUTE | ANY_MODE)
        bench.hart.run(1)
        assert bench.trap().cause == BREAKPOINT

    @pytest.mark.parametrize(("match", "address", "stops"), [
        (EQUAL, CODE + 8, {8}), (NAPOT, CODE + 8 | 3, {8, 12}), (NAPOT, CODE + 8 | 1, {8}), (GE, CODE + 8, {8, 12}),
        (LT, CODE + 8, {0, 4}), (NAPOT, U64 >> 1, {0, 4, 8, 12}), (EQUAL, CODE + 6, set())])
    def test_matches(self, match: int, address: int, stops: set[int]) -> None:
        for offset in range(0, 16, 4):
            bench = debugged("nop\n" * 4)
            bench.hart.pc = CODE + offset
            arm(bench, 0, address, EXECUTE | ANY_MODE | match)
            bench.hart.run(1)
            assert (bench.mode == "M") == (offset in stops), offset


ACCESSES = {"lb": (1, LOAD), "lhu": (2, LOAD), "lw": (4, LOAD), "ld": (8, LOAD), "sb": (1, STORE), "sh": (2, STORE),
            "sw": (4, STORE), "sd": (8, STORE), "lr.w": (4, LOAD), "sc.d": (8, STORE), "amoadd.w": (4, LOAD | STORE)}


def access_of(name: str) -> str:
    return {"lr.w": "lr.w x5, (x6)"}.get(name) or (f"{name} x5, x7, (x6)" if "." in name else f"{name} x5, 0(x6)")


class TestLoadsAndStores:
    @pytest.mark.parametrize("name", ACCESSES)
    @pytest.mark.parametrize("watch", [LOAD, STORE])
    def test_stop_before_what_they_watch(self, name: str, watch: int) -> None:
        size, kinds = ACCESSES[name]
        for at in range(size):
            bench = debugged(access_of(name), x5=1, x6=DATA, x7=2)
            arm(bench, 7, DATA + at, watch | ANY_MODE)
            bench.memory.store(DATA, 8, 0x55)
            if kinds & watch:
                trap = bench.trap()
                assert (trap.cause, trap.epc, trap.tval) == (BREAKPOINT, CODE, DATA + at)
                assert bench.memory.load(DATA, 8) == 0x55 and bench.x(5) == 1, "nothing was done"
                assert bench["tdata1"] & HIT
            else:
                bench.hart.run(1)
                assert bench.mode == "HS"

    @pytest.mark.parametrize("source", ["cbo.zero (x6)", "cbo.clean (x6)", "cbo.flush (x6)", "cbo.inval (x6)"])
    def test_cache_block_instructions_are_stores_to_the_whole_block(self, source: str) -> None:
        for offset in (-1, 0, 63, 64):
            bench = debugged(source, mode="M", x6=DATA + 20)
            arm(bench, 0, DATA + offset, STORE | ANY_MODE)
            traps = bench.hart.guest_traps
            bench.hart.run(1)
            assert (bench.hart.guest_traps > traps) == (0 <= offset < 64)

    def test_bytes_beside_the_access_do_not_count(self) -> None:
        for address in (DATA - 1, DATA + 4):
            bench = debugged("lw x5, 0(x6)", x6=DATA)
            arm(bench, 0, address, LOAD | STORE | ANY_MODE)
            bench.hart.run(1)
            assert bench.mode == "HS"

    def test_a_page_in_the_translation_cache_is_watched_at_once(self) -> None:
        bench = debugged("1: ld x5, (x6)\nsd x5, (x6)\nj 1b", x6=DATA)
        bench.hart.run(99)
        arm(bench, 0, DATA, STORE | ANY_MODE)
        bench.hart.run(1)
        assert bench.mode == "HS"
        assert bench.trap().tval == DATA
        bench["tdata1"] = 0
        bench.enter("HS")
        bench.hart.pc = bench["mepc"]
        bench.hart.run(99)
        assert bench.mode == "HS"

    def test_an_access_across_pages_is_watched_in_both(self) -> None:
        for at in (DATA + 0xFFF, DATA + 0x1000):
            bench = debugged("sd x5, (x6)", x6=DATA + 0xFFC)
            arm(bench, 0, at, STORE | ANY_MODE)
            assert bench.trap().tval == at

    @pytest.mark.parametrize("size", [1, 2, 3, 5])
    def test_a_size_can_be_asked_for(self, size: int) -> None:
        for name, width in (("lb", 1), ("lh", 2), ("lw", 3), ("ld", 5)):
            bench = debugged(f"{name} x5, 0(x6)", x6=DATA)
            arm(bench, 0, DATA, LOAD | ANY_MODE | size << 16)
            bench.hart.run(1)
            assert (bench.mode == "M") == (size == width)

    def test_they_come_before_misalignment_and_translation(self) -> None:
        bench = debugged("amoadd.w x5, x7, (x6)", x6=DATA + 1)
        arm(bench, 0, DATA + 1, LOAD | ANY_MODE)
        assert bench.trap().cause == BREAKPOINT
        bench = debugged("ld x5, (x6)", x6=0x5000)
        own = Tables(bench.memory, DATA)
        own.identity(CODE, 1)
        bench["satp"] = own.satp
        arm(bench, 0, 0x5000, LOAD | ANY_MODE)
        assert (bench.trap().cause, bench["mtval"]) == (BREAKPOINT, 0x5000)

    def test_addresses_are_virtual(self) -> None:
        bench = debugged("ld x5, (x6)", x6=0x5000)
        own = Tables(bench.memory, DATA + 0x8000)
        own.identity(CODE, 1)
        own.map(0x5000, DATA, ALL)
        bench["satp"] = own.satp
        arm(bench, 0, DATA, LOAD | ANY_MODE)
        bench.hart.run(1)
        assert bench.mode == "HS"

    @pytest.mark.parametrize(("source", "kind"), [("hlv.w x5, (x6)", LOAD), ("hlvx.hu x5, (x6)", LOAD),
                                                  ("hsv.d x5, (x6)", STORE)])
    def test_the_hypervisors_guest_accesses_are_its_own(self, source: str, kind: int) -> None:
        """They act in HS-mode, on guest virtual addresses."""
        for mode in ("HS", "VS"):
            bench = debugged(source, x6=DATA)
            arm(bench, 0, DATA, kind | MODE_BITS[mode])
            bench.hart.run(1)
            assert (bench.mode == "M") == (mode == "HS")
            if mode == "HS":
                assert bench["mcause"] == BREAKPOINT and bench["mstatus"] >> 38 & 1, "GVA"


class TestChains:
    def test_a_range_is_two_triggers(self) -> None:
        for offset in range(0, 40, 8):
            bench = debugged("ld x5, (x6)", x6=DATA + offset)
            arm(bench, 0, DATA + 8, LOAD | ANY_MODE | GE | CHAIN)
            arm(bench, 1, DATA + 24, LOAD | ANY_MODE | LT)
            bench.hart.run(1)
            assert (bench.mode == "M") == (8 <= offset < 24)
            hits = [first & HIT != 0 for first, _, _ in bench.hart.triggers]
            assert hits == [8 <= offset < 24] * 2 + [False] * 6

    def test_the_first_alone_does_nothing(self) -> None:
        bench = debugged("ld x5, (x6)", x6=DATA)
        arm(bench, 2, DATA, LOAD | ANY_MODE | CHAIN)
        bench.hart.run(1)
        assert bench.mode == "HS"


class TestReentrancy:
    """A trigger does not fire where it would overwrite what a handler has yet to save ("Native Triggers")."""

    @pytest.mark.parametrize(("mode", "status", "delegated"), [
        ("M", {"mstatus": 1 << 3}, False), ("HS", {"mstatus": 1 << 1}, True), ("VS", {"vsstatus": 1 << 1}, True)])
    def test_it_waits_for_interrupts_to_be_enabled(
        self, mode: str, status: dict[str, int], delegated: bool
    ) -> None:
        for enabled in (False, True):
            bench = Bench("nop", mode=mode)
            arm(bench, 0, CODE, EXECUTE | ANY_MODE)
            if delegated:
                bench.delegate_all(to_vs=mode == "VS")
            for name, value in status.items():
                bench[name] = value if enabled else 0
            traps = bench.hart.guest_traps
            bench.hart.run(1)
            assert (bench.hart.guest_traps > traps) == enabled

    def test_below_the_handlers_mode_it_always_acts(self) -> None:
        for mode in ("U", "HS", "VS", "VU"):
            bench = Bench("nop", mode=mode)
            arm(bench, 0, CODE, EXECUTE | ANY_MODE)
            assert bench.trap().mode == "M"


class TestContexts:
    @pytest.mark.parametrize(("name", "value", "extra"), [
        ("mcontext", 0x123, 0x123 << 51 | 4 << 48), ("mcontext", 0x247, 0x123 << 51 | 5 << 48),
        ("hgatp", 0x246 << 44, 0x123 << 51 | 2 << 48), ("scontext", 0xABCD, 0xABCD << 2 | 1),
        ("satp", 0xABC << 44, 0xABC << 2 | 2)])
    def test_a_trigger_can_ask_for_one(self, name: str, value: int, extra: int) -> None:
        for matches in (True, False):
            bench = debugged("nop")
            arm(bench, 0, CODE, EXECUTE | ANY_MODE, extra)
            bench[name] = value if matches else value ^ value & -value
            bench.hart.run(1)
            assert (bench.mode == "M") == matches

    def test_bytes_of_scontext_can_be_left_out(self) -> None:
        bench = debugged("nop")
        arm(bench, 0, CODE, EXECUTE | ANY_MODE, 0xAB00 << 2 | 1 | 1 << 36)
        bench["scontext"] = 0xABCD
        assert bench.trap().cause == BREAKPOINT
