"""One instruction of the user's, assembled and run where the guest stands, as if it had been there."""

from __future__ import annotations

from typing import Final

from ...errors import AssemblyError, ConfigError
from ...isa.assembler import assemble
from .inspector import Inspector, Moves
from .moves import step

SOURCE: Final = "the instruction"


def run_inserted(inspector: Inspector, text: str) -> Moves:
    """Put `text`, one instruction, at pc; take a step; put back what was there, and pc too unless it jumped.

    The guest's clock counts the step, and the guest is another from here on. Raises ConfigError for what does not
    assemble, is more than one instruction, or where there is no memory at pc.
    """
    pc, index = inspector.vcpu.hart.pc, inspector.vcpu_index
    code = _assemble(text, pc)
    target = inspector.target
    before = target.read(index, pc, len(code), is_physical=False)
    if len(before) != len(code):
        raise ConfigError(f"pc {pc:#x} leads to no memory: nothing can be put there")
    target.write(index, pc, code, is_physical=False)
    halt = yield from step(inspector)
    target.write(index, pc, before, is_physical=False)
    hart = inspector.vm.vcpus[index].hart
    if hart.pc == pc + len(code):
        hart.pc = pc
        if inspector.timeline is not None:
            inspector.timeline.edited()
    return halt


def _assemble(text: str, pc: int) -> bytes:
    try:
        code = assemble(text, pc, file=SOURCE).code
    except AssemblyError as error:
        raise ConfigError(f"{text}: {error.message}") from None
    if len(code) not in (2, 4):
        raise ConfigError(f"{text}: that makes {len(code)} bytes; give one instruction, such as addi a0, a0, 1")
    return code
