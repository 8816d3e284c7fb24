"""What the cards say, against what happens: to the guest at that step, and to the same guest under the other
techniques, whose steps are the same."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice

import pytest

from hartvisor.core.isa.registers import ABI
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exit_log import LoggedExit
from hartvisor.core.vmm.exits import ExitReason, label
from hartvisor.core.vmm.inspector import Inspection, Inspector, exit_moves
from hartvisor.core.vmm.views.card import view_card
from hartvisor.core.vmm.views.card.changes import Kind
from hartvisor.core.vmm.views.card.micro import STAGES
from tests.isa.test_sections import SECTIONS, cited

from .support import TECHNIQUES, card_of, do, known

GUESTS = {"kernel": 1_500_000, "exits": 300_000, "csr-tour": 300_000, "illegal": 300_000, "sum-mxr": 300_000,
          "bare-paging": 300_000, "user-mode": 300_000, "mmio": 300_000, "ticks": 300_000, "float": 300_000,
          "churn": 60_000, "badvec": 50_000, "jumpnowhere": 50_000, "faults": 1_000}
"""Guest to steps."""

EACH = 3
"""Exits looked at of each kind."""


def kinds(inspector: Inspector) -> list[int]:
    """Some exits of each kind: reason, mode, and for emulated instructions their bits."""
    assert inspector.log is not None
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number in range(len(inspector.log)):
        logged = inspector.log[number]
        is_instruction = logged.reason in (ExitReason.CSR, ExitReason.SATP)
        found[logged.reason, logged.mode, logged.insn if is_instruction else 0].append(number)
    return [number for each in found.values() for number in islice(each, 0, None, max(1, len(each) // EACH))]


OWN = ("instruction-access-fault", "illegal-instruction")
PAGE_FAULTS = ("instruction-page-fault", "load-page-fault", "store-page-fault")
POSSIBLE = {
    "deprivileged": ("sbi", "csr", "satp", "sret", "sfence", "wfi", "shadow-fill", "pt-write", "mmio-load",
                     "mmio-store", "timer", "breakpoint", "ecall-from-u", "load-access-fault", "store-access-fault",
                     "load-address-misaligned", "store-address-misaligned", *OWN, *PAGE_FAULTS),
    "shadow": ("sbi", "csr", "satp", "sfence", "wfi", "shadow-fill", "pt-write", "mmio-load", "mmio-store", "timer",
               "load-access-fault", "store-access-fault", *OWN, *PAGE_FAULTS),
    "two-stage": ("sbi", "csr", "wfi", "gstage-fill", "mmio-load", "mmio-store", "timer", "load-access-fault",
                  "store-access-fault", *OWN)}
"""The reasons that there can be under each technique."""


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_guests_exit_for_every_reason_there_is(technique: str) -> None:
    """So that the tests below speak of all of them."""
    seen = set()
    for name, steps in GUESTS.items():
        log = known(name, technique, steps).log
        assert log is not None
        seen |= {label(reason) for reason, count in enumerate(log.count(0, len(log))) if count}
    assert {reason.removeprefix("reflected ") for reason in seen} == set(POSSIBLE[technique])


def exits_by_step(inspector: Inspector) -> dict[int, list[LoggedExit]]:
    assert inspector.log is not None
    found = defaultdict(list)
    for number in range(len(inspector.log)):
        found[inspector.log.step_of(number)].append(inspector.log[number])
    return found


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("name", GUESTS)
def test_what_made_it_trap_and_who_else_would_have(name: str, technique: str) -> None:
    """The rule leads to the very exception that was raised; and a technique that is said to do without the exit has
    none at that step, while one that is said to exit too does."""
    inspector = known(name, technique, GUESTS[name])
    others = {other: exits_by_step(known(name, other, GUESTS[name])) for other in TECHNIQUES if other != technique}
    for number in kinds(inspector):
        card = card_of(inspector, number)
        logged = card.logged
        assert card.is_before
        assert card.why.exits, logged.text
        assert card.why.cause == (None if logged.reason == ExitReason.TIMER else logged.cause), logged.text
        for why in (card.why, *(each.why for each in card.elsewhere)):
            assert why is not None
            assert set(cited(why.section)) <= SECTIONS
            assert why.rule.endswith(".")
        for each in card.elsewhere:
            assert each.why is not None
            if each.depends:
                continue
            then = others[each.technique].get(logged.step, [])
            there = [found for found in then if found.is_hidden == logged.is_hidden]
            if logged.is_hidden and logged.reason != ExitReason.TIMER:
                same = [found for found in there if found.gpa >> 12 == logged.gpa >> 12]
                assert each.why.exits == bool(same), f"{logged.text}, {each}"
            else:
                assert each.why.exits == bool(there), f"{logged.text}, {each}"


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("name", ["kernel", "exits", "mmio"])
def test_what_changed(name: str, technique: str) -> None:
    """Every register and CSR that differs a step on is on the card, and nothing else; and the look ahead leaves the
    guest as it was."""
    inspector = known(name, technique, GUESTS[name])
    timeline, vm = inspector.timeline, inspector.vm
    assert timeline is not None
    for number in kinds(inspector):
        do(exit_moves.goto_exit(inspector, number))
        before, state, counts = digest(vm), vm.vcpus[0].save(), vm.exits
        card = view_card(Inspection([inspector])).card
        assert card is not None
        assert (digest(vm), vm.exits) == (before, counts)
        if card.logged.is_hidden:
            assert not any(change.kind in (Kind.REGISTER, Kind.PC, Kind.CLOCK) for change in card.difference.changes)
            continue
        timeline.goto(card.logged.step + 1)
        after = vm.vcpus[0].save()
        told = {change.name: change.after for change in card.difference.changes}
        registers = zip(ABI, state.gprs, after.gprs, strict=True)
        assert {name: value for name, value in told.items() if name in ABI} == {
            name: f"{new:#x}" for name, old, new in registers if old != new}
        assert told["pc"] == f"{after.pc:#x}"
        assert card.goes_on.code.pc == after.pc
        assert ("mode" in told) == (state.mode != after.mode)
        timeline.goto(card.logged.step)
        assert digest(vm) == before


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_stage_says_something(technique: str) -> None:
    """Six stages, each with a title, and with facts."""
    for name in ("kernel", "exits"):
        inspector = known(name, technique, GUESTS[name])
        for number in kinds(inspector):
            card = card_of(inspector, number)
            assert tuple(step.name for step in card.steps) == STAGES
            for step in card.steps:
                assert step.title.endswith(".")
                assert step.facts, (card.logged.text, step.name)
            assert card.called, card.logged.text
            for called in card.called:
                assert called.place.startswith("core/"), called
