"""The student's balloon_target and share_pages in the real hypervisor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from ...core.vmm.hypervisor.memory_manager import MemoryManager, MemoryUser
from ...core.vmm.hypervisor.pool import FramePool
from ...core.vmm.hypervisor.sharing import PageSharing, page_hash
from ...core.vmm.hypervisor.tenant_memory import TenantMemory
from ..judge.session import Refused, Session, Stopped, number
from ..judge.verdict import Status
from ..kit.multiplex import HashedPage, SharedFrames, VmMemory
from .scheduling import part

LOW: Final = 500
HIGH: Final = 700


def checked_targets(said: object, count: int) -> list[int]:
    """The student's, if they are numbers at all. Raises Stopped."""
    if not isinstance(said, list) or len(said) != count or not all(type(each) is int and each >= 0 for each in said):
        raise Stopped(Status.FAIL, f"balloon_target gave {said!r:.60}, where {count} numbers of pages are wanted")
    return said


class StudentsManager(MemoryManager):
    """The memory manager, whose balloons the student steers. asked: how often."""

    def __init__(self, student: Session, size: int, swap: int) -> None:
        super().__init__(size, swap, is_sharing=False)
        self._student = student
        self.asked = 0

    def _steer_balloons(self, users: Sequence[MemoryUser]) -> None:
        able = [(user, user.balloon) for user in users
                if user.balloon is not None and user.balloon.link is not None and user.balloon.link.is_running]
        if not able:
            return
        self.asked += 1
        pending = sum(balloon.target - len(balloon.pages) for _, balloon in able)
        vms = [VmMemory(user.memory_shares, user.frames.owners["guest"] + len(balloon.pages), balloon.target,
                        user.memory_reservation) for user, balloon in able]
        said = self._student.call("Memory.balloon_target", vms, self.free(users) + pending, LOW, HIGH)
        for (user, balloon), target in zip(able, checked_targets(said, len(able)), strict=True):
            if target != balloon.target:
                balloon.target = min(target, user.ram.size >> 12)


class StudentsSharing(PageSharing):
    """Sharing that the student decides, at one moment, for all pages. compared: pairs of frames."""

    def __init__(self, pool: FramePool, student: Session) -> None:
        super().__init__(pool)
        self._student = student
        self.compared = 0
        self._rams: list[TenantMemory] = []
        self._owners: dict[int, tuple[TenantMemory, int]] = {}
        student.services |= {"shared.equal": self.ask_equal, "shared.join": self.ask_join}
        student.call("Memory.use", SharedFrames())

    def scan(self, rams: Iterable[TenantMemory], pages: int) -> None:
        """Nothing by itself: see share_all."""

    def candidates(self, rams: Sequence[TenantMemory]) -> list[HashedPage]:
        """Every page that may be shared."""
        return [HashedPage(vm, gfn, page_hash(bytes(ram.memory.page(hpa)))[0], hpa)
                for vm, ram in enumerate(rams) for gfn, hpa in sorted(ram.mapped().items())
                if gfn not in ram.pinned()]

    def share_all(self, rams: Sequence[TenantMemory]) -> list[HashedPage]:
        """Have the student share what is equal; what it was given."""
        self.settle(rams)
        self._rams = list(rams)
        given = self.candidates(rams)
        self._owners = {page.frame: (rams[page.vm], page.gfn) for page in given if rams[page.vm].is_own(page.gfn)}
        self._student.call("Memory.share_pages", given)
        return given

    def ask_equal(self, one: object, other: object) -> bool:
        """Two frames, byte by byte."""
        self.compared += 1
        memory = self._rams[0].memory
        return bool(memory.page(self._known(one, "equal")) == memory.page(self._known(other, "equal")))

    def ask_join(self, vm: object, gfn: object, frame: object) -> None:
        """A page into another frame, if it is the same."""
        index, page, place = number(vm, "join's vm", 16), number(gfn, "join's gfn", 52), self._known(frame, "join")
        own = self._rams[index].own_frame(page) if index < len(self._rams) else None
        if own is None or own not in self._owners:
            raise Refused(f"join({index}, {page:#x}): it is no page in a frame of its own")
        ram = self._rams[index]
        if ram.has_frame(place):
            raise Refused(f"join({index}, {page:#x}, {place:#x}): this frame backs a page of VM {index} already")
        data = bytes(ram.memory.page(own))
        if data != ram.memory.page(place):
            part(0, "share_pages", f"page {page:#x} of VM {index} after join", "another page's bytes", "its own bytes")
        name = page_hash(data)
        if place not in self._sharers:
            other, other_gfn = self._owners.pop(place)
            other.give_to_share(other_gfn)
            self._sharers[place] = [other]
            self._frames.setdefault(name, []).append(place)
            self._hashes[place] = name
        del self._owners[own]
        self._join(ram, page, place)

    def _known(self, frame: object, what: str) -> int:
        place = number(frame, f"{what}'s frame")
        if place not in self._owners and place not in self._sharers:
            raise Refused(f"{what}({place:#x}): no page of share_pages is in this frame")
        return place


def saved_at_most(given: Sequence[HashedPage], rams: Sequence[TenantMemory]) -> int:
    """Frames that sharing can save, of all these pages: of each kind as many stay as one VM has pages of it, or as are
    shared already."""
    vms: dict[bytes, Counter[int]] = {}
    users: dict[bytes, Counter[int]] = {}
    for page in given:
        data = bytes(rams[page.vm].page(page.gfn))
        vms.setdefault(data, Counter())[page.vm] += 1
        users.setdefault(data, Counter())[page.frame] += 1
    return len(given) - sum(max(*of_vms.values(), sum(1 for count in users[data].values() if count > 1))
                            for data, of_vms in vms.items())


def comparisons(given: Sequence[HashedPage], rams: Sequence[TenantMemory]) -> int:
    """How many pairs are compared by who holds each page against one of each kind with its hash, in this order."""
    kinds: dict[int, list[bytes]] = {}
    frames: set[int] = set()
    total = 0
    for page in given:
        if page.frame in frames:
            continue
        frames.add(page.frame)
        data = bytes(rams[page.vm].page(page.gfn))
        known = kinds.setdefault(page.hash, [])
        if data in known:
            total += known.index(data) + 1
        else:
            total += len(known)
            known.append(data)
    return total
