"""What a VM is to stop at: breakpoints and watchpoints, as the user set them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ...hart import UNTIL_CSR, UNTIL_GPR, WATCH_LOADS, WATCH_STORES


@dataclass(frozen=True)
class Breakpoint:
    """Before the instruction at `address`, a guest virtual address, in any mode and address space."""

    address: int
    is_enabled: bool = True


class Watched(Enum):
    """What a watchpoint looks at."""

    MEMORY = "memory"   # stores to guest physical memory
    ACCESS = "access"   # loads of it, too
    PTE = "pte"         # as MEMORY: a page-table entry, set or stored to by whom ever
    GPR = "gpr"
    CSR = "csr"

    @property
    def is_memory(self) -> bool:
        """Whether the guest's memory is what is watched."""
        return self not in (Watched.GPR, Watched.CSR)


KINDS = {Watched.MEMORY: WATCH_STORES, Watched.PTE: WATCH_STORES, Watched.ACCESS: WATCH_LOADS | WATCH_STORES}
"""What the hart is asked to look for."""

UNTIL_OF = {Watched.GPR: UNTIL_GPR, Watched.CSR: UNTIL_CSR}


@dataclass(frozen=True)
class Watchpoint:
    """After the step that touches it. where: a GPA, or a register's or CSR's number. size: bytes of memory. name: what
    the user asked for. vcpu: whose register."""

    watched: Watched
    where: int
    size: int = 8
    name: str = ""
    vcpu: int = 0
    is_enabled: bool = True
