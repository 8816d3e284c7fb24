"""The page walk agrees with a walker that shares nothing with it, and with the hart, entry by entry."""

from __future__ import annotations

import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.hart import Memory
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.isa.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.csr_file import SATP, SSTATUS, SSTATUS_MXR, SSTATUS_SUM
from hartvisor.core.vmm.inspector import Inspection, Inspector, back, exit_moves
from hartvisor.core.vmm.inspector.stops import Watched, Watchpoint
from hartvisor.core.vmm.views.places import PlaceKind
from hartvisor.core.vmm.views.shadow_walk import Agreement
from hartvisor.core.vmm.views.stages import StageView, Who, entries_of, walk_stage
from hartvisor.core.vmm.views.walk import Follow, WalkView, view_walk
from hartvisor.core.vmm.vm import Vm
from hartvisor.core.vmm.walker import FETCH, LOAD, STORE, walk
from hartvisor.guest import image

from ...hart.walker import Fault, Stage, Walker
from ..test_guest_paging import HANDLER, LEVELS, NAPOT, PBMT, ROOT, tables
from .support import TECHNIQUES, do, inspect, look, run, tern

ACCESSES = (FETCH, LOAD, STORE)
BASE = 0x8000_0000


def addresses(seed: int) -> list[int]:
    """Of tern's processes, of its kernel, of devices, and of nothing at all."""
    dice = random.Random(seed)
    return [dice.choice([dice.randrange(0x1_0000, 0x3_0000), 0x2000_0000 + dice.randrange(0x4000),
                         BASE + dice.randrange(32 << 20), dice.randrange(1 << 30), dice.randrange(1 << 39),
                         0x1000_0000 + dice.randrange(0x2000), dice.randrange(1 << 64), (1 << 64) - 1 -
                         dice.randrange(1 << 38)]) for _ in range(60)]


def guest_walker(inspector: Inspector, reads: list[int]) -> Walker:
    """The independent walker, over the guest's memory by GPA."""
    vcpu, ram = inspector.vcpu, inspector.vm.ram
    status = vcpu.csrs.read(SSTATUS)

    def load(gpa: int) -> int | None:
        reads.append(gpa)
        return int.from_bytes(ram.read(gpa, 8), "little") if ram.contains(gpa, 8) else None

    return Walker(load, vcpu.csrs.read(SATP), is_user=not vcpu.mode, sum=bool(status & SSTATUS_SUM),
                  mxr=bool(status & SSTATUS_MXR), first=Stage(pbmte=True))


def outcome(stage: StageView, access: int) -> tuple[int | None, int | None]:
    """Where a stage led, or the cause of the fault that the manual makes of it."""
    if stage.rule is None:
        return stage.result, None
    return None, ({0: 1, 1: 5, 2: 7} if stage.rule.is_access_fault else {0: 12, 1: 13, 2: 15})[access]


def expected(walker: Walker, gva: int, access: int) -> tuple[int | None, int | None]:
    try:
        return walker.translate(gva, access), None
    except Fault as fault:
        return None, fault.cause


def in_mode(inspector: Inspector, mode: int) -> None:
    """On, until the guest is in this mode, with paging on."""
    while inspector.vcpu.mode != mode or not inspector.vcpu.csrs.read(SATP):
        run(inspector, 173)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(("steps", "mode"), [(900_000, 1), (2_600_000, 0), (2_600_000, 1)])
def test_the_guests_walk_is_the_manuals(technique: str, steps: int, mode: int) -> None:
    inspector = tern(technique)
    run(inspector, steps)
    in_mode(inspector, mode)
    inspection = Inspection([inspector])
    led = 0
    for gva in addresses(steps):
        for access in ACCESSES:
            view = view_walk(inspection, Follow.ADDRESS, gva, access)
            reads: list[int] = []
            assert outcome(view.guest, access) == expected(guest_walker(inspector, reads), gva, access)
            assert [entry.address for entry in view.guest.entries] == [
                gpa for gpa in reads if inspector.vm.ram.contains(gpa, 8)]
            led += view.guest.result is not None
    assert led >= (10 if mode else 3)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_harts_own_tables_lead_where_the_hart_goes(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 2_600_000)
    in_mode(inspector, 1)
    hart, inspection = inspector.vcpu.hart, Inspection([inspector])
    found = 0
    for gva in [*addresses(7), *range(0x8020_0000, 0x8021_0000, 0x800)]:
        for access in ACCESSES:
            view = view_walk(inspection, Follow.ADDRESS, gva, access)
            hpa, cause = hart.translate(gva, access)
            is_fault = view.shadow.stage.rule is not None if view.shadow is not None else view.guest.rule is not None
            if view.nested and not is_fault:
                is_fault = view.nested[-1].rule is not None
            if any(stage.rule is not None for stage in view.nested[:-1]):
                continue        # the hart stops at a guest table that the G-stage does not map yet
            assert is_fault == bool(cause)
            if not cause:
                assert view.hpa == hpa
                found += 1
                if view.place is not None and view.place.kind is PlaceKind.RAM:
                    assert view.frame == hpa
    assert found > 10


@pytest.mark.parametrize("mode", LEVELS)
def test_a_nested_walk_reads_what_the_formula_says(mode: int) -> None:
    """(v + 1)(g + 1) - 1 entries: for Sv39 on Sv39x4 they are 15."""
    inspector = inspect(tables(mode, {0: 0x8031_0000 >> 2 | 0xC7}) + "li s0, 0x40000000\nsd a0, 8(s0)\nj .\n" + HANDLER,
                        "two-stage")
    run(inspector, 150)
    view: WalkView = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=0x4000_0008, access=STORE))
    levels = LEVELS[mode]
    assert [len(stage.entries) for stage in view.nested] == [3] * (levels + 1)
    assert view.reads == (levels + 1) * (3 + 1) - 1
    reads = []
    memory = inspector.vcpu.hart.memory

    def load(hpa: int) -> int | None:
        reads.append(hpa)
        return memory.load(hpa, 8) if memory.contains(hpa, 8) else None

    oracle = Walker(load, inspector.vcpu.csrs.read(SATP), inspector.vcpu.hart.read_csr(BY_NAME["hgatp"].number),
                    is_guest=True, first=Stage(pbmte=True))
    assert oracle.translate(0x4000_0008, STORE) == view.hpa
    assert len(reads) == view.reads
    seen = []
    for number, stage in enumerate(view.nested):
        seen += [entry.address for entry in stage.entries]
        if number < levels:
            assert stage.result is not None
            seen.append(stage.result)
    assert seen == reads, "in the order in which the hart reads them"


@pytest.mark.parametrize("technique", ["deprivileged", "shadow"])
def test_the_shadow_walk_is_the_guests_composed_with_the_frame_map(technique: str) -> None:
    inspector = tern(technique)
    run(inspector, 2_600_000)
    inspection = Inspection([inspector])
    seen = set()
    for gva in [*addresses(3), inspector.vcpu.hart.pc, inspector.vcpu.hart.read_gpr(2)]:
        view = view_walk(inspection, Follow.ADDRESS, gva)
        assert view.shadow is not None
        assert not view.shadow.is_stale
        seen |= {mirror.agreement for mirror in view.shadow.mirrors}
        for entry, mirror in zip(view.shadow.stage.entries, view.shadow.mirrors, strict=False):
            if mirror.table is not None and entry.is_pointer:
                guest = next(each for each in view.guest.entries if each.level == entry.level)
                assert mirror.table | entry.index * 8 == guest.address
    assert {Agreement.AGREES, Agreement.ABSENT} <= seen
    assert any(role.is_present for role in view.shadow.roles)


def test_a_guarded_table_is_told_from_a_stale_entry() -> None:
    """tern maps all of its RAM writable; where a table lies, W is withheld."""
    inspector = tern("shadow")
    run(inspector, 2_600_000)
    root = (inspector.vcpu.csrs.read(SATP) & (1 << 44) - 1) << 12
    view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=root, access=STORE))
    mirrors = view.shadow.mirrors
    if mirrors[-1].agreement is Agreement.ABSENT:
        run(inspector, 400_000)
        view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=root, access=STORE))
    assert view.shadow.mirrors[-1].agreement in (Agreement.GUARDED, Agreement.ABSENT)


# --- rules

flags = st.integers(0, 1023)
pointer = st.sampled_from([1, 1, 1, 0, 0x41, 0x11, 1 | 1 << 63, 1 | 1 << 54, 5])
leaf = st.builds(lambda low, high: low | high, flags, st.sampled_from([0, 0, 0, 1 << 63, 1 << 61, 3 << 61, 1 << 58]))
GVA = 0x4020_3456


@given(pointer, pointer, leaf, st.sampled_from([0x8000_3000, 0x8000_8000, 0x1000]), st.sampled_from(ACCESSES),
       st.booleans(), st.booleans(), st.booleans(), st.sampled_from([0, 1, 2]), st.booleans())
@settings(max_examples=500, deadline=None)
def test_a_rule_is_broken_where_the_walker_faults(root: int, middle: int, last: int, page: int, access: int, user: bool,
                                                  sum_: bool, mxr: bool, leaf_level: int, updates_ad: bool) -> None:
    memory = Memory(64 << 12, base=BASE)
    entries = [0x8000_1000 >> 2 | root, 0x8000_2000 >> 2 | middle, page >> 2 | last]
    if leaf_level:
        entries[2 - leaf_level] = page >> 2 | last
    for level, pte in zip((2, 1, 0), entries, strict=True):
        memory.store(BASE + (2 - level) * 0x1000 + (GVA >> 12 + 9 * level & 511) * 8, 8, pte)
    who = Who(access, user, sum_, mxr)
    stage = walk_stage(entries_of(memory), "guest", "satp", 8 << 60 | BASE >> 12, GVA, who, updates_ad=updates_ad)
    found = walk(entries_of(memory), 8 << 60 | BASE >> 12, GVA, access, user, sum_, mxr, updates_ad=updates_ad)
    assert outcome(stage, access) == (None if found.cause is not None else found.gpa, found.cause)
    assert tuple((entry.address, entry.value) for entry in stage.entries) == found.levels


GOOD = PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D


@pytest.mark.parametrize(("pte", "who", "step", "words"), [
    (0, Who(LOAD), 3, "V=0"),
    (PTE_V | PTE_W, Who(STORE), 3, "W=1 with R=0"),
    (PTE_V | 1 << 55, Who(LOAD), 3, "reserved bits"),
    (PTE_V | PTE_U, Who(LOAD), 3, "U set in a pointer"),
    (PTE_V, Who(LOAD), 4, "no next table"),
    (GOOD | PTE_U, Who(LOAD), 6, "SUM=0"),
    (GOOD | PTE_U, Who(FETCH, sum_=True), 6, "never execute user pages"),
    (GOOD, Who(LOAD, user=True), 6, "not for user mode"),
    (PTE_V | PTE_R | PTE_A, Who(STORE), 8, "needs W"),
    (PTE_V | PTE_R | PTE_A, Who(FETCH), 8, "needs X"),
    (PTE_V | PTE_X | PTE_A, Who(LOAD), 8, "MXR=0"),
    (PTE_V | PTE_R, Who(LOAD), 9, "A=0"),
    (PTE_V | PTE_R | PTE_W | PTE_A, Who(STORE), 9, "D=0"),
    (GOOD | 3 << 61, Who(LOAD), 3, "PBMT=3"),
    (GOOD | 1 << 63, Who(LOAD), 3, "64 KiB alone"),
])
def test_each_rule_names_its_step(pte: int, who: Who, step: int, words: str) -> None:
    memory = Memory(64 << 12, base=BASE)
    for level, entry in ((2, 0x8000_1000 >> 2 | 1), (1, 0x8000_2000 >> 2 | 1), (0, 0x8000_3000 >> 2 | pte)):
        memory.store(BASE + (2 - level) * 0x1000 + (GVA >> 12 + 9 * level & 511) * 8, 8, entry)
    stage = walk_stage(entries_of(memory), "guest", "satp", 8 << 60 | BASE >> 12, GVA, who)
    assert stage.rule is not None
    assert (stage.rule.step, words in stage.rule.text) == (step, True), stage.rule.text


def test_a_misaligned_superpage_and_an_address_that_is_not_canonical() -> None:
    memory = Memory(64 << 12, base=BASE)
    memory.store(BASE + 8, 8, 0x8000_3000 >> 2 | GOOD)
    load = entries_of(memory)
    stage = walk_stage(load, "guest", "satp", 8 << 60 | BASE >> 12, GVA, Who(LOAD))
    assert stage.rule is not None and stage.rule.step == 5 and "18 bits" in stage.rule.text
    stage = walk_stage(load, "guest", "satp", 8 << 60 | BASE >> 12, 1 << 38, Who(LOAD))
    assert stage.rule is not None and stage.rule.step == 1 and stage.entries == () and "bit 38" in stage.rule.text
    stage = walk_stage(load, "G-stage", "hgatp", 8 << 60 | BASE >> 12, 1 << 41, Who(LOAD))
    assert stage.rule is not None and "zero under Sv39x4" in stage.rule.text


@pytest.mark.parametrize(("pte", "size", "gpa"), [
    (NAPOT | (0x8031_0000 | 8 << 12) >> 2 | 0xC7, 64 << 10, 0x8031_5008),
    (PBMT | 0x8032_0000 >> 2 | 0xC7, 4 << 10, 0x8032_0008)])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_upper_bits_are_shown_for_what_they_are(technique: str, pte: int, size: int, gpa: int) -> None:
    code = tables(8, dict.fromkeys((0, 5), pte)) + "li s0, 0x40005000\nsd a0, 8(s0)\nj .\n" + HANDLER
    inspector = inspect(code, technique)
    run(inspector, 150)
    view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=0x4000_5008, access=STORE))
    assert (view.guest.size, view.guest.result) == (size, gpa)
    assert view.guest.leaf.is_napot == bool(pte & NAPOT)
    assert view.guest.leaf.pbmt == (pte & PBMT) >> 61
    assert view.guest.result is not None and view.hpa == view.frame


# --- which address


@pytest.mark.parametrize("technique", TECHNIQUES[1:])
def test_at_an_exit_its_tval_is_followed(technique: str) -> None:
    inspector = tern(technique)
    seen = set()
    for _ in range(40):
        do(exit_moves.next_exit(inspector))
        assert inspector.exit is not None and inspector.log is not None
        view = look(inspector, view_walk)
        logged = inspector.log[inspector.exit]
        if view.why.startswith("tval"):
            assert view.gva == logged.tval
        else:
            assert (view.gva, view.who.access) == (logged.pc, FETCH)
        seen.add((view.why[:4], view.filled is not None))
    assert ("tval", True) in seen
    assert view_walk(Inspection([inspector]), Follow.SP).gva == inspector.vcpu.hart.read_gpr(2)


def test_what_an_exit_filled_is_told() -> None:
    """The hypervisor's tables are no state of the guest's: at an exit that filled one, it is filled already."""
    inspector = tern("two-stage")
    do(exit_moves.next_exit(inspector))
    view = look(inspector, view_walk)
    assert view.filled == (0, 3), "a leaf, and both tables on the way"
    assert view.nested[-1].rule is None


# --- what is stale


def stale_guest(fence: str) -> str:
    return tables(8, {5: 0x8031_0000 >> 2 | 0xC7}) + f"""
        li s0, 0x40005000
        ld a0, 0(s0)
        li s1, {ROOT + 0x2028:#x}
        li s2, {0x8032_0000 >> 2 | 0xC7:#x}
        sd s2, 0(s1)
        ld a1, 0(s0)
        {fence}
        ld a1, 0(s0)
        j .
    """ + HANDLER


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_change_without_a_fence_is_marked_with_what_may_still_be_used(technique: str) -> None:
    inspector = inspect(stale_guest("nop"), technique)
    run(inspector, 200)
    view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=0x4000_5000))
    assert view.may[:3] == (None, None, None)
    assert view.may[3] is not None and view.may[3].was == 0x8031_0000 >> 2 | 0xC7
    assert view.may_lead is not None and view.may_lead.result == 0x8031_0000
    assert view.guest.result == 0x8032_0000
    assert view.fence is None and view.is_known
    do(back.last_writer(inspector, _pte(view)))
    assert inspector.step == view.may[3].step


def _pte(view: WalkView) -> Watchpoint:
    return Watchpoint(Watched.PTE, view.guest.entries[-1].address)


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize(("fence", "is_enough"), [
    ("sfence.vma", True), ("sfence.vma s0, zero", True), ("sfence.vma s1, zero", False),
    ("sfence.vma zero, s1", False), ("sfence.vma s0, a7", True)])
def test_a_fence_that_subsumes_the_address_ends_it(technique: str, fence: str, is_enough: bool) -> None:
    inspector = inspect(stale_guest(fence), technique)
    run(inspector, 200)
    view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=0x4000_5000))
    assert (view.may[3] is None) == is_enough
    assert view.fence is not None


@pytest.mark.parametrize("technique", ["bare", "two-stage"])
def test_a_hart_that_keeps_what_it_may_is_caught_holding_it(technique: str) -> None:
    held = {}
    for tlb in ("precise", "stale"):
        inspector = inspect(stale_guest("nop"), technique, tlb=tlb)
        run(inspector, 200)
        view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=0x4000_5000))
        held[tlb] = [each for each in view.held if each.is_present]
        assert view.may[3] is not None
    assert [each.is_stale for each in held["precise"]] == [False]
    assert [each.is_stale for each in held["stale"]] == [True]
    assert inspector.vm.ram.gpa(held["stale"][0].hpa) == 0x8031_0000
    assert inspector.vcpu.hart.read_gpr(11) == 0


@pytest.mark.parametrize("technique", ["deprivileged", "shadow"])
def test_shadow_entries_that_outlive_the_guests_are_facts(technique: str) -> None:
    """Under the policy that guards nothing; the one that guards tables never has any."""
    for policy in ("cached", "flush"):
        inspector = inspect(stale_guest("nop"), technique, policy=policy)
        run(inspector, 200)
        view = look(inspector, partial(view_walk, follow=Follow.ADDRESS, address=0x4000_5000))
        assert view.shadow.is_stale == (policy == "flush")
        assert view.may[3] is not None
        if policy == "flush":
            assert view.shadow.mirrors[-1].agreement is Agreement.DISAGREES
            assert inspector.vm.ram.gpa(view.hpa) == 0x8031_0000


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_kernel_that_never_fences_may_use_the_last_processs_tables(technique: str) -> None:
    marks = {}
    for name in ("kernel", "kernel-nofence"):
        vm = Vm(VmConfig(technique=technique, memory=32 << 20, append="workload=1"), load_image(image(name)))
        inspector = Inspector(name, vm)
        run(inspector, 2_600_000)
        view = look(inspector, view_walk)
        marks[name] = any(view.may)
        if name == "kernel-nofence":
            assert view.may[0] is not None and view.may[0].is_root
            assert view.may[0].was != view.guest.value
    assert marks == {"kernel": False, "kernel-nofence": True}
