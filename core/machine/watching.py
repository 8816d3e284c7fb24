"""What a host can stop a machine or a VM for, besides breakpoints, and what it is told then."""

from __future__ import annotations

from typing import NamedTuple

from ..hart import UNTIL_CSR, UNTIL_FPR, UNTIL_GPR, UNTIL_MODE, Exit, Hart

Range = tuple[int, int, int]
"""A watchpoint: physical address, length in bytes, kinds (WATCH_LOADS | WATCH_STORES)."""


class Until(NamedTuple):
    """A register whose change ends a run. hart: whose. kind: an UNTIL_* of the hart; number: of the GPR, FPR or CSR."""

    hart: int
    kind: int
    number: int = 0


class Hit(NamedTuple):
    """An access to a watched range, which has been done.

    address: guest physical, of the first byte accessed that is watched. size: of the bytes from there to the last that
    is. before, after: what they held and hold, as an unsigned number (of more than 8, the first 8). hart: the index of
    the hart or vCPU, None for a device or the host. pc: of the instruction, 0 if there was none.
    """

    address: int
    size: int
    is_store: bool
    before: int
    after: int
    hart: int | None
    pc: int

    @property
    def text(self) -> str:
        """What happened, for people."""
        who = f"hart {self.hart} at pc {self.pc:#x}" if self.hart is not None else "a device or the host"
        what = f"{self.before:#x} -> {self.after:#x}" if self.is_store else f"{self.after:#x}"
        return f"{'store to' if self.is_store else 'load of'} {self.address:#x} by {who}: {what}"


def make_hit(exit_: Exit, address: int) -> Hit:
    """What an EXIT_WATCHPOINT tells, with the address as the guest has it."""
    hart = None if exit_.hart < 0 else exit_.hart
    return Hit(address, exit_.size, exit_.is_store, exit_.before, exit_.value, hart, exit_.pc)


def register_value(hart: Hart, kind: int, number: int) -> int:
    """What an Until compares, as the hart has it now."""
    if kind == UNTIL_GPR:
        return hart.read_gpr(number)
    if kind == UNTIL_FPR:
        return hart.read_fpr(number)
    if kind == UNTIL_CSR:
        return hart.read_csr(number)
    if kind == UNTIL_MODE:
        return hart.privilege | hart.virtual << 2
    return hart.steps - hart.idle_steps
