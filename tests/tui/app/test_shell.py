"""What works everywhere: moves by key, the prompt, commands, help, the tour, other VMs, screens too small."""

from __future__ import annotations

import asyncio

import pytest

from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.guest import image
from hartvisor.tui.app.commands import COMMANDS
from hartvisor.tui.app.keys import MOVES, TOOLS, VIEWS
from hartvisor.tui.app.screens.help import HelpScreen, help_text
from hartvisor.tui.app.screens.tour import STOPS, TourScreen
from hartvisor.tui.app.script import press
from hartvisor.tui.app.widgets.console import Console

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass

HYPERVISED = ("deprivileged", "shadow", "two-stage")
IMAGE = load_image(image("kernel"))
TRANSLATIONS = (ExitReason.SHADOW_FILL, ExitReason.GSTAGE_FILL)


@pytest.mark.parametrize("technique", HYPERVISED)
def test_ten_steps_back_and_ten_forward(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("t", "t")
        await desk.press(*"s" * 10)
        there = desk.inspector.step, digest(desk.inspector.vm)
        await desk.press(*"S" * 10)
        assert desk.inspector.step < there[0]
        await desk.press(*"s" * 10)
        assert (desk.inspector.step, digest(desk.inspector.vm)) == there

    glass(test, technique=technique)


@pytest.mark.parametrize("technique", HYPERVISED)
def test_the_first_translation_exit_is_a_key_away(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("t")
        assert desk.inspector.exit is not None and desk.inspector.log is not None
        assert desk.inspector.log[desk.inspector.exit].reason in TRANSLATIONS
        assert "-fill" in desk.screen_text()[0]

    glass(test, technique=technique)


def test_over_finish_and_their_reverse() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("main")
        await desk.press("colon")
        await desk.type("break main")
        await desk.press("c")
        await desk.settle(is_patient=True)
        main = IMAGE.symbols["main"]
        assert desk.inspector.vcpu.hart.pc == main
        await desk.press("n", "n", "n")
        assert main < desk.inspector.vcpu.hart.pc < main + 40
        await desk.press("N", "N", "N")
        assert desk.inspector.vcpu.hart.pc == main
        await desk.press("colon")
        await desk.type("break memset")
        await desk.press("c")
        await desk.settle(is_patient=True)
        entry = desk.inspector.step
        await desk.press("s", "f")
        assert desk.inspector.symbols.describe(desk.inspector.vcpu.hart.pc).split("+")[0] != "memset"
        await desk.press("C")
        assert desk.inspector.step == entry
        await desk.press("s", "F")
        assert desk.inspector.step == entry - 1

    glass(test)


def test_continue_pauses_what_runs() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("c")
        await asyncio.sleep(0.1)
        assert desk.inspector.is_running
        await desk.press("c")
        await desk.settle(is_patient=True)
        step = desk.inspector.step
        assert step > 0 and not desk.inspector.is_running
        await desk.press("C")
        assert desk.inspector.step == 0
        await desk.press("c", "escape")
        await desk.settle(is_patient=True)
        assert not desk.inspector.is_running

    glass(test, "spin", append=None)


def test_exits_there_and_back() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("e", "e", "e")
        assert desk.inspector.exit == 2
        await desk.press("E")
        assert desk.inspector.exit == 1

    glass(test, technique="deprivileged")


def test_goto_travels_and_errors_are_told() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("#5000")
        assert desk.inspector.step == 5000
        await desk.press("g")
        await desk.type("!0")
        assert desk.inspector.exit == 0
        await desk.press("g")
        await desk.type("no_such_symbol")
        assert any("no_such_symbol: no address" in notice for notice in desk.notices())
        await desk.press("g")
        await desk.type("#many")
        assert any("a step, such as" in notice for notice in desk.notices())

    glass(test)


def test_an_instruction_of_ones_own() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("s", "s")
        hart = desk.inspector.vcpu.hart
        pc, step, code = hart.pc, desk.inspector.step, desk.inspector.target.read(0, hart.pc, 4, is_physical=False)
        await desk.press("x")
        await desk.type("addi a0, zero, 321")
        assert (hart.read_gpr(10), hart.pc, desk.inspector.step) == (321, pc, step + 1)
        assert desk.inspector.target.read(0, pc, 4, is_physical=False) == code
        await desk.press("x")
        await desk.type("frobnicate a0")
        assert any("frobnicate" in notice for notice in desk.notices())
        await desk.press("x")
        await desk.type("li a0, 0x123456789abcdef0")
        assert any("give one instruction" in notice for notice in desk.notices())

    glass(test)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_every_panel_comes_up(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("t")
        for panel in desk.app.main.panels.values():
            key = {"-": "minus"}.get(panel.KEY, panel.KEY)
            await desk.ui(key)
            assert desk.panel is panel and panel.is_shown and panel.region.area > 0
            for _ in panel.TABS:
                await desk.ui("right_square_bracket")
            await desk.ui("left_square_bracket", "z")
            assert panel.region.width == size[0]
            await desk.ui("z")
            assert panel.HELP

    glass(test, size=size, theme=theme)


def test_breakpoints_and_watchpoints() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("b")
        assert len(desk.inspector.breakpoints) == 1
        await desk.press("b")
        assert desk.inspector.breakpoints == ()
        await desk.press("colon")
        await desk.type("watch stvec")
        await desk.press("c")
        await desk.settle(is_patient=True)
        assert desk.inspector.halt is not None and desk.inspector.halt.reason == "CHANGED"
        await desk.press("colon")
        await desk.type("stops")
        assert any("watchpoint stvec (csr)" in notice for notice in desk.notices())
        await desk.press("colon")
        await desk.type("clear")
        assert desk.inspector.watchpoints == ()

    glass(test)


def test_another_vm() -> None:
    async def test(desk: Desk) -> None:
        first = desk.inspector
        await desk.press("s", "tab")
        assert desk.inspector is not first
        assert "2/2" in desk.screen_text()[0]
        await desk.press("s", "s", "shift+tab")
        assert desk.inspector is first
        assert [each.step for each in desk.app.inspection.inspectors] == [1, 2]
        await desk.press("colon")
        await desk.type("run")
        await asyncio.sleep(0.1)
        await desk.press("colon")
        await desk.type("pause")
        await desk.settle(is_patient=True)
        assert all(each.step > 2 and not each.is_running for each in desk.app.inspection.inspectors)

    glass(test, "kernel", "kernel", technique=("two-stage", "deprivileged"))


def test_commands_that_are_none() -> None:
    async def test(desk: Desk) -> None:
        for line, wanted in (("dance", "no such command"), ("goto", "give ADDRESS"), ("until tea", "no such reason"),
                             ("theme mauve", "there are")):
            await desk.press("colon")
            await desk.type(line)
            assert any(wanted in notice for notice in desk.notices()), line

    glass(test)


def test_keys_that_come_in_a_heap_do_what_they_do_one_by_one() -> None:
    async def test(desk: Desk) -> None:
        await press(desk.app, "g", *"#7", "enter", "4")
        assert desk.inspector.step == 7 and desk.panel.ID == "registers"
        await press(desk.app, ":", *"goto #3", "enter")
        await press(desk.app, "s", "s", "5", "g", "escape", "4", ":", *"zoom", "escape")
        assert desk.inspector.step == 5 and desk.panel.ID == "registers"
        await press(desk.app, "question_mark", "escape", *"sSsss")
        assert desk.inspector.step == 8
        await press(desk.app, "6", "right_square_bracket")
        console = desk.panel.query_one(Console)
        assert console.has_focus
        before = len(desk.inspector.vm.inputs.events)
        await press(desk.app, *"echo s", "ctrl+a", "4", "s")
        typed = b"".join(event.data for event in desk.inspector.vm.inputs.events[before:])
        assert typed == b"echo s" and desk.panel.ID == "registers" and desk.inspector.step == 9

    glass(test)


def test_the_prompt_remembers_and_can_be_left() -> None:
    async def test(desk: Desk) -> None:
        before = desk.panel
        await desk.press("colon", "escape")
        assert desk.panel is before
        await desk.press("colon")
        await desk.type("until csr")
        there = desk.inspector.step
        await desk.press("colon", "up", "enter")
        assert desk.inspector.step > there

    glass(test, technique="deprivileged")


def test_help_has_every_key_and_command() -> None:
    text = help_text("Code", "About code.")
    assert "About code." in text
    assert all(key.about in text for key in (*MOVES, *TOOLS, *VIEWS))
    assert all(f":{command.name}" in text for command in COMMANDS)

    async def test(desk: Desk) -> None:
        await desk.press("question_mark")
        assert isinstance(desk.app.screen, HelpScreen)
        await desk.press("escape")
        assert desk.app.screen is desk.app.main

    glass(test)


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("technique", ["bare", "two-stage"])
def test_the_tour(size: tuple[int, int], technique: str) -> None:
    async def test(desk: Desk) -> None:
        assert isinstance(desk.app.screen, TourScreen)
        for stop in STOPS:
            title = stop.text.splitlines()[0].lstrip("# ")
            assert any(title in row for row in desk.screen_text()), title
            await desk.press("enter")
        assert desk.app.screen is desk.app.main
        assert technique == "bare" or desk.inspector.exit is not None

    glass(test, technique=technique, size=size, has_tour=True)


def test_the_tour_can_be_skipped() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("escape")
        assert desk.app.screen is desk.app.main

    glass(test, has_tour=True)


def test_a_screen_too_small_says_so_and_grows() -> None:
    async def test(desk: Desk) -> None:
        assert any("Hartvisor needs 60 by 16" in row for row in desk.screen_text())
        await desk.pilot.resize_terminal(80, 24)
        await desk.settle()
        assert not any("Hartvisor needs" in row for row in desk.screen_text())
        assert desk.panel.is_shown

    glass(test, size=(40, 10))


def test_a_guest_that_crashes_is_told_and_looked_at() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("c")
        await desk.settle(is_patient=True)
        assert any("trap loop" in notice for notice in desk.notices())
        assert "crashed" in desk.screen_text()[0]
        await desk.press("S", "s")

    glass(test, "badvec", append=None, technique="two-stage")


def test_keys_can_be_others() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("j")
        assert desk.inspector.step == 1
        await desk.press("s")
        assert desk.inspector.step == 1

    glass(test, keymap={"step": "j"})
