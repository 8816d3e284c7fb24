"""What a real hart might still believe: stores to page tables, fences and changes of root, in their order.

"An implementation may use any translation for an address that was valid at any time since the most recent SFENCE.VMA
that subsumes that address" (privileged manual, "Supervisor Memory-Management Fence Instruction"). So an entry that was
stored to since then is stale: lawfully, its old value may still be used. Our harts never do, unless they are told to
(--tlb stale); these notes tell, for every technique alike, when they might.

They are history, as the log of exits is: what is past is not noted twice, and one who stands in the past sees what had
happened by then. Only stores to tables that a walk has read are noted; nobody can have believed others. Of a page that
the hypervisor moves to another frame, what was noted before is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from ..hart import NOTE_FENCE, NOTE_FRAME, NOTE_ROOT, NOTE_STORE
from ..isa.paging import PAGE_SIZE, PTE_R, PTE_V, PTE_X, STAGE_FORMATS

if TYPE_CHECKING:
    from .vcpu import Vcpu
    from .vm import Vm
    from .walker import Walk

EVERY: Final = (1 << 64) - 1
"""In a note of a fence: every address, every address space."""

_PPN: Final = (1 << 44) - 1
_ASID: Final = 0xFFFF


class Note(NamedTuple):
    """kind: NOTE_STORE, NOTE_FENCE, NOTE_ROOT or NOTE_FRAME. step: of the VM, before the step that did it. where: a
    store's hpa, a fence's address, a frame that became something else. before: what the entry, or satp, was until then;
    a fence's ASID."""

    kind: int
    step: int
    where: int
    before: int


class Fence(NamedTuple):
    """An sfence.vma. gva, asid: None for every one."""

    step: int
    gva: int | None
    asid: int | None


class History(NamedTuple):
    """What is known of some entries and a vCPU's fences before one step, newest first. is_whole: nothing that matters
    lies before the oldest."""

    notes: tuple[Note, ...]
    is_whole: bool

    @property
    def last_fence(self) -> Fence | None:
        """The vCPU's last, whatever it was about."""
        return next((_fence(note) for note in self.notes if note.kind == NOTE_FENCE), None)


class TableNotes:
    """A VM's notes, from now on. since: the step at which they begin."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._memory = vm.ram.memory
        self._upto = self.since = vm.steps
        self._memory.begin_notes(vm.vcpus[0].technique.pager_stats is None)
        self._memory.forget_notes(0)
        vm.table_notes = self

    def close(self) -> None:
        """Take no more."""
        self._memory.takes_notes = False
        self._vm.table_notes = None

    @contextmanager
    def taking(self) -> Iterator[None]:
        """While the VM runs, and what happens has not been noted yet."""
        steps = self._vm.steps
        is_known = steps < self._upto and self._vm.inputs.is_past
        if steps != self._upto and not is_known:
            self._memory.forget_notes(0)    # it was taken elsewhere: what was before is another's
            self.since = self._upto = steps
        self._memory.takes_notes = not is_known
        try:
            yield
        finally:
            self._memory.takes_notes = False
            if not is_known:
                self._upto = self._vm.steps

    def forget_from(self, step: int) -> None:
        """The guest goes another way from `step` on."""
        if step < self._upto:
            self._upto = step
            if step > self.since:
                self._memory.forget_notes(step)
            else:
                self._memory.forget_notes(0)
                self.since = step

    def keep(self) -> None:
        """Notes are not kept for a history that is left (snapshot_tree.py)."""

    def put_back(self, kept: None) -> None:
        """Another history was taken up, of which nothing is noted yet."""
        self._memory.forget_notes(0)
        self._upto = -1

    def walked(self, found: Walk) -> None:
        """The hypervisor read these entries for the guest."""
        if self._memory.takes_notes:
            ram = self._vm.ram
            for pte_gpa, _ in found.levels:
                self._memory.note_table(ram.hpa(pte_gpa))

    def history(self, vcpu: Vcpu, entries: Sequence[int]) -> History:
        """Of entries by hpa, as of now."""
        if self._vm.steps > self._upto:
            return History((), False)       # in another history, which has been seen but not noted
        found, is_whole = self._memory.notes(vcpu.index, self._vm.steps, entries)
        return History(tuple(Note(*note) for note in found), is_whole)


class Stale(NamedTuple):
    """An entry that a hart may still take for what it was. was: its oldest value that may be used. step: before the
    store that made it another. values: how many others it has had."""

    was: int
    step: int
    values: int


def is_pointer(pte: int) -> bool:
    """Whether the entry leads to another table."""
    return bool(pte & PTE_V) and not pte & (PTE_R | PTE_X)


def stale_entry(history: History, hpa: int, now: int, gva: int, satp: int, shift: int, is_global: bool) -> Stale | None:
    """Whether the entry at `hpa`, on the way to `gva`, holds what no fence has told of yet.

    shift: the entry maps, or would map, 1 << shift bytes. is_global: its mapping, so that no fence of one ASID is about
    it. A fence of one address is about leaves alone.
    """
    stale, after, is_leaf = None, now, not is_pointer(now)
    for note in history.notes:
        if note.kind == NOTE_FENCE:
            if _subsumes(note, gva, satp, shift, is_leaf, is_global):
                break
        elif note.kind == NOTE_FRAME and note.where == hpa & -PAGE_SIZE:
            break
        elif note.kind == NOTE_STORE and note.where == hpa and note.before != after:
            after = note.before
            is_leaf = is_leaf and not is_pointer(after)
            if after != now:
                stale = Stale(after, note.step, 1) if stale is None else Stale(after, stale.step, stale.values + 1)
    return stale


def stale_root(history: History, satp: int) -> tuple[int, int] | None:
    """A satp with the same ASID as today's that a hart may still use translations of, and before which step it was
    changed."""
    for note in history.notes:
        if note.kind == NOTE_FENCE and note.where == EVERY and note.before in (EVERY, satp >> 44 & _ASID):
            return None
        if note.kind == NOTE_ROOT and note.before >> 60 and note.before != satp and (
                note.before >> 44 & _ASID == satp >> 44 & _ASID):
            return note.before, note.step
    return None


def _subsumes(note: Note, gva: int, satp: int, shift: int, is_leaf: bool, is_global: bool) -> bool:
    """Whether a fence is about an entry on the way to `gva`."""
    if note.before != EVERY and (is_global or note.before != satp >> 44 & _ASID):
        return False
    if note.where == EVERY:
        return True
    form = STAGE_FORMATS.get(satp >> 60)
    return is_leaf and note.where >> shift == gva >> shift and (form is None or form.is_canonical(note.where))


def _fence(note: Note) -> Fence:
    return Fence(note.step, None if note.where == EVERY else note.where, None if note.before == EVERY else note.before)
