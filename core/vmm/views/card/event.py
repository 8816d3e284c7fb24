"""What the guest did, or what happened to it, that made it exit: taken from the log and the guest's state before."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from ....isa import causes
from ....isa.csrs import BY_NAME
from ....isa.decoder import Decoded, decode
from ....isa.paging import PAGE_SHIFT, PTE_SIZE
from ...csr_file import SATP, SSTATUS, SSTATUS_MXR, SSTATUS_SUM
from ...emulate import manages_block
from ...exit_log import FILLS, LoggedExit
from ...exits import ExitReason
from ...techniques.shadow_paging import ACCESS_OF_FAULT as OF_PAGE_FAULT
from ...techniques.two_stage import ACCESS_OF_FAULT as OF_GUEST_PAGE_FAULT
from ...walker import FETCH, LOAD, STORE, USER
from ..places import PlaceKind, place_of
from ..stages import StageView, Who
from ..walk import guest_stage

if TYPE_CHECKING:
    from ...inspector import Inspector
    from ...vcpu import Vcpu

ACCESS_OF_FAULT: Final = OF_PAGE_FAULT | OF_GUEST_PAGE_FAULT
FRM: Final = BY_NAME["frm"].number
ACCESS_NAMES: Final = {FETCH: "fetch", LOAD: "load", STORE: "store"}
_WRITERS: Final = ("csrrw", "csrrwi")
_CSR_INSTRUCTIONS: Final = (*_WRITERS, "csrrs", "csrrc", "csrrsi", "csrrci")
_OF_THE_ADDRESS: Final = (causes.INSTRUCTION_ADDRESS_MISALIGNED, causes.LOAD_ADDRESS_MISALIGNED,
                          causes.STORE_ADDRESS_MISALIGNED, causes.INSTRUCTION_ACCESS_FAULT, causes.LOAD_ACCESS_FAULT,
                          causes.STORE_ACCESS_FAULT)
"""Exceptions that no rule about instructions leads to."""


@dataclass(frozen=True)
class Executed:
    """An instruction that the hart did not execute. mode: what the guest takes its mode for. csr: the number of the CSR
    it accesses; writes: whether it writes it. raised: an exception that comes of the operands, not of the instruction.
    frm: the dynamic rounding mode.
    """

    mode: int
    insn: int
    decoded: Decoded | None
    csr: int | None = None
    writes: bool = False
    raised: int | None = None
    frm: int = 0


class Target(Enum):
    """Where the guest's own tables lead an access."""

    FORBIDDEN = "nowhere: they forbid it"
    TABLELESS = "nowhere: one of them is not in RAM"
    RAM = "RAM"
    TABLE = "a page table of the guest's that shadow pages mirror"
    DEVICE = "a device"
    HOLE = "where nothing is"


@dataclass(frozen=True)
class Accessed:
    """A fetch, load or store that did not get through. guest: the way through the guest's own tables. gpa: where it
    leads, or where an entry lies that could not be read. where: the device, "" for none. is_first: the hart never came
    to the guest frame before. level: of the guest's table whose entry the hart could not read, where it was that, not
    the access itself."""

    mode: int
    gva: int
    access: int
    guest: StageView
    target: Target
    gpa: int
    where: str = ""
    is_first: bool = False
    level: int | None = None


@dataclass(frozen=True)
class TimedOut:
    """The guest's timer came due. deadline: in ticks of mtime."""

    mode: int
    deadline: int


Event = Executed | Accessed | TimedOut


def event_of(inspector: Inspector, logged: LoggedExit) -> Event:
    """The event behind an exit, before which the guest stands."""
    vcpu = inspector.vm.vcpus[logged.vcpu]
    if logged.reason == ExitReason.TIMER:
        return TimedOut(logged.mode, vcpu.deadline)
    if logged.cause in ACCESS_OF_FAULT:
        access = ACCESS_OF_FAULT[logged.cause]
        if access == STORE and manages_block(logged.insn):
            access = LOAD
        is_first = logged.reason in FILLS and inspector.log is not None and (
            inspector.log.first_fill(logged.gpa >> PAGE_SHIFT) == logged.number)
        is_guarded = logged.reason == ExitReason.PT_WRITE
        return accessed(inspector, vcpu, logged.tval, access, logged.mode, is_guarded=is_guarded, is_first=is_first,
                        fault_gpa=logged.gpa)
    raised = logged.cause if logged.cause in _OF_THE_ADDRESS else None
    return executed(vcpu, logged.insn, logged.mode, raised)


def executed(vcpu: Vcpu, insn: int, mode: int, raised: int | None = None) -> Executed:
    """The event of executing these bits now, in this mode of the guest's."""
    frm = vcpu.hart.read_csr(FRM)
    decoded = decode(insn) if insn else None
    if decoded is None or decoded.name not in _CSR_INSTRUCTIONS:
        return Executed(mode, insn, decoded, raised=raised, frm=frm)
    writes = decoded.name in _WRITERS or decoded.rs1 != 0
    return Executed(mode, insn, decoded, decoded.imm, writes, raised, frm)


def accessed(inspector: Inspector, vcpu: Vcpu, gva: int, access: int, mode: int, *, is_guarded: bool,
             is_first: bool, fault_gpa: int = 0) -> Accessed:
    """The event of an access in this mode of the guest's. fault_gpa: what the second stage had no entry for, if the
    hart says so."""
    status = vcpu.csrs.read(SSTATUS)
    who = Who(access, mode == USER, bool(status & SSTATUS_SUM), bool(status & SSTATUS_MXR))
    guest = guest_stage(vcpu, gva, who, vcpu.csrs.read(SATP))
    level = None
    if fault_gpa and (guest.result is None or guest.result >> PAGE_SHIFT != fault_gpa >> PAGE_SHIFT):
        level = next((entry.level for entry in guest.entries if entry.address >> PAGE_SHIFT == fault_gpa >> PAGE_SHIFT),
                     None)
    if level is not None:
        target, gpa = Target.RAM, fault_gpa
    elif guest.rule is not None and guest.rule.is_access_fault:
        target, gpa = Target.TABLELESS, next_entry(guest)
    elif guest.result is None:
        target, gpa = Target.FORBIDDEN, 0
    else:
        gpa = guest.result
        is_ram = vcpu.vm.ram.contains(gpa)
        absent = Target.DEVICE if _where(inspector, gpa) else Target.HOLE
        target = absent if not is_ram else Target.TABLE if is_guarded else Target.RAM
    return Accessed(mode, gva, access, guest, target, gpa, _where(inspector, gpa), is_first, level)


def next_entry(stage: StageView) -> int:
    """Where the entry lies that a walk wanted to read next, when it stopped."""
    table = stage.entries[-1].target if stage.entries else stage.root
    return table + stage.fields[len(stage.entries)].value * PTE_SIZE


def _where(inspector: Inspector, gpa: int) -> str:
    """The device whose registers lie at a GPA, and the offset: "UART+0x5"; "" where none is."""
    place = place_of(inspector, gpa)
    return f"{place.name}+{gpa - place.base:#x}" if place.kind is PlaceKind.DEVICE else ""
