"""What the labs' guests that a seed writes have in common: a prologue, lines that were chosen, and an end."""

from __future__ import annotations

from random import Random
from typing import ClassVar, Final

from .guests import ALONE, ENTRY, Around, Guest

SHUTDOWN: Final = """
    li a7, 8
    ecall
    j .
"""
"""The firmware ends the guest (SBI's legacy sbi_shutdown)."""


class Writer:
    """Writes a program from a stream of choices, which each lab's own writer adds."""

    BEGIN: ClassVar[str]
    """Where the guest starts, and its trap handler; what was chosen follows it."""
    END: ClassVar[str] = SHUTDOWN

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []

    def emit(self, *lines: str) -> None:
        """Some lines; one that ends with a colon is a label."""
        self.lines += lines

    def label(self, stem: str) -> str:
        """A name that is free."""
        return f"{stem}{len(self.lines)}"

    def begin_text(self) -> str:
        """The prologue, with what was chosen filled in."""
        return self.BEGIN

    def guest(self, name: str, around: Around = ALONE, base: int = ENTRY) -> Guest:
        """The program."""
        body = "\n".join(line if line.endswith(":") else f"    {line}" for line in self.lines)
        return Guest.of(self.begin_text() + body + self.END, f"{name}.s", base, around=around)
