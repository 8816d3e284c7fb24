"""The PLIC, by example and against a model that follows the specification's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hartvisor.core.devices.device import DeviceFault
from hartvisor.core.devices.plic import (
    CLAIM,
    CONTEXT_BASE,
    CONTEXT_STRIDE,
    ENABLE_BASE,
    ENABLE_STRIDE,
    MAX_PRIORITY,
    N_SOURCES,
    PENDING_BASE,
    Plic,
)

from .lines import Line

M_CONTEXT, S_CONTEXT = 0, 1


class Chip:
    """A PLIC of two contexts with helpers named for what a driver does."""

    def __init__(self) -> None:
        self.lines = [Line(), Line()]
        self.plic = Plic(self.lines)

    def set_priority(self, source: int, priority: int) -> None:
        self.plic.store(4 * source, 4, priority)

    def enable(self, *sources: int, context: int = S_CONTEXT) -> None:
        for word in range(4):
            bits = sum(1 << source % 32 for source in sources if source // 32 == word)
            self.plic.store(ENABLE_BASE + ENABLE_STRIDE * context + 4 * word, 4, bits)

    def set_threshold(self, threshold: int, context: int = S_CONTEXT) -> None:
        self.plic.store(CONTEXT_BASE + CONTEXT_STRIDE * context, 4, threshold)

    def claim(self, context: int = S_CONTEXT) -> int:
        return self.plic.load(CONTEXT_BASE + CONTEXT_STRIDE * context + CLAIM, 4)

    def complete(self, source: int, context: int = S_CONTEXT) -> None:
        self.plic.store(CONTEXT_BASE + CONTEXT_STRIDE * context + CLAIM, 4, source)

    def pending(self) -> set[int]:
        words = [self.plic.load(PENDING_BASE + 4 * word, 4) for word in range(4)]
        return {source for source in range(128) if words[source // 32] >> source % 32 & 1}


@pytest.fixture
def chip() -> Chip:
    return Chip()


def test_an_enabled_source_of_some_priority_interrupts(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10)
    chip.plic.set_source(10, True)
    assert [line.level for line in chip.lines] == [False, True]
    assert chip.pending() == {10}


def test_priority_zero_never_interrupts_and_cannot_be_claimed(chip: Chip) -> None:
    chip.enable(10)
    chip.plic.set_source(10, True)
    assert not chip.lines[S_CONTEXT].level
    assert chip.claim() == 0
    assert chip.pending() == {10}


def test_a_claim_takes_the_interrupt_and_lowers_the_output(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10)
    chip.plic.set_source(10, True)
    assert chip.claim() == 10
    assert not chip.lines[S_CONTEXT].level
    assert chip.pending() == set()
    assert chip.claim() == 0


def test_a_level_that_is_still_high_at_completion_interrupts_again(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10)
    chip.plic.set_source(10, True)
    chip.claim()
    chip.complete(10)
    assert chip.lines[S_CONTEXT].level
    chip.plic.set_source(10, False)
    chip.claim()
    chip.complete(10)
    assert not chip.lines[S_CONTEXT].level


def test_a_source_that_falls_before_its_claim_stays_pending(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10)
    chip.plic.set_source(10, True)
    chip.plic.set_source(10, False)
    assert chip.claim() == 10


def test_a_source_that_rises_while_claimed_waits_for_completion(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10)
    chip.plic.set_source(10, True)
    chip.claim()
    chip.plic.set_source(10, False)
    chip.plic.set_source(10, True)
    assert chip.pending() == set()
    chip.complete(10)
    assert chip.pending() == {10}


def test_claims_come_by_priority_then_by_number(chip: Chip) -> None:
    for source, priority in ((3, 2), (5, 7), (40, 7), (96, 1)):
        chip.set_priority(source, priority)
        chip.plic.set_source(source, True)
    chip.enable(3, 5, 40, 96)
    assert [chip.claim() for _ in range(5)] == [5, 40, 3, 96, 0]


def test_the_threshold_masks_the_output_but_not_the_claim(chip: Chip) -> None:
    chip.set_priority(10, 3)
    chip.enable(10)
    chip.plic.set_source(10, True)
    chip.set_threshold(3)
    assert not chip.lines[S_CONTEXT].level
    chip.set_threshold(2)
    assert chip.lines[S_CONTEXT].level
    chip.set_threshold(3)
    assert chip.claim() == 10


def test_whoever_claims_first_gets_it(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10, context=M_CONTEXT)
    chip.enable(10, context=S_CONTEXT)
    chip.plic.set_source(10, True)
    assert [line.level for line in chip.lines] == [True, True]
    assert chip.claim(M_CONTEXT) == 10
    assert [line.level for line in chip.lines] == [False, False]
    assert chip.claim(S_CONTEXT) == 0


def test_completion_of_a_source_that_the_context_has_not_enabled_is_ignored(chip: Chip) -> None:
    chip.set_priority(10, 1)
    chip.enable(10)
    chip.plic.set_source(10, True)
    chip.claim()
    chip.enable()
    chip.complete(10)
    chip.enable(10)
    assert not chip.lines[S_CONTEXT].level
    chip.complete(10)
    assert chip.lines[S_CONTEXT].level


@pytest.mark.parametrize("source", [0, N_SOURCES + 1, 0xFFFF_FFFF])
def test_completion_of_what_is_no_source_is_ignored(chip: Chip, source: int) -> None:
    chip.enable(1)
    chip.complete(source)
    assert chip.pending() == set()


def test_registers_keep_only_what_exists(chip: Chip) -> None:
    for offset in (0, 4, 4 * N_SOURCES, 4 * N_SOURCES + 4, PENDING_BASE):
        chip.plic.store(offset, 4, 0xFFFF_FFFF)
    assert [chip.plic.load(offset, 4) for offset in (0, 4, 4 * N_SOURCES, 4 * N_SOURCES + 4)] == [0, 7, 7, 0]
    assert chip.pending() == set()
    enables = ENABLE_BASE + ENABLE_STRIDE
    for word in range(5):
        chip.plic.store(enables + 4 * word, 4, 0xFFFF_FFFF)
    assert [chip.plic.load(enables + 4 * word, 4) for word in range(5)] == [0xFFFF_FFFE, 0xFFFF_FFFF, 0xFFFF_FFFF, 1, 0]


@pytest.mark.parametrize("offset", [ENABLE_BASE + 2 * ENABLE_STRIDE, CONTEXT_BASE + 2 * CONTEXT_STRIDE, 0x5F_FFFC])
def test_contexts_that_do_not_exist_read_zero(chip: Chip, offset: int) -> None:
    chip.plic.store(offset, 4, 0xFFFF_FFFF)
    assert chip.plic.load(offset, 4) == 0


@pytest.mark.parametrize("size", [1, 2, 8])
def test_only_words_are_decoded(chip: Chip, size: int) -> None:
    with pytest.raises(DeviceFault):
        chip.plic.load(0, size)
    with pytest.raises(DeviceFault):
        chip.plic.store(0, size, 0)


def test_a_context_without_a_wire_works_all_the_same() -> None:
    line = Line()
    plic = Plic([None, line])
    plic.store(4, 4, 1)
    plic.store(ENABLE_BASE, 4, 2)
    plic.set_source(1, True)
    assert plic.load(CONTEXT_BASE + CLAIM, 4) == 1
    assert line.edges == []


# --- against a model

SOURCES = st.sampled_from([1, 2, 31, 32, 63, 64, 95, 96])
CONTEXTS = st.integers(0, 1)
OPERATIONS = st.one_of(
    st.tuples(st.just("level"), SOURCES, st.booleans()),
    st.tuples(st.just("priority"), SOURCES, st.integers(0, MAX_PRIORITY)),
    st.tuples(st.just("enable"), CONTEXTS, st.sets(SOURCES)),
    st.tuples(st.just("threshold"), CONTEXTS, st.integers(0, MAX_PRIORITY)),
    st.tuples(st.just("claim"), CONTEXTS, st.none()),
    st.tuples(st.just("complete"), CONTEXTS, SOURCES),
)


class Model:
    """The specification in sets and dictionaries."""

    def __init__(self) -> None:
        self.level: set[int] = set()
        self.pending: set[int] = set()
        self.in_service: set[int] = set()
        self.priority = dict.fromkeys(range(N_SOURCES + 1), 0)
        self.enabled: list[set[int]] = [set(), set()]
        self.threshold = [0, 0]

    def forward(self) -> None:
        """The gateways: a high level makes a request unless one is pending or in service."""
        self.pending |= self.level - self.in_service

    def best(self, context: int) -> int:
        ready = [source for source in self.pending & self.enabled[context] if self.priority[source]]
        return min(ready, key=lambda source: (-self.priority[source], source), default=0)

    def claim(self, context: int) -> int:
        source = self.best(context)
        if source:
            self.pending.discard(source)
            self.in_service.add(source)
        return source

    def is_interrupting(self, context: int) -> bool:
        return self.priority[self.best(context)] > self.threshold[context]


def apply(chip: Chip, model: Model, operation: tuple[str, int, object]) -> None:
    """Do the same to both, and compare what can be seen."""
    match operation:
        case ("level", source, bool(level)):
            chip.plic.set_source(source, level)
            (model.level.add if level else model.level.discard)(source)
        case ("priority", source, int(priority)):
            chip.set_priority(source, priority)
            model.priority[source] = priority
        case ("enable", context, set(sources)):
            chip.enable(*sources, context=context)
            model.enabled[context] = set(sources)
        case ("threshold", context, int(threshold)):
            chip.set_threshold(threshold, context)
            model.threshold[context] = threshold
        case ("claim", context, None):
            assert chip.claim(context) == model.claim(context)
        case ("complete", context, int(source)):
            chip.complete(source, context)
            if source in model.enabled[context]:
                model.in_service.discard(source)
    model.forward()
    assert chip.pending() == model.pending
    assert [line.level for line in chip.lines] == [model.is_interrupting(context) for context in (0, 1)]


@given(st.lists(OPERATIONS, max_size=40))
def test_agrees_with_the_model(operations: list[tuple[str, int, object]]) -> None:
    chip, model = Chip(), Model()
    for operation in operations:
        apply(chip, model, operation)


@given(st.lists(OPERATIONS, max_size=25), st.lists(OPERATIONS, max_size=25))
def test_a_restored_plic_goes_on_like_the_saved_one(
    before: list[tuple[str, int, object]], after: list[tuple[str, int, object]]
) -> None:
    chip, model = Chip(), Model()
    for operation in before:
        apply(chip, model, operation)
    twin = Chip()
    twin.plic.restore(chip.plic.save())
    assert twin.plic.save() == chip.plic.save()
    for operation in after:
        apply(twin, model, operation)
