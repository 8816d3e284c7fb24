"""Panel 1: the card at every size and in both themes, for every kind of exit; and `u`, stage by stage."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.exits import ExitReason
from hartvisor.core.vmm.inspector import Inspection, exit_moves
from hartvisor.core.vmm.views.card import CardPage, view_card
from hartvisor.core.vmm.views.card.micro import STAGES
from hartvisor.tui.app.panels.card import HANDLING, CardPanel
from hartvisor.tui.app.panels.card_lines import card_rows, handling_rows
from hartvisor.tui.app.widgets.lines import LinesView
from tests.vmm.views.card.support import do, known

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass

TECHNIQUES = ("deprivileged", "shadow", "two-stage")


def panel_of(desk: Desk) -> CardPanel:
    panel = desk.app.main.panels["card"]
    assert isinstance(panel, CardPanel)
    return panel


def text_of(desk: Desk) -> str:
    return panel_of(desk).query_one(LinesView).plain


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
def test_the_first_miss_is_a_key_away(size: tuple[int, int], theme: str) -> None:
    """With the rule, its section, the handler with file and line, what changed, and who would have gone without."""
    async def test(desk: Desk) -> None:
        await desk.press("t")
        screen = "\n".join(desk.screen_text())
        for text in ("shadow-fill", "why", "§ Virtual Address", "handled", "shadow_pager.py:", "changed"):
            assert text in screen, text
        assert "then" in text_of(desk)
        assert "spared" in text_of(desk)
        assert all(len(line) <= size[0] for line in desk.screen_text())

    glass(test, size=size, theme=theme)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_kind_of_exit_fits_every_width(technique: str) -> None:
    """No line is longer than there is room for."""
    for name in ("kernel", "exits"):
        inspector = known(name, technique, 1_500_000 if name == "kernel" else 300_000)
        log = inspector.log
        assert log is not None
        firsts = {log.reason_of(number): number for number in range(len(log) - 1, -1, -1)}
        for number in firsts.values():
            do(exit_moves.goto_exit(inspector, number))
            page = view_card(Inspection([inspector]))
            for width in (50, 62, 76, 120):
                rows = card_rows(page, width)
                for stage in range(len(STAGES)):
                    rows += handling_rows(page, stage, width)
                longest = max(rows, key=lambda row: row.line.cell_length)
                assert longest.line.cell_length <= width, longest.line.plain


def test_u_goes_through_the_handling_and_on_to_the_next_exit() -> None:
    """From wherever one stands: to the next exit, its six stages, and the exit after that."""
    async def test(desk: Desk) -> None:
        await desk.press("u")
        panel = panel_of(desk)
        assert (panel.tab, panel.stage, desk.inspector.exit) == (HANDLING, 0, 0)
        seen = []
        for stage in range(len(STAGES)):
            assert panel.stage == stage
            view = panel.view
            assert isinstance(view, CardPage) and view.card is not None
            assert view.card.steps[stage].title.split()[0] in text_of(desk)
            seen.append(text_of(desk))
            await desk.press("u")
        assert len(set(seen)) == len(STAGES)
        assert "guest walk" in seen[2] and "frame map" in seen[2] and "shadow leaf" in seen[2]
        assert (panel.stage, desk.inspector.exit) == (0, 1)
        await desk.press("right", "right", "left")
        assert panel.stage == 1
        await desk.press("left_square_bracket")
        assert "spared" in text_of(desk)

    glass(test)


def test_the_card_of_a_csr_write_shows_its_fields() -> None:
    """And `u` the mask that the value goes through."""
    async def test(desk: Desk) -> None:
        inspector = desk.inspector
        desk.app.engine.do(lambda inspection: exit_moves.next_exit(inspector, {ExitReason.SRET}))
        await desk.settle(is_patient=True)
        assert "sstatus" in text_of(desk) and "mode" in text_of(desk)
        assert "shadow, two-stage: no exit" in text_of(desk)
        desk.app.engine.do(lambda inspection: exit_moves.next_exit(inspector, {ExitReason.CSR}))
        await desk.settle(is_patient=True)
        await desk.press("u", "u", "u")
        for text in ("csr ", "old value", "operand", "WARL mask"):
            assert text in text_of(desk), text

    glass(test, technique="deprivileged", size=WIDE)


def test_the_line_under_the_cursor_is_a_place() -> None:
    """So that `w` and `r` work on a register that the exit changed."""
    async def test(desk: Desk) -> None:
        inspector = desk.inspector
        desk.app.engine.do(lambda inspection: exit_moves.next_exit(inspector, {ExitReason.CSR}))
        await desk.settle(is_patient=True)
        panel = panel_of(desk)
        lines = panel.query_one(LinesView)
        kinds = set()
        for index in range(len(lines.lines)):
            lines.cursor = index
            place = panel.at_cursor()
            if place is not None:
                kinds.add(place.kind)
        assert {"gva", "csr"} <= kinds
        await desk.press("slash")
        await desk.type("spared")
        assert "spared" in lines.lines[lines.cursor].plain

    glass(test, technique="deprivileged")


def test_between_exits_it_tells_what_the_instruction_ahead_would_do() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("t", "s", "s")
        text = text_of(desk)
        assert "between exits" in text
        assert "the instruction here" in text
        assert "two-stage" in text

    glass(test)


def test_on_the_bare_machine_it_says_so() -> None:
    async def test(desk: Desk) -> None:
        assert "bare machine" in text_of(desk)
        await desk.press("u")
        assert any("bare machine" in notice for notice in desk.notices())

    glass(test, technique="bare")


def test_an_open_guess_hides_the_card() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("t")
        assert "why" in text_of(desk)
        desk.app.predicting = True
        await desk.settle()
        assert "hidden" in text_of(desk)
        assert "why" not in text_of(desk)
        desk.app.predicting = False
        await desk.settle()
        assert "why" in text_of(desk)

    glass(test, size=NARROW)
