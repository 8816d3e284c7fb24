"""Performance counters: what they count, in which modes, and overflow exactly at its step (Zihpm, Sscofpmf)."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.hart import EXIT_WFI
from hartvisor.core.isa import causes
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .bench import CODE, M_VECTOR, MODES, S_VECTOR, U64, VS_VECTOR, Bench, difference, state

CYCLES, INSTRUCTIONS, TRAPS = 1, 2, 3
OF, MINH, SINH, UINH, VSINH, VUINH = (1 << bit for bit in (63, 62, 61, 60, 59, 58))
INHIBITS = {"M": MINH, "HS": SINH, "U": UINH, "VS": VSINH, "VU": VUINH}
LCOFI = 1 << 13
COUNTERS = range(3, 11)


@pytest.mark.parametrize("i", range(3, 32))
def test_which_counters_are_there(i: int) -> None:
    bench = Bench()
    bench[f"mhpmevent{i}"] = U64
    bench[f"mhpmcounter{i}"] = 5
    assert bench[f"mhpmevent{i}"] == (63 << 58 | 0xFF if i in COUNTERS else 0)
    assert bench[f"mhpmcounter{i}"] == bench[f"hpmcounter{i}"] == (5 if i in COUNTERS else 0)
    bench["mcountinhibit"] = U64
    assert bench["mcountinhibit"] == 0x7FD


@pytest.mark.parametrize(("event", "counted"), [(0, 0), (CYCLES, 4), (INSTRUCTIONS, 3), (TRAPS, 1), (4, 0), (255, 0)])
@pytest.mark.parametrize("i", COUNTERS)
def test_events(i: int, event: int, counted: int) -> None:
    bench = Bench("nop\necall")
    bench.put("nop\nnop", M_VECTOR)
    bench[f"mhpmevent{i}"] = event
    bench[f"mhpmcounter{i}"] = 100
    bench.hart.run(4)
    assert bench[f"mhpmcounter{i}"] == bench[f"hpmcounter{i}"] == 100 + counted


def test_a_program_reads_what_came_before_and_the_value_it_wrote() -> None:
    bench = Bench("nop\ncsrr x5, hpmcounter3\ncsrw mhpmcounter3, x9\ncsrr x6, mhpmcounter3\ncsrr x7, mhpmcounter3")
    bench.set(x9=1000)
    bench["mhpmevent3"] = INSTRUCTIONS
    bench.hart.run(5)
    assert (bench.x(5), bench.x(6), bench.x(7)) == (1, 1000, 1001)


def test_an_event_selected_later_counts_from_then_on() -> None:
    bench = Bench("nop\nnop\ncsrwi mhpmevent3, 2\nnop\ncsrr x5, mhpmcounter3\ncsrwi mhpmevent3, 0\nnop")
    bench.hart.run(7)
    assert (bench.x(5), bench["mhpmcounter3"]) == (1, 3)


def test_an_inhibited_counter_stands_still() -> None:
    bench = Bench("nop\ncsrwi mcountinhibit, 8\nnop\nnop\ncsrwi mcountinhibit, 0\nnop\nnop")
    bench["mhpmevent3"] = bench["mhpmevent4"] = CYCLES
    bench.hart.run(7)
    assert (bench["mhpmcounter3"], bench["mhpmcounter4"]) == (4, 7)


def test_sleep_is_no_cycle() -> None:
    bench = Bench("wfi\nnop")
    bench["mhpmevent3"], bench["mie"], bench.hart.mtimecmp = CYCLES, 1 << 7, 50
    bench.hart.run(501)
    assert (bench.hart.idle_steps, bench["mhpmcounter3"]) == (499, 2)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_its_inhibit_bit(mode: str) -> None:
    for inhibited in MODES:
        bench = Bench("nop\nnop", mode=mode)
        bench["mhpmevent3"] = CYCLES | INHIBITS[inhibited]
        bench.hart.run(2)
        assert bench["mhpmcounter3"] == (0 if mode == inhibited else 2), inhibited


def test_a_trap_and_a_return_count_in_the_mode_they_leave() -> None:
    """U: nop, ecall. HS: nop, ecall. M: nop, mret back to U: nop."""
    bench = Bench("nop\necall\nnop", mode="U")
    bench.put("nop\necall", S_VECTOR)
    bench.put("nop\nmret", M_VECTOR)
    bench["medeleg"] = 1 << 8
    for i, inhibits in ((3, MINH | SINH), (4, MINH | UINH), (5, SINH | UINH)):
        bench[f"mhpmevent{i}"] = CYCLES | inhibits
    bench.hart.run(4)
    bench["mepc"], bench["mstatus"] = CODE + 8, 0
    bench.hart.run(3)
    assert bench.mode == "U"
    assert [bench[f"mhpmcounter{i}"] for i in (3, 4, 5)] == [3, 2, 2]


def test_user_views_are_gated_like_the_other_counters() -> None:
    for mode, m, h, s in product(MODES, (0, 1), (0, 1), (0, 1)):
        bench = Bench("csrr x5, hpmcounter5", mode=mode)
        bench["mhpmcounter5"] = 77
        bench["mcounteren"], bench["hcounteren"], bench["scounteren"] = m << 5, h << 5, s << 5
        wanted = None
        if mode != "M" and not m:
            wanted = causes.ILLEGAL_INSTRUCTION
        elif mode[0] == "V" and not (h and (s or mode == "VS")):
            wanted = causes.VIRTUAL_INSTRUCTION
        elif mode == "U" and not s:
            wanted = causes.ILLEGAL_INSTRUCTION
        if wanted is None:
            bench.hart.run(1)
            assert (bench.hart.guest_traps, bench.x(5)) == (0, 77)
        else:
            assert bench.trap().cause == wanted, (mode, m, h, s)


class TestOverflow:
    @pytest.mark.parametrize("event", [CYCLES, INSTRUCTIONS])
    def test_pending_exactly_at_its_step(self, event: int) -> None:
        bench = Bench("\n".join(["nop"] * 40))
        bench["mhpmevent3"] = event
        bench["mhpmcounter3"] = U64 - 24
        for step in range(40):
            over = step >= 25
            assert (bench["mip"] == LCOFI, bench["mhpmevent3"] >> 63, bench["scountovf"]) == (over, over, over << 3)
            assert bench["mhpmcounter3"] == U64 - 24 + step & U64
            bench.hart.run(1)

    def test_traps_are_counted_to_the_overflow(self) -> None:
        bench = Bench()
        bench.put("1: ecall\nj 1b", M_VECTOR)
        bench.hart.pc = M_VECTOR
        bench["mhpmevent9"] = TRAPS
        bench["mhpmcounter9"] = U64 - 4
        for step in range(12):
            assert (bench["mip"] == LCOFI) == (step >= 5)
            bench.hart.run(1)

    def test_while_of_is_set_there_is_no_request_and_counting_goes_on(self) -> None:
        bench = Bench("1: j 1b")
        bench["mhpmevent3"] = OF | CYCLES
        bench["mhpmcounter3"] = U64
        bench.hart.run(10)
        assert (bench["mip"], bench["mhpmcounter3"], bench["mhpmevent3"]) == (0, 9, OF | CYCLES)
        bench["mhpmevent3"] = CYCLES
        bench.hart.run(10)
        assert (bench["mip"], bench["mhpmevent3"]) == (0, CYCLES)

    def test_a_write_is_no_overflow(self) -> None:
        bench = Bench("csrw mhpmcounter3, x5\ncsrw mhpmcounter3, x0\nnop")
        bench["mhpmevent3"] = CYCLES
        bench.set(x5=U64 - 1)
        bench.hart.run(3)
        assert (bench["mip"], bench["mhpmcounter3"]) == (0, 1)

    def test_software_clears_pending_and_of_apart(self) -> None:
        bench = Bench("1: j 1b")
        bench["mhpmevent3"], bench["mhpmcounter3"] = CYCLES, U64
        bench.hart.run(1)
        bench["mip"] = 0
        assert (bench["mip"], bench["scountovf"]) == (0, 8)
        bench["mip"] = LCOFI
        bench["mhpmevent3"] = CYCLES
        assert (bench["mip"], bench["scountovf"]) == (LCOFI, 0)

    def test_it_ends_a_sleep(self) -> None:
        """WFI itself is counted, and so can overflow the counter that ends its sleep; sleeping is not."""
        for value, reason_is_wfi in ((U64, False), (U64 - 1, True)):
            bench = Bench("wfi\n1: j 1b")
            bench["mhpmevent3"], bench["mhpmcounter3"], bench["mie"] = CYCLES, value, LCOFI
            assert (bench.hart.run(100).reason == EXIT_WFI) == reason_is_wfi

    @pytest.mark.parametrize("inhibits", [0, MINH, SINH, UINH, MINH | SINH, SINH | UINH])
    @pytest.mark.parametrize("event", [CYCLES, INSTRUCTIONS, TRAPS])
    @pytest.mark.parametrize("chunk", [1, 2, 7, 13])
    def test_any_chopping_gives_the_same_state(self, chunk: int, event: int, inhibits: int) -> None:
        """Through three modes; the overflow handler rearms its counter."""

        def make() -> Bench:
            bench = Bench("1: addi x5, x5, 1\nmul x6, x5, x5\nandi x7, x5, 3\nbnez x7, 1b\necall\nj 1b", mode="U")
            bench.put(
                "csrr x20, scause\nbltz x20, 1f\ncsrr x21, sepc\naddi x21, x21, 4\ncsrw sepc, x21\nadd x22, x22, x6\n"
                "ecall\nsret\n1: addi x23, x23, 1\ncsrr x24, sepc\nadd x25, x25, x24\ncsrr x26, scountovf\necall\nsret",
                S_VECTOR,
            )
            bench.put(
                "csrr x28, mepc\naddi x28, x28, 4\ncsrw mepc, x28\nbeqz x26, 1f\nli x26, 0\n"
                "csrw mhpmcounter4, x19\nli x29, 1\nslli x29, x29, 63\ncsrc mhpmevent4, x29\nli x29, 8192\n"
                "csrc mip, x29\n1: mret",
                M_VECTOR,
            )
            bench["medeleg"], bench["mideleg"], bench["mie"] = 1 << 8, LCOFI, LCOFI
            bench["mcounteren"] = U64
            bench["mhpmevent3"], bench["mhpmevent4"] = CYCLES | UINH, event | inhibits
            bench["mhpmcounter4"] = U64 - 10
            bench.set(x19=U64 - (3 if event == TRAPS else 29))
            return bench

        whole, chopped = make(), make()
        whole.hart.run(900)
        while chopped.hart.steps < 900:
            chopped.hart.run(min(chunk, 900 - chopped.hart.steps))
        assert difference(state(whole.hart), state(chopped.hart)) == {}
        assert whole.x(23) >= 2 or (event == TRAPS and inhibits == SINH | UINH), "M-mode does not trap here"


class TestInterrupt:
    def overflowing(self, mode: str, **csrs: int) -> Bench:
        bench = Bench("nop\nnop", mode=mode)
        bench["mhpmevent3"], bench["mhpmcounter3"], bench["mie"] = CYCLES, U64, LCOFI
        for name, value in csrs.items():
            bench[name] = value
        bench.hart.run(1)
        return bench

    @pytest.mark.parametrize(
        ("mode", "delegated", "to_vs", "target", "pc"),
        [
            ("HS", 0, 0, "M", M_VECTOR),
            ("U", LCOFI, 0, "HS", S_VECTOR),
            ("VS", LCOFI, 0, "HS", S_VECTOR),
            ("VU", LCOFI, LCOFI, "VS", VS_VECTOR),
            ("VU", 0, LCOFI, "M", M_VECTOR),
        ],
    )
    def test_where_it_goes(self, mode: str, delegated: int, to_vs: int, target: str, pc: int) -> None:
        bench = self.overflowing(mode, mideleg=delegated, hideleg=to_vs)
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.is_interrupt, trap.epc) == (target, causes.LCOFI, True, CODE + 4)
        assert bench.hart.pc == pc

    def test_it_has_the_lowest_priority(self) -> None:
        bench = self.overflowing("U", mideleg=U64, hvip=1 << 6, mip=2)
        bench["mie"] = U64
        assert [bench.trap().cause, bench["mip"] & LCOFI] == [1, LCOFI]
        bench["mip"], bench["hvip"] = LCOFI, 1 << 6
        bench.enter("U")
        assert bench.trap().cause == 6
        bench["hvip"] = 0
        bench.enter("U")
        assert bench.trap().cause == causes.LCOFI

    def test_views_of_pending_and_enable(self) -> None:
        """sip and sie by mideleg; vsip and vsie are aliases of these by hideleg; hip and hie have no such bit."""
        for delegated, to_vs in product((0, LCOFI), (0, LCOFI)):
            bench = Bench()
            bench["mip"] = bench["mie"] = LCOFI
            bench["mideleg"], bench["hideleg"] = delegated, to_vs
            assert (bench["sip"], bench["sie"]) == (delegated, delegated)
            assert (bench["vsip"], bench["vsie"]) == (delegated & to_vs, delegated & to_vs)
            assert (bench["hip"], bench["hie"], bench["hvip"]) == (0, 0, 0)
            bench["vsip"] = bench["vsie"] = 0
            both = bool(delegated and to_vs)
            assert (bench["mip"], bench["mie"]) == ((0, 0) if both else (LCOFI, LCOFI))
            bench["mip"] = bench["mie"] = LCOFI
            bench["sip"] = bench["sie"] = 0
            assert (bench["mip"], bench["mie"]) == ((0, 0) if delegated else (LCOFI, LCOFI))
            bench["sip"] = bench["sie"] = LCOFI
            assert (bench["mip"], bench["mie"]) == (LCOFI, LCOFI)


def test_scountovf_shows_a_level_the_counters_that_it_may_read() -> None:
    for mode, m, h in product(("M", "HS", "VS"), (0, 8, 0x408), (0, 8, 0x400)):
        bench = Bench("csrr x5, scountovf", mode=mode)
        for i in (3, 4, 10):
            bench[f"mhpmevent{i}"] = OF
        bench["mcounteren"], bench["hcounteren"] = m, h
        bench.hart.run(1)
        assert bench.x(5) == 0x418 & (U64 if mode == "M" else m) & (h if mode == "VS" else U64), (mode, m, h)


def test_without_sscofpmf_counters_wrap_in_silence() -> None:
    bench = Bench("nop\nnop", isa=without(DEFAULT_ISA, "Sscofpmf"))
    bench["mhpmevent3"] = U64
    assert bench["mhpmevent3"] == 0xFF
    bench["mhpmevent3"], bench["mhpmcounter3"] = CYCLES, U64
    bench["mie"] = bench["mideleg"] = bench["hideleg"] = bench["mip"] = LCOFI
    bench.hart.run(2)
    assert (bench["mhpmcounter3"], bench["mip"], bench["mie"]) == (1, 0, 0)
    assert (bench["mideleg"] & LCOFI, bench["hideleg"] & LCOFI) == (0, 0)


def test_without_shlcofideleg_guests_do_not_get_it() -> None:
    bench = Bench(isa=without(DEFAULT_ISA, "Shlcofideleg"))
    bench["hideleg"] = bench["mideleg"] = U64
    assert (bench["hideleg"], bench["mideleg"]) == (0x444, 0x2666)


def test_moving_the_clock_counts_nothing() -> None:
    """As a world switch does it: the steps between belong to somebody else."""
    bench = Bench("nop\nnop")
    bench["mhpmevent3"], bench["mhpmevent4"] = CYCLES, INSTRUCTIONS
    bench.hart.run(1)
    bench.hart.steps, bench.hart.idle_steps, bench.hart.guest_traps = 5000, 70, 9
    bench.hart.run(1)
    assert (bench["mhpmcounter3"], bench["mhpmcounter4"]) == (2, 2)
