"""Interrupts: enabling, priority, delegation, vectors, the timer; and WFI."""

from __future__ import annotations

import itertools

import pytest

from hartvisor.core.hart import EXIT_BUDGET, EXIT_WFI
from hartvisor.core.isa import causes

from .bench import CODE, DATA, M_VECTOR, MODES, S_VECTOR, U64, VS_VECTOR, Bench

SIE, MIE = 1 << 1, 1 << 3
PRIORITY = (11, 3, 7, 9, 1, 5, 12, 10, 2, 6, 13)
"""Machine chapter: MEI, MSI, MTI, SEI, SSI, STI, LCOFI; H puts SGEI, VSEI, VSSI, VSTI before the last."""
RAISABLE = (1, 2, 3, 5, 6, 7, 9, 10, 11, 13)


def raise_all(bench: Bench, numbers: tuple[int, ...]) -> None:
    """Make these interrupts pending, by wire or by the register that software injects through."""
    for num in numbers:
        if num in (3, 11):
            bench.hart.set_irq(num, True)
    if 7 in numbers:
        bench.hart.mtimecmp = 0
    bench["mip"] = sum(1 << num for num in numbers if num in (1, 5, 9, 13))
    bench["hvip"] = sum(1 << num for num in numbers if num in (2, 6, 10))


def cause_in(mode: str, num: int) -> int:
    """The number under which interrupt `num` arrives in a mode: VS-mode finds its own three where S-mode has them."""
    return num - 1 if mode == "VS" and num != 13 else num


def where(num: int, mode: str, mideleg: int, hideleg: int, mie: bool, sie: bool, vsie: bool) -> str | None:
    """The mode that interrupt `num` is taken to, or None ("Machine Interrupt Registers"; H, "hideleg")."""
    privilege, virtual = MODES[mode]
    if not mideleg >> num & 1:
        return "M" if mode != "M" or mie else None
    if not hideleg >> num & 1:
        return "HS" if mode in ("U", "VS", "VU") or (mode == "HS" and sie) else None
    if not virtual:
        return None
    return "VS" if privilege == 0 or vsie else None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("num", RAISABLE)
def test_where_each_interrupt_goes(num: int, mode: str) -> None:
    for mideleg, hideleg, mie, sie, vsie in itertools.product((0, U64), (0, U64), (0, 1), (0, 1), (0, 1)):
        bench = Bench("nop")
        bench["mideleg"], bench["hideleg"] = mideleg, hideleg
        bench["mie"] = 1 << num
        bench["mstatus"] = MIE * mie | SIE * sie
        bench["vsstatus"] = SIE * vsie
        raise_all(bench, (num,))
        bench.enter(mode)
        goes = where(num, mode, bench["mideleg"], bench["hideleg"], bool(mie), bool(sie), bool(vsie))
        bench.hart.run(1)
        assert bench.hart.guest_traps == (goes is not None)
        if goes:
            prefix = {"M": "m", "HS": "s", "VS": "vs"}[goes]
            assert bench.mode == goes
            assert bench[prefix + "cause"] == 1 << 63 | cause_in(goes, num)
            assert (bench[prefix + "epc"], bench[prefix + "tval"]) == (CODE, 0)
            assert bench.hart.pc == {"M": M_VECTOR, "HS": S_VECTOR, "VS": VS_VECTOR}[goes]


def test_an_interrupt_that_is_not_enabled_waits() -> None:
    for num in RAISABLE:
        bench = Bench("nop", mode="U")
        raise_all(bench, (num,))
        bench["mie"] = ~(1 << num) & U64
        bench.hart.run(1)
        assert bench.hart.guest_traps == 0


@pytest.mark.parametrize("first", RAISABLE)
@pytest.mark.parametrize("second", RAISABLE)
def test_the_priority_among_pending_interrupts(first: int, second: int) -> None:
    """Those for M-mode precede all others; within a target mode the order is the manual's."""
    for mideleg, hideleg in ((0, 0), (U64, 0), (U64, U64)):
        bench = Bench("nop", mode="VU")
        bench["mideleg"], bench["hideleg"] = mideleg, hideleg
        bench["mie"] = U64
        raise_all(bench, tuple({first, second}))
        rank = {
            num: (
                ("M", "HS", "VS").index(
                    where(num, "VU", bench["mideleg"], bench["hideleg"], False, False, False) or "M"
                ),
                PRIORITY.index(num),
            )
            for num in (first, second)
        }
        winner = min(rank, key=lambda num: rank[num])
        trap = bench.trap()
        assert trap.is_interrupt
        assert trap.cause == cause_in(trap.mode, winner)


@pytest.mark.parametrize(
    ("name", "mode", "num", "offset"),
    [
        ("mtvec", "M", 3, 12),
        ("mtvec", "M", 11, 44),
        ("stvec", "HS", 9, 36),
        ("stvec", "HS", 10, 40),
        ("vstvec", "VS", 10, 36),
    ],
)
def test_vectored_mode_adds_four_times_the_cause_for_interrupts_only(
    name: str, mode: str, num: int, offset: int
) -> None:
    bench = Bench("ebreak", mode="VU" if mode != "M" else "U")
    bench[name] = DATA | 1
    if mode != "M":
        bench["mideleg"] = bench["medeleg"] = U64
    if mode == "VS":
        bench["hideleg"] = bench["hedeleg"] = U64
    exception = bench.trap()
    assert (exception.mode, bench.hart.pc) == (mode, DATA)
    bench.hart.pc = CODE
    bench.enter("VU" if mode != "M" else "U")
    bench["mie"] = 1 << num
    raise_all(bench, (num,))
    assert bench.trap().is_interrupt
    assert bench.hart.pc == DATA + offset


def test_enabling_interrupts_takes_effect_before_the_next_instruction() -> None:
    for source, register in (("csrsi mstatus, 8", "mstatus"), ("csrw mie, x5", "mie"), ("csrw mip, x5", "mip")):
        bench = Bench(f"addi x6, x6, 1\n{source}\naddi x6, x6, 1")
        bench["mstatus"], bench["mie"], bench["mip"] = MIE, 2, 2
        bench["mideleg"] = 0
        bench[register] = 0
        bench.set(x5=2)
        bench.hart.run(3)
        assert (bench.x(6), bench.hart.pc, bench["mepc"]) == (1, M_VECTOR, CODE + 8), register


def test_mret_to_an_enabled_interrupt_takes_it_before_the_first_instruction() -> None:
    bench = Bench("mret")
    bench["mepc"], bench["mstatus"], bench["mie"] = DATA, 1 << 7 | 3 << 11, 1 << 3
    bench.hart.set_irq(3, True)
    bench.hart.run(2)
    assert (bench["mepc"], bench["mcause"], bench.hart.steps) == (DATA, 1 << 63 | 3, 2)


class TestPendingBits:
    """How mip, sip, hip, hvip, vsip and their enables alias each other (H, figures of hip, hie, vsip and vsie)."""

    def test_a_wire_is_not_software_pending(self) -> None:
        bench = Bench("csrrs x5, mip, x6\nnop")
        bench.hart.set_irq(9, True)
        bench.set(x6=2)
        bench.hart.run(1)
        assert bench.x(5) == 1 << 9
        bench.hart.set_irq(9, False)
        assert bench["mip"] == 2, "a read-modify-write of mip must not latch the wire"

    def test_seip_is_the_or_of_wire_and_software_bit(self) -> None:
        bench = Bench()
        bench["mip"] = 1 << 9
        assert bench["mip"] == 1 << 9
        bench.hart.set_irq(9, True)
        bench["mip"] = 0
        assert bench["mip"] == 1 << 9
        bench.hart.set_irq(9, False)
        assert bench["mip"] == 0

    def test_every_wire(self) -> None:
        for num in (3, 9, 11):
            bench = Bench("nop", mode="U")
            bench["mie"] = 1 << num
            bench.hart.set_irq(num, True)
            assert bench["mip"] == 1 << num
            bench.hart.set_irq(num, False)
            assert bench["mip"] == 0
            bench.hart.set_irq(num, True)
            assert bench.trap().cause == num

    def test_the_others_have_no_wire(self) -> None:
        """mtimecmp drives MTIP; STIP, SSIP and the VS-level bits are registers."""
        for num in set(range(64)) - {3, 9, 11}:
            with pytest.raises(ValueError, match="no wire"):
                Bench().hart.set_irq(num, True)

    def test_sip_and_sie_show_what_is_delegated(self) -> None:
        bench = Bench()
        bench["mip"], bench["mie"] = 0x222, U64
        for mideleg in (0, 2, 0x220, 0x222):
            bench["mideleg"] = mideleg
            assert (bench["sip"], bench["sie"]) == (mideleg, mideleg)
        bench["sip"] = 0
        assert bench["mip"] == 0x220, "S-mode may clear SSIP only"

    def test_hvip_shows_in_hip_mip_and_shifted_in_vsip(self) -> None:
        bench = Bench()
        bench["hvip"] = U64
        assert (bench["hvip"], bench["hip"], bench["mip"], bench["vsip"]) == (0x444, 0x444, 0x444, 0)
        bench["hideleg"] = U64
        assert bench["vsip"] == 0x222
        bench["vsip"] = 0
        assert (bench["hvip"], bench["vsip"]) == (0x440, 0x220)
        bench["hip"] = 4
        assert bench["hvip"] == 0x444
        bench["mip"] = 0
        assert bench["hvip"] == 0x440, "mip aliases VSSIP"

    def test_hie_and_vsie_are_mies_bits(self) -> None:
        bench = Bench()
        bench["hie"] = U64
        assert (bench["mie"], bench["hie"], bench["vsie"]) == (0x444, 0x444, 0)
        bench["hideleg"] = 0x404
        assert bench["vsie"] == 0x202
        bench["vsie"] = 0
        assert (bench["mie"], bench["hie"]) == (0x40, 0x40)


class TestTimer:
    def test_it_is_pending_from_its_very_step_on(self) -> None:
        for steps_per_tick in (1, 3, 10):
            bench = Bench("csrr x5, mip\n" * 64, steps_per_tick=steps_per_tick)
            bench.hart.mtimecmp = 4
            for step in range(60):
                assert bench["mip"] >> 7 & 1 == (step >= 4 * steps_per_tick)
                bench.hart.run(1)
                assert bench.x(5) >> 7 & 1 == (step >= 4 * steps_per_tick)

    @pytest.mark.parametrize("chop", [1, 2, 7, 100])
    def test_it_interrupts_right_then(self, chop: int) -> None:
        bench = Bench("1: addi x5, x5, 1\nj 1b", steps_per_tick=10)
        bench["mie"], bench["mstatus"] = 1 << 7, MIE
        bench.hart.mtimecmp = 3
        while bench.hart.guest_traps == 0:
            bench.hart.run(min(chop, 31 - bench.hart.steps))
        assert (bench.hart.steps, bench.x(5), bench["mcause"]) == (31, 15, 1 << 63 | 7)

    def test_moving_it_shows_at_once(self) -> None:
        bench = Bench("nop")
        bench.hart.steps = 100
        bench.hart.mtimecmp = 10
        assert bench["mip"] == 1 << 7
        bench.hart.mtimecmp = 11
        assert bench["mip"] == 0
        bench.hart.mtime_offset = 1
        assert bench["mip"] == 1 << 7

    def test_it_stays_pending_until_moved(self) -> None:
        bench = Bench("1: j 1b")
        bench["mie"], bench["mstatus"] = 1 << 7, MIE
        bench.put("mret", M_VECTOR)
        bench.hart.mtimecmp = 1
        bench.hart.run(100)
        assert bench.hart.guest_traps == 45, "after step 10 every other step is a trap"


class TestWfi:
    @pytest.mark.parametrize("mode", ["M", "HS", "VS"])
    def test_it_retires_and_sleeps_to_the_timer(self, mode: str) -> None:
        bench = Bench("wfi\naddi x5, x5, 1", mode=mode)
        bench.hart.mtimecmp = 7
        bench["mie"] = 1 << 7
        bench.hart.run(70)
        assert (bench.hart.steps, bench.hart.idle_steps, bench.hart.pc, bench.x(5)) == (70, 69, CODE + 4, 0)
        bench.hart.run(1)
        if mode == "M":
            assert (bench.x(5), bench.hart.waiting) == (1, False), "interrupts are off in M-mode: it just goes on"
        else:
            assert (bench["mcause"], bench["mepc"]) == (1 << 63 | 7, CODE + 4)

    def test_it_may_end_in_mid_sleep(self) -> None:
        bench = Bench("wfi\naddi x5, x5, 1")
        bench.hart.mtimecmp, bench["mie"] = 7, 1 << 7
        seen = bench.hart.run(30)
        assert (seen.reason, seen.steps, bench.hart.waiting, bench.hart.idle_steps) == (EXIT_BUDGET, 30, True, 29)
        bench.hart.run(41)
        assert (bench.x(5), bench.hart.steps, bench.hart.idle_steps) == (1, 71, 69)

    def test_with_nothing_to_wake_it_the_clock_stands_still(self) -> None:
        for mtimecmp, mie in ((U64, U64), (100, 0), (0, 0)):
            bench = Bench("wfi\naddi x5, x5, 1")
            bench.hart.mtimecmp, bench["mie"] = mtimecmp, mie
            for _ in range(2):
                seen = bench.hart.run(5000)
                assert (seen.reason, seen.steps, bench.hart.waiting, bench.hart.idle_steps) == (EXIT_WFI, 1, True, 0)
            bench["mie"] = 1 << 3
            bench.hart.set_irq(3, True)
            bench.hart.run(1)
            assert (bench.x(5), bench.hart.steps, bench.hart.waiting) == (1, 2, False)

    @pytest.mark.parametrize("num", RAISABLE)
    def test_any_enabled_pending_interrupt_wakes_it_whatever_the_global_enables(self, num: int) -> None:
        bench = Bench("wfi\naddi x5, x5, 1")
        bench["mie"] = 1 << num
        bench["mideleg"] = U64
        raise_all(bench, (num,))
        bench.hart.run(2)
        assert (bench.x(5), bench.hart.steps, bench.hart.idle_steps) == (1, 2, 0)

    def test_cycle_and_instret_do_not_count_sleep_but_time_does(self) -> None:
        bench = Bench("wfi\ncsrr x5, cycle\ncsrr x6, instret\ncsrr x7, time")
        bench.hart.mtimecmp, bench["mie"] = 50, 1 << 7
        bench.hart.run(503)
        assert (bench.x(5), bench.x(6), bench.x(7)) == (1, 2, 50)

    def test_an_interrupt_in_u_mode_finds_the_wfi_illegal(self) -> None:
        assert Bench("wfi", mode="U").trap().cause == causes.ILLEGAL_INSTRUCTION
