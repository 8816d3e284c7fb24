"""The exits along time: every exit is in one stretch, whatever the zoom, and the position is always in sight."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.exit_log import ExitLog, LoggedExit
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.inspector import Inspection, Inspector, exit_moves, moves
from hartvisor.core.vmm.views.strip import around, view_strip, window

from ..support import start
from .card.support import TECHNIQUES, do, known

STEPS = 1_500_000


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_exit_is_in_one_stretch(technique: str) -> None:
    """Under its reason, at any zoom; and what is filtered is counted alone."""
    inspector = known("kernel", technique, STEPS)
    log = inspector.log
    assert log is not None
    inspection = Inspection([inspector])
    for columns in (1, 20, 200):
        for span in (None, 500_000, 4_000, 8):
            view = view_strip(inspection, columns, span=span)
            last = view.first + view.span
            inside = [number for number in range(len(log)) if view.first <= log.step_of(number) <= last]
            assert sum(stretch.count for stretch in view.stretches) == len(inside)
            for stretch in view.stretches:
                for reason, count in stretch.reasons:
                    assert [log.reason_of(each) for each in range(stretch.first, stretch.end)].count(reason) == count
            only = view_strip(inspection, columns, span=span, reasons=frozenset({ExitReason.SBI}))
            assert only.shown == sum(log.reason_of(number) == ExitReason.SBI for number in inside)
    assert sum(count for _, count in view.counts) == len(log)


def test_the_position_is_in_sight() -> None:
    """And the strip does not move while the position stays within its middle."""
    inspector = known("kernel", "shadow", STEPS)
    inspection = Inspection([inspector])
    assert inspector.log is not None
    first = 0
    for number in range(0, len(inspector.log), 29):
        do(exit_moves.goto_exit(inspector, number))
        for span in (8, 300, 60_000, None):
            view = view_strip(inspection, 70, rows=9, span=span, first=first)
            column = view.column_of(view.step)
            assert column is not None
            stretch = view.stretches[column]
            assert stretch.step <= view.step
            assert stretch.first <= number < stretch.end or view.span < 70
            assert number in [row.number for row in view.rows]
            assert (view.exit, view.number) == (number, number)
        first = view_strip(inspection, 70, span=60_000, first=first).first
    assert window(0, 1_000_000, 500_000, 1_000, 499_600) == (499_600, 1_000)
    assert window(0, 1_000_000, 500_000, 1_000, 499_990) == (499_500, 1_000)
    assert window(0, 1_000_000, 0, 1_000, 5) == (0, 1_000)
    assert window(0, 1_000_000, 1_000_000, 1_000, 5) == (999_000, 1_000)
    assert window(0, 3, 0, None, 0) == (0, 8)


def test_rows_around_the_position() -> None:
    """As many as are asked for, if there are so many; of the reasons wanted only."""
    inspector = known("kernel", "deprivileged", STEPS)
    assert inspector.log is not None
    log = inspector.log
    assert around(log, 0, 5, None) == [0, 1, 2, 3, 4]
    assert around(log, 50, 5, None) == [48, 49, 50, 51, 52]
    assert around(log, len(log), 5, None) == list(range(len(log) - 5, len(log)))
    wanted = [number for number in range(len(log)) if log.reason_of(number) == ExitReason.SFENCE]
    middle = wanted[len(wanted) // 2]
    found = around(log, middle, 9, {ExitReason.SFENCE})
    assert middle in found
    assert found == wanted[wanted.index(found[0]):][:9]
    assert around(log, len(log), 9, {ExitReason.SFENCE}) == wanted[-9:]
    assert around(log, 0, 9, {ExitReason.SFENCE}) == wanted[:9]


def test_on_the_bare_machine_it_says_why_it_is_empty() -> None:
    view = view_strip(Inspection([Inspector("guest", start("j .", "bare"))]), 70)
    assert "bare machine" in view.refused
    assert view.stretches == ()


def test_details_tell_what_the_log_knows() -> None:
    inspector = known("kernel", "deprivileged", STEPS)
    do(moves.goto(inspector, 100_000))
    rows = {row.label: row for row in view_strip(Inspection([inspector]), 70, rows=400).rows}
    assert rows["csr"].detail.startswith("csr")
    assert rows["satp"].detail == "csrw satp,a0"
    assert "→" in rows["shadow-fill"].detail or rows["shadow-fill"].detail.startswith("0x")
    assert rows["reflected ecall-from-u"].detail == "ecall"
    assert rows["sbi"].detail in ("set_timer", "debug_console_write", "debug_console_read", "probe_extension")


def test_what_has_not_changed_is_not_counted_again() -> None:
    """Until there are more exits, or another stretch is looked at."""
    inspector = known("kernel", "deprivileged", STEPS)
    inspection = Inspection([inspector])
    view = view_strip(inspection, 100)
    do(moves.goto(inspector, 700_000))
    assert view_strip(inspection, 100).stretches is view.stretches
    assert view_strip(inspection, 99).stretches is not view.stretches


def test_a_million_exits_are_counted_by_blocks() -> None:
    """And the counts are right."""
    inspector = Inspector("guest", start("j .", "shadow"))
    log = inspector.log
    assert isinstance(log, ExitLog)
    reasons = [0, 1, 1, 1, 6, 7, 11, 27]
    for number in range(1_000_000):
        log.add(LoggedExit(0, number * 7, 0, reasons[number % 8], 0, 0, number, 0, 0))
    assert inspector.timeline is not None
    inspector.timeline.end = 7_000_000
    view = view_strip(Inspection([inspector]), 200, rows=40)
    assert view.shown == 1_000_000
    assert dict(view.counts) == {reason: reasons.count(reason) * 125_000 for reason in reasons}
    assert {stretch.count for stretch in view.stretches} == {5000}
