"""The guest's supervisor CSRs, wherever a technique keeps them: one face, three places.

    technique        the guest's sstatus, sepc, ... are
    bare             the hart's own S-mode CSRs                            HartCsrs
    deprivileged     values in Python; of the hart's, only sstatus.FS      CsrFile
    shadow           the hart's VS CSRs, but satp is the hypervisor's      VsCsrs
    two-stage        the hart's VS CSRs, satp included                     VsCsrs

Everything that reads or changes a guest's CSRs (CSR emulation, trap injection, SBI, digests) goes through `Csrs`.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..hart import NOTE_ROOT, Hart
from ..isa.causes import SEI, SSI, STI
from ..isa.csrs import BY_NAME
from ..isa.paging import is_legal_satp

SSTATUS: Final = BY_NAME["sstatus"].number
SIE: Final = BY_NAME["sie"].number
STVEC: Final = BY_NAME["stvec"].number
SCOUNTEREN: Final = BY_NAME["scounteren"].number
SENVCFG: Final = BY_NAME["senvcfg"].number
SSCRATCH: Final = BY_NAME["sscratch"].number
SEPC: Final = BY_NAME["sepc"].number
SCAUSE: Final = BY_NAME["scause"].number
STVAL: Final = BY_NAME["stval"].number
SIP: Final = BY_NAME["sip"].number
SATP: Final = BY_NAME["satp"].number
CYCLE: Final = BY_NAME["cycle"].number
TIME: Final = BY_NAME["time"].number
STIMECMP: Final = BY_NAME["stimecmp"].number
INSTRET: Final = BY_NAME["instret"].number
MHARTID: Final = BY_NAME["mhartid"].number


def field_mask(csr: str, field: str) -> int:
    """The bits, in place, of a CSR's field, both by name."""
    return next(row.mask for row in BY_NAME[csr].fields if row.name == field)


SSTATUS_SIE: Final = field_mask("sstatus", "SIE")
SSTATUS_SPIE: Final = field_mask("sstatus", "SPIE")
SSTATUS_SPP: Final = field_mask("sstatus", "SPP")
SSTATUS_SUM: Final = field_mask("sstatus", "SUM")
SSTATUS_MXR: Final = field_mask("sstatus", "MXR")
SSTATUS_FS: Final = field_mask("sstatus", "FS")
SSTATUS_SD: Final = field_mask("sstatus", "SD")
FCSR: Final = BY_NAME["fcsr"].number
FLOAT_CSRS: Final = (BY_NAME["fflags"].number, BY_NAME["frm"].number, FCSR)
"""The hart's own under every technique."""

N_COUNTERS: Final = 32
"""cycle, time, instret and the hpmcounters have numbers in a row."""

GUEST_CSRS: Final = (SSTATUS, SIE, STVEC, SCOUNTEREN, SENVCFG, SSCRATCH, SEPC, SCAUSE, STVAL, SIP, SATP)
"""The S-mode CSRs a guest sees, all of them state. (cycle, time and instret follow from the step counts.)"""

CSR_NAMES: Final = {number: csr.name for csr in BY_NAME.values() if (number := csr.number) in GUEST_CSRS}

LENT: Final = frozenset({SSTATUS, STVEC, SSCRATCH, SEPC, SCAUSE, STVAL})
"""Those that a deprivileged guest's hart keeps for it."""

INTERRUPT_LINES: Final = {SSI: 1 << SSI, STI: 1 << STI, SEI: 1 << SEI}
"""The interrupts a guest can get, by number, with their bits in sip."""

_TRANSLATED = SSTATUS_SUM | SSTATUS_MXR
"""What of sstatus translation depends on."""

_CBIE = field_mask("senvcfg", "CBIE")
_CBIE_RESERVED = 2 << 4


class Csrs(Protocol):
    """A guest's supervisor CSRs, by the S-mode numbers the guest itself uses."""

    def read(self, number: int) -> int:
        """The value of one of GUEST_CSRS. Raises KeyError for any other number."""

    def write(self, number: int, value: int) -> None:
        """Write one of GUEST_CSRS as a csrw would (WARL)."""

    def set_pending(self, interrupt: int, level: bool) -> None:
        """Set or clear SSI, STI or SEI in sip, as the platform does."""

    def on_hart(self, number: int) -> int | None:
        """The hart's CSR that this one is, or is part of; None for one that only the hypervisor changes."""


class CsrFile:
    """Supervisor CSRs that exist only here: what the deprivileged guest's CSR instructions act on.

    What is LENT is with the hart, which may use it for the guest (`Hart.lend`). The FS of sstatus is the hart's own,
    which decides in U-mode what the guest's would and turns dirty when it should; unless the guest has no F: then the
    hart's stays off, and FS is a bit like the others.

    hart: the guest's. isa: the extensions that the guest has. values: number to value, for all others. is_stale:
    translation, or what may be done in U-mode, depends on something that was written since the flag was last cleared.
    """

    __slots__ = ("_hart", "_has_float", "_masks", "is_stale", "isa", "values")

    def __init__(self, hart: Hart, isa: frozenset[str]) -> None:
        self.isa = isa
        self._hart = hart
        self._has_float = "F" in isa
        self.values: dict[int, int] = {number: BY_NAME[name].reset for number, name in CSR_NAMES.items()}
        for number in LENT:
            hart.write_lent(number, self.values.pop(number))
        self._masks = {number: BY_NAME[name].write_mask & ~BY_NAME[name].absent_bits(isa)
                       for number, name in CSR_NAMES.items()}
        self.is_stale = True

    @property
    def status(self) -> int:
        """sstatus, but for FS and SD where they are the hart's own."""
        return self._hart.read_lent(SSTATUS)

    @status.setter
    def status(self, value: int) -> None:
        self._hart.write_lent(SSTATUS, value)

    def read(self, number: int) -> int:
        """The value. Raises KeyError if a guest has no such CSR."""
        if number == SSTATUS:
            value = self.status
            if self._has_float:
                return value | self._hart.read_csr(SSTATUS) & (SSTATUS_FS | SSTATUS_SD)
            if value & SSTATUS_FS == SSTATUS_FS:
                return value | SSTATUS_SD
            return value
        if number in LENT:
            return self._hart.read_lent(number)
        return self.values[number]

    def write(self, number: int, value: int) -> None:
        """Write the writable bits. A satp with an unsupported MODE is ignored whole (privileged manual, "satp")."""
        if number == SATP:
            if not is_legal_satp(value, self.isa):
                return
            self._hart.memory.note(NOTE_ROOT, self._hart.read_csr(MHARTID), 0, self.values[SATP])
            self.is_stale = True
        mask = self._masks[number]
        if number == SSTATUS:
            status = self.status
            if (status ^ value) & _TRANSLATED:
                self.is_stale = True
            if self._has_float:
                real = self._hart.read_csr(SSTATUS)
                if (real ^ value) & SSTATUS_FS:
                    self._hart.write_csr(SSTATUS, real & ~SSTATUS_FS | value & SSTATUS_FS)
                value &= ~SSTATUS_FS
            self.status = status & ~mask | value & mask
            return
        if number == SENVCFG:
            self.is_stale = True
            if value & _CBIE == _CBIE_RESERVED:
                mask &= ~_CBIE
        if number in LENT:
            self._hart.write_lent(number, self._hart.read_lent(number) & ~mask | value & mask)
            return
        values = self.values
        values[number] = values[number] & ~mask | value & mask

    def put(self, number: int, value: int) -> None:
        """Keep this very value, whatever the CSR's writable bits: for an emulation that has done the masking itself.
        Raises KeyError for satp, whose value must be one that `write` takes, and for what a guest has not."""
        if number == SATP or number not in CSR_NAMES:
            raise KeyError(number)
        self.is_stale = True
        if number == SSTATUS:
            if self._has_float:
                real = self._hart.read_csr(SSTATUS)
                self._hart.write_csr(SSTATUS, real & ~SSTATUS_FS | value & SSTATUS_FS)
                value &= ~SSTATUS_FS
            self.status = value & ~SSTATUS_SD
        elif number in LENT:
            self._hart.write_lent(number, value)
        else:
            self.values[number] = value

    def set_pending(self, interrupt: int, level: bool) -> None:
        """Drive a bit of sip."""
        bit = 1 << interrupt
        self.values[SIP] = self.values[SIP] & ~bit | (bit if level else 0)

    def on_hart(self, number: int) -> int | None:
        """Only the floating-point state is kept by the hart."""
        return number if number in FLOAT_CSRS or (number == SSTATUS and self._has_float) else None


class HartCsrs:
    """The hart's own supervisor CSRs, for a guest that runs bare."""

    def __init__(self, hart: Hart) -> None:
        self._hart = hart
        self._mip = BY_NAME["mip"].number

    def read(self, number: int) -> int:
        """The hart's CSR."""
        return self._hart.read_csr(number)

    def write(self, number: int, value: int) -> None:
        """Write the hart's CSR."""
        self._hart.write_csr(number, value)

    def set_pending(self, interrupt: int, level: bool) -> None:
        """SEI is a wire from the interrupt controller; M-mode sets the others in mip."""
        if interrupt == SEI:
            self._hart.set_irq(SEI, level)
            return
        bit = 1 << interrupt
        self._hart.write_csr(self._mip, self._hart.read_csr(self._mip) & ~(1 << SEI) & ~bit | (bit if level else 0))

    def on_hart(self, number: int) -> int | None:
        """Itself."""
        return number


_TWINS: Final = {number: BY_NAME[twin].number if (twin := BY_NAME[name].vs_twin) else number
                 for number, name in CSR_NAMES.items()}
"""Guest CSR number to the hart's: the VS copy, or the real one where there is none (scounteren, senvcfg)."""


class VsCsrs:
    """The hart's VS CSRs, and its own scounteren and senvcfg, for a guest in VS and VU (H, "Virtual Supervisor
    Registers")."""

    def __init__(self, hart: Hart, isa: frozenset[str]) -> None:
        self._hart = hart
        self._absent_environment = BY_NAME["senvcfg"].absent_bits(isa)
        self._hvip = BY_NAME["hvip"].number

    def read(self, number: int) -> int:
        """The twin's value. vsip and vsie show VS interrupts where sip and sie have theirs. Raises KeyError."""
        return self._hart.read_csr(_TWINS[number])

    def write(self, number: int, value: int) -> None:
        """Write the twin. The hart's senvcfg may have fields that the guest's has not."""
        if number == SENVCFG:
            value &= ~self._absent_environment
        self._hart.write_csr(_TWINS[number], value)

    def set_pending(self, interrupt: int, level: bool) -> None:
        """Drive the VS-level interrupt's bit in hvip: numbers 2, 6, 10 stand for the guest's 1, 5, 9."""
        bit = 1 << interrupt + 1
        self._hart.write_csr(self._hvip, self._hart.read_csr(self._hvip) & ~bit | (bit if level else 0))

    def on_hart(self, number: int) -> int | None:
        """The twin."""
        return _TWINS.get(number, number)
