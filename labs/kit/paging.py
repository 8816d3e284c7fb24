"""What a pager works with: page-table entries, the machine's frames, and what the guest's hart is doing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..jail.codec import travels
from . import remote

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PTE_SIZE: Final = 8
PTE_V: Final = 1 << 0
PTE_R: Final = 1 << 1
PTE_W: Final = 1 << 2
PTE_X: Final = 1 << 3
PTE_U: Final = 1 << 4
PTE_G: Final = 1 << 5
PTE_A: Final = 1 << 6
PTE_D: Final = 1 << 7
PTE_RESERVED: Final = 0x3FF << 54
"""Bits 63:54, which must be zero here."""

SV39: Final = 8
"""satp's MODE; this guest has no other but 0, Bare."""

FETCH: Final = 0
LOAD: Final = 1
STORE: Final = 2
PAGE_FAULT: Final = (12, 13, 15)
"""The page fault of a fetch, a load, a store."""
ACCESS_FAULT: Final = (1, 5, 7)
"""The access fault of each."""


@travels
@dataclass(frozen=True)
class Context:
    """Under what the guest accesses memory. mode: 0 user, 1 supervisor, as the guest believes; sum, mxr: its sstatus
    bits."""

    satp: int
    mode: int
    sum: bool
    mxr: bool


@travels
@dataclass(frozen=True)
class Walk:
    """What the guest's own tables say of an access. cause: the exception, or None; then the rest counts: where it
    leads, and the leaf's flags (R, W, X, U, A, D; for satp=Bare all but U)."""

    cause: int | None
    gpa: int = 0
    flags: int = 0


@travels
@dataclass(frozen=True)
class Verdict:
    """Whose fault a page fault of the real hart is. kind: "guest": the guest's own, with this cause. "device": gpa is
    none of RAM's, the access must be emulated. "shadow": the shadow tables lack an entry."""

    kind: str
    cause: int = 0
    gpa: int = 0


@travels
@dataclass(frozen=True)
class Machine:
    """The machine's memory, as far as a pager may touch it. Addresses: gpa is the guest's, hpa the machine's."""

    name: str = "machine"

    def load_guest(self, gpa: int) -> int | None:
        """Eight bytes of guest RAM; None where the guest has none."""
        found: int | None = self._ask("load_guest", gpa)
        return found

    def frame(self, gpa: int) -> int | None:
        """The hpa of the frame behind a page of guest RAM; None where the guest has none."""
        found: int | None = self._ask("frame", gpa)
        return found

    def allocate(self) -> int:
        """A frame of zeros for a table of yours: its hpa."""
        return int(self._ask("allocate"))

    def free(self, hpa: int) -> None:
        """Give a table's frame back."""
        self._ask("free", hpa)

    def store(self, hpa: int, value: int) -> None:
        """Write an entry, eight bytes, of a table of yours."""
        self._ask("store", hpa, value)

    def clear(self, hpa: int) -> None:
        """Make a table of yours all zeros."""
        self._ask("clear", hpa)

    def _ask(self, what: str, *arguments: int) -> Any:
        return remote.ask(f"{self.name}.{what}", arguments)
