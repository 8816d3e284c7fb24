"""Panel 3: the walk, the address space and the pages, under every technique, at every size and in both themes."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.inspector import Inspection, Inspector
from hartvisor.core.vmm.inspector.moves import goto
from hartvisor.core.vmm.inspector.stops import Watched
from hartvisor.core.vmm.views.space import DIRTY, PageState, view_space
from hartvisor.core.vmm.views.stages import PteView
from hartvisor.core.vmm.views.walk import Follow, WalkView, view_walk
from hartvisor.tui.app.panels.base import Place
from hartvisor.tui.app.panels.memory import MemoryPanel
from hartvisor.tui.app.panels.space_lines import PageSpot, paint_grid, paint_ranges
from hartvisor.tui.app.panels.walk import WalkPanel
from hartvisor.tui.app.panels.walk_lines import Spot, paint_walk
from tests.vmm.test_guest_paging import HANDLER, LEVELS, NAPOT, ROOT, tables
from tests.vmm.views.support import TECHNIQUES, do, inspect, run, tern
from tests.vmm.views.test_walk import stale_guest

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass

WIDTHS = (40, 54, 60, 66, 76, 104, 128, 196)

GUEST = tables(8, {0: 0x8031_0000 >> 2 | 0xC7, 1: 0x8032_0000 >> 2 | 0xC7}) + """
    li s0, 0x40000000
    li sp, 0x40000ff0
    sd s0, 0(sp)
    j .
""" + HANDLER


def walked(technique: str) -> Inspection:
    """A guest that has stored to its stack through its tables."""
    inspector = inspect(GUEST, technique)
    run(inspector, 200)
    return Inspection([inspector])


def panel_of(desk: Desk) -> WalkPanel:
    panel = desk.app.main.panels["walk"]
    assert isinstance(panel, WalkPanel)
    return panel


def entry_of(panel: WalkPanel) -> PteView:
    """The entry under the cursor."""
    thing = panel._painting.thing(*panel.cells.here)
    assert isinstance(thing, Spot) and thing.entry is not None
    return thing.entry


SCREENS = {
    "bare": """\
gva 0000000040000ff0  store by S  sp
bits 63:39  38:30       29:21       20:12       11:0
     sign   VPN[2] 001  VPN[1] 000  VPN[0] 000  off ff0
satp Sv39 root 80300000 ASID 0
        entry at  DAGUXWRV leads to
 L2 001 80300008 -------V 80301000
 L1 000 80301000 -------V 80302000
 L0 000 80302000 DA---WRV 80310000
→ gpa 80310ff0 RAM  4 KiB page  3 reads

guest L0 entry 000 at gpa 80302000, read 3 of 3   00000000200c40c7
N 0  PBMT 0 PMA  PPN 80310  RSW 00  D1 A1 G0 U0 X0 W1 R1 V1
  maps 4 KiB at 80310000, readable, writable, supervisor only, accessed,
  dirty""",
    "deprivileged": """\
gva 0000000040000ff0  store by S  sp
bits 63:39  38:30       29:21       20:12       11:0
     sign   VPN[2] 001  VPN[1] 000  VPN[0] 000  off ff0
guest satp Sv39 root 80300000 ASID 0
shadow satp root 80008000 for supervisor (cached)
        entry at  DAGUXWRV leads to    shadow DAGUXWRV leads to
 L2 001 80300008 -------V 80301000   = 80008008 -------V 8000a000
 L1 000 80301000 -------V 80302000   = 8000a000 -------V 8000b000
 L0 000 80302000 DA---WRV 80310000   = 8000b000 DA-U-WRV 80009000
→ gpa 80310ff0 RAM  4 KiB page  frame 80009ff0  3 reads

guest L0 entry 000 at gpa 80302000   00000000200c40c7
N 0  PBMT 0 PMA  PPN 80310  RSW 00  D1 A1 G0 U0 X0 W1 R1 V1
  maps 4 KiB at 80310000, readable, writable, supervisor only, accessed,
  dirty""",
    "shadow": """\
gva 0000000040000ff0  store by S  sp
bits 63:39  38:30       29:21       20:12       11:0
     sign   VPN[2] 001  VPN[1] 000  VPN[0] 000  off ff0
guest satp Sv39 root 80300000 ASID 0
shadow vsatp root 80008000 for tables (cached)
        entry at  DAGUXWRV leads to    shadow DAGUXWRV leads to
 L2 001 80300008 -------V 80301000   = 80008008 -------V 8000a000
 L1 000 80301000 -------V 80302000   = 8000a000 -------V 8000b000
 L0 000 80302000 DA---WRV 80310000   = 8000b000 DA---WRV 80009000
→ gpa 80310ff0 RAM  4 KiB page  frame 80009ff0  3 reads

guest L0 entry 000 at gpa 80302000   00000000200c40c7
N 0  PBMT 0 PMA  PPN 80310  RSW 00  D1 A1 G0 U0 X0 W1 R1 V1
  maps 4 KiB at 80310000, readable, writable, supervisor only, accessed,
  dirty""",
    "two-stage": """\
gva 0000000040000ff0  store by S  sp
bits 63:39  38:30       29:21       20:12       11:0
     sign   VPN[2] 001  VPN[1] 000  VPN[0] 000  off ff0
vsatp Sv39 root 80300000 ASID 0   hgatp Sv39x4 root 80000000 VMID 1
        at GPA    G-stage L2  G-stage L1  G-stage L0 then  DAGUXWRV leads to
 L2 001 80300008  1 80006000  2 80007000  3 80008000  4 -------V 80301000
 L1 000 80301000  5 80006000  6 80007000  7 80009000  8 -------V 80302000
 L0 000 80302000  9 80006000 10 80007000 11 8000a000 12 DA---WRV 80310000
 page   80310ff0 13 80006000 14 80007000 15 8000b000 hpa 8000bff0
→ gpa 80310ff0 RAM  4 KiB page  frame 8000bff0  15 reads

guest L0 entry 000 at gpa 80302000, read 12 of 15   00000000200c40c7
N 0  PBMT 0 PMA  PPN 80310  RSW 00  D1 A1 G0 U0 X0 W1 R1 V1
  maps 4 KiB at 80310000, readable, writable, supervisor only, accessed,
  dirty""",
}


FIRST_ROWS = 12


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_screen_reads_so(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k")
        shown = [line[2:-1].rstrip() for line in desk.screen_text()[2:]]
        # What the hart holds besides is its own affair: a line more, and then less room below.
        shown = [line for line in shown if not line.startswith("• hart holds")]
        expected = SCREENS[technique].splitlines()[:FIRST_ROWS]
        assert shown[:FIRST_ROWS] == expected

    glass(test, inspection=walked(technique))


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("technique", ["shadow", "two-stage"])
def test_it_is_at_home_at_every_size(technique: str, size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k")
        panel = panel_of(desk)
        assert f"{panel.view.gva:016x}" in panel.cells.plain
        assert "follows sp" in str(panel.border_subtitle)
        await desk.press("z")
        assert max(len(line) for line in panel.cells.plain.splitlines()) <= size[0]
        for tab in (1, 2, 0):
            await desk.press("right_square_bracket")
            assert panel.tab == tab
            assert panel.cells.plain
        await desk.press("left_square_bracket")
        assert panel.tab == 2

    glass(test, inspection=walked(technique), size=size, theme=theme)


@pytest.mark.parametrize(("technique", "reason"), [("shadow", "shadow"), ("two-stage", "gstage"),
                                                   ("deprivileged", "shadow")])
def test_three_keys_lead_to_the_first_miss_and_its_walk(technique: str, reason: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("t", "3")
        panel = panel_of(desk)
        assert isinstance(panel.view, WalkView) and panel.view.why == f"tval of exit {desk.inspector.exit}"
        assert "+" in panel.cells.plain, "what the exit filled"
        assert reason in "\n".join(desk.screen_text())
        assert entry_of(panel).is_leaf

    glass(test, technique=technique)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_arrows_go_from_entry_to_entry_and_details_follow(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k", "home")
        panel = panel_of(desk)
        assert panel.view.guest.entries[0].level == 2
        seen = {entry_of(panel).address}
        for key in ("right", "right", "right", "down", "down", "left", "up", "pagedown", "end"):
            await desk.press(key)
            thing = panel._painting.thing(*panel.cells.here)
            assert isinstance(thing, Spot)
            if thing.entry is not None:
                seen.add(thing.entry.address)
                assert f"{thing.entry.value:016x}" in panel.cells.plain
        assert len(seen) >= {"bare": 3, "two-stage": 6}.get(technique, 5)

    glass(test, inspection=walked(technique))


def test_keys_choose_the_address_and_the_access() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3")
        panel = panel_of(desk)
        hart = desk.inspector.vcpu.hart
        for key, gva in (("k", hart.read_gpr(2)), ("i", hart.pc), ("v", desk.inspector.vcpu.csrs.read(0x143)),
                         ("o", hart.pc)):
            await desk.press(key)
            assert panel.view.gva == gva
        accesses = []
        for _ in range(4):
            await desk.press("a")
            accesses.append(panel.view.who.access)
            assert ("as a" in str(panel.border_subtitle)) == (len(accesses) < 4)
        assert accesses == [0, 1, 2, 0]
        await desk.press("g")
        await desk.type("sp+8")
        assert panel.view.gva == hart.read_gpr(2) + 8
        assert panel.at_cursor() == Place("pte", ROOT + 0x2000, 8, f"the L0 entry of {hart.read_gpr(2) + 8:#x}")

    glass(test, inspection=walked("shadow"))


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_enter_shows_the_entry_in_memory(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k")
        panel = panel_of(desk)
        memory = desk.app.main.panels["memory"]
        assert isinstance(memory, MemoryPanel)
        entry = entry_of(panel)
        await desk.press("enter")
        assert desk.panel is memory
        assert (memory.cursor, memory.space.value) == (entry.address, "gpa")
        assert memory.view.word(entry.address) == entry.value
        if technique == "bare":
            return
        await desk.press("3", "left" if technique == "two-stage" else "right")
        entry = entry_of(panel)
        assert panel.at_cursor() is None, "the hypervisor's tables are not the guest's to watch"
        await desk.press("enter")
        assert (memory.cursor, memory.space.value) == (entry.address, "hpa")
        assert memory.view.word(entry.address) == entry.value

    glass(test, inspection=walked(technique))


@pytest.mark.parametrize("technique", ["bare", "shadow", "two-stage"])
def test_an_entry_is_watched_and_its_last_writer_found(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k", "w")
        assert [(each.watched, each.where) for each in desk.inspector.watchpoints] == [(Watched.PTE, ROOT + 0x2000)]
        await desk.press("w", "r")
        inspector = desk.inspector
        assert inspector.step < 200 and inspector.vm.ram.load(ROOT + 0x2000, 8) == 0
        do(goto(inspector, inspector.step + 1))
        assert inspector.vm.ram.load(ROOT + 0x2000, 8) == 0x8031_0000 >> 2 | 0xC7

    glass(test, inspection=walked(technique))


def test_a_click_puts_the_cursor_on_a_cell() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k")
        panel = panel_of(desk)
        lines = panel.cells.plain.splitlines()
        row = next(number for number, line in enumerate(lines) if line.startswith(" L1"))
        column = lines[row].index(" 6 ") + 4
        await desk.pilot.click(panel.cells, offset=(column, row))
        await desk.settle()
        assert entry_of(panel).level == 1 and "read 6 of 15" in panel.cells.plain
        await desk.pilot.click(panel.cells, offset=(column, row), times=2)
        await desk.settle()
        assert desk.panel.ID == "memory"

    glass(test, inspection=walked("two-stage"))


def test_ranges_and_pages_lead_to_memory() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "right_square_bracket", "home")
        panel = panel_of(desk)
        assert panel.at_cursor() == Place("gva", 0x4000_0000, 8)
        assert "40000000 to 40001fff" in panel.cells.plain
        await desk.press("enter")
        memory = desk.app.main.panels["memory"]
        assert isinstance(memory, MemoryPanel)
        assert (memory.cursor, memory.space.value) == (0x4000_0000, "gva")
        await desk.press("3", "right_square_bracket", "down", "down", "down", "right")
        thing = panel._painting.thing(*panel.cells.here)
        assert thing == PageSpot(ROOT + 0x1000, PageState.TABLE | DIRTY)
        assert "page table, stored to" in panel.cells.plain
        await desk.press("enter")
        assert (memory.cursor, memory.space.value) == (ROOT + 0x1000, "gpa")
        await desk.press("3", "left_square_bracket")
        assert panel.at_cursor() == Place("gva", 0x4000_0000, 8), "the cursor is where it was"

    glass(test, inspection=walked("shadow"))


def test_it_follows_the_guest() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3")
        panel = panel_of(desk)
        for _ in range(3):
            await desk.press("s")
            assert panel.view.gva == desk.inspector.vcpu.hart.pc
        await desk.press("S")
        assert panel.view.gva == desk.inspector.vcpu.hart.pc

    glass(test)


def test_where_an_address_leads_is_hidden_while_the_user_guesses() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("3", "k")
        panel = panel_of(desk)
        desk.app.predicting = True
        await desk.settle()
        assert "hidden until you have guessed" in panel.cells.plain
        assert "80310" not in panel.cells.plain and panel.at_cursor() is None
        desk.app.predicting = False
        await desk.settle()
        assert "80310" in panel.cells.plain

    glass(test, inspection=walked("shadow"))


# --- painting


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_lines_fit_whatever_the_walk(technique: str) -> None:
    inspector = tern(technique)
    for _ in range(6):
        run(inspector, 400_000)
        inspection = Inspection([inspector])
        for address in (inspector.vcpu.hart.pc, inspector.vcpu.hart.read_gpr(2), 0x8020_0000, 0x1000_0000, 1 << 40, 0):
            for access in range(3):
                view = view_walk(inspection, Follow.ADDRESS, address, access)
                for width in WIDTHS:
                    painting = paint_walk(view, width, (9, 9))
                    if width >= 76:
                        assert max(line.cell_length for line in painting.lines) <= width
                    assert len(painting.stops) == len(painting.things) > 0 or view.guest.entries == ()
                    assert painting.thing(*painting.focus) is not None or view.guest.entries == ()
        view = view_space(inspection)
        for width in WIDTHS:
            grid = paint_grid(view, width)
            pages = sum(len(things) for things in grid.things)
            assert pages <= len(view.pages)
            assert all(line.cell_length <= width for line in grid.lines[4:] if width >= 76)
            assert len(paint_ranges(view, width).stops) == len(view.ranges)


def text(inspector: Inspector, gva: int, access: int = 1) -> str:
    view = view_walk(Inspection([inspector]), Follow.ADDRESS, gva, access)
    return "\n".join(line.plain for line in paint_walk(view, 100, (0, 0)).lines)


def test_faults_are_told_by_their_step() -> None:
    inspector = inspect(GUEST, "two-stage")
    run(inspector, 200)
    assert 'the guest\'s own load page fault (13), step 3 of "Virtual Address Translation Process": V=0' in text(
        inspector, 0x4000_2000)
    assert "instruction page fault (12), step 8" in text(inspector, 0x4000_0000, 0)
    assert "step 1 of \"Sv39: Page-Based 39-bit" in text(inspector, 1 << 40)
    assert "✗L0 002" in text(inspector, 0x4000_2000)


def test_a_miss_is_told_from_a_fault() -> None:
    two_stage, shadow = inspect(GUEST, "two-stage"), inspect(GUEST, "shadow")
    for inspector in (two_stage, shadow):
        run(inspector, 200)
    for inspector, what in ((two_stage, "G-stage"), (shadow, "shadow")):
        shown = " ".join(text(inspector, 0x4000_1000).split())
        assert f"{what} miss" in shown and "the guest never knows" in shown
    assert "the guest gets an access fault" in text(shadow, 0x9000_0000)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_is_stale_is_marked_and_told(technique: str) -> None:
    inspector = inspect(stale_guest("nop"), technique, policy="flush")
    run(inspector, 200)
    shown = text(inspector, 0x4000_5000)
    assert "!L0 005" in shown
    assert "may: a hart may still be led to gpa 80310000" in shown
    assert ("≠" in shown) == (technique in ("deprivileged", "shadow"))
    view = view_walk(Inspection([inspector]), Follow.ADDRESS, 0x4000_5000)
    entry = len(view.guest.entries) - 1
    detail = "\n".join(line.plain for line in paint_walk(
        view, 100, (entry, 99 if technique in ("bare", "two-stage") else 0)).lines)
    assert f"It was {0x8031_0000 >> 2 | 0xC7:016x} DA---WRV" in detail


def test_a_stale_hart_is_caught() -> None:
    inspector = inspect(stale_guest("nop"), "two-stage", tlb="stale")
    run(inspector, 200)
    assert "≠ hart holds" in text(inspector, 0x4000_5000) and "the next access uses it" in text(inspector, 0x4000_5000)


@pytest.mark.parametrize("mode", LEVELS)
def test_deep_tables_have_as_many_rows(mode: int) -> None:
    code = tables(mode, {5: NAPOT | (0x8031_0000 | 8 << 12) >> 2 | 0xC7}) + (
        "li s0, 0x40005000\nsd s0, 0(s0)\nj .\n" + HANDLER)
    inspector = inspect(code, "two-stage")
    run(inspector, 200)
    shown = text(inspector, 0x4000_5000, 2)
    assert all(f" L{level} " in shown for level in range(LEVELS[mode]))
    assert f"{(LEVELS[mode] + 1) * 4 - 1} reads" in shown
    assert "64 KiB page" in shown
    assert shown.count("VPN[") == LEVELS[mode]


def test_the_grid_has_a_letter_for_a_page_and_a_line_for_many() -> None:
    inspection = walked("shadow")
    painting = paint_grid(view_space(inspection), 80)
    lines = [line.plain for line in painting.lines]
    assert "80000000  · 512 pages (2 MiB): no frame" in lines
    assert any(line.startswith("80300000  TTT·") for line in lines)
    assert WIDE[0] > NARROW[0]
