"""Panel 2: the exits along time, as a strip and in full; every key of its own, and the mouse."""

from __future__ import annotations

import asyncio

import pytest

from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.inspector import Inspection, moves
from hartvisor.core.vmm.views.strip import StripView, view_strip
from hartvisor.tui.app.panels.timeline import Strip, TimelinePanel
from hartvisor.tui.app.panels.timeline_lines import count_lines, exit_lines, strip_lines
from hartvisor.tui.app.widgets.lines import LinesView
from hartvisor.tui.app.widgets.reasons import LOOKS, REFLECTED
from tests.vmm.views.card.support import do, known

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass


def panel_of(desk: Desk) -> TimelinePanel:
    panel = desk.app.main.panels["timeline"]
    assert isinstance(panel, TimelinePanel)
    return panel


def view_of(desk: Desk) -> StripView:
    view = panel_of(desk).view
    assert isinstance(view, StripView)
    return view


async def booted(desk: Desk) -> None:
    """tern after half a million steps, with the keyboard in the timeline."""
    await desk.press("colon")
    await desk.type("goto #500000")
    await desk.settle(is_patient=True)
    await desk.press("2")


def test_letters_and_reasons_are_one_to_one() -> None:
    """Every reason has a letter of its own; only exceptions of the guest's share one."""
    assert set(LOOKS) == {reason for reason in ExitReason if reason != ExitReason.REFLECTED}
    letters = [look.letter for look in (*LOOKS.values(), REFLECTED)]
    assert len(set(letters)) == len(letters)
    assert all(look.style.startswith("$") and look.about for look in (*LOOKS.values(), REFLECTED))


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])
def test_the_strip_in_any_height(technique: str) -> None:
    """As many lines as asked for, none longer than the room; the position and a letter for every exit are in it."""
    inspector = known("kernel", technique, 1_500_000)
    inspection = Inspection([inspector])
    for step in (0, 400_000, 1_500_000):
        do(moves.goto(inspector, step))
        for width in (30, 76, 196):
            view = view_strip(inspection, width, rows=20)
            for height in (2, 4, 9):
                lines = strip_lines(view, height, width)
                assert len(lines) == height
                assert all(line.cell_length <= width for line in lines)
                assert f"{step:,}:{view.number:,}" in lines[-1].plain
                letters = lines[-2].plain
                assert all((letter != "·") == bool(stretch.count)
                           for letter, stretch in zip(letters, view.stretches, strict=True))
            hidden = strip_lines(view, 2, width, hides_future=True)
            column = view.column_of(step)
            assert column is not None
            assert hidden[0].plain[column:].strip() == "?"
            assert f"{step:,}:?" in hidden[1].plain
            assert len(exit_lines(view, width)) == len(view.rows)
            assert len(count_lines(view, 26, None)) == len(view.counts)
            assert all(line.cell_length <= 26 for line in count_lines(view, 26, None))
            assert all(f" {count:,} " in line.plain for (_, count), line in
                       zip(view.counts, count_lines(view, 26, None), strict=True))


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
def test_it_lies_along_the_bottom_and_opens(size: tuple[int, int], theme: str) -> None:
    """`z` shows the exits one by one and the counts with bars."""
    async def test(desk: Desk) -> None:
        await booted(desk)
        assert "500,000:" in "\n".join(desk.screen_text()[-10:]) or size == NARROW
        await desk.press("z")
        wanted = ("shadow-fill", "sfence", "pt-write", "█", "500,000:")
        for _ in range(200):  # a busy host takes its time to lay the large form out
            screen = "\n".join(desk.screen_text())
            if all(text in screen for text in wanted):
                break
            await asyncio.sleep(0.05)
        for text in wanted:
            assert text in screen, text
        assert all(len(line) <= size[0] for line in desk.screen_text())

    glass(test, size=size, theme=theme)


def test_keys_travel() -> None:
    """To exits and back, by columns, to both ends."""
    async def test(desk: Desk) -> None:
        await booted(desk)
        await desk.press("left", "left", "left")
        log = desk.inspector.log
        assert log is not None
        assert desk.inspector.exit == len(log) - 3
        await desk.press("right")
        assert desk.inspector.exit == len(log) - 2
        await desk.press("home")
        assert desk.inspector.step == 0
        await desk.press("shift+right", "shift+right")
        column = view_of(desk).column_of(desk.inspector.step)
        assert column == 2
        await desk.press("shift+left")
        assert view_of(desk).column_of(desk.inspector.step) == 1
        await desk.press("end")
        assert desk.inspector.step == 500_000

    glass(test)


def test_zoom_keeps_the_position_in_sight() -> None:
    async def test(desk: Desk) -> None:
        await booted(desk)
        await desk.press("left", "left")
        whole = view_of(desk).span
        for _ in range(12):
            await desk.press("plus")
            view = view_of(desk)
            assert view.column_of(view.step) is not None
        assert view_of(desk).span == 8
        await desk.press("underscore")
        assert view_of(desk).span == 32
        await desk.press("a")
        assert view_of(desk).span == whole

    glass(test, size=WIDE)


def test_one_reason_alone() -> None:
    """By comma and full stop, by Enter in the counts, by search; and travel keeps to it."""
    async def test(desk: Desk) -> None:
        await booted(desk)
        await desk.press("z", "full_stop")
        panel = panel_of(desk)
        first = view_of(desk).counts[0][0]
        assert panel.reasons == frozenset({first})
        assert {row.reason for row in view_of(desk).rows} == {first}
        await desk.press("left", "left", "right")
        log = desk.inspector.log
        assert log is not None and desk.inspector.exit is not None
        assert log.reason_of(desk.inspector.exit) == first
        await desk.press("comma")
        assert panel.reasons is None
        counts = panel.query_one("#counts", LinesView)
        counts.focus()
        counts.cursor = 2
        await desk.press("enter")
        assert panel.reasons == frozenset({view_of(desk).counts[2][0]})
        await desk.press("enter")
        assert panel.reasons is None
        panel.query_one(Strip).focus()
        await desk.press("home", "slash")
        await desk.type("satp")
        assert desk.inspector.exit is not None
        assert log.reason_of(desk.inspector.exit) == ExitReason.SATP

    glass(test)


def test_the_list_goes_to_an_exit() -> None:
    async def test(desk: Desk) -> None:
        await booted(desk)
        await desk.press("z")
        panel = panel_of(desk)
        exits = panel.query_one("#exits", LinesView)
        exits.focus()
        await desk.press("up", "up", "up", "up")
        wanted = view_of(desk).rows[exits.cursor].number
        place = panel.at_cursor()
        assert place is not None and place.number == view_of(desk).rows[exits.cursor].pc
        await desk.press("enter")
        assert desk.inspector.exit == wanted
        assert f"▶{wanted}" in exits.plain.replace(" ", "")

    glass(test)


def test_a_click_travels() -> None:
    """To the first exit of the column; where there is none, to its first step."""
    async def test(desk: Desk) -> None:
        await booted(desk)
        strip = panel_of(desk).query_one(Strip)
        view = view_of(desk)
        full = next(index for index, stretch in enumerate(view.stretches) if stretch.count and index > 3)
        await desk.pilot.click(strip, offset=(full, 0))
        await desk.settle()
        assert desk.inspector.exit == view.stretches[full].first
        empty = next(index for index, stretch in enumerate(view.stretches) if not stretch.count)
        await desk.pilot.click(strip, offset=(empty, 0))
        await desk.settle()
        assert (desk.inspector.exit, desk.inspector.step) == (None, view.stretches[empty].step)

    glass(test, size=WIDE)


def test_on_the_bare_machine_it_says_so() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("2")
        assert "bare machine" in panel_of(desk).query_one(Strip).plain

    glass(test, technique="bare")
