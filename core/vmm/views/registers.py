"""The registers of the vCPU looked at, and what they point to; and how each vCPU stands."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.csr_values import meaning
from ...isa.csrs import BY_NAME
from ...isa.registers import ABI, FLOAT_ABI
from ..csr_file import FCSR, SSTATUS, SSTATUS_FS
from ..state import NEVER
from .standing import guest_mode, hart_mode
from .telescope import Pointee, Telescope

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector
    from ..vcpu import Vcpu

PC: Final = 32
"""The number under which a debugger knows pc."""

BOXED_SINGLE: Final = 0xFFFF_FFFF_0000_0000
BOXED_HALF: Final = 0xFFFF_FFFF_FFFF_0000
"""What is above a narrower number in an f register ("NaN Boxing of Narrower Values")."""

FS_NAMES: Final = ("off", "initial", "clean", "dirty")


@dataclass(frozen=True)
class RegisterRow:
    """A register. number: as a debugger counts, pc being PC. was: its value before the last move, if that changed it.
    leads: what it points to, and what that does."""

    number: int
    name: str
    value: int
    was: int | None
    leads: tuple[Pointee, ...]


@dataclass(frozen=True)
class RegistersView:
    """pc first, then x1 to x31. mode: the guest's; hart_mode: what the hart is in meanwhile. was_mode: the guest's,
    before the last move, if that changed it."""

    name: str
    technique: str
    step: int
    vcpu: int
    n_vcpus: int
    mode: str
    hart_mode: str
    was_mode: str | None
    rows: tuple[RegisterRow, ...]


@dataclass(frozen=True)
class FloatRow:
    """An f register. width: of what it holds, in bits: 64, or 32 or 16 if it is NaN-boxed. number: that in decimal."""

    index: int
    name: str
    value: int
    was: int | None
    width: int
    number: str


@dataclass(frozen=True)
class FloatView:
    """f0 to f31. has_float: the guest has F. state: sstatus.FS. rounding, flags: of fcsr."""

    has_float: bool
    step: int
    vcpu: int
    state: str
    rounding: str
    flags: str
    rows: tuple[FloatRow, ...]


@dataclass(frozen=True)
class VcpuRow:
    """A vCPU. state: what it does: has the turn, waits for it, asleep, stopped, suspended. where: pc by name. timer:
    the mtime at which its timer fires, None for never. exits: how many so far."""

    index: int
    is_current: bool
    state: str
    mode: str
    hart_mode: str
    pc: int
    where: str
    steps: int
    idle_steps: int
    guest_traps: int
    exits: int
    timer: int | None
    time: int


@dataclass(frozen=True)
class VcpusView:
    """All of a VM's."""

    name: str
    step: int
    rows: tuple[VcpuRow, ...]


def view_registers(inspection: Inspection) -> RegistersView:
    """The GPRs and pc."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    hart, telescope = vcpu.hart, Telescope(inspector)
    before = inspector.before.vcpus[vcpu.index] if inspector.before is not None else None
    values = hart.read_gprs()
    rows = [RegisterRow(PC, "pc", hart.pc, _was(hart.pc, before.pc if before else None), telescope.chain(hart.pc, 1))]
    rows += [RegisterRow(number, ABI[number], values[number],
                         _was(values[number], before.gprs[number] if before else None),
                         telescope.chain(values[number])) for number in range(1, len(values))]
    mode = guest_mode(vcpu)
    was_mode = None if before is None or before.mode == vcpu.mode else "US"[before.mode]
    return RegistersView(inspector.name, inspector.technique, inspector.step, vcpu.index, len(inspector.vm.vcpus), mode,
                         hart_mode(vcpu), was_mode, tuple(rows))


def view_float(inspection: Inspection) -> FloatView:
    """The f registers."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    if not inspector.target.has_float:
        return FloatView(False, inspector.step, vcpu.index, "", "", "", ())
    before = inspector.before.vcpus[vcpu.index] if inspector.before is not None else None
    state = FS_NAMES[(vcpu.csrs.read(SSTATUS) & SSTATUS_FS) >> 13]
    fcsr = vcpu.read_csr(FCSR)
    rows = []
    for index, value in enumerate(vcpu.hart.read_fprs()):
        width, number = _number(value)
        rows.append(FloatRow(index, FLOAT_ABI[index], value, _was(value, before.fprs[index] if before else None),
                             width, number))
    return FloatView(True, inspector.step, vcpu.index, state, meaning(BY_NAME["frm"], fcsr >> 5),
                     meaning(BY_NAME["fflags"], fcsr & 31), tuple(rows))


def view_vcpus(inspection: Inspection) -> VcpusView:
    """All vCPUs."""
    inspector = inspection.inspector
    rows = tuple(_vcpu_row(inspector, vcpu) for vcpu in inspector.vm.vcpus)
    return VcpusView(inspector.name, inspector.step, rows)


def _vcpu_row(inspector: Inspector, vcpu: Vcpu) -> VcpuRow:
    hart, vm = vcpu.hart, inspector.vm
    if vcpu.is_suspended:
        state = "suspended"
    elif vcpu.is_stopped:
        state = "stopped"
    elif vcpu.is_waiting:
        state = "asleep"
    else:
        state = "has the turn" if vm.current is vcpu else "waits for its turn"
    return VcpuRow(vcpu.index, vcpu is inspector.vcpu, state, guest_mode(vcpu), hart_mode(vcpu), hart.pc,
                   inspector.code.describe(vcpu, hart.pc), hart.steps, hart.idle_steps, hart.guest_traps,
                   sum(vcpu.exits), None if vcpu.deadline >= NEVER else vcpu.deadline, hart.steps // vm.steps_per_tick)


def _was(value: int, before: int | None) -> int | None:
    return None if before is None or before == value else before


def _number(value: int) -> tuple[int, str]:
    """The width of what an f register holds, and that in decimal."""
    if value & BOXED_HALF == BOXED_HALF:
        return 16, repr_float(value & 0xFFFF, 16)
    if value & BOXED_SINGLE == BOXED_SINGLE:
        return 32, repr_float(value & 0xFFFF_FFFF, 32)
    return 64, repr_float(value, 64)


def repr_float(value: int, width: int) -> str:
    """The bits of a floating-point number in decimal, the shortest that reads back as the same; a NaN's payload."""
    size, code, fraction = {16: (2, "<e", 10), 32: (4, "<f", 23), 64: (8, "<d", 52)}[width]
    number: float = struct.unpack(code, value.to_bytes(size, "little"))[0]
    if number != number:
        payload = value & (1 << fraction) - 1
        quiet = payload >> fraction - 1
        rest = payload & (1 << fraction - 1) - 1
        return ("-" if value >> width - 1 else "") + ("qNaN" if quiet else "sNaN") + (f"({rest:#x})" if rest else "")
    if width == 64:
        return repr(number)
    for digits in range(1, 10):
        text = f"{number:.{digits}g}"
        with suppress(OverflowError):  # rounded up beyond the largest
            if struct.pack(code, float(text)) == value.to_bytes(size, "little"):
                return repr(float(text))
    return repr(number)
