"""The pages through which messages reach the harts' interrupt files, one page a file.

Source: RISC-V Advanced Interrupt Architecture 1.0, "Memory region for an interrupt file". The files themselves are the
harts' state; what a page knows is where a store to its first word goes:

    0x000  seteipnum_le    makes the identity stored pending; reads zero

Everything else reads zero and ignores stores, seteipnum_be too, since the machine is little-endian. Only aligned 4-byte
accesses are decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .device import DeviceFault, State

LAST_IDENTITY = 255
"""The identities of every file are 1 to this."""

PAGE_SHIFT = 12
SETEIPNUM_LE = 0x000


class Imsic:
    """The pages of some files. receivers: by page, what takes an identity; None for a page without a file."""

    def __init__(self, receivers: Sequence[Callable[[int], None] | None]) -> None:
        self._receivers = tuple(receivers)

    def load(self, offset: int, size: int) -> int:
        """Read a word: zero."""
        if size != 4:
            raise DeviceFault
        return 0

    def store(self, offset: int, size: int, value: int) -> None:
        """Hand an identity to a file."""
        if size != 4:
            raise DeviceFault
        receive = self._receivers[offset >> PAGE_SHIFT]
        if receive is not None and offset & (1 << PAGE_SHIFT) - 1 == SETEIPNUM_LE:
            receive(value)

    def save(self) -> State:
        """Nothing: the files belong to the harts."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to do."""
