"""Sstc: stimecmp and vstimecmp, who may access them, and pending bits that change exactly at their step."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.isa import causes

from .bench import CODE, MODES, U64, Bench

STCE, TM = 1 << 63, 1 << 1
STIP, VSTIP = 1 << 5, 1 << 6


def verdict(name: str, mode: str, m: bool, h: bool) -> int | None:
    """The exception that the manual gives; m: menvcfg.STCE and mcounteren.TM, h: henvcfg.STCE and hcounteren.TM."""
    if mode == "M":
        return None
    if not m or mode == "U":
        return causes.ILLEGAL_INSTRUCTION
    if mode == "VU" or (mode == "VS" and (name == "vstimecmp" or not h)):
        return causes.VIRTUAL_INSTRUCTION
    return None


@pytest.mark.parametrize("name", ["stimecmp", "vstimecmp"])
def test_who_may_access(name: str) -> None:
    for mode, m, mtm, h, htm in product(MODES, (0, 1), (0, 1), (0, 1), (0, 1)):
        bench = Bench(f"csrr x5, {name}", mode=mode)
        bench["menvcfg"], bench["mcounteren"] = m * STCE, mtm * TM
        bench["henvcfg"], bench["hcounteren"] = h * STCE, htm * TM
        wanted = verdict(name, mode, bool(m and mtm), bool(h and htm))
        if wanted is None:
            bench.hart.run(1)
            assert bench.hart.guest_traps == 0, (mode, m, mtm, h, htm)
        else:
            assert bench.trap().cause == wanted, (mode, m, mtm, h, htm)


def test_henvcfgs_bit_is_zero_while_menvcfgs_is() -> None:
    bench = Bench()
    bench["henvcfg"] = STCE
    assert not bench["henvcfg"] & STCE
    bench["menvcfg"] = STCE
    bench["henvcfg"] = STCE
    assert bench["henvcfg"] & STCE
    bench["menvcfg"] = 0
    assert not bench["henvcfg"] & STCE


def test_what_software_wrote_to_stip_does_not_outlive_the_gate() -> None:
    """"STIP is read-only in mip and reflects the supervisor-level timer interrupt signal resulting from stimecmp"."""
    bench = Bench()
    bench["stimecmp"] = U64
    bench["mip"] = STIP
    assert bench["mip"] & STIP
    bench["menvcfg"] = STCE
    assert not bench["mip"] & STIP


@pytest.mark.parametrize(("register", "bit"), [("stimecmp", STIP), ("vstimecmp", VSTIP)])
@pytest.mark.parametrize("delta", [0, 5, U64 - 4])
def test_pending_exactly_at_its_step(register: str, bit: int, delta: int) -> None:
    bench = Bench("\n".join(["nop"] * 400))
    bench["menvcfg"] = STCE
    bench["henvcfg"] = STCE
    bench["htimedelta"] = delta if register == "vstimecmp" else 0
    bench[register] = 20
    shift = bench["htimedelta"] if register == "vstimecmp" else 0
    for step in range(300):
        is_due = (step // 10 + shift & U64) >= 20
        assert bool(bench["mip"] & bit) == is_due, step
        bench.hart.run(1)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_interrupt_is_taken_at_that_step_however_the_budget_is_cut(chunk: int) -> None:
    bench = Bench("csrw stimecmp, x5\n1: j 1b", mode="HS")
    bench.delegate_all()
    bench["menvcfg"], bench["mcounteren"] = STCE, TM
    bench["sie"], bench["sstatus"] = STIP, 2
    bench.set(x5=12)
    for _ in range(120 // chunk + 1):
        bench.hart.run(min(chunk, 120 - bench.hart.steps))
    assert bench.hart.guest_traps == 0
    bench.hart.run(1)
    assert (bench.hart.guest_traps, bench.hart.steps) == (1, 121)


def test_writing_the_past_interrupts_before_the_next_instruction() -> None:
    bench = Bench("csrw stimecmp, x0\nnop", mode="HS")
    bench.delegate_all()
    bench["menvcfg"], bench["mcounteren"] = STCE, TM
    bench["sie"], bench["sstatus"] = STIP, 2
    bench.hart.run(1)
    trap = bench.trap()
    assert (trap.cause, trap.is_interrupt, trap.epc) == (causes.STI, True, CODE + 4)


def test_guests_timer_arrives_under_the_supervisors_number() -> None:
    bench = Bench("csrw stimecmp, x5\n1: j 1b", mode="VS")
    bench.delegate_all(to_vs=True)
    bench["menvcfg"], bench["mcounteren"] = STCE, TM
    bench["henvcfg"], bench["hcounteren"] = STCE, TM
    bench["htimedelta"] = 100
    bench["vsie"], bench["vsstatus"] = STIP, 2
    bench.set(x5=103)
    bench.hart.run(30)
    assert bench.hart.guest_traps == 0
    trap = bench.trap()
    assert (trap.mode, trap.cause, trap.is_interrupt) == ("VS", causes.STI, True)
    assert bench.hart.steps == 31


def test_stip_is_read_only_while_stimecmp_drives_it_and_writable_else() -> None:
    bench = Bench()
    bench["mip"] = STIP
    assert bench["mip"] & STIP
    bench["menvcfg"] = STCE
    assert not bench["mip"] & STIP
    bench["mip"] = STIP
    assert not bench["mip"] & STIP
    bench["stimecmp"] = 0
    assert bench["mip"] & STIP
    bench["menvcfg"] = 0
    assert not bench["mip"] & STIP
    bench["mip"] = STIP
    assert bench["mip"] & STIP


def test_vstip_is_either_of_hvip_and_the_timer() -> None:
    bench = Bench()
    bench["menvcfg"] = STCE
    bench["henvcfg"] = STCE
    for by_hvip, by_timer in product((0, 1), (0, 1)):
        bench["hvip"] = by_hvip * VSTIP
        bench["vstimecmp"] = 0 if by_timer else U64
        assert bool(bench["hip"] & VSTIP) == bool(by_hvip or by_timer)


def test_wfi_sleeps_to_the_timer_that_is_enabled() -> None:
    bench = Bench("wfi\nnop", mode="HS")
    bench["menvcfg"] = STCE
    bench["mideleg"] = STIP
    bench["stimecmp"], bench.hart.mtimecmp = 30, 10
    bench["mie"] = STIP
    bench.hart.run(1000)
    assert bench.hart.idle_steps == 299
