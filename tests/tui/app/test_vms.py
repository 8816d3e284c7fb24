"""Panel 6: the table of VMs, their memory, and a console that takes every key but the release prefix."""

from __future__ import annotations

import asyncio

import pytest
from textual import events

from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.views.rates import Rate
from hartvisor.core.vmm.views.standing import Standing
from hartvisor.core.vmm.views.status import VmStatus
from hartvisor.core.vmm.views.vms import Balloon, MemoryUse, MemoryView, VmRow, VmsView
from hartvisor.tui.app.panels.vms import CONSOLE, MEMORY, VMS, VmsPanel, render_memory, render_vms, rows_of
from hartvisor.tui.app.screens.help import HelpScreen
from hartvisor.tui.app.widgets.console import Console
from hartvisor.tui.app.widgets.lines import LinesView

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass

HYPERVISED = ("deprivileged", "shadow", "two-stage")


def row(name: str, standing: Standing, why: str = "", step: int = 1234567, end: int = 1234567) -> VmRow:
    status = VmStatus(name, "two-stage", standing, why, step, 3, False, end, 9, True, "S", "VS", 0, 1, 45.1, 12_345.0)
    rate = Rate(45.1, 12_345.0, 0.5, 62.0, tuple(float(each) for each in range(60)), (0.0,) * 58 + (6.0, 10.0))
    return VmRow(status, rate, 21 << 20)


VIEW = VmsView((row("tern", Standing.RUNNING), row("badvec", Standing.CRASHED, "trap loop: the handler is illegal"),
                row("old", Standing.OFF, "shutdown", 1000, 5000)), 1)


@pytest.mark.parametrize("width", [58, 76, 190])
def test_every_line_of_the_table_fits_and_belongs_to_a_vm(width: int) -> None:
    lines = [line.plain.rstrip() for line in render_vms(VIEW, width)]
    assert all(len(line) <= width for line in lines), [line for line in lines if len(line) > width]
    assert len(rows_of(VIEW, width)) == len(lines)
    text = "\n".join(lines)
    for word in ("▶ running", "✖ crashed", "■ off", "62 %", "12.3k", "45.1", "21.0 MiB", "trap loop", "▅", "█",
                 "4,000 steps before its end"):
        assert word in text, word
    assert lines[rows_of(VIEW, width).index(1)].startswith("▸ badvec")


@pytest.mark.parametrize("width", [58, 76, 190])
def test_memory_says_only_what_is_true(width: int) -> None:
    plain = MemoryUse("tern", "shadow", 8192, 300, 0, 0, 20, 0, 7000, 0, None, 1 << 20, 12, (0, 1, 5, 128) * 16,
                      0x8000_0000)
    lines = [line.plain.rstrip() for line in render_memory(MemoryView((plain,), 0), width)]
    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert "shadow tables" in text and "G-stage" not in text
    assert "balloon" not in text.splitlines()[3] and "swapped" not in text and "shared with" not in text
    shared = MemoryUse("vm", "two-stage", 8192, 300, 40, 7, 0, 20, 7000, 3, Balloon(2, 512, 1, {"free": 4096}), 0, 1,
                       (), 0x8000_0000)
    text = "\n".join(line.plain for line in render_memory(MemoryView((plain, shared), 1), width))
    for word in ("shared with others", "swapped out", "in the balloon", "512 wanted", "the guest reports",
                 "G-stage tables", "disks in RAM"):
        assert word in text, word


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_the_tabs_are_shown_at_every_size(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("6")
        text = "\n".join(desk.screen_text())
        assert "VMs · console · memory" in text and "‖ paused" in text
        await desk.press("right_square_bracket")
        assert isinstance(desk.app.focused, Console)
        await desk.press("ctrl+a", "right_square_bracket")
        assert "guest RAM with frames" in "\n".join(desk.screen_text())
        assert desk.panel.tab == MEMORY
        await desk.press("right_square_bracket")
        assert desk.panel.tab == VMS

    glass(test, size=size, theme=theme)


def test_enter_a_click_and_tab_look_at_another_vm() -> None:
    async def test(desk: Desk) -> None:
        inspection = desk.app.inspection
        lines = desk.app.main.query_one("#vms-list", LinesView)
        await desk.press("6", "down", "down", "enter")
        assert inspection.current == 1
        await desk.press("tab")
        assert inspection.current == 2
        assert "kernel 3" in lines.lines[lines.cursor].plain, "the cursor goes along"
        await desk.press("shift+tab", "shift+tab")
        assert inspection.current == 0
        await desk.pilot.click("#vms-list", offset=(5, 6))
        await desk.settle()
        assert inspection.current == 2
        await desk.press("space")
        assert inspection.inspectors[2].is_running
        await desk.press("space")
        assert not inspection.inspectors[2].is_running

    glass(test, "kernel", "kernel", "kernel", technique=HYPERVISED)


async def at_the_prompt(desk: Desk) -> Console:
    """tern runs, and its console has the keyboard."""
    await desk.press("6", "c", "right_square_bracket")
    console = desk.app.main.query_one(Console)
    await until(desk, lambda: "$" in console.plain)
    return console


async def until(desk: Desk, condition: object, seconds: float = 20.0) -> None:
    """Wait for something that a running guest does."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():  # type: ignore[operator]
        assert asyncio.get_running_loop().time() < end, desk.app.main.query_one(Console).plain
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("technique", ["bare", *HYPERVISED])
def test_a_line_typed_is_executed(technique: str) -> None:
    """The letters s, n, c, q and ? are the guest's here, whatever they are elsewhere."""

    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        await desk.press(*"echo")
        await desk.press("space")
        await desk.press(*"snqc", "question_mark", "enter")
        await until(desk, lambda: "\nsnqc?" in console.plain)
        assert desk.inspector.is_running
        assert "keys go to the guest" in "\n".join(desk.screen_text())

    glass(test, technique=technique, append="")


def test_the_prefix_releases_one_key() -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        await desk.press("ctrl+a")
        assert "a key of Hartvisor's" in "\n".join(desk.screen_text())
        await desk.press("c")
        assert not desk.inspector.is_running and not console.is_released
        before = len(desk.inspector.vm.inputs.events)
        await desk.press("c")
        assert len(desk.inspector.vm.inputs.events) == before + 1, "the next c is the guest's"
        await desk.press("ctrl+a", "ctrl+a", "ctrl+q", "ctrl+p", "ctrl+c", "ctrl+z", "up", "escape", "tab")
        sent = b"".join(event.data for event in desk.inspector.vm.inputs.events[before:])
        assert sent == b"c\x01\x11\x10\x03\x1a\x1b[A\x1b\t"
        await desk.press("ctrl+a", "h")
        assert isinstance(desk.app.screen, HelpScreen)
        await desk.press("escape")
        await desk.press("ctrl+a", "6", "ctrl+a", "left_square_bracket")
        assert desk.panel.tab == VMS

    glass(test, append="")


def test_the_guests_cursor_tells_who_has_the_keyboard() -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)

        def look() -> list[object]:
            styles = [span.style for line in console.lines for span in line.spans]
            return [style for style in styles if style in ("reverse", "underline")]

        assert look() == ["reverse"]
        await desk.press("ctrl+a", "c")
        await desk.ui(":")
        assert not console.has_focus and look() == ["underline"]
        await desk.press("escape")
        assert console.has_focus and look() == ["reverse"]

    glass(test, append="")


def test_the_prefix_and_x_leave() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("6", "right_square_bracket")
        await desk.pilot.press("ctrl+a", "x")
        await desk.pilot.pause()
        assert desk.app._exit

    glass(test, append="")


def test_pasted_text_is_typed() -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        desk.app.post_message(events.Paste("echo one\necho two\n"))
        await until(desk, lambda: "\ntwo" in console.plain)
        assert "\none" in console.plain

    glass(test, append="")


def test_an_asleep_guest_wakes_when_typed_to_and_a_paused_one_does_not() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("6", "c")
        await desk.settle(is_patient=True)
        assert "z asleep" in "\n".join(desk.screen_text())
        assert not desk.inspector.is_running
        await desk.press("right_square_bracket", "k")
        await desk.settle(is_patient=True)
        assert desk.inspector.vm.console.typed == 1

    glass(test, "sleep", append=None)


@pytest.mark.parametrize("technique", HYPERVISED)
def test_in_the_past_the_console_is_as_it_was_and_keys_begin_another_future(technique: str) -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        prompt_step = desk.inspector.step
        await desk.press(*"ls", "enter")
        await until(desk, lambda: "readme.txt" in console.plain)
        await desk.press("ctrl+a", "c")
        end = desk.inspector.end
        await desk.press("ctrl+a", "g", *f"#{prompt_step}", "enter")
        assert desk.inspector.step == prompt_step
        assert "$" in console.plain and "readme.txt" not in console.plain
        before = digest(desk.inspector.vm)
        await desk.press("w")
        assert any("typed in the past" in notice and "forgotten" in notice for notice in desk.notices())
        assert desk.inspector.end == prompt_step < end
        assert digest(desk.inspector.vm) != before
        assert sum("typed in the past" in notice for notice in desk.notices()) == 1

    glass(test, technique=technique, append="", size=WIDE)


def test_the_screen_can_be_scrolled_back() -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        for _ in range(3):
            await desk.press(*"ls", "enter")
        await until(desk, lambda: console.plain.count("workload") == 3 and console.plain.rstrip().endswith("$"))
        assert console.scroll_y == console.max_scroll_y > 10
        await desk.press("ctrl+a", "home")
        assert console.scroll_y == 0
        assert "tern: a small teaching kernel" in "\n".join(desk.screen_text())
        await desk.press("x")
        await until(desk, lambda: console.scroll_y == console.max_scroll_y)

    glass(test, append="")


def test_a_terminal_that_is_narrower_than_its_guest_believes_follows_the_cursor() -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        await desk.press(*("echo " + "x" * 74))
        await until(desk, lambda: "x" * 60 in console.plain)
        assert console.terminal.columns == 80
        await desk.pilot.pause()
        cursor = console.terminal.cursor
        assert cursor is not None
        assert console._left <= cursor[1] < console._left + console.size.width

    glass(test, append="", size=NARROW)


def test_each_vm_has_its_own_console() -> None:
    async def test(desk: Desk) -> None:
        console = await at_the_prompt(desk)
        first = console.plain
        await desk.press("ctrl+a", "tab")
        assert desk.app.inspection.current == 1
        await until(desk, lambda: console.plain.strip() == "")
        await desk.press("ctrl+a", "shift+tab")
        await until(desk, lambda: console.plain.startswith(first.split("$")[0]))

    glass(test, "kernel", "kernel", technique=("shadow", "two-stage"), append="")


def test_the_panel_is_one_of_the_app() -> None:
    assert VmsPanel.TABS[CONSOLE] == "console"
