"""Writes the hart's fused handlers: one function for several instructions in a row, for the rows that are common.

A fused handler is its first instruction's own, word for word, but where that goes on to whatever comes next, the next
handler's text stands itself. So an instruction's meaning is still said once, in core/hart/execute_*.pxi; what is saved
is the jump in between. Every op keeps its place and its own handler in its block: a fault, a stop, or a jump into the
middle finds what it would without fusion.
"""

from __future__ import annotations

import re
from pathlib import Path

HART = Path(__file__).resolve().parent.parent / "core" / "hart"
SOURCES = ("execute_integer.pxi", "execute_memory.pxi", "execute_float.pxi")
SEQUENCES = HART / "fused.txt"
HANDLER = re.compile(r"^cdef void op_(\w+)\(HartState\* h, Op\* ip, i64 left\) noexcept nogil:\n"
                     r"((?:    .*\n|\n(?=    ))+)", re.MULTILINE)
GO_ON = "advance(h, ip, left)"
SIGNATURE = "(HartState* h, Op* ip, i64 left) noexcept nogil:\n"


def read_handlers() -> dict[str, str]:
    """Each handler's body by its instruction's name, with underscores for dots."""
    return {name: body for source in SOURCES
            for name, body in HANDLER.findall((HART / source).read_text(encoding="utf-8"))}


def read_sequences() -> list[tuple[str, ...]]:
    """The rows to fuse, the longest first; a row stands on a line of its own, # begins a comment."""
    lines = (line.split("#")[0].split() for line in SEQUENCES.read_text(encoding="utf-8").splitlines())
    rows = {tuple(line) for line in lines if line}
    return sorted(rows, key=lambda row: (-len(row), row))


def fused_handlers() -> str:
    """The Cython text. Raises ValueError for a row of fewer than two, or of what cannot be fused."""
    handlers, rows = read_handlers(), read_sequences()
    merged: dict[tuple[str, ...], str] = {}

    def merge(row: tuple[str, ...]) -> str:
        """The name of a function that is made part of its caller and does `row`."""
        if row not in merged:
            merged[row] = ""  # its own place, behind what it calls
            body = handlers[row[0]] if len(row) == 1 else joined(row)
            merged[row] = f"cdef MERGED merged_{'_and_'.join(row)}{SIGNATURE}{body}"
        return f"merged_{'_and_'.join(row)}"

    def joined(row: tuple[str, ...]) -> str:
        """The first one's body, followed by the rest."""
        return handlers[row[0]].replace(GO_ON, f"{merge(row[1:])}(h, ip + 1, left)")

    out = []
    for row in rows:
        for name in row:
            if name not in handlers:
                raise ValueError(f"{SEQUENCES.name}: {' '.join(row)}: {name} has no handler of the usual form")
        if len(row) < 2 or any(handlers[name].count(GO_ON) != 1 for name in row[:-1]):
            raise ValueError(f"{SEQUENCES.name}: {' '.join(row)}: only what goes on in one place has others behind it")
        out.append(f"cdef void fused_{'_and_'.join(row)}{SIGNATURE}{joined(row)}")
    inner = [merged[row] for row in sorted(merged, key=len)]
    binding = ["cdef int bind_fused() except -1:\n"]
    for row in rows:
        ops = ", ".join([f"OP_{name.upper()}" for name in row] + ["-1"] * (4 - len(row)))
        binding.append(f"    bind_row({ops}, fused_{'_and_'.join(row)})\n")
    head = f"# Written by tools/{Path(__file__).name}.\n"
    return "\n\n".join([head, *inner, *out, "".join([*binding, "    return 0\n"])])
