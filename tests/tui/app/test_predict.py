"""Panel -: what is asked, what is hidden meanwhile, what is answered, and the score."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from hartvisor.core.errors import OptionError
from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.views.predict import (
    FAULT,
    NO_EXIT,
    PredictView,
    guessed_address,
    guessed_reason,
    same_page,
)
from hartvisor.tui.app.panels.predict import LETTERS, PredictPanel, Sheet

from .support import DARK, LIGHT, SIZES, Desk, glass


def panel_of(desk: Desk) -> PredictPanel:
    panel = desk.app.main.panels["predict"]
    assert isinstance(panel, PredictPanel)
    return panel


def view_of(desk: Desk) -> PredictView:
    view = panel_of(desk).view
    assert isinstance(view, PredictView)
    return view


def text_of(desk: Desk) -> str:
    return panel_of(desk).query_one(Sheet).plain


async def guess(desk: Desk, text: str) -> None:
    await desk.type(text)
    await desk.settle(is_patient=True)


def test_guesses_as_they_are_typed() -> None:
    assert guessed_reason("no", LETTERS) == NO_EXIT
    assert guessed_reason("c", LETTERS) == ExitReason.CSR
    assert guessed_reason("shadow", LETTERS) == ExitReason.SHADOW_FILL
    assert guessed_reason("sbi", LETTERS) == ExitReason.SBI
    assert guessed_reason("load-page-fault", LETTERS) == ExitReason.REFLECTED + 13
    assert guessed_address("fault") == FAULT
    assert guessed_address("0x8000_1000") == 0x80001000
    assert same_page(0x80001000, 0x80001FF8)
    for wrong in ("", "mmio", "whatever"):
        with pytest.raises(OptionError, match="or a reason"):
            guessed_reason(wrong, LETTERS)
    with pytest.raises(OptionError, match="or fault"):
        guessed_address("there")


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
def test_the_next_pc(size: tuple[int, int], theme: str) -> None:
    """Enter asks; the guess is taken, the step too; then the answer."""
    async def test(desk: Desk) -> None:
        await desk.press("t", "minus")
        assert "Enter begins" in text_of(desk)
        await desk.press("enter")
        assert desk.app.predicting
        assert "Where will the guest go on" in text_of(desk)
        assert panel_of(desk).query_one(Input).has_focus
        step, pc = desk.inspector.step, desk.inspector.vcpu.hart.pc
        await guess(desk, f"{pc + 4:#x}")
        assert not desk.app.predicting
        assert desk.inspector.step == step + 1
        assert "✓ right" in text_of(desk)
        assert panel_of(desk).score.text.startswith("pc 1/1")
        await desk.press("enter")
        assert desk.app.predicting
        await guess(desk, "0x1234")
        assert "✗ not 0x1234: pc is" in text_of(desk)
        assert "pc 1/2" in "\n".join(desk.screen_text())

    glass(test, size=size, theme=theme)


def test_whether_it_exits() -> None:
    """By name, by letter, by "no"; an empty line gives up, and is told."""
    async def test(desk: Desk) -> None:
        await desk.press("t", "minus", "right_square_bracket", "enter")
        assert "Will this step exit" in text_of(desk)
        await guess(desk, "shadow-fill")
        assert "✓ right: M shadow-fill" in text_of(desk)
        await desk.press("enter")
        await guess(desk, "S")
        assert "✗ not S: no exit" in text_of(desk)
        await desk.press("enter")
        await guess(desk, "no")
        assert "✓ right: no exit" in text_of(desk)
        await desk.press("enter")
        await guess(desk, "")
        assert "✗ no exit" in text_of(desk)
        assert "exit 2/4" in panel_of(desk).score.text
        await desk.press("enter")
        await guess(desk, "nonsense")
        assert any("or a reason" in notice for notice in desk.notices())
        assert desk.app.predicting

    glass(test)


def test_where_an_address_leads() -> None:
    """At once, without a step; which page is what counts."""
    async def test(desk: Desk) -> None:
        await desk.press("t", "minus", "left_square_bracket", "enter")
        view = view_of(desk)
        assert view.leads is not None
        assert f"{view.gva:#x}" in text_of(desk)
        await guess(desk, f"{view.leads & -4096:#x}")
        assert f"✓ right: it leads to GPA {view.leads:#x}" in text_of(desk)
        assert desk.inspector.step == view.step
        await desk.press("enter")
        await desk.settle(is_patient=True)
        assert desk.inspector.step == view.step + 1
        await guess(desk, "fault")
        assert "✗ not fault" in text_of(desk)

    glass(test)


def test_the_future_is_hidden_until_the_guess_and_shown_afterwards() -> None:
    """In the card and in the strip; escape leaves the line, and then the mode."""
    async def test(desk: Desk) -> None:
        await desk.press("t", "minus", "enter", "escape", "1")
        screen = "\n".join(desk.screen_text())
        assert "hidden until you have guessed" in screen
        assert "?" in screen
        await desk.press("minus", "escape")
        await desk.press("escape")
        assert not desk.app.predicting
        await desk.press("1")
        assert "why" in "\n".join(desk.screen_text())

    glass(test)


def test_of_a_guest_that_is_off_nothing_is_asked() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("c")
        await desk.settle(is_patient=True)
        await desk.press("minus", "enter")
        assert not desk.app.predicting
        await desk.press("enter")
        assert panel_of(desk).is_on is False

    glass(test, "hello", append=None)
