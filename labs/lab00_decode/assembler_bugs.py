"""What riscv-assembler 1.2.1 makes of a line, and whether that is a bug; and of which kind, since one bug has many
lines."""

from __future__ import annotations

import contextlib
import io
from typing import Final

from ...core.errors import HartvisorError
from ...core.isa.assembler import assemble
from ...core.isa.decoder import decode
from ..judge.session import Stopped
from ..judge.verdict import Status

WANTED: Final = 3
"""Bugs of so many kinds bring all points."""


def judge_finds(lines: list[str]) -> tuple[int, str]:
    """How many kinds of bugs the lines show, and a word on the first that shows none. A kind is an instruction format
    together with how it goes wrong: another word, or none."""
    kinds: set[tuple[str, str]] = set()
    for line in lines:
        right = _ours(line)
        if right is None:
            return len(kinds), f"{line!r} is no instruction of RV64I: one line of valid assembly each"
        theirs = _theirs(line)
        if theirs == right:
            return len(kinds), f"{line!r}: riscv-assembler is right, it is {right:#010x}"
        decoded = decode(right)
        assert decoded is not None
        kinds.add((decoded.row.format.name, "none" if theirs is None else "wrong"))
    return len(kinds), f"{len(kinds)} kinds of bugs confirmed" if lines else "found_bugs() is empty yet"


def _ours(line: str) -> int | None:
    try:
        code = assemble(line).code
    except HartvisorError:
        return None
    return int.from_bytes(code, "little") if len(code) == 4 else None


def _theirs(line: str) -> int | None:
    try:
        from riscv_assembler.convert import AssemblyConverter  # type: ignore[import-untyped]
    except ImportError:
        raise Stopped(Status.HARNESS_ERROR, "riscv-assembler is not installed here: pip install riscv-assembler==1.2.1"
                      ) from None
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            words = AssemblyConverter(output_mode="a", hex_mode=True)(line)
        except Exception:  # whatever it raises, it has no word for the line
            return None
    if not words:
        return None
    try:
        return int(words[0], 16)
    except (TypeError, ValueError):
        return None
