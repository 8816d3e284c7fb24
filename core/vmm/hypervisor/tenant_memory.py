"""The RAM of a VM that shares its machine with others: a page of it can be in a frame of its own, in a frame shared
with others (read-only, copied on the first store), in the swap file, or nowhere yet (zeros).

    gfn ──> own frame          the frame map's, as in every VM
        ──> shared frame       no leaf of any technique's tables that leads there has W
        ──> swap slot          no leaf leads there; whoever looks first brings it back

The guest cannot tell which. Whatever moves a page first drops the translations that lead to it, and takes the
reservations in it along.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from ...isa.paging import PAGE_SHIFT, PAGE_SIZE
from ...machine.paged import ZERO_PAGE
from ..guest_memory import GuestMemory
from ..stop import StopReason
from .pool import OutOfFrames, VmFrames
from .reclaim import VictimPolicy
from .swap import SwapFile, SwapFull

if TYPE_CHECKING:
    from ..vm import Vm

OWNER: Final = "guest"
YOUNG: Final = 32
"""So many of the newest pages are not put away: whoever asked for one may not have used it yet."""

PAGE_OFFSET: Final = PAGE_SIZE - 1


class TenantMemory(GuestMemory):
    """A VM's RAM on a machine with others. swap, victims: where pages are put away, and which.

    shared: gfn to the frame that it shares. abandoned: shared frames that this VM has left since the last barrier.
    copies: stores that ended a sharing. minor, major: pages found in place after a sweep, and in the swap file.
    """

    def __init__(self, frames: VmFrames, base: int, size: int, swap: SwapFile, victims: VictimPolicy) -> None:
        super().__init__(frames.memory, frames, base, size)
        self.vm: Vm | None = None
        self.swap = swap
        self.victims = victims
        self.shared: dict[int, int] = {}
        self.abandoned: list[int] = []
        self.copies = 0
        self._slots: dict[int, int] = {}
        self._stock = frames
        self._young: deque[int] = deque(maxlen=YOUNG)
        self.fetch_absent(set(), self._swap_in)
        frames.make_room = self.make_room

    def attach(self, vm: Vm) -> None:
        """The VM's translations and reservations follow its pages."""
        self.vm = vm
        self._stock.on_low = partial(vm.stop_for, StopReason.MEMORY)

    # --- facts

    @property
    def n_shared(self) -> int:
        """Pages whose frame backs another guest too."""
        return len(self.shared)

    @property
    def swapped(self) -> int:
        """Pages in the swap file."""
        return len(self._slots)

    def is_shared(self, gfn: int) -> bool:
        """Whether its frame backs another guest too."""
        return gfn in self.shared

    def shared_pages(self) -> set[int]:
        """The gfns whose frames back other guests too."""
        return set(self.shared)

    def swapped_pages(self) -> set[int]:
        """The gfns that are in the swap file."""
        return set(self._slots)

    def is_own(self, gfn: int) -> bool:
        """Whether it has a frame that is its alone."""
        return gfn in self._hpa and gfn not in self.shared

    def own_frame(self, gfn: int) -> int | None:
        """The frame that is its alone; asking is not using it."""
        return None if gfn in self.shared else self._hpa.get(gfn)

    def pinned(self) -> set[int]:
        """The gfns that stay where they are: a vCPU has a reservation in them, or the host watches them."""
        vm = self.vm
        if vm is None:
            return set()
        found = {vcpu.reservation >> PAGE_SHIFT for vcpu in vm.vcpus if vcpu.reservation >= 0}
        for gpa, length, _ in vm.watchpoints:
            found.update(range(gpa >> PAGE_SHIFT, (gpa + length - 1 >> PAGE_SHIFT) + 1))
        return found

    # --- the map

    def frame(self, gfn: int) -> int:
        """The frame behind `gfn`, brought back from the swap file where it was put away."""
        hpa = self._hpa.get(gfn)
        if hpa is None:
            hpa = super().frame(gfn)
            self._young.append(gfn)
        self.victims.used(gfn)
        return hpa

    def writable(self, gpa: int) -> int:
        """As `hpa`; a page that is shared is copied first."""
        gfn = gpa >> PAGE_SHIFT
        if gfn in self.shared:
            self._copy(gfn)
        return self.hpa(gpa)

    def _copy(self, gfn: int) -> None:
        """Copy on write: the guest goes on with a frame of its own."""
        self.copies += 1
        new = self._stock.allocate(OWNER)
        self.memory.write(new, self.memory.page(self._hpa[gfn]))
        old = self._move(gfn, new)
        del self.shared[gfn]
        self.abandoned.append(old)
        self._young.append(gfn)

    def _move(self, gfn: int, new: int) -> int:
        """Another frame, which holds the same, for `gfn`; the old one."""
        old = self._hpa[gfn]
        vm = self.vm
        moving = [] if vm is None else [vcpu for vcpu in vm.vcpus if vcpu.hart.reservation & ~PAGE_OFFSET == old]
        offsets = [vcpu.hart.reservation & PAGE_OFFSET for vcpu in moving]
        self._forget(gfn)
        del self._gfn[old]
        self._hpa[gfn] = new
        self._gfn[new] = gfn
        for vcpu, offset in zip(moving, offsets, strict=True):
            vcpu.hart.reservation = new | offset
        self._tell(gfn)
        return old

    def _forget(self, gfn: int) -> None:
        if self.vm is not None:
            self.vm.forget_frame(gfn)

    def release(self, gfn: int) -> None:
        """As in every VM; a shared frame lives on for the others."""
        hpa = self.shared.pop(gfn, None)
        if hpa is None:
            super().release(gfn)
        else:
            del self._hpa[gfn]
            del self._gfn[hpa]
            self.abandoned.append(hpa)
            for released in self._released.values():
                released.add(gfn)
            self._tell(gfn)
        self.victims.gone(gfn)

    # --- swap

    def unmap(self, gfn: int) -> None:
        """No translation leads to the page: the guest's next access says that it is in use."""
        self._forget(gfn)

    def put_away(self, gfn: int) -> None:
        """Free the frame behind `gfn`, which is its alone: what it holds goes to the swap file, but for zeros. Raises
        SwapFull."""
        hpa = self._hpa[gfn]
        page = bytes(self.memory.page(hpa))
        self._forget(gfn)
        if page == ZERO_PAGE:
            self.release(gfn)
            return
        self._slots[gfn] = self.swap.write(page)
        self._absent.add(gfn)
        self._drop_frame(gfn, hpa)
        self._stock.free(hpa)
        self.victims.gone(gfn)
        self._tell(gfn)

    def _drop_frame(self, gfn: int, hpa: int) -> None:
        """The frame is the guest's no more; that it was stored to is still so."""
        logs = self.memory.dirty_logs(hpa)
        for log, released in self._released.items():
            if logs >> log & 1:
                released.add(gfn)
        del self._hpa[gfn]
        del self._gfn[hpa]

    def _swap_in(self, gfn: int) -> None:
        self._absent.discard(gfn)
        slot = self._slots.pop(gfn)
        self.swap.reads += 1
        self.memory.write(self._hpa[gfn], self.swap.look(slot))
        self.swap.free(slot)

    def make_room(self) -> None:
        """Free one frame or more, of this VM's own. Raises OutOfFrames."""
        try:
            freed = self.reclaim(1)
        except SwapFull as error:
            raise OutOfFrames(f"out of memory: no free frame, and {error}") from error
        if not freed:
            raise OutOfFrames(f"out of memory: its {self._stock.held} frames hold tables, or pages that must stay")

    def reclaim(self, count: int) -> int:
        """Put away `count` pages, or as many as there are; how many. Raises SwapFull before all are."""
        kept = self.pinned() | set(self._young)
        done = 0
        while done < count:
            gfn = self.victims.choose(self, kept)
            if gfn is None:
                break
            self.put_away(gfn)
            done += 1
        return done

    # --- contents

    def page(self, gfn: int) -> bytes:
        """The 4096 bytes at `gfn`, wherever they are, and stay."""
        slot = self._slots.get(gfn)
        if slot is not None:
            return self.swap.look(slot)
        hpa = self._hpa.get(gfn)
        return ZERO_PAGE if hpa is None else bytes(self.memory.page(hpa))

    def written(self) -> list[int]:
        """The gfns that have a frame or a slot."""
        return sorted([*self._hpa, *self._slots])

    def write_page(self, number: int, data: bytes | None) -> None:
        """Store a whole page; what was put away of it is forgotten."""
        slot = self._slots.pop(number, None)
        if slot is not None:
            self.swap.free(slot)
            self._absent.discard(number)
            for released in self._released.values():
                released.add(number)
        super().write_page(number, data)

    # --- sharing, at barriers

    def give_to_share(self, gfn: int) -> int:
        """The frame behind `gfn`, its alone until now, becomes one to share; its hpa."""
        hpa = self._hpa[gfn]
        self._forget(gfn)
        self._stock.give_up(hpa)
        self.shared[gfn] = hpa
        return hpa

    def join(self, gfn: int, hpa: int) -> None:
        """`gfn`, which holds the same as the shared frame, goes there, and its own is free."""
        self.memory.changed(hpa, PAGE_SIZE)
        old = self._move(gfn, hpa)
        self._stock.free(old)
        self.shared[gfn] = hpa

    def has_frame(self, hpa: int) -> bool:
        """Whether the frame backs this guest: no frame does twice, so that a reservation tells its GPA."""
        return hpa in self._gfn

    def take_back(self, hpa: int) -> None:
        """The last VM that has the shared frame has it alone."""
        gfn = self._gfn[hpa]
        del self.shared[gfn]
        self._stock.take_over(hpa, OWNER)

    def leave(self) -> list[int]:
        """The VM is no more: the shared frames that it leaves."""
        left = [*self.shared.values(), *self.abandoned]
        self.shared.clear()
        self.abandoned.clear()
        self._hpa.clear()
        self._gfn.clear()
        self._slots.clear()
        self._absent.clear()
        self.swap.close()
        return left
