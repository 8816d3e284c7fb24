"""Panel 5: disassembly, source and stack, at every size and in both themes; what comes next, and moving about."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from hartvisor.core.vmm.views.code import CodeView
from hartvisor.core.vmm.views.source import SourceView
from hartvisor.core.vmm.views.stack import StackView
from hartvisor.tui.app.panels.base import Place
from hartvisor.tui.app.panels.code import LISTING, SOURCE, STACK, CodePanel
from hartvisor.tui.app.panels.code_lines import ahead_lines, code_lines, source_lines, stack_lines
from hartvisor.tui.app.widgets.lines import LinesView

from .support import DARK, LIGHT, MEDIUM, NARROW, SIZES, WIDE, Desk, glass

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")


async def to(desk: Desk, symbol: str = "schedule") -> CodePanel:
    """Where a function of the kernel's is called, with the panel in front."""
    await desk.press("5", "colon")
    await desk.type(f"break {symbol}")
    await desk.press("c")
    await desk.settle(is_patient=True)
    panel = desk.app.main.panels["code"]
    assert isinstance(panel, CodePanel)
    return panel


def text_of(panel: CodePanel) -> str:
    return panel.query_one(LinesView).plain


def under_cursor(panel: CodePanel) -> str:
    lines = panel.query_one(LinesView)
    return lines.lines[lines.cursor].plain


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
def test_the_next_instruction_is_in_sight_with_what_it_will_do(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        assert "schedule:" in text_of(panel)
        for _ in range(6):
            pc = desk.inspector.vcpu.hart.pc
            line = next(line for line in text_of(panel).splitlines() if "▶" in line)
            assert f"{pc:x}" in line
            assert under_cursor(panel) == line
            assert any("▶" in row for row in desk.screen_text())
            assert "=" in line
            await desk.press("s")
        assert "●" in text_of(panel)
        assert panel.at_cursor() == Place("gva", desk.inspector.vcpu.hart.pc, 2)

    glass(test, size=size, theme=theme)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_exits_ahead_are_marked(technique: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk, "trap_vector")
        line = next(line for line in text_of(panel).splitlines() if "▶" in line)
        assert ("!" in line) == (technique == "deprivileged")

    glass(test, technique=technique)


def test_source_lines_are_mixed_in_where_there_is_room_and_on_demand() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        assert "schedule.c:21" not in text_of(panel)
        await desk.press("o")
        assert "schedule.c:21 struct process *previous = current" in text_of(panel)
        await desk.press("o", "z")
        assert "schedule.c:21" not in text_of(panel)

    glass(test, size=NARROW)

    async def roomy(desk: Desk) -> None:
        assert "schedule.c:21" in text_of(await to(desk))

    glass(roomy, size=WIDE)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_source_follows_the_guest(technique: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        await desk.press("right_square_bracket")
        assert panel.tab == SOURCE
        assert "▶" in under_cursor(panel)
        before = under_cursor(panel)
        await desk.press(*"s" * 14)
        assert "▶" in under_cursor(panel)
        assert under_cursor(panel) != before
        assert any("struct process *previous" in row for row in desk.screen_text())

    glass(test, technique=technique)


def test_a_breakpoint_is_set_where_the_cursor_is_in_code_and_source() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        await desk.press("down", "down", "b")
        addresses = {each.address for each in desk.inspector.breakpoints}
        assert len(addresses) == 2
        assert "●" in under_cursor(panel)
        await desk.press("right_square_bracket", "down", "b")
        assert len(desk.inspector.breakpoints) == 3
        assert "●" in under_cursor(panel)
        await desk.press("b")
        assert {each.address for each in desk.inspector.breakpoints} == addresses

    glass(test)


def test_a_jump_is_followed_and_come_back_from() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        pc = desk.inspector.vcpu.hart.pc
        view = panel.view
        assert isinstance(view, CodeView)
        index, line = next((index, line) for index, line in enumerate(view.lines) if getattr(line, "target", None))
        panel.query_one(LinesView).cursor = index
        await desk.press("enter")
        assert panel.at_cursor() == Place("gva", line.target, 4)  # type: ignore[union-attr]
        await desk.press("backspace")
        await desk.press("full_stop")
        place = panel.at_cursor()
        assert place is not None and place.number == pc

    glass(test)


def test_an_address_is_gone_to_by_name_or_line_and_a_step_leads_back() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        symbols = desk.inspector.code.kernel.addresses
        for text, address in (("trap_vector", symbols["trap_vector"]), ("schedule.c:20", symbols["schedule"])):
            await desk.press("g")
            await desk.type(text)
            place = panel.at_cursor()
            assert place is not None and place.number == address
        await desk.press("g")
        await desk.type("main")
        await desk.press("s")
        place = panel.at_cursor()
        assert place is not None and place.number == desk.inspector.vcpu.hart.pc
        await desk.press("slash")
        await desk.type("user_copy_fault")
        assert "user_copy_end" in text_of(panel) or "user_copy_fault" in text_of(panel)

    glass(test)


def test_the_listing_goes_on_where_the_cursor_reaches_its_end() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        first = panel.at_cursor()
        for _ in range(8):
            await desk.press("pagedown")
        there = panel.at_cursor()
        assert first is not None and there is not None
        assert there.number > first.number + 8 * 2 * 8
        for _ in range(9):
            await desk.press("pageup")
        back = panel.at_cursor()
        assert back is not None and back.number <= first.number + 64

    glass(test)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_stack_shows_calls_and_slots_and_leads_to_code(technique: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        await desk.press("left_square_bracket")
        assert panel.tab == STACK
        text = text_of(panel)
        assert "#0" in text
        assert "user_trap+" in text
        assert "interrupted here" in text
        await desk.press("home", "down", "enter")
        assert panel.tab == LISTING
        place = panel.at_cursor()
        view = panel.view
        assert isinstance(view, CodeView)
        assert place is not None and place.number == view.at

    glass(test, technique=technique, size=MEDIUM)


def test_what_comes_next_is_hidden_while_it_is_to_be_guessed() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        desk.app.predicting = True
        await desk.press("s")
        line = next(line for line in text_of(panel).splitlines() if "▶" in line)
        assert "=" not in line
        assert "the next step" not in "\n".join(desk.screen_text())

    glass(test)


def test_the_steps_ahead_stand_in_order_where_there_is_room() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        await desk.press("z")
        assert panel.query_one("#ahead", Static).display
        screen = "\n".join(desk.screen_text())
        assert "  0 " in screen
        assert " 23 " in screen

    glass(test, size=WIDE)


def test_lines_fit_any_width() -> None:
    async def test(desk: Desk) -> None:
        panel = await to(desk)
        views = {}
        for tab in (LISTING, SOURCE, STACK):
            panel.tab = tab
            await desk.settle()
            views[tab] = panel.view
        code, source, stack = views[LISTING], views[SOURCE], views[STACK]
        assert isinstance(code, CodeView) and isinstance(source, SourceView) and isinstance(stack, StackView)
        for width in range(30, 200, 11):
            lines = [*code_lines(code, width), *ahead_lines(code, width), *source_lines(source, width),
                     *stack_lines(stack, width)[0]]
            assert max(line.cell_length for line in lines) <= width

    glass(test)


def test_a_guest_of_which_nothing_is_known_is_shown() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("5", "s", "s")
        panel = desk.app.main.panels["code"]
        assert isinstance(panel, CodePanel)
        assert "▶" in text_of(panel)
        await desk.press("right_square_bracket")
        await desk.press("right_square_bracket")
        assert "stack from sp" in text_of(panel)

    glass(test, "jumpnowhere", append=None)
