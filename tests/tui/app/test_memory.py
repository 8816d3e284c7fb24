"""Panel 9: memory shown, followed, searched and overwritten, at every size and in both themes."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.inspector import Inspection
from hartvisor.core.vmm.views.memory import Region, Space, view_memory
from hartvisor.tui.app.panels.base import Place
from hartvisor.tui.app.panels.memory import MemoryPanel
from hartvisor.tui.app.panels.memory_lines import FOUND, HexLayout, Pen, layout_for, paint_memory
from tests.vmm.test_guest_paging import HANDLER, tables
from tests.vmm.views.support import inspect, run, tern

from .support import DARK, LIGHT, NARROW, SIZES, WIDE, Desk, glass

RAM = 0x8000_0000

GUEST = tables(8, {0: 0x8031_0000 >> 2 | 0xC7, 1: 0x8033_0000 >> 2 | 0xC7}) + """
    li s0, 0x40000010
    li sp, 0x40000100
    sd sp, 0(s0)
    li s1, 0xaabb
    sd s1, 0(sp)
    j .
""" + HANDLER
"""0x40000010 points to the stack at 0x40000100, where 0xaabb lies."""


def guest(technique: str = "shadow", steps: int = 200) -> Inspection:
    inspector = inspect(GUEST, technique)
    run(inspector, steps)
    return Inspection([inspector])


def panel_of(desk: Desk) -> MemoryPanel:
    panel = desk.app.main.panels["memory"]
    assert isinstance(panel, MemoryPanel)
    return panel


async def goto(desk: Desk, text: str) -> MemoryPanel:
    await desk.press("9", "g")
    await desk.type(text)
    return panel_of(desk)


SCREEN = """\
400000c0s 00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 ................
400000d0s 00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 ................
400000e0s 00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 ................
400000f0s 00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 ................
40000100s bb aa 00 00 00 00 00 00  00 00 00 00 00 00 00 00 ................
40000110s 00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 ................"""


@pytest.mark.parametrize("technique", ["bare", "deprivileged", "shadow", "two-stage"])
def test_the_screen_reads_so(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("9")
        await desk.settle()     # once more: how much is asked for follows the panel's size
        shown = [line[2:-1].rstrip() for line in desk.screen_text()]
        start = shown.index(SCREEN.splitlines()[0])
        assert shown[start:start + 6] == SCREEN.splitlines()
        assert "gva 40000100  stack  gpa 80310100  ◂sp" in shown
        assert "0100: 000000000000aabb  43,707   byte bb 187 10111011" in shown

    glass(test, inspection=guest(technique))


@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_at_home_at_every_size(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("9")
        panel = panel_of(desk)
        assert panel.cursor == 0x4000_0100
        assert "bb aa" in panel.hex.plain or "bbaa" in panel.hex.plain
        assert max(len(line) for line in panel.hex.plain.splitlines()) <= panel.hex.size.width
        await desk.press("z")
        assert max(len(line) for line in panel.hex.plain.splitlines()) <= panel.hex.size.width
        assert len(panel.hex.lines) == panel.hex.size.height
        assert panel.cursor == 0x4000_0100

    glass(test, inspection=guest(), size=size, theme=theme)


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_the_cursor_moves(size: tuple[int, int]) -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0x40000100")
        per = panel._layout.per
        for key, moved in (("right", 1), ("down", 1 + per), ("left", per), ("up", 0), ("end", per - 1), ("home", 0)):
            await desk.press(key)
            assert panel.cursor == 0x4000_0100 + moved, key
        await desk.press("pagedown", "pagedown", "pagedown")
        height = panel.hex.size.height
        assert panel.cursor == 0x4000_0100 + 3 * per * (height - 1)
        assert f"{panel.cursor & -per:08x}" in panel.hex.plain
        await desk.press("pageup", "pageup", "pageup")
        assert panel.cursor == 0x4000_0100
        await desk.pilot.click(panel.hex, offset=(panel._layout.column(3), 2))
        await desk.settle()
        assert panel.cursor == panel._top + 2 * per + 3

    glass(test, inspection=guest(), size=size)


def test_the_ends_of_all_addresses() -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0")
        await desk.press("up", "left")
        assert panel.cursor == 0
        assert "not mapped" in panel.hex.plain
        panel = await goto(desk, "0xffffffffffffffff")
        await desk.press("down", "right")
        assert panel.cursor == (1 << 64) - 1
        assert "fffffffffffffff0-" in panel.hex.plain

    glass(test, inspection=guest())


def test_pointers_are_followed_and_the_way_back_is_kept() -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0x40000013")
        await desk.press("enter")
        assert panel.cursor == 0x4000_0100
        await desk.press("enter")
        assert panel.cursor == 0xAABB
        await desk.press("enter")
        assert "no doubleword" in desk.notices()[-1]
        await desk.press("h")
        assert panel.cursor == 0x4000_0100
        await desk.press("h")
        assert panel.cursor == 0x4000_0013
        await desk.press("l")
        assert panel.cursor == 0x4000_0100
        await desk.press("i")
        assert panel.cursor == desk.inspector.vcpu.hart.pc
        await desk.press("k")
        assert panel.cursor == 0x4000_0100

    glass(test, inspection=guest())


@pytest.mark.parametrize("technique", ["bare", "shadow", "two-stage"])
def test_the_same_byte_in_every_space(technique: str) -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0x40000105")
        ram = desk.inspector.vm.ram
        await desk.press("v")
        assert (panel.space, panel.cursor) == (Space.PHYSICAL, 0x8031_0105)
        assert "gpa 80310105" in "\n".join(desk.screen_text())
        await desk.press("right_square_bracket")
        assert (panel.space, panel.cursor) == (Space.MACHINE, ram.hpa(0x8031_0105))
        await desk.press("v")
        assert (panel.space, panel.cursor) == (Space.VIRTUAL, 0x4000_0105)
        await desk.press("left_square_bracket", "left_square_bracket")
        assert (panel.space, panel.cursor) == (Space.PHYSICAL, 0x8031_0105)

    glass(test, inspection=guest(technique))


def test_devices_are_named_and_left_alone() -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0x10000000")
        assert "UART: a device, not read" in panel.hex.plain
        assert panel.at_cursor() is None
        await desk.press("o")
        assert "only the guest's RAM" in desk.notices()[-1]

    glass(test, inspection=Inspection([inspect("j .", "shadow")]))


def test_a_search_goes_forwards_and_backwards() -> None:
    async def test(desk: Desk) -> None:
        ram = desk.inspector.vm.ram
        for place in (0x8031_0200, 0x8031_0F00, 0x8033_0010):
            ram.write(place, b"needle")
        panel = await goto(desk, "0x40000100")

        async def find(*keys: str) -> int | None:
            await desk.press(*keys)
            await desk.settle(is_patient=True)
            return panel.cursor

        await desk.press("slash")
        await desk.type('"needle"')
        await desk.settle(is_patient=True)
        assert panel.cursor == 0x4000_0200
        assert await find("full_stop") == 0x4000_0F00
        assert await find("full_stop") == 0x4000_1010
        assert await find("comma") == 0x4000_0F00
        assert panel._marked == (0x4000_0F00, 0x4000_0F06)
        await desk.press("slash")
        await desk.type("0x40000100")
        await desk.settle(is_patient=True)
        assert panel.cursor == 0x8031_0010, "a 64-bit number, where RAM is mapped once more"
        await desk.press("full_stop")
        await desk.settle(is_patient=True)
        assert panel.cursor == 0x4000_0010, "around the end"
        await desk.press("slash")
        await desk.type("6e 65 65 64")
        await desk.settle(is_patient=True)
        assert panel.cursor == 0x4000_0200, "bytes"
        await desk.press("slash")
        await desk.type("nowhere")
        await desk.settle(is_patient=True)
        assert desk.notices()[-1] == "not found" and panel.cursor == 0x4000_0200
        await desk.press("v", "slash")
        await desk.type("needle")
        await desk.settle(is_patient=True)
        assert panel.cursor == 0x8031_0F00

    glass(test, inspection=guest("two-stage"))


def test_a_search_for_nothing_is_a_line() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("9", "full_stop")
        assert "search for something first" in desk.notices()[-1]
        await desk.press("slash")
        await desk.type('""')
        assert "nothing to search for" in desk.notices()[-1]

    glass(test, inspection=guest())


@pytest.mark.parametrize("technique", ["bare", "deprivileged", "shadow", "two-stage"])
def test_typing_overwrites_and_forks_the_timeline(technique: str) -> None:
    async def test(desk: Desk) -> None:
        inspector = desk.inspector
        end = inspector.end
        await desk.press("S", "S")
        assert inspector.step < end
        panel = await goto(desk, "0x40000100")
        await desk.press("o")
        assert "typing" in str(panel.border_subtitle)
        await desk.press("c", "0")
        assert inspector.vm.ram.load(0x8031_0100, 2) == 0xAAC0, "digits are not keys of the app's now"
        await desk.press("f", "e", "1")
        assert inspector.vm.ram.load(0x8031_0100, 2) == 0xFEC0
        assert panel.cursor == 0x4000_0102
        await desk.press("escape", "right")
        assert panel.cursor == 0x4000_0103 and not panel.hex.is_typing
        assert inspector.vm.ram.load(0x8031_0102, 1) == 0, "half a byte is none"
        assert inspector.end == inspector.step, "another future begins here"
        assert panel.view.rows[[row.address for row in panel.view.rows].index(0x4000_0100)].changed == 0b11
        await desk.press("s")
        assert inspector.vm.ram.load(0x8031_0100, 2) == 0xFEC0

    glass(test, inspection=guest(technique))


def test_the_machines_memory_is_overwritten_only_where_the_guests_is() -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0x40000100")
        await desk.press("v", "v", "o", "1", "2", "escape")
        assert desk.inspector.vm.ram.load(0x8031_0100, 1) == 0x12
        root = desk.inspector.vcpu.hart.read_csr(0x280) & (1 << 44) - 1
        await desk.press("g")
        await desk.type(f"{root << 12:#x}")
        assert panel.view.rows[0].region is not Region.UNMAPPED
        await desk.press("o")
        assert "only the guest's RAM" in desk.notices()[-1]

    glass(test, inspection=guest("shadow"))


def test_the_last_writer_of_what_the_cursor_is_on() -> None:
    async def test(desk: Desk) -> None:
        panel = await goto(desk, "0x40000104")
        assert panel.at_cursor() == Place("gva", 0x4000_0100, 8)
        await desk.press("r")
        inspector = desk.inspector
        assert inspector.vm.ram.load(0x8031_0100, 8) == 0
        await desk.press("s")
        assert inspector.vm.ram.load(0x8031_0100, 8) == 0xAABB
        row = next(row for row in panel.view.rows if row.address == 0x4000_0100)
        assert row.changed == 0b11
        await desk.press("w")
        assert [each.where for each in inspector.watchpoints] == [0x8031_0100]

    glass(test, inspection=guest())


# --- painting


@pytest.mark.parametrize("width", [30, 40, 54, 62, 76, 78, 96, 120, 196])
@pytest.mark.parametrize("highest", [0x8000_0000, 0x3F_FFFF_FFFF, (1 << 64) - 1])
def test_layouts_fit_and_find_their_bytes(width: int, highest: int) -> None:
    layout = layout_for(width, highest)
    if width >= 54:
        assert layout.ascii_column + layout.per <= width
    for index in range(layout.per):
        assert layout.byte_at(layout.column(index)) == index
        assert layout.byte_at(layout.ascii_column + index) == index
    assert layout.byte_at(0) is None


def test_an_ordinary_terminal_has_room_for_sixteen_bytes() -> None:
    assert layout_for(76, 0x8000_0000) == HexLayout(8, 16, True, 76)
    assert layout_for(76, (1 << 64) - 1) == HexLayout(16, 16, False, 76)
    assert layout_for(120, 0x8000_0000).has_notes and not layout_for(76, 0x8000_0000).has_notes


def test_notes_tell_symbols_pointers_and_registers() -> None:
    inspector = tern("bare")
    run(inspector, 1_000_000)
    image = inspector.image
    assert image is not None
    start = image.symbols["_start"]
    inspector.vm.ram.write(RAM + 0x100_0000, (start + 4).to_bytes(8, "little"))
    inspection = Inspection([inspector])
    layout = layout_for(130, RAM)
    view = view_memory(inspection, RAM + 0x100_0000, 4)
    lines = [line.plain for line in paint_memory(view, layout, view.address, 4, Pen(view.address))]
    assert lines[0].endswith("→_start+0x4 ")
    view = view_memory(inspection, start, 1)
    assert " _start " in paint_memory(view, layout, view.address, 1, Pen(start))[0].plain
    pc = inspector.vcpu.hart.pc
    view = view_memory(inspection, pc, 1)
    assert "◂pc" in paint_memory(view, layout, view.address, 1, Pen(pc))[0].plain


def test_what_was_found_is_marked_and_what_is_typed_is_shown() -> None:
    inspection = guest("bare")
    view = view_memory(inspection, 0x4000_0100, 1)
    layout = layout_for(76, RAM)
    line = paint_memory(view, layout, view.address, 1, Pen(0, (0x4000_0100, 0x4000_0102)))[0]
    assert sum(FOUND in str(span.style) for span in line.spans) == 4, "two bytes, and their text"
    typed = paint_memory(view, layout, view.address, 1, Pen(0x4000_0100, (0, 0), True, "7"))[0]
    assert " 7b " in typed.plain
