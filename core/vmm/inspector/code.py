"""The code that a VM runs: its kernel, whose symbols are at fixed addresses, and the user programs that are known, each
of which counts only in an address space where memory holds its very instructions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ...errors import ImageError
from ...isa.paging import PAGE_SIZE
from ...machine.call_frames import FrameRule
from ...machine.debug_data import SourceLine
from ...machine.loader import load_image
from ...machine.program import Program
from ..csr_file import SATP, SEPC, SSCRATCH
from ..unwind import Frame, Unwinder
from ..vcpu import Vcpu
from ..walker import USER
from .sight import Sight


class _Together(NamedTuple):
    """Several programs, as an unwinder wants them: the first that knows an address counts."""

    programs: tuple[Program, ...]

    def find(self, address: int) -> tuple[str, int] | None:
        """As Symbols.find."""
        return next((found for each in self.programs if (found := each.symbols.find(address)) is not None), None)


class _Rules(NamedTuple):
    """The same of their call frames."""

    programs: tuple[Program, ...]

    def find(self, address: int) -> FrameRule | None:
        """As CallFrames.find."""
        return next((found for each in self.programs if (found := each.rules.find(address)) is not None), None)


class Code:
    """What is known of a VM's code. kernel: the guest's own. paths: ELF files of programs that may run on it, which
    are read when the first one does; a file that cannot be read is none."""

    def __init__(self, kernel: Program, paths: Sequence[Path] = ()) -> None:
        self.kernel = kernel
        self._paths = tuple(paths)
        self._unwinders: dict[tuple[Program, ...], Unwinder] = {}
        self._found: tuple[tuple[int, int, int], Program | None] | None = None

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """The user programs."""
        found = []
        for path in self._paths:
            with suppress(ImageError):
                found.append(Program(path.stem, load_image(path)))
        return tuple(found)

    def running(self, vcpu: Vcpu) -> Program | None:
        """The user program in the vCPU's address space: all of its code that is there is byte by byte the program's.
        None if there is none, or it cannot be told which."""
        satp = vcpu.csrs.read(SATP)
        if not self._paths or not satp >> 60:
            return None
        key = (vcpu.vm.steps, vcpu.index, satp)
        if self._found is None or self._found[0] != key:
            memory: dict[int, bytes] = {}
            sight = Sight(vcpu)
            fitting = [each for each in self.programs if _is_there(each, sight, memory)]
            self._found = (key, fitting[0] if len(fitting) == 1 else None)
        return self._found[1]

    def known(self, vcpu: Vcpu) -> tuple[Program, ...]:
        """What can be looked up, most likely first: in U-mode the program, then the kernel; else the other way."""
        program = self.running(vcpu)
        if program is None:
            return (self.kernel,)
        return (program, self.kernel) if vcpu.mode == USER else (self.kernel, program)

    def program_at(self, vcpu: Vcpu, gva: int) -> Program | None:
        """Whose code or variable is at an address."""
        return next((each for each in self.known(vcpu)
                     if each.symbols.find(gva) is not None or each.variables.find(gva) is not None), None)

    def describe(self, vcpu: Vcpu, gva: int) -> str:
        """An address as "name+0x10", in code or data; empty where nothing is known."""
        for program in self.known(vcpu):
            text = program.symbols.describe(gva) or program.variables.describe(gva)
            if text:
                return text
        return ""

    def line(self, vcpu: Vcpu, gva: int) -> SourceLine | None:
        """The source line of the instruction at an address."""
        return next((found for each in self.known(vcpu) if (found := each.debug.find(gva)) is not None), None)

    def frames(self, vcpu: Vcpu) -> Iterator[Frame]:
        """The stack of the vCPU, innermost function first."""
        known = self.known(vcpu)
        if known not in self._unwinders:
            self._unwinders[known] = Unwinder(_Together(known), _Rules(known))
        csrs = {number: vcpu.csrs.read(number) for number in (SEPC, SSCRATCH)}
        return self._unwinders[known].frames(vcpu.hart.pc, vcpu.hart.read_gprs(), Sight(vcpu).load, csrs)


def _is_there(program: Program, sight: Sight, memory: dict[int, bytes]) -> bool:
    is_there = False
    for part in program.code:
        start, end = part.address, part.address + len(part.data)
        for page in range(start & -PAGE_SIZE, end, PAGE_SIZE):
            if page not in memory:
                memory[page] = sight.read(page, PAGE_SIZE)
            content = memory[page]
            if not content:
                continue
            low, high = max(start, page), min(end, page + PAGE_SIZE)
            if content[low - page:high - page] != part.data[low - start:high - start]:
                return False
            is_there = True
    return is_there
