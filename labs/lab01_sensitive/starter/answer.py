"""Lab 1: Popek and Goldberg. Fill in what raises NotImplementedError; the handout says what each must do."""

from __future__ import annotations

from hartvisor.labs.kit.hart import CsrRow
from hartvisor.labs.kit.sensitive import Box, Instruction, Patched, Silent


class Theorem:
    """What Popek and Goldberg ask of a machine, and what to do about one that has it not."""

    def use(self, csrs: list[CsrRow]) -> None:
        """Called once, before classify: the CSRs below M-mode that the hart has."""
        self.csrs = {row.number: row for row in csrs}

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """TRAPS, CONTROL, BEHAVIOUR or INNOCUOUS: what the instruction is in this mode. csr: the number of the CSR that
        it is about, if any."""
        raise NotImplementedError

    def find_silent(self, box: Box, words: list[int]) -> list[int]:
        """Those of the words that are sensitive on this machine, and do not trap in its user mode."""
        raise NotImplementedError

    def deprivilege(self, words: list[int], silent: list[Silent], users: list[int]) -> Patched:
        """The program, so that it can run in user mode and the hypervisor hears of all that it must.

        users: the indices of words that the program executes in user mode only.
        """
        raise NotImplementedError
