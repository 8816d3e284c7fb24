"""The right classification, by the hart that tried, and broken ones: for students' tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ..kit.hart import SUPERVISOR, USER
from ..kit.sensitive import BEHAVIOUR, CONTROL, INNOCUOUS, TRAPS, Instruction
from ..lab import RIGHT
from .experiment import ROWS, Experiment

_BY_NAME: Final = {row.name: row for row in ROWS}
COUNTERS: Final = (0xC00, 0xC01, 0xC02)


class Right:
    """The classifier that students write."""

    def __init__(self) -> None:
        self._experiment = Experiment()

    def use(self, csrs: Any) -> None:
        """The hart knows."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """As the hart did it."""
        return self._experiment.classify(_BY_NAME[instruction.name], csr, instruction.writes, mode)


class ReadsAreInnocuous(Right):
    """What only reads a CSR has nothing to do with the supervisor's resources."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """Behaviour does not count."""
        found = super().classify(instruction, csr, mode)
        return INNOCUOUS if found == BEHAVIOUR else found


class WaitsInnocently(Right):
    """wfi is a nop."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """In both modes."""
        return INNOCUOUS if instruction.name == "wfi" else super().classify(instruction, csr, mode)


class X0Writes(Right):
    """csrrs and csrrc with x0 write."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """As if they did."""
        writes = csr is not None
        return super().classify(Instruction(instruction.name, writes), csr, mode)


class CountersAreEverybodys(Right):
    """cycle, time and instret are read in user mode, whoever is above."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """They do not trap."""
        if csr in COUNTERS and mode == USER and not instruction.writes:
            return BEHAVIOUR
        return super().classify(instruction, csr, mode)


class MachinesCsrs(Right):
    """A CSR's number does not say whose it is: S-mode reads M's."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """They execute."""
        if csr is not None and csr >> 8 & 3 == 3 and mode == SUPERVISOR and not instruction.writes:
            return BEHAVIOUR
        return super().classify(instruction, csr, mode)


class FencesAreFree(Right):
    """sfence.vma changes nothing that one could see."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """Where it executes."""
        found = super().classify(instruction, csr, mode)
        return INNOCUOUS if instruction.name == "sfence.vma" and found == CONTROL else found


class CallsAreControl(Right):
    """ecall does not trap: it is meant to be."""

    def classify(self, instruction: Instruction, csr: int | None, mode: int) -> str:
        """Control."""
        found = super().classify(instruction, csr, mode)
        return CONTROL if instruction.name == "ecall" and found == TRAPS else found


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "reads-are-innocuous": ReadsAreInnocuous, "waits-innocently": WaitsInnocently, "x0-writes": X0Writes,
    "counters-are-everybodys": CountersAreEverybodys, "machines-csrs": MachinesCsrs, "fences-are-free": FencesAreFree,
    "calls-are-control": CallsAreControl}
