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
from ..unwind import Frame, Load, Unwinder
from ..vcpu import Vcpu
from ..walker import USER


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
            memory: dict[int, bytes | None] = {}
            fitting = [each for each in self.programs if _is_there(each, vcpu, memory)]
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
        return self._unwinders[known].frames(vcpu.hart.pc, vcpu.hart.read_gprs(), loader(vcpu), csrs)


def loader(vcpu: Vcpu) -> Load:
    """Reads a vCPU's memory, whatever its permissions say, where that is RAM."""
    ram = vcpu.vm.ram

    def load(gva: int, size: int) -> int | None:
        if gva % PAGE_SIZE + size > PAGE_SIZE:
            low, high = load(gva, 1), load(gva + 1, size - 1)
            return None if low is None or high is None else low | high << 8
        found = vcpu.look(gva)
        if found.cause is not None or not ram.contains(found.gpa, size):
            return None
        return ram.load(found.gpa, size) if ram.is_mapped(found.gpa // PAGE_SIZE) else 0

    return load


def page_of(vcpu: Vcpu, gva: int) -> bytes | None:
    """The page that holds an address; None where there is no RAM."""
    found = vcpu.look(gva & -PAGE_SIZE)
    ram = vcpu.vm.ram
    return ram.page(found.gpa // PAGE_SIZE) if found.cause is None and ram.contains(found.gpa, PAGE_SIZE) else None


def _is_there(program: Program, vcpu: Vcpu, memory: dict[int, bytes | None]) -> bool:
    is_there = False
    for part in program.code:
        start, end = part.address, part.address + len(part.data)
        for page in range(start & -PAGE_SIZE, end, PAGE_SIZE):
            if page not in memory:
                memory[page] = page_of(vcpu, page)
            content = memory[page]
            if content is None:
                continue
            low, high = max(start, page), min(end, page + PAGE_SIZE)
            if content[low - page:high - page] != part.data[low - start:high - start]:
                return False
            is_there = True
    return is_there
