"""Lab 2: trap and CSR emulation. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.hart import CsrRow, Trapped, VirtualHart


class Emulator:
    """Executes, for a guest kernel that runs in U-mode, the privileged instructions that trapped."""

    def use(self, rows: list[CsrRow]) -> None:
        """Called once, before anything else: the CSRs that the guest has. For any other number it has none."""
        self.rows = {row.number: row for row in rows}

    def csr_read(self, hart: VirtualHart, number: int) -> int | None:
        """The value that the guest reads from a CSR in its present mode; None if that is an illegal instruction."""
        raise NotImplementedError

    def csr_write(self, hart: VirtualHart, number: int, value: int) -> bool:
        """Write a CSR as the guest's csrw would (WARL); False, and nothing changed, if that is an illegal
        instruction."""
        raise NotImplementedError

    def emulate_sret(self, hart: VirtualHart) -> bool:
        """Return from a trap, one step; False, and nothing changed, if that is an illegal instruction."""
        raise NotImplementedError

    def handle_illegal(self, hart: VirtualHart, instruction: Trapped) -> bool:
        """Execute the instruction on `hart` and say True; or say False, with nothing changed: then the guest gets the
        illegal-instruction exception that its hart would have raised."""
        raise NotImplementedError
