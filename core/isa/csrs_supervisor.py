"""The supervisor-level and the user CSRs (privileged manual, "Supervisor-Level ISA"; Zicntr, Zihpm, F)."""

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
    environment_fields,
    interrupt_fields,
    local_interrupts,
    status_fields,
)
from .csrs_counters import SUPERVISOR_COUNTERS, USER_COUNTERS

S_INTERRUPTS = causes.MIDELEG_MASK
"""The interrupts in sie and sip."""

S_SOFTWARE = causes.bits(causes.SSI, causes.LCOFI)
"""The pending bits that S-mode itself can set and clear; the platform or M-mode owns the others."""

SUPERVISOR_CSRS: tuple[Csr, ...] = (
    structured(0x100, "sstatus", "Supervisor status", *status_fields(machine=False), reset=UXL_64 << 32,
               vs_twin="vsstatus", extension="S"),
    structured(0x104, "sie", "Supervisor interrupt enables", *interrupt_fields("E", S_INTERRUPTS, S_INTERRUPTS),
               local_interrupts("E", "Ssaia"), vs_twin="vsie", extension="S"),
    structured(0x105, "stvec", "Supervisor trap handler's address", *TVEC, vs_twin="vstvec", extension="S"),
    structured(0x106, "scounteren", "Counters that U-mode may read", *COUNTER_ENABLE, extension="S"),
    structured(0x10A, "senvcfg", "Environment of U-mode", *environment_fields("U-mode", full=False), extension="S"),
    # No user-level state that they could enable exists here.
    *(plain(0x10C + i, f"sstateen{i}", f"State that U-mode may access, {i}", 0, extension="Ssstateen")
      for i in range(4)),
    plain(0x140, "sscratch", "Scratch register of S-mode", vs_twin="vsscratch", extension="S"),
    structured(0x141, "sepc", "Address to which sret returns", *EPC, vs_twin="vsepc", extension="S"),
    structured(0x142, "scause", "Cause of the trap into S-mode", *CAUSE, vs_twin="vscause", extension="S"),
    plain(0x143, "stval", "Faulting address or instruction of the trap into S-mode", vs_twin="vstval", extension="S"),
    structured(0x144, "sip", "Supervisor interrupts pending", *interrupt_fields("P", S_INTERRUPTS, S_SOFTWARE),
               local_interrupts("P", "Ssaia"), vs_twin="vsip", extension="S"),
    plain(0x14D, "stimecmp", "Value of time at which the supervisor timer interrupt becomes pending", reset=XLEN_MASK,
          vs_twin="vstimecmp", extension="Sstc"),
    structured(0x180, "satp", "Address translation: mode, address space, root page table", *SATP, vs_twin="vsatp",
               extension="S"),
    *SUPERVISOR_COUNTERS,
)

_FLAGS = (Field("NX", 0, 0, "inexact", True),
          Field("UF", 1, 1, "underflow", True),
          Field("OF", 2, 2, "overflow", True),
          Field("DZ", 3, 3, "division by zero", True),
          Field("NV", 4, 4, "invalid operation", True))

USER_CSRS: tuple[Csr, ...] = (
    structured(0x001, "fflags", "Floating-point exceptions accrued", *_FLAGS, extension="F"),
    structured(0x002, "frm", "Floating-point dynamic rounding mode",
               Field("RM", 2, 0, "rne, rtz, rdn, rup, rmm; above that reserved", True), extension="F"),
    structured(0x003, "fcsr", "Floating-point control and status", *_FLAGS,
               Field("FRM", 7, 5, "dynamic rounding mode", True), extension="F"),
    *USER_COUNTERS,
)
