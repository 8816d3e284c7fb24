"""The machine-level CSRs (privileged manual, "Machine-Level ISA")."""

from __future__ import annotations

from . import causes
from .csr import Csr, Field, plain, structured
from .csr_fields import (
    CAUSE,
    COUNTER_ENABLE,
    EPC,
    TVEC,
    UXL_64,
    delegation_fields,
    environment_fields,
    interrupt_fields,
    state_enables,
    status_fields,
)
from .csrs_counters import MACHINE_COUNTERS, MCOUNTINHIBIT
from .csrs_debug import TRIGGER_CSRS
from .extensions import DEFAULT_ISA, EXTENSIONS, misa_bits

_MISA = structured(
    0x301, "misa", "Instruction set and extensions",
    *(Field(row.name, ord(row.name) - ord("A"), ord(row.name) - ord("A"), row.adds, extension=row.name)
      for row in EXTENSIONS if len(row.name) == 1),
    Field("MXL", 63, 62, "width of registers in M-mode: 2 is 64 bits"),
    reset=UXL_64 << 62 | misa_bits(DEFAULT_ISA))

_MIDELEG_READ_ONLY_ONE = causes.HIDELEG_MASK  # H: "Machine Interrupt Delegation Register (mideleg)"
_H_EXCEPTIONS = causes.MEDELEG_MASK & ~causes.HEDELEG_MASK & ~causes.bits(causes.ECALL_FROM_S)

# Machine-level pending bits come from the CLINT and PLIC, SGEI's from the guests' interrupt files. hvip feeds VSTIP and
# VSEIP.
_MIP = causes.bits(causes.SSI, causes.STI, causes.SEI, causes.VSSI, causes.LCOFI)
_ALL_INTERRUPTS = causes.bits(*causes.INTERRUPT_BY_NUMBER)


def _pmp() -> tuple[Csr, ...]:
    # On RV64 only the even pmpcfg registers exist, eight entries in each. Bits 6:5 of an entry read as zero.
    configs = tuple(
        Csr(0x3A0 + register, f"pmpcfg{register}", f"PMP configuration, entries {register * 4} to {register * 4 + 7}",
            tuple(Field(f"PMP{entry}CFG", entry % 8 * 8 + 7, entry % 8 * 8, f"L, A, X, W, R of entry {entry}", True)
                  for entry in range(register * 4, register * 4 + 8)),
            write_mask=0x9F9F_9F9F_9F9F_9F9F)
        for register in range(0, 16, 2))
    addresses = tuple(
        plain(0x3B0 + i, f"pmpaddr{i}", f"PMP address of entry {i}, bits 55 to 2", write_mask=(1 << 54) - 1)
        for i in range(64))
    return configs + addresses


PMPCFG_FIELDS: tuple[Field, ...] = (
    Field("R", 0, 0, "reads are permitted", True),
    Field("W", 1, 1, "writes are permitted", True),
    Field("X", 2, 2, "fetches are permitted", True),
    Field("A", 4, 3, "address matching: 0 off, 1 top of range, 2 four bytes, 3 power-of-two region", True),
    Field("L", 7, 7, "locked until reset, and binds M-mode too", True),
)
"""One entry's byte in a pmpcfg register ("Physical Memory Protection CSRs")."""

MACHINE_CSRS: tuple[Csr, ...] = (
    plain(0xF11, "mvendorid", "Vendor", 0),
    plain(0xF12, "marchid", "Architecture", 0),
    plain(0xF13, "mimpid", "Implementation", 0),
    plain(0xF14, "mhartid", "This hart's number", 0),
    plain(0xF15, "mconfigptr", "Address of the configuration data structure, 0 if there is none", 0),
    structured(0x300, "mstatus", "Machine status", *status_fields(machine=True), reset=UXL_64 << 34 | UXL_64 << 32),
    _MISA,
    structured(0x302, "medeleg", "Exceptions delegated to S-mode",
               *delegation_fields(causes.EXCEPTIONS, causes.MEDELEG_MASK, _H_EXCEPTIONS)),
    structured(0x303, "mideleg", "Interrupts delegated to S-mode",
               *delegation_fields(causes.INTERRUPTS, causes.MIDELEG_MASK,
                                  _MIDELEG_READ_ONLY_ONE | causes.bits(causes.SGEI)),
               reset=_MIDELEG_READ_ONLY_ONE),
    structured(0x304, "mie", "Interrupt enables", *interrupt_fields("E", _ALL_INTERRUPTS, _ALL_INTERRUPTS)),
    structured(0x305, "mtvec", "Machine trap handler's address", *TVEC),
    structured(0x306, "mcounteren", "Counters that the level below M may read", *COUNTER_ENABLE),
    *state_enables(0x30C, "mstateen", "the levels below M", "Smstateen"),
    structured(0x30A, "menvcfg", "Environment of the levels below M",
               *environment_fields("modes below M", full=True)),
    MCOUNTINHIBIT,
    plain(0x340, "mscratch", "Scratch register of M-mode"),
    structured(0x341, "mepc", "Address to which mret returns", *EPC),
    structured(0x342, "mcause", "Cause of the trap into M-mode", *CAUSE),
    plain(0x343, "mtval", "Faulting address or instruction of the trap into M-mode"),
    structured(0x344, "mip", "Interrupts pending", *interrupt_fields("P", _ALL_INTERRUPTS, _MIP)),
    plain(0x34A, "mtinst", "Transformed instruction of the trap into M-mode", extension="H"),
    plain(0x34B, "mtval2", "Guest physical address, shifted right by 2, of the trap into M-mode", extension="H"),
    structured(0x747, "mseccfg", "Machine security configuration",
               Field("MML", 0, 0, "machine-mode lockdown", True, "Smepmp"),
               Field("MMWP", 1, 1, "machine-mode allow-list policy", True, "Smepmp"),
               Field("RLB", 2, 2, "locked PMP rules can be changed", True, "Smepmp"),
               Field("USEED", 8, 8, "U-mode may read seed (Zkr)"),
               Field("SSEED", 9, 9, "S-mode may read seed (Zkr)")),
    *_pmp(),
    *TRIGGER_CSRS,
    *MACHINE_COUNTERS,
)
