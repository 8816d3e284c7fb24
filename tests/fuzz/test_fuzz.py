"""A bounded run of each fuzzer; the long runs are commands (`python -m tests.fuzz.qemu`, `.three_way`, `.traces`,
`.decoder`)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from . import decoder, qemu, three_way, traces
from .qemu_deviations import known_deviations
from .qemu_layout import LOG_SIZE
from .qemu_machines import run_ours
from .qemu_programs import make_program
from .qemu_shrink import read_reproducer, write_reproducer

PROGRAMS = 100
GUESTS = 24


@pytest.mark.parametrize("seed", [20_100, 21_200, 501_650])
def test_random_programs_run_as_on_qemu(tmp_path: Path, seed: int) -> None:
    """Seeds whose hundred programs hold ones that once differed: 20116, 20163, 20168, 21259, 501686."""
    total, _ = qemu.run(60, seed=seed, programs=PROGRAMS)
    found = [f"{qemu.describe(one)}; {write_reproducer(one, tmp_path)}" for one in total.differences]
    assert found == []
    assert total.compared > PROGRAMS * 0.9
    assert total.instructions > 1000 * total.compared


def test_random_guests_are_the_same_three_ways() -> None:
    totals = three_way.run(60, seed=1, guests=GUESTS)
    assert totals.mismatches == []
    assert totals.guests == GUESTS


@pytest.mark.parametrize("seed", [5037, 5438, 5514])
def test_random_guests_have_the_same_trace_three_ways(seed: int) -> None:
    """Seeds of guests whose traces once differed, and the two after each."""
    totals = traces.run(60, seed, guests=3)
    assert totals.differences == []
    assert totals.guests == 3


def test_every_halfword_and_many_words_decode_as_in_objdump() -> None:
    met: Counter[str] = Counter()
    wrong = decoder.compare([halfword for halfword in range(1 << 16) if halfword & 3 != 3], 2, met)
    for words in decoder.random_words(50_000, seed=3):
        wrong += decoder.compare(words, 4, met)
    assert wrong == []


@pytest.mark.parametrize("seed", range(3))
def test_a_program_is_the_same_every_time_and_survives_being_written(tmp_path: Path, seed: int) -> None:
    program = make_program(seed)
    log = run_ours(program)
    assert log is None or len(log) == LOG_SIZE
    assert run_ours(make_program(seed)) == log
    found = qemu.Difference(program, 0, {"x1": (1, 2)})
    assert run_ours(read_reproducer(write_reproducer(found, tmp_path))) == log


def test_every_known_deviation_names_its_section() -> None:
    cases = known_deviations("10.0").cases
    assert cases
    assert all(case.section and case.why for case in cases)
