"""Calls, as moves over and out of them need to know them."""

from __future__ import annotations

from typing import Final

from ...isa.decoder import Decoded, decode, length
from ...isa.registers import NUMBER
from ..unwind import Frame
from ..walker import FETCH, USER
from .inspector import Inspector

LINKS: Final = (NUMBER["ra"], NUMBER["t0"])
"""Registers that a call leaves its return address in (unprivileged manual, "jalr" hints)."""


def instruction(inspector: Inspector) -> Decoded | None:
    """The one at pc, None where there is none."""
    pc = inspector.vcpu.hart.pc
    low = _halfword(inspector, pc)
    high = _halfword(inspector, pc + 2) if low is not None and length(low) == 4 else 0
    return None if low is None or high is None else decode(low | high << 16)


def _halfword(inspector: Inspector, gva: int) -> int | None:
    found = inspector.vcpu.walk(gva, FETCH)
    ram = inspector.vm.ram
    return ram.load(found.gpa, 2) if found.cause is None and ram.contains(found.gpa, 2) else None


def next_address(inspector: Inspector) -> int | None:
    """Where the instruction at pc will have the guest come back to, if it is a call, or a user program's ecall."""
    insn = instruction(inspector)
    if insn is None:
        return None
    vcpu = inspector.vcpu
    is_call = insn.name in ("jal", "jalr") and insn.rd in LINKS
    return vcpu.hart.pc + insn.length if is_call or (insn.name == "ecall" and vcpu.mode == USER) else None


def is_return(inspector: Inspector) -> bool:
    """Whether the instruction at pc returns from a call, or a trap."""
    insn = instruction(inspector)
    return insn is not None and (insn.name == "sret" or (
        insn.name == "jalr" and not insn.rd and insn.rs1 in LINKS))


def caller(inspector: Inspector) -> Frame | None:
    """Where the function at pc was called from, or, in a trap handler, what was interrupted; None where that cannot be
    told."""
    frames = inspector.code.frames(inspector.vcpu)
    next(frames)
    return next(frames, None)


def return_address(inspector: Inspector) -> int | None:
    """Where the function at pc will return to, None where that cannot be told."""
    frame = caller(inspector)
    return None if frame is None else frame.address
