"""A vCPU's memory as it sees it, looked at: nothing is allocated, fetched or used for that, and no A or D is set."""

from __future__ import annotations

from ...isa.paging import PAGE_SIZE
from ..csr_file import SATP, SSTATUS, SSTATUS_MXR, SSTATUS_SUM
from ..vcpu import Vcpu
from ..walker import LOAD, USER, Walk, walk

OFFSET = PAGE_SIZE - 1


class Sight:
    """The memory of one vCPU at one moment: make another after each move."""

    def __init__(self, vcpu: Vcpu) -> None:
        self.vcpu = vcpu
        self.ram = vcpu.vm.ram
        self._satp = vcpu.csrs.read(SATP)
        self._status = vcpu.csrs.read(SSTATUS)
        self._pages: dict[int, int | None] = {}
        self._walks: dict[tuple[int, int], Walk] = {}

    def look(self, gva: int) -> Walk:
        """Where a load leads by the guest's own tables, as if it were allowed everything."""
        return walk(self.ram.peek_pte, self._satp, gva, LOAD, user=False, sum_=True, mxr=True,
                    reserved=self.vcpu.reserved_bits, updates_ad=True)

    def walk(self, gva: int, access: int) -> Walk:
        """Where an access of the guest's leads in its present mode, or why it faults. (Within a page only its first
        walk is done; of the others the offset counts.)"""
        key = (gva & -PAGE_SIZE, access)
        found = self._walks.get(key)
        if found is None:
            vcpu = self.vcpu
            found = self._walks[key] = walk(
                self.ram.peek_pte, self._satp, key[0], access, vcpu.mode == USER, bool(self._status & SSTATUS_SUM),
                bool(self._status & SSTATUS_MXR), vcpu.reserved_bits, vcpu.updates_ad)
        return found._replace(gva=gva, gpa=found.gpa | gva & OFFSET) if found.cause is None else found

    def gpa(self, gva: int) -> int | None:
        """Where an address leads, whatever is allowed there; None if nowhere."""
        page = gva & -PAGE_SIZE
        if page not in self._pages:
            found = self.look(page)
            self._pages[page] = None if found.cause is not None else found.gpa
        start = self._pages[page]
        return None if start is None else start | gva & OFFSET

    def read(self, gva: int, length: int) -> bytes:
        """Bytes, as far as there is RAM."""
        parts: list[bytes] = []
        while length > 0:
            size = min(length, PAGE_SIZE - (gva & OFFSET))
            gpa = self.gpa(gva)
            if gpa is None or not self.ram.contains(gpa, size):
                break
            parts.append(self.ram.peek(gpa, size))
            gva, length = gva + size, length - size
        return b"".join(parts)

    def load(self, gva: int, size: int) -> int | None:
        """An unsigned number; None where not all of it is RAM."""
        data = self.read(gva, size)
        return int.from_bytes(data, "little") if len(data) == size else None
