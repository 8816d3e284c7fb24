"""A guest's memory as an observer reads it: nothing that the guest could see changes."""

from __future__ import annotations

from ...isa.paging import PAGE_SHIFT, PAGE_SIZE
from ..vm import Vm


class NotThere(Exception):
    """An address leads to no RAM of the guest's, by its tables as they are."""


class GuestView:
    """Memory of a VM by GPA, and by GVA as its kernel has it now."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._pages: dict[int, bytes] = {}

    def read_physical(self, gpa: int, length: int) -> bytes:
        """Bytes of RAM. Raises NotThere."""
        if not self._vm.ram.contains(gpa, length):
            raise NotThere(f"gpa {gpa:#x}")
        parts = []
        while length:
            gfn, offset = gpa >> PAGE_SHIFT, gpa % PAGE_SIZE
            size = min(length, PAGE_SIZE - offset)
            if gfn not in self._pages:
                self._pages[gfn] = bytes(self._vm.ram.page(gfn))
            parts.append(self._pages[gfn][offset : offset + size])
            gpa += size
            length -= size
        return b"".join(parts)

    def translate(self, gva: int) -> int:
        """The GPA behind a GVA. Raises NotThere."""
        found = self._vm.current.look(gva)
        if found.cause is not None:
            raise NotThere(f"gva {gva:#x}")
        return found.gpa

    def read(self, gva: int, length: int) -> bytes:
        """Bytes by GVA. Raises NotThere."""
        parts = []
        while length:
            size = min(length, PAGE_SIZE - gva % PAGE_SIZE)
            parts.append(self.read_physical(self.translate(gva), size))
            gva += size
            length -= size
        return b"".join(parts)

    def load(self, gva: int, size: int) -> int:
        """An unsigned number by GVA. Raises NotThere."""
        return int.from_bytes(self.read(gva, size), "little")

    def text(self, gva: int, size: int) -> str:
        """A string in a field of `size` bytes. Raises NotThere."""
        return self.read(gva, size).split(b"\0")[0].decode(errors="replace")
