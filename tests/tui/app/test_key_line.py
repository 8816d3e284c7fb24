"""The line of keys at the bottom, and what the screen has before guests have it."""

from __future__ import annotations

import time

from textual.widgets import Input

from hartvisor.tui.app.engine import COURTESY
from hartvisor.tui.app.screens.prompt import Prompt
from hartvisor.tui.app.widgets.key_line import KeyLine
from hartvisor.tui.app.widgets.status import StatusLine

from .support import WIDE, Desk, glass


def test_it_names_the_keys_and_a_click_presses_one() -> None:
    async def test(desk: Desk) -> None:
        line = desk.screen_text()[-1]
        assert line.startswith("s Step n Over f Finish c Continue e Exit t Miss g Goto z Zoom ? Help q Quit")
        before = desk.inspector.step
        await desk.pilot.click(KeyLine, offset=(line.index("s Step") + 3, 0))
        await desk.settle()
        assert desk.inspector.step == before + 1
        await desk.pilot.click(KeyLine, offset=(line.index("z Zoom"), 0))
        await desk.settle()
        assert desk.app.main._zoomed is not None
        await desk.pilot.click(KeyLine, offset=(150, 0))
        await desk.settle()

    glass(test, size=WIDE)


def test_a_panels_own_keys_are_in_it() -> None:
    async def test(desk: Desk) -> None:
        before = desk.screen_text()[-1]
        await desk.ui("0")
        assert "Run the checks" in desk.screen_text()[-1]
        await desk.ui("1")
        assert desk.screen_text()[-1] == before

    glass(test, size=WIDE)


def test_a_console_has_all_keys_and_says_so() -> None:
    async def test(desk: Desk) -> None:
        await desk.ui("6", "]")
        assert desk.screen_text()[-1].startswith("all keys go to the guest, but ctrl+a")
        await desk.ui("1")
        assert desk.screen_text()[-1].startswith("s Step")

    glass(test, size=WIDE)


def test_the_status_line_does_not_tell_what_is_to_be_guessed() -> None:
    async def test(desk: Desk) -> None:
        await desk.ui("e", "e")
        reason = desk.app.main.query_one(StatusLine)._view.vm.why.partition(": ")[2]
        assert reason and reason in desk.screen_text()[0]
        await desk.ui("-")
        await desk.press("enter")
        assert desk.app.predicting
        assert reason not in desk.screen_text()[0]
        desk.app.predicting = False
        await desk.settle()
        assert reason in desk.screen_text()[0]

    glass(test, size=WIDE)


def test_the_prompt_completes_names_of_the_program_that_runs() -> None:
    async def test(desk: Desk) -> None:
        inspector = desk.inspector
        while inspector.vcpu.mode != 0:
            await desk.press("t", "e")
        program, kernel = inspector.code.known(inspector.vcpu)
        own = max(program.addresses.keys() - kernel.addresses.keys())
        await desk.ui("g")
        line = desk.app.main.query_one(Prompt).query_one(Input)
        assert line.suggester is not None
        assert await line.suggester.get_suggestion("trap_") in kernel.addresses
        assert await line.suggester.get_suggestion(own) == own

    glass(test, symbols=None)


def test_guests_that_run_on_give_way_to_a_key_and_no_others_do() -> None:
    async def test(desk: Desk) -> None:
        engine = desk.app.engine
        await desk.ui("c")
        inspector = desk.inspector
        began, steps = time.monotonic(), inspector.vm.steps
        while inspector.vm.steps == steps:
            assert time.monotonic() < began + 10
            time.sleep(0.001)
        engine._resume_at = time.monotonic() + 3600
        time.sleep(0.1)
        steps = inspector.vm.steps
        time.sleep(0.1)
        assert inspector.vm.steps == steps, "it runs on"
        await desk.ui("3")      # which says for how long it really has to
        assert 0 < engine._resume_at - time.monotonic() + 1 <= 1 + COURTESY
        await desk.ui("c")
        at = inspector.vm.steps
        engine._resume_at = time.monotonic() + 3600
        await desk.ui("s")
        assert inspector.vm.steps == at + 1, "a step waits for nobody"

    glass(test, "spin")
