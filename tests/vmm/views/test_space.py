"""The address space, and the grid of pages: what a page-by-page look finds, at once."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.isa.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.csr_file import SATP
from hartvisor.core.vmm.inspector import Inspection, Inspector, back
from hartvisor.core.vmm.inspector.moves import goto, step
from hartvisor.core.vmm.views.address_space import address_space
from hartvisor.core.vmm.views.places import PlaceKind, place_of
from hartvisor.core.vmm.views.space import DIRTY, PageState, SpaceView, view_space
from hartvisor.core.vmm.views.walk import Follow, view_walk
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image, programs

from ...hart.walker import Fault
from ..support import MEMORY
from ..test_guest_paging import HANDLER, LEVELS, NAPOT, PBMT, ROOT, tables
from .support import HYPERVISED, TECHNIQUES, do, inspect, look, run, tern
from .test_walk import guest_walker

RAM = 0x8000_0000


def mapped(view: SpaceView, gva: int) -> tuple[int | None, int] | None:
    """Where the view says that an address leads, and with what permissions; its GPA is None where it is scattered."""
    for each in view.ranges:
        if each.gva <= gva < each.gva + each.size:
            return (each.gpa + gva - each.gva if each.is_contiguous else None), each.flags
    return None


def check(inspector: Inspector, view: SpaceView, gvas: list[int]) -> int:
    """The view against the independent walker; how many of the addresses are mapped."""
    walker = guest_walker(inspector, [])
    hits = 0
    for gva in gvas:
        found = mapped(view, gva)
        outcomes = {}
        for user in (False, True):
            for access in range(3):
                walker.is_user, walker.sum = user, not user
                try:
                    outcomes[user, access] = walker.translate(gva, access)
                except Fault:
                    continue
        if found is None:
            assert not outcomes, f"{gva:#x}"
            continue
        hits += 1
        gpa, flags = found
        assert set(outcomes.values()) <= ({gpa} if gpa is not None else set(outcomes.values()))
        for (user, access), there in outcomes.items():
            assert flags & (PTE_X, PTE_R, PTE_W)[access], f"{gva:#x} to {there:#x}"
            assert not user or flags & PTE_U
    return hits


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_ranges_are_what_the_walker_finds_page_by_page(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 2_600_000)
    view: SpaceView = look(inspector, view_space)
    dice = random.Random(1)
    edges = [edge for each in view.ranges for edge in (each.gva - 8, each.gva, each.gva + each.size - 8,
                                                      each.gva + each.size)]
    anywhere = [dice.choice([dice.randrange(1 << 39), RAM + dice.randrange(32 << 20), dice.randrange(0x4_0000)])
                for _ in range(100)]
    assert check(inspector, view, [*edges, *anywhere]) > 2 * len(view.ranges) - 1
    names = {each.name for each in view.ranges}
    assert {".text", ".rodata", ".bss", "device tree"} <= names
    holders = [each for each in view.ranges if "pc" in each.holds]
    assert len(holders) == 1 and holders[0].flags & PTE_X
    assert view.tables == len(address_space(inspector).tables)


def test_every_technique_shows_the_same_address_space_and_pages() -> None:
    views = []
    for technique in TECHNIQUES:
        inspector = tern(technique)
        run(inspector, 1_500_000)
        views.append(view_space(Inspection([inspector])))
    assert len({view.ranges for view in views}) == 1
    # How far apart checkpoints lie depends on how fast the host is, and what is dirty on where the last one lies.
    pages = [bytes(page & ~DIRTY for page in view.pages) for view in views]
    assert len(set(pages[1:])) == 1
    assert bytes(PageState.ABSENT if page == PageState.ALLOCATED else page for page in pages[0]) == pages[1]


@pytest.mark.parametrize("mode", LEVELS)
def test_deep_tables_and_the_upper_half(mode: int) -> None:
    bits = {8: 39, 9: 48, 10: 57}[mode]
    code = tables(mode, {0: 0x8031_0000 >> 2 | 0xC7, 3: NAPOT | (0x8031_0000 | 8 << 12) >> 2 | 0xD7,
                         4: PBMT | 0x8032_0000 >> 2 | 0xC3}) + f"""
        li t0, {ROOT + 8 * 511:#x}
        li t1, {ROOT + 0x1000 >> 2 | 1:#x}
        {"sd t1, 0(t0)" if mode != 8 else "nop"}
        j .
    """ + HANDLER
    inspector = inspect(code, "shadow")
    run(inspector, 200)
    view = look(inspector, view_space)
    assert view.format == f"Sv{bits}"
    low = [each for each in view.ranges if each.gva < 1 << 63]
    assert [(each.size, each.permissions, each.kind) for each in low[:3]] == [
        (0x1000, "rw---", ""), (0x1000, "rw-u-", "64K"), (0x1000, "r----", "NC")]
    giant = low[3:]
    assert {(each.permissions, each.level) for each in giant} == {("rwx--", 2)}
    assert [each.place.name for each in giant] == ["RAM", "image", "RAM", "device tree", "nothing"]
    assert giant[-1].place.kind is PlaceKind.NOTHING
    assert (giant[0].gva, sum(each.size for each in giant)) == (RAM, 1 << 30)
    if mode != 8:
        high = [each for each in view.ranges if each.gva >= 1 << 63]
        lowest = (1 << 64) - (1 << bits - 9)
        assert [each.gva - lowest for each in high] == [each.gva for each in low]
    check(inspector, view, [each.gva for each in view.ranges])


entries = st.one_of(
    st.just(0),
    st.builds(lambda page, flags: page >> 2 | flags, st.sampled_from([ROOT + 0x1000, ROOT + 0x2000, ROOT + 0x3000,
                                                                    0x8040_0000, 0x1000_0000, 0x4000_0000]),
              st.integers(0, 255)),
    st.builds(lambda page: page >> 2 | PTE_V, st.sampled_from([ROOT, ROOT + 0x1000, ROOT + 0x2000, ROOT + 0x3000])),
    st.integers(0, (1 << 64) - 1))


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2, 3, 255, 256, 510, 511])), entries,
                       min_size=4, max_size=24))
@settings(max_examples=60, deadline=None)
def test_any_tables_at_all(wanted: dict[tuple[int, int], int]) -> None:
    """Tables that lead to each other, to devices and to nothing, with bits that none may have."""
    inspector = inspect("j .", "bare")
    vm = inspector.vm
    for (table, index), pte in wanted.items():
        vm.ram.store(ROOT + 0x1000 * table + 8 * index, 8, pte | PTE_A | PTE_D if pte & 0xE else pte)
    vm.vcpus[0].csrs.write(SATP, 8 << 60 | ROOT >> 12)
    view = view_space(Inspection([inspector]))
    indices = [0, 1, 2, 3, 255, 256, 510, 511]
    dice = random.Random(len(wanted))
    gvas = []
    for _ in range(80):
        gva = sum(dice.choice(indices) << shift for shift in (30, 21, 12))
        gvas.append(gva | (0xFFFF_FF80_0000_0000 if gva >> 38 else 0) | dice.randrange(4096))
    check(inspector, view, gvas)
    ends = [(each.gva, each.gva + each.size) for each in view.ranges]
    assert all(end <= start for (_, end), (start, _) in pairwise(ends)), "in order, none overlapping"


def test_tables_without_end_are_cut() -> None:
    inspector = inspect("j .", "bare")
    for index in range(512):
        inspector.vm.ram.store(ROOT + 8 * index, 8, ROOT >> 2 | PTE_V)
    inspector.vm.vcpus[0].csrs.write(SATP, 10 << 60 | ROOT >> 12)
    view = view_space(Inspection([inspector]))
    assert view.is_cut and view.ranges == ()


def test_without_paging_there_are_no_ranges() -> None:
    inspector = inspect("j .", "two-stage")
    view = look(inspector, view_space)
    assert (view.format, view.ranges, view.tables) == (None, (), 0)
    assert len(view.pages) == MEMORY >> 12
    assert view.counts[PageState.ABSENT] + sum(count for owner, count in view.owners if owner == "guest") == (
        MEMORY >> 12)


@pytest.mark.parametrize("technique", HYPERVISED)
def test_pages_are_what_happened_to_them(technique: str) -> None:
    code = tables(8, {0: 0x8031_0000 >> 2 | 0xC7, 1: 0x8032_0000 >> 2 | 0xC7}) + """
        li s0, 0x40000000
        sd s0, 0(s0)
        li s1, 0x40001000
        ld a0, 0(s1)
        j .
    """ + HANDLER
    inspector = inspect(code, technique)
    run(inspector, 200)
    view = look(inspector, view_space)

    def state(gpa: int) -> PageState:
        return PageState(view.pages[gpa - view.base >> 12] & ~DIRTY)

    assert state(0x8020_0000) is PageState.CODE
    assert [state(ROOT + 0x1000 * n) for n in range(3)] == [PageState.TABLE] * 3
    assert state(0x8031_0000) is PageState.WRITTEN
    assert state(0x8032_0000) is PageState.ALLOCATED, "a load got it a frame"
    assert state(0x8040_0000) is PageState.ABSENT
    assert sum(view.counts) == len(view.pages)
    kinds = {owner for owner, _ in view.owners}
    assert kinds == ({"guest", "g-stage"} if technique == "two-stage" else {"guest", "shadow"})


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_dirty_is_since_the_last_checkpoint(technique: str) -> None:
    code = """
        li s0, 0x80310000
        li s1, 0x80320000
        sd s0, 0(s0)
        nop
        nop
        sd s0, 0(s1)
        j .
    """
    inspector = inspect(code, technique)
    while inspector.vm.ram.load(0x8031_0000, 8) == 0:
        do(step(inspector))
    assert inspector.timeline is not None
    inspector.timeline.mark()
    do(step(inspector))
    view = look(inspector, view_space)
    dirty = [number for number, page in enumerate(view.pages) if page & DIRTY]
    assert (view.since, dirty, view.dirty) == (inspector.timeline.here, [], 0)
    while inspector.vm.ram.load(0x8032_0000, 8) == 0:
        do(step(inspector))
    view = look(inspector, view_space)
    assert [RAM + (number << 12) for number, page in enumerate(view.pages) if page & DIRTY] == [0x8032_0000]
    do(back.reverse_step(inspector))
    assert not view_space(Inspection([inspector])).dirty


def test_user_programs_name_their_ranges() -> None:
    config = VmConfig(technique="shadow", memory=32 << 20, append="workload=1")
    inspector = Inspector("tern", Vm(config, load_image(image("kernel"))), programs=programs())
    run(inspector, 2_600_000)
    view = look(inspector, view_space)
    assert next(each.name for each in view.ranges if each.gva == 0x1_0000).endswith(" .text")


def test_a_table_that_changes_is_read_again() -> None:
    inspector = inspect(tables(8, {0: 0x8031_0000 >> 2 | 0xC7}) + f"""
        li s0, {ROOT + 0x2000:#x}
        sd zero, 0(s0)
        j .
    """ + HANDLER, "bare")
    seen = []
    for at in range(80):
        do(goto(inspector, at))
        seen.append(mapped(view_space(Inspection([inspector])), 0x4000_0000))
    assert {None, (0x8031_0000, PTE_R | PTE_W)} == set(seen)
    assert seen[-1] is None
    do(goto(inspector, 20 + seen[20:].index((0x8031_0000, PTE_R | PTE_W))))
    assert mapped(view_space(Inspection([inspector])), 0x4000_0000) is not None


def test_places_have_the_boards_names() -> None:
    inspector = tern("bare")
    assert place_of(inspector, 0x1000_0000).name == "UART"
    assert place_of(inspector, 0x1000_1000).name == "virtio 0"
    assert place_of(inspector, 0xC00_0004).name == "PLIC"
    assert place_of(inspector, RAM).kind is PlaceKind.RAM
    assert place_of(inspector, 0x8020_0000).name == ".text"
    assert place_of(inspector, 0x4000_0000).kind is PlaceKind.NOTHING
    assert place_of(inspector, RAM + (32 << 20)).kind is PlaceKind.NOTHING
    view = view_walk(Inspection([inspector]), Follow.ADDRESS, 0x1000_0000)
    assert view.place is not None and view.place.kind is PlaceKind.DEVICE and view.frame is None
