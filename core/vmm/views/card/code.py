"""The instruction that a vCPU is at, as the guest's own tables lead to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ....isa.decoder import length
from ....isa.disassembler import disassemble
from ...walker import FETCH

if TYPE_CHECKING:
    from ...inspector import Inspector
    from ...vcpu import Vcpu

Describe = Callable[[int], str]
"""An address as "name+0x10"; empty where nothing is known of it."""


@dataclass(frozen=True)
class CodeAt:
    """pc, symbol: where. insn: its bits; None where it cannot be fetched. text: disassembled."""

    pc: int
    symbol: str
    insn: int | None
    text: str

    @property
    def bits(self) -> str:
        """The bits in hexadecimal, as many digits as it has."""
        return "" if self.insn is None else f"{self.insn:0{2 * length(self.insn)}x}"


def namer(inspector: Inspector, vcpu: Vcpu) -> Describe:
    """Names addresses as they are in the vCPU's address space."""
    return partial(inspector.code.describe, vcpu)


def code_at(inspector: Inspector, vcpu: Vcpu) -> CodeAt:
    """The one at pc."""
    pc = vcpu.hart.pc
    insn = fetch(vcpu, pc)
    return CodeAt(pc, inspector.code.describe(vcpu, pc), insn, text_of(insn, pc))


def text_of(insn: int | None, pc: int) -> str:
    """Disassembled, with the names that people use."""
    return "cannot be fetched" if insn is None else disassemble(insn, pc, aliases=True)


def fetch(vcpu: Vcpu, gva: int) -> int | None:
    """The bits of the instruction at an address; None where the guest's tables forbid it, or lead to no RAM."""
    low = _halfword(vcpu, gva)
    high = _halfword(vcpu, gva + 2) if low is not None and length(low) == 4 else 0
    return None if low is None or high is None else low | high << 16


def _halfword(vcpu: Vcpu, gva: int) -> int | None:
    found = vcpu.walk(gva, FETCH)
    ram = vcpu.vm.ram
    return ram.load(found.gpa, 2) if found.cause is None and ram.contains(found.gpa, 2) else None
