"""The supervisor-level CSRs and the user counters (privileged manual, "Supervisor-Level ISA"; Zicntr and Zihpm)."""

from __future__ import annotations

from . import causes
from .csr import XLEN_MASK, Csr, plain, structured
from .csr_fields import (
    CAUSE,
    COUNTER_ENABLE,
    EPC,
    SATP,
    TVEC,
    UXL_64,
    environment_fields,
    interrupt_fields,
    status_fields,
)

S_INTERRUPTS = causes.bits(causes.SSI, causes.STI, causes.SEI)
"""The interrupts in sie and sip."""

S_SOFTWARE = causes.bits(causes.SSI)
"""The one pending bit that S-mode itself can set and clear; the platform or M-mode owns the others."""

SUPERVISOR_CSRS: tuple[Csr, ...] = (
    structured(0x100, "sstatus", "Supervisor status", *status_fields(machine=False), reset=UXL_64 << 32,
               vs_twin="vsstatus", extension="S"),
    structured(0x104, "sie", "Supervisor interrupt enables", *interrupt_fields("E", S_INTERRUPTS, S_INTERRUPTS),
               vs_twin="vsie", extension="S"),
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
               vs_twin="vsip", extension="S"),
    plain(0x14D, "stimecmp", "Value of time at which the supervisor timer interrupt becomes pending", reset=XLEN_MASK,
          vs_twin="vstimecmp", extension="Sstc"),
    structured(0x180, "satp", "Address translation: mode, address space, root page table", *SATP, vs_twin="vsatp",
               extension="S"),
)

USER_CSRS: tuple[Csr, ...] = (
    plain(0xC00, "cycle", "Cycles", 0, extension="Zicntr"),
    plain(0xC01, "time", "Real-time counter", 0, extension="Zicntr"),
    plain(0xC02, "instret", "Instructions retired", 0, extension="Zicntr"),
    *(plain(0xC00 + i, f"hpmcounter{i}", f"Performance counter {i}", 0, extension="Zihpm") for i in range(3, 32)),
)
