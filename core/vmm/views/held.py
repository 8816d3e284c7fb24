"""What the hart's translation cache holds of an address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.csrs import BY_NAME
from ...isa.paging import PAGE_SIZE, PTE_R, PTE_W, PTE_X
from ..csr_file import SSTATUS, SSTATUS_MXR, SSTATUS_SUM
from ..walker import FETCH, LOAD, STORE

if TYPE_CHECKING:
    from ..vcpu import Vcpu

VSSTATUS: Final = BY_NAME["vsstatus"].number
_NEEDED: Final = {FETCH: PTE_X, LOAD: PTE_R, STORE: PTE_W}
_PRIVILEGE, _V, _SUM, _MXR, _VMXR = 3, 4, 8, 16, 32


@dataclass(frozen=True)
class Held:
    """One translation in the cache. mode: whose accesses it is for: VS, VU, U, S. sum_, mxr: under these bits. asid:
    whose, vmid: None where there is no second stage. hpa: of the page. permissions: PTE_R|W|X as accesses found them.

    is_present: it is for the hart as it is now. is_stale: and does not agree with the tables: the next access uses it
    all the same.
    """

    mode: str
    sum_: bool
    mxr: bool
    asid: int
    vmid: int | None
    hpa: int
    permissions: int
    is_present: bool
    is_stale: bool


def held_by(vcpu: Vcpu, gva: int) -> tuple[Held, ...]:
    """All translations of gva that the vCPU's hart has cached."""
    hart = vcpu.hart
    now = _present(vcpu)
    found = []
    for hart_id, atp, gatp, mode, hpa, permissions in hart.memory.translations(gva):
        if hart_id != vcpu.index:
            continue
        is_present = (mode, atp) == now
        is_stale = is_present and any(
            hart.translate(gva, access) != (hpa | gva % PAGE_SIZE, 0)
            for access, needed in _NEEDED.items() if permissions & needed)
        found.append(Held(_name(mode, vcpu.technique.has_h), bool(mode & _SUM), bool(mode & (_MXR | _VMXR)),
                          atp >> 44 & 0xFFFF, gatp >> 44 & 0x3FFF if mode & _V and gatp else None, hpa, permissions,
                          is_present, is_stale))
    return tuple(sorted(found, key=lambda held: not held.is_present))


def _name(mode: int, has_h: bool) -> str:
    if mode & _V:
        return "VS" if mode & _PRIVILEGE else "VU"
    return {0: "U", 1: "HS" if has_h else "S"}.get(mode & _PRIVILEGE, "M")


def _present(vcpu: Vcpu) -> tuple[int, int]:
    """The mode of the hart's accesses to memory now, and its tables, as its cache names them."""
    hart = vcpu.hart
    mode = hart.privilege
    status = hart.read_csr(SSTATUS if not hart.virtual else VSSTATUS)
    if status & SSTATUS_SUM:
        mode |= _SUM
    if status & SSTATUS_MXR:
        mode |= _VMXR if hart.virtual else _MXR
    if hart.virtual:
        mode |= _V
        if hart.read_csr(BY_NAME["sstatus"].number) & SSTATUS_MXR:
            mode |= _MXR
    atp = hart.read_csr(BY_NAME["vsatp" if hart.virtual else "satp"].number)
    return mode, atp >> 44 << 44 if vcpu.vm.config.tlb == "stale" else atp
