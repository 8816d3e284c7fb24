"""The right emulator, on the hypervisor's own CSR file, and broken ones: what students' tests are to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...core.hart import Hart, Memory
from ...core.isa.csrs import BY_NAME
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.csr_file import CSR_NAMES, CsrFile
from ...core.vmm.guest_isa import GUEST_ISA
from ..kit.hart import (
    CYCLE,
    INSTRET,
    SATP,
    SCOUNTEREN,
    SEPC,
    SSTATUS,
    SSTATUS_SIE,
    SSTATUS_SPIE,
    SSTATUS_SPP,
    SUPERVISOR,
    Trapped,
    VirtualHart,
)
from ..lab import RIGHT

ISA: Final = GUEST_ISA - {"Zihpm", "Sstc"}


class Right:
    """The emulator that students write."""

    def __init__(self) -> None:
        self._hart = Hart(Memory(1 << 16, base=RAM_BASE))

    def use(self, rows: Any) -> None:
        """The rows are known here."""

    def csr_read(self, hart: VirtualHart, number: int) -> int | None:
        """As the hypervisor's file has it."""
        if CYCLE <= number <= INSTRET:
            is_open = hart.mode == SUPERVISOR or hart.csrs[SCOUNTEREN] >> number - CYCLE & 1
            return hart.counters[number] if is_open else None
        if number not in CSR_NAMES or not hart.mode:
            return None
        return hart.csrs[SATP] if number == SATP else self._file(hart).read(number)

    def csr_write(self, hart: VirtualHart, number: int, value: int) -> bool:
        """Through the same file."""
        if number not in CSR_NAMES or not hart.mode:
            return False
        file = self._file(hart)
        file.write(number, value)
        hart.csrs[number] = file.read(number)
        return True

    def _file(self, hart: VirtualHart) -> CsrFile:
        file = CsrFile(self._hart, ISA)
        for number, value in hart.csrs.items():
            if number == SATP:
                file.write(SATP, value)
            else:
                file.put(number, value | BY_NAME["sstatus"].reset if number == SSTATUS else value)
        return file

    def emulate_sret(self, hart: VirtualHart) -> bool:
        """The manual's four lines."""
        if not hart.mode:
            return False
        status = hart.csrs[SSTATUS]
        hart.mode = int(bool(status & SSTATUS_SPP))
        hart.csrs[SSTATUS] = self.after_sret(status)
        hart.jump(hart.csrs[SEPC])
        return True

    def after_sret(self, status: int) -> int:
        """sstatus after it."""
        kept = status & ~(SSTATUS_SPP | SSTATUS_SIE)
        return kept | SSTATUS_SPIE | (SSTATUS_SIE if status & SSTATUS_SPIE else 0)

    def handle_illegal(self, hart: VirtualHart, instruction: Trapped) -> bool:
        """One instruction."""
        name = instruction.name
        if name == "sret":
            return self.emulate_sret(hart)
        old = self.csr_read(hart, instruction.csr) if name else None
        if old is None:
            return False
        operand = instruction.rs1 if name[-1] == "i" else hart.read_gpr(instruction.rs1)
        if self.writes(instruction) and not self.csr_write(hart, instruction.csr, self.combine(name[4], old, operand)):
            return False
        hart.write_gpr(instruction.rd, old)
        hart.retire()
        return True

    def writes(self, instruction: Trapped) -> bool:
        """csrrs and csrrc with x0, or 0, do not."""
        return instruction.name[4] == "w" or instruction.rs1 != 0

    def combine(self, kind: str, old: int, operand: int) -> int:
        """The value written."""
        return operand if kind == "w" else old | operand if kind == "s" else old & ~operand


class ForgetsSpp(Right):
    """sret leaves SPP as it was."""

    def after_sret(self, status: int) -> int:
        """SPP stays."""
        return super().after_sret(status) | status & SSTATUS_SPP


class AlwaysEnables(Right):
    """sret sets SIE, whatever SPIE was."""

    def after_sret(self, status: int) -> int:
        """SIE is on."""
        return super().after_sret(status) | SSTATUS_SIE


class TakesAnySatp(Right):
    """An unsupported MODE is stored."""

    def csr_write(self, hart: VirtualHart, number: int, value: int) -> bool:
        """satp is not looked at."""
        if number == SATP and hart.mode:
            hart.csrs[SATP] = value
            return True
        return super().csr_write(hart, number, value)


class WritesForX0(Right):
    """csrrs and csrrc with x0 count as writes: counters cannot be read."""

    def writes(self, instruction: Trapped) -> bool:
        """Always."""
        return True


class OpenToUser(Right):
    """U-mode may do what S-mode may."""

    def csr_read(self, hart: VirtualHart, number: int) -> int | None:
        """The mode is not looked at."""
        mode, hart.mode = hart.mode, SUPERVISOR
        value = super().csr_read(hart, number)
        hart.mode = mode
        return value


class ClearsWithoutNot(Right):
    """csrrc keeps the operand's bits, and clears the others."""

    def combine(self, kind: str, old: int, operand: int) -> int:
        """A missing ~."""
        return old & operand if kind == "c" else super().combine(kind, old, operand)


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "forgets-spp": ForgetsSpp, "always-enables": AlwaysEnables, "any-satp": TakesAnySatp,
    "writes-for-x0": WritesForX0, "open-to-user": OpenToUser, "clears-without-not": ClearsWithoutNot}
BROKEN: Final = tuple(name for name in VERSIONS if name != RIGHT)
