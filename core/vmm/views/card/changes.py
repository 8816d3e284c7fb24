"""What an exit changed: the VM before and after, field by field, and of memory every doubleword.

An exit that takes a step is looked at one step on (Timeline.ahead), which is past already; one that takes none changes
nothing that the guest could see, but the tables that the hart walks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from ....devices.device import State
from ....isa.causes import describe as cause_text
from ....isa.csr import Csr
from ....isa.csrs import BY_NAME, BY_NUMBER
from ....isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_SIZE
from ....isa.registers import ABI, FLOAT_ABI
from ....machine.paged import DirtyLog
from ...csr_file import SCAUSE, SEPC, STVEC
from ...state import NEVER, GuestState, VmState
from .code import CodeAt, Describe, code_at, namer

if TYPE_CHECKING:
    from ...inspector import Inspector

MOST_WORDS: Final = 64
"""Doublewords of memory that are listed; what changed beyond is counted."""

_FCSR: Final = BY_NAME["fcsr"]
_ADDRESSES: Final = (SEPC, STVEC)
_WORD: Final = PTE_SIZE


class Kind(Enum):
    """What changed, in the order in which it is told."""

    CSR = "CSR"
    REGISTER = "register"
    MODE = "mode"
    MEMORY = "memory"
    FRAME = "frame"
    TABLE = "table"
    DEVICE = "device"
    CONSOLE = "console"
    STATE = "state"
    PC = "pc"
    CLOCK = "clock"


@dataclass(frozen=True)
class FieldChange:
    """A field of a CSR."""

    name: str
    before: int
    after: int
    about: str


@dataclass(frozen=True)
class Change:
    """One thing that is another after an exit. before, after: as people read them; "" where there was or is nothing.
    note: what the new value means. fields: of a CSR, those that changed. vcpu: whose, where it is another's."""

    kind: Kind
    name: str
    before: str
    after: str
    note: str = ""
    fields: tuple[FieldChange, ...] = ()
    vcpu: int | None = None


@dataclass(frozen=True)
class Difference:
    """changes: all of them. then: the instruction that the vCPU is at afterwards, None where it is the same. is_known:
    False where the step could not be looked at."""

    changes: tuple[Change, ...]
    then: CodeAt | None = None
    is_known: bool = True


def difference(inspector: Inspector, vcpu: int) -> Difference:
    """What the step at which the inspector stands changes, told from the side of `vcpu`; not known for a guest without
    a past, or where that step has not been taken yet."""
    vm, timeline, describe = inspector.vm, inspector.timeline, namer(inspector, inspector.vm.vcpus[vcpu])
    if timeline is None or inspector.step >= timeline.end:
        return Difference((), is_known=False)
    counts = [(each.exits.copy(), each.injected.copy()) for each in vm.vcpus]
    vm.ram.take_dirty(DirtyLog.LOOK)
    before = vm.save()

    def look() -> tuple[VmState, dict[int, bytes], CodeAt]:
        pages = {gfn: vm.ram.page(gfn) for gfn in vm.ram.take_dirty(DirtyLog.LOOK)}
        return vm.save(), pages, code_at(inspector, vm.vcpus[vcpu])

    written = bytearray()
    output, n_written = vm.console.output, vm.console.written
    vm.console.output = written.extend
    try:
        after, pages, then = timeline.ahead(inspector.step + 1, look)
    finally:
        vm.console.output, vm.console.written = output, n_written
        for each, (exits, injected) in zip(vm.vcpus, counts, strict=True):
            each.exits[:] = exits
            each.injected = injected
    return Difference((
        *_of_vcpus(before, after, vcpu, describe),
        *_of_memory({gfn: vm.ram.page(gfn) for gfn in pages}, pages),
        *_of_devices(before.board, after.board), *_of_console(bytes(written)), *_of_vm(before, after),
        *_of_clock(before, after, vcpu, then)), then)


# --- the parts


def _of_vcpus(before: VmState, after: VmState, own: int, describe: Describe) -> Iterator[Change]:
    """The vCPU's registers, and what is another for the others."""
    yield from _of_vcpu(before.vcpus[own], after.vcpus[own], describe, None)
    for index, (was, now) in enumerate(zip(before.vcpus, after.vcpus, strict=True)):
        if index != own and was != now:
            yield from _of_vcpu(was, now, describe, index)


def _of_vcpu(before: GuestState, after: GuestState, describe: Describe, index: int | None) -> Iterator[Change]:
    for number, value in after.csrs.items():
        if before.csrs[number] != value:
            yield csr_change(BY_NUMBER[number], before.csrs[number], value, describe, index)
    if before.fcsr != after.fcsr:
        yield csr_change(_FCSR, before.fcsr, after.fcsr, describe, index)
    for names, was, now in ((ABI, before.gprs, after.gprs), (FLOAT_ABI, before.fprs, after.fprs)):
        for name, old, new in zip(names, was, now, strict=True):
            if old != new:
                yield Change(Kind.REGISTER, name, f"{old:#x}", f"{new:#x}", describe(new), vcpu=index)
    if before.mode != after.mode:
        yield Change(Kind.MODE, "mode", _MODES[before.mode], _MODES[after.mode], vcpu=index)
    yield from _of_firmware(before, after, index)


def _of_firmware(before: GuestState, after: GuestState, index: int | None) -> Iterator[Change]:
    """What the hypervisor keeps for a vCPU."""
    if before.deadline != after.deadline:
        yield Change(Kind.STATE, "timer's deadline", _deadline(before.deadline), _deadline(after.deadline), vcpu=index)
    for name, was, now in (("asleep", before.is_waiting, after.is_waiting),
                           ("stopped", before.is_stopped, after.is_stopped),
                           ("suspended", before.is_suspended, after.is_suspended),
                           ("A and D by the hart", before.updates_ad, after.updates_ad)):
        if was != now:
            yield Change(Kind.STATE, name, "yes" if was else "no", "yes" if now else "no", vcpu=index)
    if before.reservation != after.reservation:
        yield Change(Kind.STATE, "reservation", _reserved(before.reservation), _reserved(after.reservation), vcpu=index)
    if before.pmu.events != after.pmu.events:
        yield Change(Kind.STATE, "counters configured", str(len(before.pmu.events)), str(len(after.pmu.events)),
                     vcpu=index)


def csr_change(csr: Csr, before: int, after: int, describe: Describe, index: int | None = None) -> Change:
    """A CSR of the guest's, and which of its fields are others."""
    fields = tuple(
        FieldChange(field.name, (before & field.mask) >> field.lo, (after & field.mask) >> field.lo, field.description)
        for field in csr.fields if (before ^ after) & field.mask)
    note = ""
    if csr.number == SCAUSE:
        note, fields = cause_text(after), ()
    elif csr.number in _ADDRESSES:
        note, fields = describe(after & ~3), ()
    return Change(Kind.CSR, csr.name, f"{before:#x}", f"{after:#x}", note, fields, index)


def _of_memory(before: dict[int, bytes], after: dict[int, bytes]) -> Iterator[Change]:
    """Doubleword by doubleword."""
    changed = 0
    for gfn, now in sorted(after.items()):
        was = before[gfn]
        for offset in range(0, PAGE_SIZE, _WORD) if was != now else ():
            old, new = was[offset:offset + _WORD], now[offset:offset + _WORD]
            if old == new:
                continue
            changed += 1
            if changed <= MOST_WORDS:
                yield Change(Kind.MEMORY, f"GPA {gfn << PAGE_SHIFT | offset:#x}", _hex(old), _hex(new))
    if changed > MOST_WORDS:
        yield Change(Kind.MEMORY, f"{changed - MOST_WORDS} doublewords more", "", "")


def _of_devices(before: dict[str, State], after: dict[str, State]) -> Iterator[Change]:
    """Registers of devices, under the names that their own states have."""
    for region, state in after.items():
        for name, value in state.items():
            was = before[region].get(name)
            if was != value:
                yield Change(Kind.DEVICE, f"{region}.{name}", _plain(was), _plain(value))


def _of_console(written: bytes) -> Iterator[Change]:
    if written:
        yield Change(Kind.CONSOLE, "console", "", repr(written.decode("utf-8", "replace")))


def _of_vm(before: VmState, after: VmState) -> Iterator[Change]:
    if before.power_off != after.power_off:
        yield Change(Kind.STATE, "VM", "on", f"off: {after.power_off}")


def _of_clock(before: VmState, after: VmState, own: int, then: CodeAt) -> Iterator[Change]:
    was, now = before.vcpus[own], after.vcpus[own]
    if was.pc != now.pc:
        yield Change(Kind.PC, "pc", f"{was.pc:#x}", f"{now.pc:#x}", then.symbol)
    yield Change(Kind.CLOCK, "clock", f"{before.steps:,}", f"{after.steps:,}")


# --- values


_MODES: Final = {0: "U", 1: "S"}


def _deadline(ticks: int) -> str:
    return "never" if ticks == NEVER else f"{ticks:,}"


def _reserved(gpa: int) -> str:
    return "none" if gpa < 0 else f"GPA {gpa:#x}"


def _hex(data: bytes) -> str:
    return f"{int.from_bytes(data, 'little'):#x}"


def _plain(value: int | bytes | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:#x}" if value > 9 else str(value)
    return repr(bytes(value)) if len(value) <= 16 else f"{len(value)} bytes"
