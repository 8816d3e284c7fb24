"""The hypervisor and VS CSRs (privileged manual, hypervisor chapter, "Hypervisor and Virtual Supervisor CSRs")."""

from __future__ import annotations

from . import causes
from .csr import XLEN_MASK, Csr, Field, plain, structured
from .csr_fields import (
    CAUSE,
    COUNTER_ENABLE,
    EPC,
    SATP,
    TVEC,
    UXL_64,
    delegation_fields,
    environment_fields,
    interrupt_fields,
    local_interrupts,
    state_enables,
    status_fields,
)
from .csrs_debug import HCONTEXT
from .csrs_supervisor import S_INTERRUPTS, S_SOFTWARE

_VS_INTERRUPTS = causes.HIDELEG_MASK
_HGATP = (Field("PPN", 43, 0, "physical page number of the root page table, a multiple of 4", True),
          Field("VMID", 57, 44, "virtual-machine identifier", True),
          Field("MODE", 63, 60, "0 bare, 8 Sv39x4, 9 Sv48x4, 10 Sv57x4", True))
_H_INTERRUPTS = _VS_INTERRUPTS | causes.bits(causes.SGEI)

HYPERVISOR_CSRS: tuple[Csr, ...] = (
    structured(
        0x600, "hstatus", "Hypervisor status",
        Field("VSBE", 5, 5, "VS-mode data is big-endian"),
        Field("GVA", 6, 6, "stval holds a guest virtual address", True),
        Field("SPV", 7, 7, "virtualization mode before the trap into HS-mode", True),
        Field("SPVP", 8, 8, "privilege, VS or VU, before the trap from a guest; hlv and hsv act with it", True),
        Field("HU", 9, 9, "hlv, hlvx and hsv may be used in U-mode", True),
        Field("VGEIN", 17, 12, "guest interrupt file that feeds VS-mode, 0 for none", True, "Ssaia"),
        Field("VTVM", 20, 20, "satp and sfence.vma trap in VS-mode", True),
        Field("VTW", 21, 21, "wfi traps in VS-mode", True),
        Field("VTSR", 22, 22, "sret traps in VS-mode", True),
        Field("VSXL", 33, 32, "width of registers in VS-mode: 2 is 64 bits"),
        Field("HUPMM", 49, 48, "pointer masking of hlv and hsv in U-mode (Ssnpm)"),
        reset=UXL_64 << 32, extension="H"),
    structured(0x602, "hedeleg", "Exceptions delegated to VS-mode",
               *delegation_fields(causes.EXCEPTIONS, causes.HEDELEG_MASK, 0), extension="H"),
    structured(0x603, "hideleg", "Interrupts delegated to VS-mode",
               *delegation_fields(causes.INTERRUPTS, _VS_INTERRUPTS | causes.bits(causes.LCOFI), 0,
                                  lcofi="Shlcofideleg"), extension="H"),
    structured(0x604, "hie", "VS-level interrupt enables", *interrupt_fields("E", _H_INTERRUPTS, _H_INTERRUPTS),
               extension="H"),
    plain(0x605, "htimedelta", "Added to time as VS-mode and VU-mode read it", extension="H"),
    structured(0x606, "hcounteren", "Counters that the guest may read", *COUNTER_ENABLE, extension="H"),
    structured(0x607, "hgeie", "Guest external interrupt enables",
               Field("FILES", 63, 1, "guest interrupt files whose interrupts HS-mode gets too", True, "Ssaia"),
               extension="H"),
    structured(0x60A, "henvcfg", "Environment of the guest", *environment_fields("VS-mode and VU-mode", full=True),
               extension="H"),
    *state_enables(0x60C, "hstateen", "a guest", "Ssstateen"),
    plain(0x643, "htval", "Guest physical address, shifted right by 2, of the trap into HS-mode", extension="H"),
    structured(0x644, "hip", "VS-level interrupts pending",
               *interrupt_fields("P", _H_INTERRUPTS, causes.bits(causes.VSSI)), extension="H"),
    structured(0x645, "hvip", "VS-level interrupts that the hypervisor injects",
               *interrupt_fields("P", _VS_INTERRUPTS, _VS_INTERRUPTS),
               Field("LCOFIP", causes.LCOFI, causes.LCOFI, "virtual counter-overflow interrupt pending", True,
                     "Ssaia Sscofpmf"),
               local_interrupts("P", "Ssaia"), extension="H"),
    plain(0x64A, "htinst", "Transformed instruction of the trap into HS-mode", extension="H"),
    # A 16 KiB root: the two lowest bits of PPN read as zero, whatever is written.
    Csr(0x680, "hgatp", "Guest address translation: mode, virtual machine, root page table", _HGATP,
        write_mask=sum(field.mask for field in _HGATP) & ~3, extension="H"),
    HCONTEXT,
    plain(0xE12, "hgeip", "Guest external interrupts pending", 0, extension="H"),
)

VS_CSRS: tuple[Csr, ...] = (
    structured(0x200, "vsstatus", "Virtual supervisor status", *status_fields(machine=False), reset=UXL_64 << 32,
               extension="H"),
    structured(0x204, "vsie", "Virtual supervisor interrupt enables",
               *interrupt_fields("E", S_INTERRUPTS, S_INTERRUPTS), local_interrupts("E", "Ssaia"), extension="H"),
    structured(0x205, "vstvec", "Virtual supervisor trap handler's address", *TVEC, extension="H"),
    plain(0x240, "vsscratch", "Scratch register of VS-mode", extension="H"),
    structured(0x241, "vsepc", "Address to which sret returns in VS-mode", *EPC, extension="H"),
    structured(0x242, "vscause", "Cause of the trap into VS-mode", *CAUSE, extension="H"),
    plain(0x243, "vstval", "Faulting address or instruction of the trap into VS-mode", extension="H"),
    structured(0x244, "vsip", "Virtual supervisor interrupts pending",
               *interrupt_fields("P", S_INTERRUPTS, S_SOFTWARE), local_interrupts("P", "Ssaia"), extension="H"),
    plain(0x24D, "vstimecmp", "Value of time + htimedelta at which VS-mode's timer interrupt becomes pending",
          reset=XLEN_MASK, extension="Sstc"),
    structured(0x280, "vsatp", "Guest's own address translation: mode, address space, root page table", *SATP,
               extension="H"),
)
