"""Two stages of translation: under what a guest accesses memory, what comes of it, and worlds to switch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ..jail.codec import changes, travels
from . import remote

SV39: Final = 8
SV39X4: Final = 8
"""MODE in vsatp and in hgatp; the only other that this hart's guests have is 0, Bare."""

GUEST_PAGE_FAULT: Final = (20, 21, 23)
"""The guest-page fault of a fetch, a load, a store."""

VSSTATUS: Final = 0x200
VSIE: Final = 0x204
VSTVEC: Final = 0x205
VSSCRATCH: Final = 0x240
VSEPC: Final = 0x241
VSCAUSE: Final = 0x242
VSTVAL: Final = 0x243
VSIP: Final = 0x244
VSATP: Final = 0x280
SCOUNTEREN: Final = 0x106
SENVCFG: Final = 0x10A
HTIMEDELTA: Final = 0x605
HVIP: Final = 0x645
HGATP: Final = 0x680


@travels
@dataclass(frozen=True)
class View:
    """Under what a guest accesses memory. mode: 0 VU, 1 VS. sum, vmxr: SUM and MXR of vsstatus; mxr: MXR of sstatus,
    the hypervisor's."""

    vsatp: int
    hgatp: int
    mode: int
    sum: bool = False
    vmxr: bool = False
    mxr: bool = False


@travels
@dataclass(frozen=True)
class Found:
    """What came of a translation. cause: the exception, or None. hpa: where it leads. gpa: between the stages; of a
    guest-page fault, the address that had no translation, which is a table entry's if is_implicit; else 0."""

    cause: int | None
    hpa: int = 0
    gpa: int = 0
    is_implicit: bool = False


@changes
@dataclass
class Ram:
    """The machine's memory. words: doublewords by hpa, a multiple of 8; where none is given it holds zeros."""

    base: int
    size: int
    words: dict[int, int] = field(default_factory=dict)

    def load(self, hpa: int, size: int = 8) -> int | None:
        """1, 2, 4 or 8 bytes, unsigned, aligned to their size; None where there is no RAM."""
        if not self.base <= hpa < self.base + self.size:
            return None
        return self.words.get(hpa & ~7, 0) >> 8 * (hpa & 7) & (1 << 8 * size) - 1

    def store(self, hpa: int, size: int, value: int) -> None:
        """The low bytes of the value, at an address in RAM that is aligned to their size."""
        mask = (1 << 8 * size) - 1 << 8 * (hpa & 7)
        self.words[hpa & ~7] = self.words.get(hpa & ~7, 0) & ~mask | value << 8 * (hpa & 7) & mask


@travels
@dataclass(frozen=True)
class GuestFault:
    """A guest-page fault. gpa: what had no translation. access: FETCH, LOAD or STORE, what the guest was about.
    is_implicit: it was on the way there, at an entry of the guest's own tables."""

    gpa: int
    access: int
    is_implicit: bool


@changes
@dataclass
class World:
    """A guest that is off the hart. vmid: which one. csrs: its CSRs by number; one that is not in here is 0."""

    vmid: int
    csrs: dict[int, int] = field(default_factory=dict)


@travels
@dataclass(frozen=True)
class Host:
    """The machine below the guests, as far as you may touch it."""

    name: str = "host"

    def frame(self, gpa: int) -> int | None:
        """The hpa of the frame behind a page of guest RAM; None where the guest has none."""
        found: int | None = self._ask("frame", gpa)
        return found

    def allocate(self, frames: int = 1) -> int:
        """Frames of zeros for a table of yours, in a row, aligned to their size: the hpa of the first."""
        return int(self._ask("allocate", frames))

    def load(self, hpa: int) -> int:
        """An entry, eight bytes, of a table of yours."""
        return int(self._ask("load", hpa))

    def store(self, hpa: int, value: int) -> None:
        """Write one."""
        self._ask("store", hpa, value)

    def read_csr(self, number: int) -> int:
        """One of the hart's VS or hypervisor CSRs, or scounteren or senvcfg."""
        return int(self._ask("read_csr", number))

    def write_csr(self, number: int, value: int) -> None:
        """Write one."""
        self._ask("write_csr", number, value)

    def hfence_gvma(self, gpa: int | None = None, vmid: int | None = None) -> None:
        """hfence.gvma; None stands for x0: every address, every VMID."""
        self._ask("hfence_gvma", gpa, vmid)

    def hfence_vvma(self, gva: int | None = None, asid: int | None = None) -> None:
        """hfence.vvma, of the VM whose VMID is in hgatp."""
        self._ask("hfence_vvma", gva, asid)

    def _ask(self, what: str, *arguments: int | None) -> Any:
        return remote.ask(f"{self.name}.{what}", arguments)
