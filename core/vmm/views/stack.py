"""The stack: the calls that lead here, innermost first, and what lies on it from sp upwards."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ...isa.registers import ABI, FLOAT_ABI, NUMBER
from ..unwind import PC_COLUMN, Frame
from .telescope import Pointee, Telescope

if TYPE_CHECKING:
    from ...machine.debug_data import SourceLine
    from ..inspector import Inspection, Inspector

SLOTS: Final = 64
"""Doublewords of the stack that are shown."""

WORD_BYTES: Final = 8
SP, FP = NUMBER["sp"], NUMBER["s0"]


@dataclass(frozen=True)
class FrameRow:
    """A function's activation. number: 0 for the innermost. name: the function and offset; a function that was inlined
    has no frame of its own, and `is_inlined`. address: where it is, or where it goes on. line: the source line that it
    is at, or calls from. is_interrupted: a trap led away from it, and no call. sp: None where it cannot be told."""

    number: int
    name: str
    address: int
    line: SourceLine | None
    is_inlined: bool
    is_interrupted: bool
    sp: int | None


@dataclass(frozen=True)
class SlotRow:
    """A doubleword. notes: what it is for, such as "return of #0", "s0 of #1"."""

    address: int
    offset: int
    value: int
    leads: tuple[Pointee, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class StackView:
    """What there is to see. is_aligned: sp is, as the ABI wants it. message: why no slots are there."""

    step: int
    vcpu: int
    mode: str
    sp: int
    is_aligned: bool
    frames: tuple[FrameRow, ...]
    slots: tuple[SlotRow, ...]
    message: str


def view_stack(inspection: Inspection, slots: int = SLOTS) -> StackView:
    """Of the vCPU looked at."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    sp = vcpu.hart.read_gpr(SP)
    frames = tuple(inspector.code.frames(vcpu))
    rows: list[FrameRow] = []
    notes: dict[int, list[str]] = {}
    for number, frame in enumerate(frames):
        rows += _rows(inspector, number, frame.inside, frame.address, frame.is_interrupted and number > 0, frame.sp)
        outer = frames[number + 1] if number + 1 < len(frames) else None
        for register, address in frame.saved.items():
            notes.setdefault(address, []).append(_saved(register, number, outer))
    for number, (frame, outer) in enumerate(pairwise(frames)):
        if outer.sp is not None and frame.sp is not None and frame.sp < outer.sp and not outer.is_interrupted:
            notes.setdefault(outer.sp, []).append(f"#{number + 1} begins")
    telescope = Telescope(inspector)
    start = sp & -WORD_BYTES
    data = telescope.sight.read(start, slots * WORD_BYTES)
    found = []
    for at in range(0, len(data) - WORD_BYTES + 1, WORD_BYTES):
        value = int.from_bytes(data[at:at + WORD_BYTES], "little")
        address = start + at
        found.append(SlotRow(address, address - sp, value, telescope.chain(value, 3),
                             tuple(notes.get(address, ()))))
    message = "" if found else f"sp {sp:#x} leads to no memory"
    return StackView(inspector.step, vcpu.index, "S" if vcpu.mode else "U", sp, sp % 16 == 0, tuple(rows),
                     tuple(found), message)


def _saved(register: int, number: int, outer: Frame | None) -> str:
    """What frame #number keeps in a slot."""
    if register == PC_COLUMN:
        is_trap = outer is not None and outer.is_interrupted
        return f"interrupted pc, #{number + 1}" if is_trap else f"return of #{number}"
    name = ABI[register] if register < len(ABI) else FLOAT_ABI[register - len(ABI)] if register < PC_COLUMN else "?"
    return f"{name} of #{number + 1}" if outer is not None else f"{name} saved by #{number}"


def _rows(inspector: Inspector, number: int, inside: int, address: int, is_interrupted: bool,
          sp: int | None) -> list[FrameRow]:
    """A frame's function, preceded by those inlined into it, innermost first."""
    vcpu = inspector.vcpu
    name = inspector.code.describe(vcpu, inside if inside == address else address) or f"{address:#x}"
    if inside != address:
        found = next((each.symbols.find(inside) for each in inspector.code.known(vcpu)
                      if each.symbols.find(inside) is not None), None)
        if found is not None:  # the call may be a function's last instruction
            name = f"{found[0]}+{found[1] + address - inside:#x}"
    line = next((found for each in inspector.code.known(vcpu)
                 if (found := each.debug.find_near(inside)) is not None), None)
    rows = []
    for call in next((calls for each in inspector.code.known(vcpu) if (calls := each.debug.inlined(inside))), ()):
        rows.append(FrameRow(number, call.name, address, line, True, is_interrupted, sp))
        line = call.call if call.call.line else None
    return [*rows, FrameRow(number, name, address, line, False, is_interrupted, sp)]
