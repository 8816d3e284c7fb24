"""What is known of how two logs of a program differ, and the situations that can explain it, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from .qemu_trace import Executed, Trace

Entry = Mapping[str, int]


class Evidence:
    """An entry of a program's two logs, and, once asked for, the way of our hart to it.

    Of one program's entries evidence is asked for in order, since all share one trace.
    """

    def __init__(self, trace: Trace, index: int, ours: Sequence[Entry], theirs: Sequence[Entry]) -> None:
        self.ours, self.theirs = ours[index], theirs[index]
        self.before = theirs[:index]  # QEMU's entries before this one
        self._trace = trace
        self.program = trace.program
        self.entry = min(index, self.program.max_traps - 1)  # the final state is that after the last trap

    @cached_property
    def trace(self) -> Trace:
        """The way of our hart up to the entry."""
        self._trace.go_to(self.entry)
        if "mepc" in self.ours and self._trace.trapped_at[self.entry : self.entry + 1] != [self.ours["mepc"]]:
            raise RuntimeError(f"seed {self.program.seed}: our hart went another way in single steps")
        return self._trace

    @cached_property
    def stretch(self) -> list[Executed]:
        """What our hart executed since the entry before; the last is what trapped. For the final state, which tells of
        memory and of CSRs that no other entry holds, everything."""
        return self.trace.stretch(self.entry) if "mepc" in self.ours else self.trace.executed

    def was_given(self, csr: str, mask: int) -> bool:
        """Whether a CSR was ever given a value with some of the mask's bits."""
        return any(name == csr and value & mask for name, value, _ in self.trace.written())


Situation = Callable[[Evidence], bool]
SITUATIONS: dict[str, Situation] = {}
"""Filled by qemu_accesses.py and qemu_situations.py."""


def situation(name: str) -> Callable[[Situation], Situation]:
    """Enter a function into SITUATIONS."""

    def enter(answer: Situation) -> Situation:
        SITUATIONS[name] = answer
        return answer

    return enter
