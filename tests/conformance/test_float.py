"""Every floating-point computation against exact rational arithmetic: results and flags, in all rounding modes,
with the host's arithmetic standing in and without.

`python -m tests.conformance.test_float COUNT SEED` tries COUNT random operands of each instruction instead of
the suite's few.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.isa.instructions import BY_NAME
from hartvisor.core.isa.rows_float import FLI_CONSTANTS

from ..hart.bench import CODE, Bench
from .float_cases import COMPUTATIONS, F_DIRTY, Unit, is_rounded, operand_kinds, random_register, registers
from .ieee import FORMATS, NX, boxed, expected, read

RANDOM = 25
PAIRS = 150
U64 = (1 << 64) - 1


@pytest.fixture(scope="module")
def units() -> tuple[Unit, Unit]:
    """A hart that uses the host's arithmetic where it can, and one that never does."""
    return Unit(), Unit(host_float=False)


def difference(units: tuple[Unit, ...], name: str, operands: tuple[int, ...]) -> Iterator[str]:
    """What is wrong with one instruction on these operands, over modes, flags before, static and dynamic rounding."""
    for mode in range(5) if is_rounded(name) else (0,):
        result, flags = expected(name, mode, *operands)
        for unit, before, is_static in product(units, (0, NX), (False, True) if is_rounded(name) else (False,)):
            got = unit.run(name, mode, operands, before, is_static)
            if got != (result, flags | before):
                shown = ", ".join(f"{operand:#x}" for operand in operands)
                yield f"{name} mode {mode} of {shown}: {got[0]:#x} {got[1]:#x}, not {result:#x} {flags | before:#x}"


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_corner_operands(name: str, units: tuple[Unit, Unit]) -> None:
    """All corners of one operand; of several, a sample of their combinations that is the same each time."""
    choices = [registers(kind) for kind in operand_kinds(name)]
    cases = list(product(*choices)) if len(choices) < 3 else None
    source = random.Random(name)
    if cases is None:
        cases = [tuple(source.choice(choice) for choice in choices) for _ in range(PAIRS)]
    elif len(cases) > PAIRS:
        cases = source.sample(cases, PAIRS)
    assert [line for case in cases for line in difference(units, name, case)] == []


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_random_operands(name: str, units: tuple[Unit, Unit]) -> None:
    source = random.Random(name)
    kinds = operand_kinds(name)
    cases = [tuple(random_register(source, kind) for kind in kinds) for _ in range(RANDOM)]
    assert [line for case in cases for line in difference(units, name, case)] == []


_UNITS: list[tuple[Unit, Unit]] = []


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(COMPUTATIONS)), st.tuples(*[st.integers(0, U64)] * 3), st.booleans())
def test_any_operands(name: str, values: tuple[int, int, int], is_boxed: bool) -> None:
    """Whatever hypothesis thinks of, boxed or not."""
    if not _UNITS:
        _UNITS.append((Unit(), Unit(host_float=False)))
    kinds = operand_kinds(name)
    operands = tuple(
        boxed(value & (1 << FORMATS[kind].width) - 1, FORMATS[kind]) if is_boxed and kind in FORMATS else value
        for kind, value in zip(kinds, values, strict=False)
    )
    assert list(difference(_UNITS[0], name, operands)) == []


@pytest.mark.parametrize("letter", ["s", "d", "h"])
@pytest.mark.parametrize("index", range(32))
def test_load_immediate(letter: str, index: int) -> None:
    """Zfa, "Load-Immediate Instructions"."""
    row, form = BY_NAME[f"fli.{letter}"], FORMATS[letter]
    bench = Bench()
    bench["mstatus"] = F_DIRTY
    bench.memory.store(
        CODE, 4, row.match | row.format.operands["rd"].insert(3) | row.format.operands["imm"].insert(index)
    )
    bench.hart.run(1)
    constant = FLI_CONSTANTS[index]
    bits = bench.hart.read_fpr(3)
    named = {"min": 1 << form.precision - 1, "inf": form.infinity, "nan": form.nan}
    if isinstance(constant, str):
        assert bits == boxed(named[constant], form)
    else:
        assert boxed(bits & (1 << form.width) - 1, form) == bits
        found = read(bits & (1 << form.width) - 1, form)
        is_beyond = letter == "h" and constant == 65536
        assert found.kind == "infinity" if is_beyond else found.value == constant
    assert bench["fcsr"] == 0


def main() -> int:
    """Compare COUNT random operands of each instruction; print the total and whatever differs."""
    count, seed = int(sys.argv[1]), sys.argv[2]
    units, source, wrong = (Unit(), Unit(host_float=False)), random.Random(seed), 0
    for name in COMPUTATIONS:
        kinds = operand_kinds(name)
        for _ in range(count):
            for line in difference(units, name, tuple(random_register(source, kind) for kind in kinds)):
                print(line)
                wrong += 1
    print(f"{count * len(COMPUTATIONS)} operand sets, each in every mode with flags clear and set: {wrong} differences")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
