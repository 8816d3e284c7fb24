"""Memory as rows: what it is, what changed, what points where; and searches that find what a plain search finds."""

from __future__ import annotations

import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.errors import OptionError
from hartvisor.core.vmm.csr_file import SATP
from hartvisor.core.vmm.inspector import Inspection, Inspector, moves
from hartvisor.core.vmm.views.memory import ROW, MemoryView, Region, Space, view_memory
from hartvisor.core.vmm.views.search import parse_pattern, search
from hartvisor.core.vmm.views.walk import Follow, view_walk

from ..support import MEMORY
from ..test_guest_paging import HANDLER, tables
from .support import TECHNIQUES, do, inspect, look, run, tern

RAM = 0x8000_0000


def view_at(inspector: Inspector, address: int, rows: int = 4, space: Space = Space.VIRTUAL) -> MemoryView:
    found: MemoryView = look(inspector, partial(view_memory, address=address, rows=rows, space=space))
    return found


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_rows_hold_what_the_guest_would_load(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 2_600_000)
    dice = random.Random(2)
    for base in [inspector.vcpu.hart.pc, inspector.vcpu.hart.read_gpr(2), 0x8020_0000, 0x1000_0000, 0,
                 *(RAM + dice.randrange(32 << 20) for _ in range(20)), (1 << 64) - 1]:
        view = view_at(inspector, base)
        assert view.address % ROW == 0 and len(view.rows) == 4
        for row in view.rows:
            assert row.data == (inspector.target.read(0, row.address, ROW, False) or None)
        physical = view_at(inspector, base, space=Space.PHYSICAL)
        for row in physical.rows:
            assert row.data == (inspector.target.read(0, row.address, ROW, True) or None)
    view = view_at(inspector, 0x8020_0000)
    assert view.byte(0x8020_0003) == view.rows[0].data[3] if view.rows[0].data else False
    assert view.word(0x8020_000C) == int.from_bytes(inspector.vm.ram.read(0x8020_000C, 8), "little")
    assert view.word(0x8020_0000 + 4 * ROW - 4) is None


def test_regions_have_names() -> None:
    inspector = tern("shadow")
    run(inspector, 2_600_000)
    hart = inspector.vcpu.hart

    def region(address: int, space: Space = Space.VIRTUAL) -> tuple[Region, str]:
        row = view_at(inspector, address, 1, space).rows[0]
        return row.region, row.name

    assert region(hart.pc)[0] is Region.CODE
    assert region(hart.read_gpr(2))[0] is Region.STACK
    assert region(0x8020_0000) == (Region.CODE, ".text")
    assert region(0x8020_6000) == (Region.DATA, ".rodata")
    root = (inspector.vcpu.csrs.read(SATP) & (1 << 44) - 1) << 12
    assert region(root)[0] is Region.TABLE
    assert region(root, Space.PHYSICAL)[0] is Region.TABLE
    assert region(0x1000_0000) == (Region.UNMAPPED, ""), "the process has no UART"
    assert region(0x1000_0000, Space.PHYSICAL) == (Region.DEVICE, "UART")
    assert region(0x4000_0000, Space.PHYSICAL) == (Region.UNMAPPED, "")


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])
def test_the_machines_own_memory_has_the_hypervisors_tables(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 2_600_000)
    vm = inspector.vm
    walked = view_walk(Inspection([inspector]), Follow.PC)
    stage = walked.shadow.stage if walked.shadow is not None else walked.nested[0]
    entry = stage.entries[-1]
    row = view_at(inspector, entry.address, 1, Space.MACHINE).rows[0]
    assert (row.region, row.gpa) == (Region.TABLE, None)
    assert row.name == ("g-stage" if technique == "two-stage" else "shadow")
    assert row.data is not None
    assert int.from_bytes(row.data[entry.address % ROW:][:8], "little") == entry.value
    gpa = 0x8020_0000
    row = view_at(inspector, vm.ram.hpa(gpa), 1, Space.MACHINE).rows[0]
    assert (row.gpa, row.region, row.data) == (gpa, Region.CODE, vm.ram.read(gpa, ROW))
    end = vm.ram.memory.base + vm.ram.memory.size
    assert view_at(inspector, end, 1, Space.MACHINE).rows[0].region is Region.UNMAPPED
    assert view_at(inspector, end - ROW, 1, Space.MACHINE).rows[0].name == "free"


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_devices_are_not_read(technique: str) -> None:
    """A load of the UART's receiver would take the byte that was typed."""
    inspector = inspect("j .", technique, typed=b"x")
    row = view_at(inspector, 0x1000_0000).rows[0]
    assert (row.region, row.data) == (Region.DEVICE, None)
    assert inspector.vm.bus.load(0x1000_0005, 1) is not None and inspector.vm.bus.load(0x1000_0000, 1) == ord("x")


def test_symbols_and_pointers_are_told() -> None:
    inspector = tern("bare")
    run(inspector, 1_000_000)
    image = inspector.image
    assert image is not None
    start = image.symbols["_start"]
    view = view_at(inspector, start)
    assert view.rows[0].label == (start % ROW, "_start")
    inspector.vm.ram.write(0x8100_0000, (start + 4).to_bytes(8, "little") + bytes(8))
    assert view_at(inspector, 0x8100_0000).rows[0].points == ("_start+0x4", "")
    sp = inspector.vcpu.hart.read_gpr(2)
    assert (sp % ROW, "sp") in view_at(inspector, sp).rows[0].registers
    assert "pc" in [name for _, name in view_at(inspector, inspector.vcpu.hart.pc).rows[0].registers]


CHANGER = """
    li s0, 0x80310000
    li s1, 0xaabb
    nop
    sh s1, 6(s0)
    nop
    sb s1, 17(s0)
    nop
    j .
"""


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_the_last_move_changed_is_marked(technique: str) -> None:
    inspector = inspect(CHANGER, technique)
    place = 0x8031_0000
    assert not view_at(inspector, place, 2).is_compared
    seen = []
    for _ in range(12):
        inspector.begin_move()
        do(moves.step(inspector))
        view = view_at(inspector, place, 2)
        assert view.is_compared
        seen.append(tuple(row.changed for row in view.rows))
        assert seen[-1] == tuple(row.changed for row in view_at(inspector, place, 2).rows), "looked at twice"
    assert [each for each in seen if any(each)] == [(0b1100_0000, 0), (0, 0b10)]


def test_a_long_move_is_compared_with_its_beginning() -> None:
    inspector = inspect(CHANGER, "two-stage")
    place = 0x8031_0000
    view_at(inspector, place, 2)
    inspector.begin_move()
    for _ in range(10):
        run(inspector, 2)
        view = view_at(inspector, place, 2)
    assert tuple(row.changed for row in view.rows) == (0b1100_0000, 0b10)
    inspector.begin_move()      # a search, say: the guest stays where it is
    assert tuple(row.changed for row in view_at(inspector, place, 2).rows) == (0b1100_0000, 0b10)


def test_an_edit_is_a_change() -> None:
    inspector = inspect(CHANGER, "shadow")
    run(inspector, 3)
    place = 0x8031_0000
    view_at(inspector, place, 2)
    assert inspector.target.write(0, place + 1, b"\x55", False)
    assert view_at(inspector, place, 2).rows[0].changed == 0b10
    assert view_at(inspector, place, 2).rows[0].data[1] == 0x55


# --- searching


def find(inspector: Inspector, pattern: bytes, start: int, **how: bool) -> tuple[int | None, int]:
    """Where it is, and in how many slices it was found."""
    move, slices = search(inspector, pattern, start, **how), 1
    while True:
        try:
            next(move)
        except StopIteration as end:
            found: int | None = end.value
            return found, slices
        slices += 1


def test_a_search_goes_once_around() -> None:
    inspector = inspect("j .", "two-stage")
    ram = inspector.vm.ram
    places = [RAM + 0x1_0FFE, RAM + 0x30_0000, RAM + MEMORY - 4]
    for place in places:
        ram.write(place, b"\xDE\xAD\xBE\xEF")
    pattern = b"\xDE\xAD\xBE\xEF"

    def there(start: int, backwards: bool = False, is_physical: bool = False) -> int | None:
        return find(inspector, pattern, start, backwards=backwards, is_physical=is_physical)[0]

    assert there(0) == there(0, is_physical=True) == places[0]
    assert [there(place) for place in places] == [places[1], places[2], places[0]]
    assert [there(place, True, True) for place in places] == [places[2], places[0], places[1]]
    assert there(places[1] - 1) == there(places[2] - 1, True) == places[1]
    assert find(inspector, b"nowhere at all", RAM)[0] is None
    ram.write(places[0], bytes(4))
    ram.write(places[2], bytes(4))
    assert find(inspector, pattern, places[1])[0] == places[1], "around to itself"
    with_looking = look(inspector, lambda inspection: find(inspection.inspector, pattern, 0))
    assert with_looking[0] == places[1]


def test_a_search_follows_the_guests_tables() -> None:
    """Over pages that lie apart, in the order of their virtual addresses."""
    code = tables(8, {0: 0x8032_0000 >> 2 | 0xC7, 1: 0x8031_0000 >> 2 | 0xC3, 2: 0x8033_0000 >> 2 | 0xC7}) + "j .\n"
    inspector = inspect(code + HANDLER, "deprivileged")
    run(inspector, 200)
    ram = inspector.vm.ram
    ram.write(0x8032_0FFC, b"over")
    ram.write(0x8031_0000, b"edge")
    ram.write(0x8033_0000, b"edge")
    assert find(inspector, b"overedge", 0)[0] == 0x4000_0FFC
    assert find(inspector, b"edge", 0x4000_1000)[0] == 0x4000_2000
    assert find(inspector, b"edge", 0x4000_1000, backwards=True)[0] == 0x8033_0000
    assert find(inspector, b"overedge", 0, is_physical=True)[0] is None


@given(st.binary(min_size=1, max_size=5), st.integers(0, 1 << 12), st.booleans(), st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_a_search_finds_what_a_plain_one_does(pattern: bytes, offset: int, backwards: bool, seed: int) -> None:
    ram = PLAIN.vm.ram
    filled = random.Random(seed).randbytes(200)
    base = RAM + 0x40_0000 - 100
    ram.write(base, filled)
    start = RAM + 0x40_0000 - 2048 + offset
    whole = ram.read(RAM, MEMORY)
    at = start - RAM
    if backwards:
        wanted = whole.rfind(pattern, 0, at + len(pattern) - 1)
        wanted = whole.rfind(pattern, at) if wanted < 0 else wanted
    else:
        wanted = whole.find(pattern, at + 1)
        wanted = whole.find(pattern, 0, at + len(pattern)) if wanted < 0 else wanted
    found = find(PLAIN, pattern, start, backwards=backwards, is_physical=True)[0]
    assert found == (None if wanted < 0 else RAM + wanted)


PLAIN = inspect("j .", "bare")


def test_a_long_search_lets_others_run() -> None:
    inspector = tern("bare")
    slices = find(inspector, b"it is nowhere", 0, is_physical=True)[1]
    assert slices > 5


@pytest.mark.parametrize(("text", "pattern"), [
    ("0x80200000", (0x8020_0000).to_bytes(8, "little")), ("0xffff_ffff_0000_0000", b"\0\0\0\0\xff\xff\xff\xff"),
    ("de ad be ef", b"\xde\xad\xbe\xef"), ("deadbeef", b"\xde\xad\xbe\xef"), ("hello", b"hello"),
    ('"de ad"', b"de ad"), ("'0x10'", b"0x10"), (" héllo ", "héllo".encode()), ("12345", b"12345")])
def test_patterns(text: str, pattern: bytes) -> None:
    assert parse_pattern(text) == pattern


@pytest.mark.parametrize("text", ["", '""', "0x10000000000000000", "x" * 300])
def test_what_is_no_pattern_is_a_line(text: str) -> None:
    with pytest.raises(OptionError):
        parse_pattern(text)
