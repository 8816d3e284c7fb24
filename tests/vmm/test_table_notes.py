"""What a real hart might still believe, told step by step; every technique tells the same."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import MARK_TABLE, NOTE_FENCE, NOTE_FRAME
from hartvisor.core.isa.decoder import decode
from hartvisor.core.machine.memory_map import RAM_BASE
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.csr_file import SATP
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.inspector import Inspector
from hartvisor.core.vmm.inspector.back import reverse_step
from hartvisor.core.vmm.inspector.moves import goto, step
from hartvisor.core.vmm.table_notes import EVERY, Stale, TableNotes, stale_entry, stale_root
from hartvisor.core.vmm.vm import Vm

from .support import make_call, start
from .test_guest_paging import HANDLER, ROOT, tables

MODE = 8
LEAVES = ROOT + 0x2000
ENTRY = LEAVES
"""The leaf of the page at 1 GiB."""

OLD, NEW, NEWER = (0x8031_0000 + 0x1000 * n >> 2 | 0xC7 for n in range(3))
PAGE = 0x4000_0000

GUEST = tables(MODE, {0: OLD, 1: OLD}) + f"""
    li s0, {PAGE:#x}
    li s1, {ENTRY:#x}
    li s2, {NEW:#x}
    li s3, {NEWER:#x}
    ld a0, 0(s0)
    sd s2, 0(s1)
    sd s3, 0(s1)
    li t0, 0x40001000
    sfence.vma t0, zero
    sfence.vma s0, zero
    sw s2, 0(s1)
    li t1, 7
    sfence.vma zero, t1
    sfence.vma zero, zero
    ld a0, 0(s0)
    sd s3, 0(s1)
    li t2, {ROOT + 0x3000:#x}
    ld t3, 16(t2)
    li t4, {ROOT:#x}
    ld t3, 16(t4)
    sd t3, 16(t2)
    li t5, {MODE << 60 | (ROOT + 0x3000) >> 12:#x}
    csrw satp, t5
    nop
    sfence.vma zero, zero
    nop
""" + HANDLER


def inspected(technique: str, code: str = GUEST, **options: str) -> Inspector:
    return Inspector("guest", start(code, technique, **options))


def look(inspector: Inspector) -> tuple[Stale | None, tuple[int, int] | None]:
    """What is stale of ENTRY and of the root, now."""
    vm = inspector.vm
    vcpu, hpa = vm.vcpus[0], vm.ram.hpa(ENTRY)
    satp = vcpu.csrs.read(SATP)
    history = inspector.table_notes.history(vcpu, [hpa])
    return stale_entry(history, hpa, vm.ram.load(ENTRY, 8), PAGE, satp, 12, False), stale_root(history, satp)


def drive(moves: object) -> None:
    for _ in moves:  # type: ignore[attr-defined]
        pass


class Model:
    """What the manual says, from nothing but the guest's instructions and memory, one step at a time."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.values = [self.entry()]
        self.roots: list[int] = []

    def entry(self) -> int:
        return self.vm.ram.load(ENTRY, 8)

    def satp(self) -> int:
        return self.vm.vcpus[0].csrs.read(SATP)

    def step(self) -> None:
        vcpu, hart = self.vm.vcpus[0], self.vm.hart
        found = vcpu.walk(hart.pc, 0)
        bits = self.vm.ram.load(found.gpa, 4)
        insn = decode(bits if bits & 3 == 3 else bits & 0xFFFF)
        assert insn is not None
        fence = None
        if insn.name == "sfence.vma":
            fence = (hart.read_gpr(insn.rs1) if insn.rs1 else None, hart.read_gpr(insn.rs2) if insn.rs2 else None)
        satp = self.satp()
        self.vm.run(1)
        if fence is not None and fence[1] in (None, 0):
            if fence[0] is None or fence[0] >> 12 == PAGE >> 12:
                self.values = [self.entry()]
            if fence[0] is None:
                self.roots = []
        if self.entry() != self.values[-1]:
            self.values.append(self.entry())
        if self.satp() != satp and satp >> 60:
            self.roots.append(satp)

    @property
    def was(self) -> int | None:
        """The oldest value that may still be used."""
        return next((value for value in self.values if value != self.values[-1]), None)


@pytest.mark.parametrize("technique", COMPARED)
@pytest.mark.parametrize("policy", ["cached", "flush"])
def test_an_entry_is_stale_from_its_store_to_the_fence_that_subsumes_it(technique: str, policy: str) -> None:
    inspector = inspected(technique, policy=policy)
    model = Model(start(GUEST, "bare"))
    stale_steps = 0
    while model.entry() != OLD or not model.satp():
        model.step()
    model.values = [model.entry()]
    drive(goto(inspector, model.vm.steps))
    for _ in range(70):
        entry, root = look(inspector)
        assert (entry.was if entry else None) == model.was, f"step {inspector.step}"
        assert (root[0] if root else None) == (model.roots[-1] if model.roots else None), f"step {inspector.step}"
        stale_steps += entry is not None
        drive(step(inspector))
        model.step()
        assert inspector.step == model.vm.steps
    assert stale_steps > 10


@pytest.mark.parametrize("technique", COMPARED)
def test_the_past_tells_what_it_told(technique: str) -> None:
    inspector = inspected(technique)
    seen = []
    for _ in range(150):
        seen.append(look(inspector))
        drive(step(inspector))
    assert len(set(seen)) > 5
    for number in range(149, -1, -1):
        drive(reverse_step(inspector))
        assert look(inspector) == seen[number]
    drive(goto(inspector, 150))
    assert inspector.step == 150
    drive(goto(inspector, 120))
    assert look(inspector) == seen[120]


def test_another_future_is_noted_in_place_of_what_was() -> None:
    inspector = inspected("two-stage")
    drive(goto(inspector, 150))
    first = next(number for number in range(150) if _at(inspector, number)[0] is not None)
    drive(goto(inspector, first))
    stale = look(inspector)[0]
    assert stale is not None and stale.was == OLD
    inspector.target.write(0, inspector.vcpu.hart.pc, (0x12000073).to_bytes(4, "little"), False)   # sfence.vma
    drive(step(inspector))
    assert look(inspector)[0] is None
    history = inspector.table_notes.history(inspector.vcpu, [])
    assert history.notes[0].kind == NOTE_FENCE and history.notes[0].step == first and history.is_whole


def _at(inspector: Inspector, number: int) -> tuple[Stale | None, tuple[int, int] | None]:
    drive(goto(inspector, number))
    return look(inspector)


@pytest.mark.parametrize("technique", COMPARED)
def test_a_fence_of_an_address_says_nothing_of_pointers(technique: str) -> None:
    """"The fence orders only reads and writes made to leaf page table entries"."""
    pointer = ROOT + 0x1000
    code = tables(MODE, {0: OLD}) + f"""
        li s0, {PAGE:#x}
        ld a0, 0(s0)
        li s1, {pointer:#x}
        ld a1, 0(s1)
        sd zero, 0(s1)
        sd a1, 0(s1)
        sfence.vma s0, zero
        nop
        sfence.vma
        nop
    """ + HANDLER
    inspector = inspected(technique, code)
    vm = inspector.vm
    found = []
    for _ in range(90):
        drive(step(inspector))
        hpa = vm.ram.hpa(pointer)
        history = inspector.table_notes.history(vm.vcpus[0], [hpa])
        stale = stale_entry(history, hpa, vm.ram.load(pointer, 8), PAGE, vm.vcpus[0].csrs.read(SATP), 21, False)
        fence = history.last_fence
        found.append((stale is not None, fence is not None and fence.gva is None))
    assert (True, False) in found
    assert found[-1] == (False, True)


def test_running_at_full_speed_notes_the_same_steps() -> None:
    """In the midst of blocks as between them."""
    slow, fast = inspected("two-stage"), inspected("two-stage")
    for _ in range(150):
        drive(step(slow))
    drive(goto(fast, 150))
    hpa = slow.vm.ram.hpa(ENTRY)
    assert hpa == fast.vm.ram.hpa(ENTRY)
    of = [each.vm.ram.memory.notes(0, 1 << 62, [hpa]) for each in (slow, fast)]
    assert of[0] == of[1]


def test_one_who_takes_the_vm_elsewhere_by_himself_begins_anew() -> None:
    vm = start(GUEST, "bare")
    saved = vm.save()
    notes = TableNotes(vm)
    vm.run(100)
    assert notes.history(vm.vcpus[0], []).notes
    vm.restore(saved)
    vm.run(1)
    assert (notes.history(vm.vcpus[0], []), notes.since) == (((), True), 0)


@pytest.mark.parametrize("technique", COMPARED)
def test_a_fence_asked_of_the_sbi_is_the_other_harts(technique: str) -> None:
    vm = start("j .", technique, vcpus=2)
    notes = TableNotes(vm)
    with notes.taking():
        assert make_call(vm, 0x52464E43, 1, 0b10, 0, 0, 0) == (0, 0)             # sfence.vma
        assert make_call(vm, 0x52464E43, 2, 0b10, 0, 0, 0, 7) == (0, 0)          # sfence.vma with an ASID
    first, second = (notes.history(vcpu, []) for vcpu in vm.vcpus)
    assert first.notes == ()
    vm.run(1)
    second = notes.history(vm.vcpus[1], [])
    assert [(note.kind, note.before) for note in second.notes] == [(NOTE_FENCE, 7), (NOTE_FENCE, EVERY)]
    assert notes.history(vm.vcpus[0], []).notes == ()


def test_a_frame_that_becomes_something_else_has_no_past() -> None:
    """What lay in it before is not what an entry in it was."""
    vm = start("j .", "two-stage")
    notes = TableNotes(vm)
    old, new = 0x8031_0000, 0x8032_0000
    vm.ram.write(old, bytes(range(256)) * 16)
    hpa = vm.ram.hpa(old)
    with notes.taking():
        vm.ram.memory.note_table(hpa)
        vm.take_pages([old])
        vm.ram.write(new, b"\1")
    assert vm.ram.hpa(new) == hpa
    vm.run(1)
    history = notes.history(vm.vcpus[0], [hpa])
    assert any(note.kind == NOTE_FRAME for note in history.notes)
    assert stale_entry(history, hpa, 1, 0, 8 << 60, 12, False) is None


def test_a_page_that_is_no_table_any_more_is_let_alone() -> None:
    """A thousand stores without a walk: then stores to it are quick again."""
    code = tables(MODE, {0: OLD}) + f"""
        li s0, {PAGE:#x}
        ld a0, 0(s0)
        li s1, {LEAVES + 0x800:#x}
        li t0, 1200
    again:
        sd t0, 0(s1)
        addi t0, t0, -1
        bnez t0, again
        j .
    """ + HANDLER
    inspector = inspected("bare", code)
    drive(goto(inspector, 5000))
    hpa = inspector.vm.ram.hpa(LEAVES + 0x800)
    found, _ = inspector.vm.ram.memory.notes(0, 1 << 62, [hpa], 5000)
    assert 1000 < len(found) < 1100
    assert not inspector.vm.ram.memory.frame_marks()[0][hpa - RAM_BASE >> 12] & MARK_TABLE


@pytest.mark.parametrize("technique", COMPARED)
def test_notes_cost_no_difference(technique: str) -> None:
    """The guest, and what is counted of it, are as they are without."""
    results = []
    for is_noted in (False, True):
        vm = start(GUEST, technique)
        if is_noted:
            TableNotes(vm)
        vm.run(10)
        vm.run(300)
        results.append((digest(vm), vm.exits))
    assert results[0] == results[1]
