"""Panel 4: registers, CSRs, floating point and vCPUs, at every size and in both themes; and changing them."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.inspector.stops import Watched
from hartvisor.core.vmm.views.csrs import CsrsView
from hartvisor.core.vmm.views.registers import RegistersView, VcpusView
from hartvisor.tui.app.panels.base import Place
from hartvisor.tui.app.panels.csr_lines import csr_lines, detail_lines
from hartvisor.tui.app.panels.registers import CSRS, FLOAT, VCPUS, RegistersPanel
from hartvisor.tui.app.panels.registers_lines import columns_for, register_detail, registers_lines
from hartvisor.tui.app.widgets.lines import LinesView

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass


async def to_schedule(desk: Desk) -> RegistersPanel:
    """Where tern's scheduler is called, with the panel in front."""
    await desk.press("4")
    await desk.press("colon")
    await desk.type("break schedule")
    await desk.press("c")
    await desk.settle(is_patient=True)
    panel = desk.app.main.panels["registers"]
    assert isinstance(panel, RegistersPanel)
    return panel


def text_of(panel: RegistersPanel) -> str:
    return panel.query_one(LinesView).plain


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
def test_registers_are_shown_with_what_they_point_to(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        text = text_of(panel)
        assert "schedule" in text
        assert "ra " in text
        screen = "\n".join(desk.screen_text())
        assert "pc" in screen
        assert all(len(line) <= size[0] for line in desk.screen_text())
        await desk.press("s", "s")
        assert "Δpc" in text_of(panel)

    glass(test, size=size, theme=theme)


@pytest.mark.parametrize("technique", ["bare", "deprivileged", "shadow", "two-stage"])
def test_csrs_open_into_their_fields_and_close_again(technique: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        await desk.press("right_square_bracket")
        assert panel.tab == CSRS
        text = text_of(panel)
        assert "SPP=" in text
        assert "Sv39 root" in text
        assert ("≠ satp" in text or "≠ vsatp" in text) == (technique in ("deprivileged", "shadow"))
        assert panel.at_cursor() == Place("csr", 0x100, name="sstatus")
        await desk.press("enter")
        assert "SPIE" in text_of(panel)
        assert "mstatus" in text_of(panel)
        await desk.press("end")
        assert "S-mode takes interrupts" in "\n".join(desk.screen_text())
        await desk.press("enter")
        assert "── traps" in text_of(panel)
        assert panel.at_cursor() == Place("csr", 0x100, name="sstatus")
        await desk.press("down", "enter", "backspace")
        assert panel.at_cursor() == Place("csr", 0x105, name="stvec")

    glass(test, technique=technique)


def test_a_register_is_changed_by_hand() -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        await desk.press("slash")
        await desk.type("a0")
        assert panel.at_cursor() == Place("gpr", 10, name="a0")
        await desk.press("equals_sign")
        for _ in range(8):
            await desk.pilot.press("backspace")
        await desk.type("main+4")
        expected = desk.inspector.code.kernel.addresses["main"] + 4
        assert desk.inspector.vcpu.hart.read_gpr(10) == expected
        assert "Δa0" in text_of(panel)
        assert f"a0 is {expected:#x} now" in desk.notices()

    glass(test)


def test_a_watchpoint_is_set_on_the_register_under_the_cursor() -> None:
    async def test(desk: Desk) -> None:
        await to_schedule(desk)
        await desk.press("slash")
        await desk.type("sp")
        await desk.press("w")
        assert [(each.watched, each.where) for each in desk.inspector.watchpoints] == [(Watched.GPR, 2)]

    glass(test)


def test_the_hypervisor_s_own_csrs_are_not_for_changing() -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        await desk.press("right_square_bracket", "end")
        assert panel.at_cursor() is None
        await desk.press("equals_sign")
        assert any("follows from the technique" in notice for notice in desk.notices())

    glass(test)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_cells_are_reached_by_arrows_and_by_clicks(size: tuple[int, int]) -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        await desk.press("down")
        assert panel.at_cursor() == Place("gpr", 1, name="ra")
        await desk.press("home", "end")
        assert panel.at_cursor() == Place("gpr", 31, name="t6")
        await desk.press("left", "home", "right", "left")
        assert panel.at_cursor() == Place("gva", desk.inspector.vcpu.hart.pc, name="pc")
        await desk.pilot.click(LinesView, offset=(5, 3))
        await desk.settle()

    glass(test, size=size)


def test_floating_point_and_vcpus_have_tabs() -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        panel.tab = FLOAT
        await desk.settle()
        assert "fa0" in text_of(panel)
        panel.tab = VCPUS
        await desk.settle()
        assert "has the turn" in text_of(panel)
        await desk.press("down", "enter")
        assert desk.inspector.vcpu_index == 1
        assert desk.app.main.panels["registers"].view.rows[1].is_current

    glass(test, smp=2)


def test_lines_fit_any_width() -> None:
    async def test(desk: Desk) -> None:
        panel = await to_schedule(desk)
        view = panel.view
        assert isinstance(view, RegistersView)
        for width in range(20, 200, 7):
            columns = columns_for(width, len(view.rows), 16)
            lines = registers_lines(view, width, columns, 3)
            lines += [line for row in view.rows for line in register_detail(view, row, width)]
            assert max(line.cell_length for line in lines) <= width
        await desk.press("right_square_bracket", "enter")
        csrs = panel.view
        assert isinstance(csrs, CsrsView)
        assert csrs.detail is not None
        for width in range(50, 200, 7):
            shown = csr_lines(csrs, width)[0] + detail_lines(csrs.detail, width)[0]
            assert max(line.cell_length for line in shown) <= width
        panel.tab = VCPUS
        await desk.settle()
        assert isinstance(panel.view, VcpusView)

    glass(test, technique="two-stage")
