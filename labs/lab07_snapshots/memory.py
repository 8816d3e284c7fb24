"""Guest RAM whose frame map is the student's: what a page is backed by, and whether stores may reach it, it decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from ...core.isa.paging import PAGE_SHIFT, PAGE_SIZE
from ...core.vmm.frames import FrameAllocator
from ...core.vmm.guest_memory import GuestMemory
from ...core.vmm.state import VmState
from ...core.vmm.vm import Vm
from ..judge.runner import OutOfFuel
from ..judge.session import Refused, Session, number

OWNER: Final = "guest"
MOST_FRAMES: Final = 1024
MOST_BREAKS: Final = 1_500
"""Calls of cow_break in one check: ten times what any guest needs."""
JUNK: Final = bytes(range(255, -1, -1)) * (PAGE_SIZE // 256)
"""What a frame holds once it was given back: somebody else's data."""
_OFFSET: Final = PAGE_SIZE - 1


class StudentsMemory(GuestMemory):
    """A VM's RAM. copies: pages copied. breaks: calls of cow_break. held: frames that are the
    student's, in the map or not. touched: pages that got a frame because they had none.

    part: called where the map is not what it must be after cow_break. Raises Diverged.
    """

    def __init__(self, frames: FrameAllocator, base: int, size: int) -> None:
        super().__init__(frames.memory, frames, base, size)
        self.copies = 0
        self.breaks = 0
        self.held: set[int] = set()
        self.touched: set[int] = set()
        self._loaded: VmState | None = None
        self.part: Callable[[str, str, str], NoReturn] | None = None
        self._protected: set[int] = set()
        self._states: list[VmState] = []
        self._student: Session | None = None
        self._vm: Vm | None = None

    def attach(self, vm: Vm) -> None:
        """Translations and reservations follow the map."""
        self._vm = vm

    def give_to(self, student: Session, part: Callable[[str, str, str], NoReturn]) -> None:
        """From here on the map is the student's."""
        self._student, self.part = student, part
        self.held = set(self.mapped().values())
        student.services |= {f"frames.{name}": getattr(self, "ask_" + name) for name in (
            "frames", "allocate", "free", "copy", "map", "unmap", "save", "load")}

    # --- what the hypervisor asks

    def is_shared(self, gfn: int) -> bool:
        """Whether a store must not reach its frame."""
        return gfn in self._protected

    def frame(self, gfn: int) -> int:
        """The frame; a page without one gets it from the student."""
        if self._student is not None and gfn not in self._hpa and self.contains(gfn << PAGE_SHIFT):
            self.touched.add(gfn)
            self._break(gfn)
        return super().frame(gfn)

    def writable(self, gpa: int) -> int:
        """A page that is protected is the student's to copy first."""
        if gpa >> PAGE_SHIFT in self._protected:
            self._break(gpa >> PAGE_SHIFT)
        return self.hpa(gpa)

    def _break(self, gfn: int) -> None:
        assert self._student is not None and self.part is not None
        self.breaks += 1
        if self.breaks > MOST_BREAKS:
            raise OutOfFuel(f"more than {MOST_BREAKS:,} calls of cow_break; the last is for page {gfn:#x}")
        self._student.call("Snapshots.cow_break", gfn)
        if gfn not in self._hpa:
            self.part(f"page {gfn:#x} after cow_break", "without a frame", "in a frame that it may be stored to")
        if gfn in self._protected:
            self.part(f"page {gfn:#x} after cow_break", "write-protected", "in a frame that it may be stored to")

    # --- what the student's code asks

    def ask_frames(self) -> dict[int, int]:
        """The map."""
        return self.mapped()

    def ask_allocate(self) -> int:
        """A frame."""
        if len(self.held) >= MOST_FRAMES:
            raise Refused(f"more than {MOST_FRAMES} frames: give some back")
        hpa = self._frames.allocate(OWNER)
        self.held.add(hpa)
        return hpa

    def ask_free(self, hpa: object) -> None:
        """No frame of the student's any more."""
        place = self._own(hpa, "free")
        if place in self._gfn:
            raise Refused(f"free({place:#x}): this frame backs page {self._gfn[place]:#x}")
        self.held.discard(place)
        self.memory.write(place, JUNK)
        self._frames.free(place)

    def ask_copy(self, source: object, target: object) -> None:
        """A page's bytes."""
        origin, place = self._own(source, "copy"), self._own(target, "copy")
        self.copies += 1
        self.memory.write(place, bytes(self.memory.page(origin)))

    def ask_map(self, gfn: object, hpa: object, is_writable: object) -> None:
        """Another frame, or other rights."""
        page, place = self._page(gfn, "map"), self._own(hpa, "map")
        if type(is_writable) is not bool:
            raise Refused(f"map's is_writable must be True or False, not {is_writable!r:.60}")
        if self._gfn.get(place, page) != page:
            raise Refused(f"map({page:#x}, {place:#x}): this frame backs page {self._gfn[place]:#x}")
        old = self._hpa.get(page)
        self._remove(page)
        self._hpa[page], self._gfn[place] = place, page
        if not is_writable:
            self._protected.add(page)
        assert self._vm is not None
        for hart in self._vm.harts:
            if old is not None and hart.reservation & ~_OFFSET == old:
                hart.reservation = place | hart.reservation & _OFFSET
        self._tell(page)

    def ask_unmap(self, gfn: object) -> None:
        """No frame."""
        page = self._page(gfn, "unmap")
        self._remove(page)
        self._tell(page)

    def ask_save(self) -> int:
        """The rest of the VM."""
        assert self._vm is not None
        self._states.append(self._vm.save())
        return len(self._states) - 1

    def take_loaded(self) -> VmState | None:
        """The state that the student asked for, if it did."""
        state, self._loaded = self._loaded, None
        return state

    def ask_load(self, state: object) -> None:
        """The rest of the VM, as soon as the student's code is done."""
        index = number(state, "load's number", 32)
        if index >= len(self._states):
            raise Refused(f"load({index}): nothing was saved under this number")
        self._loaded = self._states[index]

    def _remove(self, gfn: int) -> None:
        self._protected.discard(gfn)
        hpa = self._hpa.pop(gfn, None)
        if hpa is not None:  # else no translation leads to the page, and one may be in the making
            assert self._vm is not None
            self._vm.forget_frame(gfn)
            del self._gfn[hpa]

    def _own(self, hpa: object, what: str) -> int:
        place = number(hpa, f"{what}'s hpa")
        if place not in self.held:
            raise Refused(f"{what}({place:#x}): this is no frame of yours")
        return place

    def _page(self, gfn: object, what: str) -> int:
        page = number(gfn, f"{what}'s gfn", 52)
        if not self.contains(page << PAGE_SHIFT):
            raise Refused(f"{what}({page:#x}): the guest has no such page")
        return page
