"""The source file that an instruction was made from, with the lines that have code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .sources import find_source, read_source

if TYPE_CHECKING:
    from ...machine.program import Program
    from ..inspector import Inspection, Inspector


@dataclass(frozen=True)
class SourceView:
    """A file. path: as the compiler had it; file: where it was found. lines: its text. line: the one at `at`, from 1; 0
    if it is not known. pc_line: where pc is, 0 if in another file. code: the first address of each line that has code.
    breakpoints: lines with one. inside: the functions inlined there, innermost first. message: why there is nothing to
    see."""

    step: int
    vcpu: int
    at: int
    function: str
    path: str
    file: str
    lines: tuple[str, ...]
    line: int
    pc_line: int
    code: tuple[tuple[int, int], ...]
    breakpoints: tuple[int, ...]
    inside: tuple[str, ...]
    message: str


def view_source(inspection: Inspection, at: int | None = None) -> SourceView:
    """The source of the instruction at `at`, or pc."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    address = vcpu.hart.pc if at is None else at
    function = inspector.code.describe(vcpu, address)
    for program in inspector.code.known(vcpu):
        found = program.debug.find_near(address)
        if found is not None:
            return _source(inspector, program, address, function, found.path, found.line)
    known = inspector.code.program_at(vcpu, address)
    if known is None:
        message = f"nothing is known of the code at {address:#x}: it is none of the image's, nor of a program's"
    else:
        message = f"{known.name} has no source lines for {address:#x}: its image has no debug data (DWARF) of it"
    return SourceView(inspector.step, vcpu.index, address, function, "", "", (), 0, 0, (), (), (), message)


def _source(inspector: Inspector, program: Program, address: int, function: str, path: str, line: int) -> SourceView:
    file = find_source(path, inspector.sources)
    lines = read_source(file) if file is not None else ()
    message = ""
    if file is None:
        folders = ", ".join(str(folder) for folder in inspector.sources) or "no folder"
        message = f"{path}:{line}: the file is not here; it was looked for below {folders}"
    code = program.debug.lines_of(path)
    here = program.debug.find_near(inspector.vcpu.hart.pc)
    stops = {each.address for each in inspector.breakpoints}
    marked = {found.line for each in stops if (found := program.debug.find(each)) is not None and found.path == path}
    return SourceView(
        inspector.step, inspector.vcpu.index, address, function, path, "" if file is None else str(file), lines, line,
        here.line if here is not None and here.path == path else 0, tuple(sorted(code.items())), tuple(sorted(marked)),
        tuple(call.name for call in program.debug.inlined(address)), message)
