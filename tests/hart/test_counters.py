"""cycle, instret and time: what they count, and what writing and inhibiting does (Zicntr; machine chapter)."""

from __future__ import annotations

import pytest

from .bench import M_VECTOR, U64, Bench


def test_they_tell_steps_before_the_instruction_that_reads() -> None:
    bench = Bench("nop\nnop\ncsrr x5, cycle\ncsrr x6, instret\ncsrr x7, time", steps_per_tick=2)
    bench.hart.run(5)
    assert (bench.x(5), bench.x(6), bench.x(7)) == (2, 3, 2)


def test_a_trap_is_a_cycle_but_no_instruction() -> None:
    bench = Bench("ecall")
    bench.put("csrr x5, cycle\ncsrr x6, instret", M_VECTOR)
    bench.hart.run(3)
    assert (bench.x(5), bench.x(6)) == (1, 1)


@pytest.mark.parametrize(("name", "user"), [("mcycle", "cycle"), ("minstret", "instret")])
def test_the_instruction_after_a_write_reads_what_was_written(name: str, user: str) -> None:
    bench = Bench(f"csrw {name}, x5\ncsrr x6, {user}\ncsrr x7, {name}")
    bench.set(x5=1000)
    bench.hart.run(3)
    assert (bench.x(6), bench.x(7)) == (1000, 1001)


@pytest.mark.parametrize(("name", "bit"), [("mcycle", 1), ("minstret", 4)])
def test_an_inhibited_counter_stands_still_and_goes_on_from_there(name: str, bit: int) -> None:
    bench = Bench(
        f"nop\ncsrwi mcountinhibit, {bit}\nnop\nnop\ncsrr x5, {name}\n"
        f"csrwi mcountinhibit, 0\ncsrr x6, {name}\ncsrr x7, {name}"
    )
    bench.hart.run(8)
    assert bench.x(5) in (1, 2)
    assert (bench.x(6) - bench.x(5), bench.x(7) - bench.x(5)) in ((0, 1), (1, 2))


def test_time_in_a_guest_has_the_hypervisors_delta() -> None:
    bench = Bench("csrr x5, time", mode="VS", steps_per_tick=1)
    bench["mcounteren"] = bench["hcounteren"] = 2
    bench["htimedelta"] = U64
    bench.hart.steps = 50
    bench.hart.run(1)
    assert bench.x(5) == 49
