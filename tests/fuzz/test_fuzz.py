"""A bounded run of each fuzzer; the long runs are commands (`python -m tests.fuzz.qemu`, `.three_way`, `.traces`,
`.decoder`)."""

from __future__ import annotations

import random
import struct
from collections import Counter
from pathlib import Path

import pytest

from . import decoder, qemu, qemu_machines, three_way, traces
from .qemu_deviations import known_deviations
from .qemu_evidence import SITUATIONS
from .qemu_layout import ENTRY_NAMES, ENTRY_SIZE, LOG_HEAD, LOG_SIZE
from .qemu_machines import Difference, compare, prepare
from .qemu_ours import run_ours
from .qemu_programs import make_program
from .qemu_shrink import read_reproducer, write_reproducer

PROGRAMS = 60
GUESTS = 24
ENDLESS = 300_045
"""The seed of a program that comes to M-mode 14 times and then never again."""
SPOILT = (*(f"x{i}" for i in range(1, 31)), *(f"f{i}" for i in range(32)), "fcsr", "mepc", "mcause", "sepc", "satp")


@pytest.mark.parametrize("seed", [20_100, 21_200])
def test_random_programs_run_as_on_qemu(tmp_path: Path, seed: int) -> None:
    total = qemu.run(60, seed=seed, programs=PROGRAMS)
    found = [f"{qemu.describe(one)}; {write_reproducer(one, tmp_path)}" for one in total.differences]
    assert found == []
    assert total.compared > PROGRAMS * 0.8
    assert total.instructions > 1000 * total.compared


def test_the_known_deviations_hide_hardly_anything_else() -> None:
    """A bit of a register, in a log that QEMU might have written: not the deviations, the fuzzer has to speak up."""
    deviations, rng = known_deviations("10.0"), random.Random(1)
    told = tried = 0
    for seed in range(30):
        program = make_program(seed)
        log = run_ours(program)
        if log is None:
            continue
        other = bytearray(log.data)
        entry, name = rng.randrange(program.max_traps), rng.choice(SPOILT)
        at = LOG_HEAD + entry * ENTRY_SIZE + 8 * ENTRY_NAMES.index(name) + rng.randrange(1, 4)
        other[at] ^= 1 << rng.randrange(8)
        verdict = compare(program, log, bytes(other), deviations)
        tried += 1
        told += verdict.difference is not None and name in verdict.difference.fields
    assert told >= 0.9 * tried > 20


def test_programs_that_once_differed_meet_the_deviations_they_were_traced_to() -> None:
    traced = [
        (602326, "cache-block management looked up as a store"),
        (605785, "SC of another width than its LR"),
        (606055, "delegation of hardware errors"),
        (702518, "D of cache-block management"),
        (703155, "cache-block management looked up as a store, in a guest that has a handler"),
        (703368, "AMO looked up as a load first"),
        (707775, "bits 2, 6 and 10 of vsip and vsie, and an interrupt"),
        (1003810, "LCOFI is never enabled"),
        (1004175, "bits 2, 6 and 10 of vsip and vsie"),
        (2006074, "PMP or PMA denies a page-table read of the G-stage"),
        (4008863, "PMP or PMA denies a page-table read of the G-stage"),
        (3005331, "bits 2, 6 and 10 of vsip and vsie, and an interrupt"),
        (710738, "flags of an unread FROUND"),
    ]
    for seed, name in traced:
        found = qemu.run(60, seed=seed, programs=1)
        assert [qemu.describe(one) for one in found.differences] == []
        assert found.met[name] >= 1


def test_a_program_that_a_deviation_makes_endless_on_qemu_is_compared_up_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_machines, "PATIENCE", 8.0)
    total = qemu.run(60, seed=607931, programs=1)
    assert [qemu.describe(one) for one in total.differences] == []
    assert (total.compared, total.cut) == (1, 1)
    assert total.met["unsupported MODE in hgatp or vsatp"] == 1


def test_a_program_that_qemu_does_not_end_without_a_known_deviation_is_told() -> None:
    program = make_program(607931)
    log = run_ours(program)
    assert log is not None
    verdict = compare(program, log, struct.pack("<Q", 3) + log.data[8:], known_deviations("10.0"), has_ended=False)
    assert verdict.difference is not None
    assert (verdict.difference.entry, verdict.difference.fields) == (3, {"ended": (1, 0)})


def test_a_program_that_never_ends_is_compared_up_to_its_last_trap_to_m_mode() -> None:
    ((program, log),) = prepare([make_program(ENDLESS)])
    assert run_ours(make_program(ENDLESS)) is None
    assert log is not None
    assert program.max_traps == 14
    assert qemu.run(60, seed=ENDLESS, programs=1).compared == 1


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
    assert log is None or len(log.data) == LOG_SIZE
    assert run_ours(make_program(seed)) == log
    found = Difference(program, 0, {"x1": (1, 2)})
    assert run_ours(read_reproducer(write_reproducer(found, tmp_path))) == log


def test_every_known_deviation_names_its_section_and_what_was_executed() -> None:
    cases = known_deviations("10.0").cases
    assert cases
    assert all(case.section and case.why for case in cases)
    assert [case.name for case in cases if case.is_total and not case.situation] == []
    assert {case.situation for case in cases} - {""} == set(SITUATIONS)
