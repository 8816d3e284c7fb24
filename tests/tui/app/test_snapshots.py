"""Panel 7: named snapshots are taken, named, gone to, branched from, compared, kept on disk and loaded, all by key."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.snapshot_diff import Difference, PageDifference
from hartvisor.core.vmm.snapshot_tree import SnapshotTree
from hartvisor.core.vmm.views.snapshots import RowKind, SnapshotRow, SnapshotsView
from hartvisor.tui.app.panels.base import Place
from hartvisor.tui.app.panels.snapshot_lines import difference_lines, tree_lines
from hartvisor.tui.app.panels.snapshots import DIFFERENCE, SnapshotsPanel
from hartvisor.tui.app.widgets.lines import LinesView

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass

HYPERVISED = ("deprivileged", "shadow", "two-stage")

VIEW = SnapshotsView("tern", (
    SnapshotRow(RowKind.START, "", 0),
    SnapshotRow(RowKind.SAVED, "", 2_000_000, "booted", "at the prompt", 1, pages=79, private=9),
    SnapshotRow(RowKind.SAVED, "├─", 3_000_000, "listed", "", 2, is_aside=True, pages=88, private=3),
    SnapshotRow(RowKind.END, "│ ", 3_500_000, line=4, is_aside=True, since=2_000_000),
    SnapshotRow(RowKind.NOW, "", 2_500_000, is_now=True),
    SnapshotRow(RowKind.END, "", 9_123_456_789, is_ahead=True)), 2_500_000, 5 << 20, 12)


@pytest.mark.parametrize("width", [58, 76, 190])
def test_the_tree_fits_and_marks_the_present(width: int) -> None:
    lines = [line.plain.rstrip() for line in tree_lines(VIEW, width, marked=2)]
    assert all(len(line) <= width for line in lines)
    assert lines[1].startswith("○ start")
    assert "● booted" in lines[2] and "at the prompt" in lines[2] and "79" in lines[2]
    assert lines[3].startswith("├─● listed ◆")
    assert lines[4].startswith("│ ◌ end") and "parted at 2,000,000" in lines[4]
    assert lines[5].startswith("◉ now") and "you are here" in lines[5]
    assert "9,123,456,789" in lines[6]
    assert "12 checkpoints hold 5.0 MiB" in lines[-1]


def test_a_difference_leads_to_places() -> None:
    found = Difference(
        {"hart0.x10": ("0x1", "0x2"), "hart0.scause": ("0x8", "0xf"), "hart0.steps": ("1000000", "2000000"),
         "plic.enabled": ("00" * 200, "01" + "00" * 199)},
        (PageDifference(0, 0x80236, 3, 0x8023_6040, 0x11, 0x22, "stats+0x8", ("stats", "ring")),
         PageDifference(1, 7, 512, 0x7000, 0, 1)))
    for width in (58, 76, 190):
        lines = difference_lines("a", "b", found, width)
        assert all(len(line.content.plain.rstrip()) <= width for line in lines)
    places = [line.place for line in lines if line.place is not None]
    assert places[:3] == [Place("gpr", 10, name="a0"), Place("csr", 0x142, name="scause"),
                          Place("gpa", 0x8023_6040, name="stats+0x8")]
    text = "\n".join(line.content.plain for line in lines)
    for word in ("a0 (x10)", "0x1 → 0x2", "1,000,000 → 2,000,000", "stats, ring", "disk 0 page 7", "512 bytes", "…"):
        assert word in text, word


def tree(desk: Desk) -> SnapshotTree:
    found = desk.inspector.snapshots
    assert found is not None
    return found


def shown(desk: Desk) -> list[str]:
    """The tree's lines."""
    return desk.app.main.query_one("#tree", LinesView).plain.splitlines()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_taking_naming_and_going_back(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("#1M")
        await desk.press("p")
        at_first = digest(desk.inspector.vm)
        assert any("snapshot 1 of kernel, at step 1,000,000" in notice for notice in desk.notices())
        await desk.press("g")
        await desk.type("#1500k")
        await desk.press("7", "a")
        await desk.type("later: half a million on")
        text = "\n".join(desk.screen_text())
        assert "● snapshot 1" in text and "◉ later" in text and "half a million on" in text
        await desk.press("up", "m", *["backspace"] * 12)
        await desk.type("first")
        assert [node.name for node in tree(desk).nodes] == ["first", "later"]
        await desk.press("enter")
        assert (digest(desk.inspector.vm), desk.inspector.step) == (at_first, 1_000_000)
        assert shown(desk)[2].startswith("◉ first")
        assert desk.inspector.end == 1_500_000, "what lies ahead is still there"
        await desk.press("delete")
        assert [node.name for node in tree(desk).nodes] == ["later"]

    glass(test, size=size, theme=theme)


@pytest.mark.parametrize("technique", ["bare", *HYPERVISED])
def test_a_branch_keeps_what_led_on(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("#1M")
        await desk.press("7", "p", "g")
        await desk.type("#2M")
        end = digest(desk.inspector.vm)
        await desk.press("B")
        assert len(tree(desk).lines) == 1 and desk.inspector.end == 1_000_000
        assert any("◌ end" in line and "parted at 1,000,000" in line for line in shown(desk))
        await desk.press("g")
        await desk.type("#1500k")
        row = next(at for at, line in enumerate(shown(desk)) if "◌ end" in line)
        desk.app.main.query_one("#tree", LinesView).cursor = row
        await desk.press("enter")
        assert (desk.inspector.step, digest(desk.inspector.vm)) == (2_000_000, end)
        row = next(at for at, line in enumerate(shown(desk)) if "◌ end" in line)
        desk.app.main.query_one("#tree", LinesView).cursor = row
        await desk.press("delete")
        assert tree(desk).lines == []

    glass(test, technique=technique)


def test_differences_with_the_present_and_with_the_one_that_is_marked() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("#1M")
        await desk.press("7", "p", "g")
        await desk.type("#1200k")
        await desk.press("p", "g")
        await desk.type("#1300k")
        await desk.press("d")
        panel = desk.panel
        assert isinstance(panel, SnapshotsPanel) and panel.tab == DIFFERENCE
        text = "\n".join(desk.screen_text())
        assert "snapshot 2 → now" in text and "steps" in text
        assert desk.app.focused is desk.app.main.query_one("#difference")
        await desk.press("down", "down", "down")
        await desk.press("left_square_bracket", "up", "space", "down", "d")
        assert "snapshot 1 → snapshot 2" in "\n".join(desk.screen_text())
        lines = desk.app.main.query_one("#difference", LinesView)
        lines.cursor = next(at for at, line in enumerate(panel._lines) if line.place and line.place.kind == "gpa")
        place = panel.at_cursor()
        assert place is not None
        await desk.press("r")
        assert desk.inspector.step < 1_300_000, "r goes back to who wrote it"

    glass(test, size=WIDE)


def test_kept_on_disk_and_loaded_into_another_technique(tmp_path: Path) -> None:
    store = tmp_path / "s.db"

    async def keep(desk: Desk) -> tuple[str, int]:
        await desk.press("g")
        await desk.type("#1M")
        await desk.press("7", "a")
        await desk.type("middle")
        await desk.press("k")
        assert any("middle is kept in" in notice for notice in desk.notices())
        await desk.press("k")
        assert any("already" in notice for notice in desk.notices())
        return digest(desk.inspector.vm), desk.inspector.step

    async def load(desk: Desk) -> tuple[str, int]:
        await desk.press("7", "l", "enter")
        assert shown(desk)[1].startswith("● middle")
        await desk.press("enter")
        return digest(desk.inspector.vm), desk.inspector.step

    async def load_elsewhere(desk: Desk) -> tuple[str, int]:
        await desk.press("7", "l")
        await desk.press("enter")
        assert len(desk.app.inspection.inspectors) == 2
        assert any("another machine" in notice for notice in desk.notices())
        return digest(desk.inspector.vm), desk.inspector.step

    kept = glass(keep, technique="shadow", store=store)
    assert glass(load, technique="two-stage", store=store) == kept
    assert glass(load_elsewhere, "hello", technique="bare", append=None, store=store) == kept
    assert glass(load_elsewhere, "hello", technique="bare", append=None, store=store)[1] == 1_000_000


def test_commands_name_snapshots_and_go_to_them() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("#1M")
        await desk.press("colon")
        await desk.type("snapshot here: a note")
        assert [(node.name, node.note) for node in tree(desk).nodes] == [("here", "a note")]
        await desk.press("g")
        await desk.type("#1200k")
        await desk.press("colon")
        await desk.type("restore here")
        assert desk.inspector.step == 1_000_000
        await desk.press("colon")
        await desk.type("restore nowhere")
        assert any("no snapshot 'nowhere'; there are: here" in notice for notice in desk.notices())

    glass(test)


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("7", "m")
        assert any("named snapshot first" in notice for notice in desk.notices())
        await desk.press("B")
        assert any("nothing lies ahead" in notice for notice in desk.notices())
        await desk.press("l")
        assert any("no such snapshot store" in notice for notice in desk.notices())
        await desk.press("delete")
        assert any("can be forgotten" in notice for notice in desk.notices())
        await desk.press("right_square_bracket")
        assert "`d` on a snapshot" in desk.app.main.query_one("#difference", LinesView).plain
        desk.inspector.snapshots = None
        await desk.press("left_square_bracket", "p")
        assert any("no snapshot could take it back" in notice for notice in desk.notices())
        assert "no snapshot could take it back" in "\n".join(shown(desk))

    glass(test, size=NARROW, store=tmp_path / "absent.db")
