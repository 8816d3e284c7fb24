"""Lab 2: the reference answer."""

from __future__ import annotations

from hartvisor.labs.kit.hart import (
    SATP,
    SCOUNTEREN,
    SENVCFG,
    SEPC,
    SSTATUS,
    SSTATUS_FS,
    SSTATUS_SD,
    SSTATUS_SIE,
    SSTATUS_SPIE,
    SSTATUS_SPP,
    SUPERVISOR,
    USER,
    CsrRow,
    Trapped,
    VirtualHart,
)

BARE, SV39, SV48, SV57 = 0, 8, 9, 10
CBIE = 3 << 4
CBIE_RESERVED = 2 << 4


class Emulator:
    """Executes, for a guest kernel that runs in U-mode, the privileged instructions that trapped."""

    def use(self, rows: list[CsrRow]) -> None:
        """The CSRs that the guest has."""
        self.rows = {row.number: row for row in rows}

    def csr_read(self, hart: VirtualHart, number: int) -> int | None:
        """The value that the guest reads from a CSR in its present mode; None if that is an illegal instruction."""
        row = self.rows.get(number)
        if row is None:
            return None
        if row.is_counter:
            is_open = hart.mode == SUPERVISOR or hart.csrs[SCOUNTEREN] >> (number & 31) & 1
            return hart.counters[number] if is_open else None
        if hart.mode == USER:
            return None
        value = hart.csrs[number]
        if number == SSTATUS:
            value = value | SSTATUS_SD if value & SSTATUS_FS == SSTATUS_FS else value & ~SSTATUS_SD
        return value

    def csr_write(self, hart: VirtualHart, number: int, value: int) -> bool:
        """Write a CSR as the guest's csrw would (WARL)."""
        row = self.rows.get(number)
        if row is None or row.is_counter or hart.mode == USER:
            return False
        mask = row.write_mask
        if number == SATP and value >> 60 not in (BARE, SV39, SV48, SV57):
            return True
        if number == SENVCFG and value & CBIE == CBIE_RESERVED:
            mask &= ~CBIE
        hart.csrs[number] = hart.csrs[number] & ~mask | value & mask
        return True

    def emulate_sret(self, hart: VirtualHart) -> bool:
        """Return from a trap, one step."""
        if hart.mode == USER:
            return False
        status = hart.csrs[SSTATUS]
        new = status & ~(SSTATUS_SIE | SSTATUS_SPP) | SSTATUS_SPIE
        if status & SSTATUS_SPIE:
            new |= SSTATUS_SIE
        hart.csrs[SSTATUS] = new
        hart.mode = SUPERVISOR if status & SSTATUS_SPP else USER
        hart.jump(hart.csrs[SEPC])
        return True

    def handle_illegal(self, hart: VirtualHart, instruction: Trapped) -> bool:
        """Execute the instruction, and those that would trap right behind it, or say False."""
        if not self.execute(hart, instruction):
            return False
        following = hart.following()
        while following is not None and self.execute(hart, following):
            following = hart.following()
        return True

    def execute(self, hart: VirtualHart, instruction: Trapped) -> bool:
        """One instruction; False, and nothing changed, if it is illegal."""
        name, number = instruction.name, instruction.csr
        if name == "sret":
            return self.emulate_sret(hart)
        if not name.startswith("csr"):
            return False
        old = self.csr_read(hart, number)
        if old is None:
            return False
        is_immediate = name.endswith("i")
        operand = instruction.rs1 if is_immediate else hart.read_gpr(instruction.rs1)
        kind = name[4]
        if kind == "w" or instruction.rs1:
            value = {"w": operand, "s": old | operand, "c": old & ~operand}[kind]
            if not self.csr_write(hart, number, value):
                return False
        hart.write_gpr(instruction.rd, old)
        hart.retire()
        return True
