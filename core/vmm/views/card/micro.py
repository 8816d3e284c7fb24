"""The hypervisor's handling of an exit, stage by stage, with what it knew at each: `u` goes through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ....isa.causes import EXCEPTION_BY_NUMBER
from ....isa.csrs import BY_NUMBER
from ....isa.paging import is_legal_satp
from ....isa.registers import ABI
from ...csr_file import (
    CSR_NAMES,
    SATP,
    SEPC,
    SIE,
    SIP,
    SSTATUS,
    SSTATUS_SPIE,
    SSTATUS_SPP,
    STVEC,
)
from ...exit_log import LoggedExit
from ...exits import ExitReason, label
from ...techniques.shadow_paging import ShadowPaged
from ...traps import can_wake
from ...walker import USER
from ..stages import PteView, StageView, flags_text
from .changes import Change, Difference
from .code import Describe
from .event import ACCESS_NAMES, Accessed, Event, Executed, Target, TimedOut
from .facts import Fact, MicroStep
from .fills import Fill
from .handlers import Called
from .rules import in_words
from .sbi_text import SbiText

if TYPE_CHECKING:
    from ...vcpu import Vcpu

TRAPPED: Final = "trapped"
LOOKED_UP: Final = "looked up"
HANDLER: Final = "handler"
EFFECT: Final = "effect"
VERDICT: Final = "verdict"
GOES_ON: Final = "goes on"
STAGES: Final = (TRAPPED, LOOKED_UP, HANDLER, EFFECT, VERDICT, GOES_ON)

_GUEST_PAGE_FAULTS: Final = (20, 21, 23)
_IMMEDIATE: Final = ("csrrwi", "csrrsi", "csrrci")
_WORD: Final = (1 << 64) - 1
_COMBINED: Final = {"csrrw": "operand", "csrrs": "old | operand", "csrrc": "old & ~operand"}


@dataclass(frozen=True)
class Case:
    """All that is known of an exit when its stages are told. nth: of its kind. is_before: the guest stands before it,
    so that its registers are what the hypervisor found."""

    vcpu: Vcpu
    logged: LoggedExit
    event: Event
    called: tuple[Called, ...]
    difference: Difference
    fill: Fill | None
    sbi: SbiText | None
    describe: Describe
    nth: int
    is_before: bool


def micro_steps(case: Case, goes_on: tuple[Fact, ...]) -> tuple[MicroStep, ...]:
    """The stages, in order."""
    return (
        MicroStep(TRAPPED, _trapped_title(case), tuple(_trapped(case))),
        MicroStep(LOOKED_UP, "The trap's cause is looked up in the technique's table of handlers.",
                  tuple(_looked_up(case))),
        MicroStep(HANDLER, *_handler(case)),
        MicroStep(EFFECT, "What is another afterwards.", _effect(case)),
        MicroStep(VERDICT, *_verdict(case)),
        MicroStep(GOES_ON, "The hart enters the guest again.", goes_on))


# --- trapped


def _trapped_title(case: Case) -> str:
    if isinstance(case.event, TimedOut):
        return "Nothing trapped: the hart has used up the steps that it was given, up to the guest's deadline."
    return "The hart leaves the guest, and tells the hypervisor in its own CSRs why."


def _trapped(case: Case) -> Iterator[Fact]:
    logged = case.logged
    if isinstance(case.event, TimedOut):
        yield Fact("pc", f"{logged.pc:#x}", case.describe(logged.pc))
        yield Fact("time", f"{logged.step:,} steps", "each tick of time is a fixed number of steps")
        return
    yield Fact("scause", str(logged.cause), EXCEPTION_BY_NUMBER[logged.cause].description)
    yield Fact("sepc", f"{logged.pc:#x}", case.describe(logged.pc))
    tval = 0 if logged.reason == ExitReason.SBI else logged.tval    # where the log has what was called
    what = "the address" if isinstance(case.event, Accessed) else "the instruction's bits" if tval else ""
    yield Fact("stval", f"{tval:#x}", what)
    if logged.cause in _GUEST_PAGE_FAULTS:
        yield Fact("htval", f"{logged.gpa >> 2:#x}", f"GPA {logged.gpa:#x}, shifted right by 2")
    if case.vcpu.hart.virtual:
        yield Fact("hstatus.SPV", "1", f"from {'VU' if logged.mode == USER else 'VS'}-mode")


# --- looked up


def _looked_up(case: Case) -> Iterator[Fact]:
    if isinstance(case.event, TimedOut):
        yield Fact("no handler", "the run loop itself", case.called[0].place if case.called else "")
        return
    cause = case.logged.cause
    if not case.called or (cause not in getattr(case.vcpu.technique, "handlers", {})):
        yield Fact(f"handlers[{cause}]", "none", "an exception without a handler is the guest's own")
    for depth, called in enumerate(case.called):
        name = f"handlers[{cause}]" if depth == 0 else "calls"
        note = f"in place of {called.instead_of}; {called.place}" if called.is_replacement else called.place
        yield Fact(name, called.name, note)


# --- the handler


def _handler(case: Case) -> tuple[str, tuple[Fact, ...]]:
    event, reason = case.event, case.logged.reason
    if not case.is_before:
        return "What it found is no longer there: this guest has no past, and stands behind the exit.", ()
    if isinstance(event, TimedOut):
        return "The guest's timer: its bit in sip becomes 1.", tuple(_timer(case))
    if isinstance(event, Accessed):
        return _accessed_title(case, event), tuple(_accessed(case, event))
    if case.sbi is not None and reason == ExitReason.SBI:
        return f"A call to the firmware: {case.sbi.name}.", case.sbi.facts
    if event.csr is not None and event.csr in CSR_NAMES and reason in (ExitReason.CSR, ExitReason.SATP):
        return "The instruction is done to the guest's own copy of the CSR.", tuple(_csr(case, event, event.csr))
    if reason == ExitReason.SRET:
        return "A return from the guest's S-mode, as sstatus and sepc say.", tuple(_sret(case))
    if reason == ExitReason.SFENCE:
        return "A fence: whoever caches translations hears of it.", tuple(_sfence(case, event))
    if reason == ExitReason.WFI:
        return "The guest waits for an interrupt.", tuple(_wfi(case))
    if reason >= ExitReason.REFLECTED:
        return "It is the guest's own: nothing is emulated.", tuple(_reflected(case))
    return "The instruction is executed for the guest.", tuple(_decoded(event))


def _decoded(event: Executed) -> Iterator[Fact]:
    if event.decoded is not None:
        row = event.decoded.row
        yield Fact("decoded", row.name, f"{row.extension or 'privileged'}, format {row.format.name}")


def _csr(case: Case, event: Executed, number: int) -> Iterator[Fact]:
    """Decode, permission, old value, operand, mask, value."""
    assert event.decoded is not None
    hart, row, name = case.vcpu.hart, BY_NUMBER[number], event.decoded.name
    yield from _decoded(event)
    yield Fact("csr", f"{number:#05x} {row.name}", row.description)
    yield Fact("may the guest?", "yes", f"it is in {'S' if case.logged.mode else 'U'}-mode, and has this CSR")
    old = case.vcpu.csrs.read(number)
    yield Fact("old value", f"{old:#x}", f"goes to {ABI[event.decoded.rd]}" if event.decoded.rd else "rd is x0: unread")
    if not event.writes:
        yield Fact("new value", "none", f"{name} with x0 writes nothing")
        return
    source = event.decoded.rs1
    operand = source if name in _IMMEDIATE else hart.read_gpr(source)
    yield Fact("operand", f"{operand:#x}", "immediate" if name in _IMMEDIATE else ABI[source])
    wanted = {"csrrw": operand, "csrrs": old | operand, "csrrc": old & ~operand & _WORD}[name[:5]]
    yield Fact("asked for", f"{wanted:#x}", _COMBINED[name[:5]])
    mask = row.write_mask & ~row.absent_bits(case.vcpu.vm.config.isa)
    lost = (wanted ^ old) & ~mask
    yield Fact("WARL mask", f"{mask:#x}", f"{lost:#x} cannot be changed" if lost else "")
    if number == SATP and not is_legal_satp(wanted, case.vcpu.vm.config.isa):
        yield Fact("MODE", str(wanted >> 60), "the guest's hart has none such: the write is ignored whole")
    elif number == SATP and isinstance(case.vcpu.technique, ShadowPaged):
        roots = case.vcpu.technique.pager.roots(wanted)
        yield Fact("shadow root", "known" if roots else "none yet",
                   f"{len(roots)} sets of tables mirror this address space" if roots else "made at the next entry")


def _sret(case: Case) -> Iterator[Fact]:
    csrs = case.vcpu.csrs
    status, sepc = csrs.read(SSTATUS), csrs.read(SEPC)
    to_supervisor = bool(status & SSTATUS_SPP)
    yield Fact("sstatus.SPP", str(int(to_supervisor)), f"to {'S' if to_supervisor else 'U'}-mode")
    yield Fact("sstatus.SPIE", str(int(bool(status & SSTATUS_SPIE))), "becomes SIE")
    yield Fact("sepc", f"{sepc:#x}", case.describe(sepc))
    if isinstance(case.vcpu.technique, ShadowPaged) and not to_supervisor:
        yield Fact("root", "another", "other leaves for another mode: the hart itself stays in U-mode")


def _sfence(case: Case, event: Executed) -> Iterator[Fact]:
    hart, technique = case.vcpu.hart, case.vcpu.technique
    yield from _decoded(event)
    assert event.decoded is not None
    if event.decoded.name == "sfence.vma":
        rs1, rs2 = event.decoded.rs1, event.decoded.rs2
        yield Fact("address", f"{hart.read_gpr(rs1):#x}" if rs1 else "all", ABI[rs1] if rs1 else "rs1 is x0")
        yield Fact("address space", f"{hart.read_gpr(rs2) & 0xFFFF:#x}" if rs2 else "all",
                   ABI[rs2] if rs2 else "rs2 is x0")
    if isinstance(technique, ShadowPaged):
        policy = technique.pager.policy
        note = ("nothing to drop: a store to a guarded table drops at once what derives from it" if policy.guards_tables
                else "everything is dropped, and filled anew")
        yield Fact("policy", policy.name, note)


def _wfi(case: Case) -> Iterator[Fact]:
    csrs = case.vcpu.csrs
    yield Fact("sip & sie", f"{csrs.read(SIP) & csrs.read(SIE):#x}", "pending and enabled")
    wakes = can_wake(case.vcpu)
    yield Fact("sleeps?", "no" if wakes else "yes", "an interrupt is pending" if wakes else "until an interrupt comes")


def _timer(case: Case) -> Iterator[Fact]:
    csrs = case.vcpu.csrs
    is_enabled = bool(csrs.read(SIE) >> 5 & 1)
    assert isinstance(case.event, TimedOut)
    yield Fact("deadline", f"{case.event.deadline:,} ticks", "set by set_timer or stimecmp")
    yield Fact("sie.STIE", str(int(is_enabled)), "the guest wants it" if is_enabled else "the guest does not want it")
    where = "hvip.VSTIP" if case.vcpu.hart.virtual else "the guest's sip, which only the hypervisor has"
    yield Fact("sip.STIP", "1", f"in {where}")


def _reflected(case: Case) -> Iterator[Fact]:
    cause = case.logged.reason - ExitReason.REFLECTED
    if isinstance(case.event, Executed):
        yield from _decoded(case.event)
        if case.event.decoded is None:
            yield Fact("decoded", f"{case.event.insn:#x}", "no instruction")
    yield Fact("exception", str(cause), EXCEPTION_BY_NUMBER[cause].description)
    vector = case.vcpu.csrs.read(STVEC) & ~3
    yield Fact("stvec", f"{vector:#x}", case.describe(vector))


# --- accesses


def _accessed_title(case: Case, event: Accessed) -> str:
    match event.target:
        case Target.FORBIDDEN | Target.TABLELESS:
            return "Whose fault is it? The guest's own tables say: the guest's."
        case Target.HOLE:
            return "Where does it lead? Where nothing is: the guest gets an access fault."
        case Target.DEVICE:
            return f"Where does it lead? To {event.where}: the access is executed on the device."
        case Target.TABLE:
            return "A store to a table that is shadowed: it is done, and what derived from the entry is dropped."
    if case.fill is not None and case.fill.name == "G-stage":
        return "Where does it lead? To guest RAM: the G-stage gets an entry for it."
    return "Whose fault is it? Nobody's: the guest's tables allow it, so the shadow tables get an entry."


def _accessed(case: Case, event: Accessed) -> Iterator[Fact]:
    name = ACCESS_NAMES[event.access]
    yield Fact("access", name, f"of GVA {event.gva:#x} in {'U' if event.mode == USER else 'S'}-mode")
    yield from guest_walk(event.guest)
    if event.target is Target.DEVICE and case.called:
        yield Fact("device", event.where, case.called[-1].name)
    if event.target is Target.TABLE and isinstance(case.vcpu.technique, ShadowPaged):
        mirrors = case.vcpu.technique.pager.mirrors(event.gpa >> 12)
        yield Fact("guarded by", f"{len(mirrors)} shadow pages now", "each mirrors this table for one role")
        yield Fact("entry", f"number {event.gpa >> 3 & 511}", f"of the table at GPA {event.gpa & -4096:#x}")
    if case.fill is not None:
        yield from _filled(case.fill)


def guest_walk(stage: StageView) -> Iterator[Fact]:
    """Entry by entry."""
    if stage.format is None:
        yield Fact("guest walk", "none", "satp is Bare: the GVA is the GPA")
    for entry in stage.entries:
        yield Fact(f"guest level {entry.level}", f"[{entry.index}] {flags_text(entry.value)}", _entry_note(entry))
    if stage.rule is not None:
        yield Fact("ends", stage.rule.text, f"step {stage.rule.step}")
    elif stage.result is not None:
        yield Fact("leads to", f"GPA {stage.result:#x}", "")


def _entry_note(entry: PteView) -> str:
    where = f"at GPA {entry.address:#x}"
    return f"{where} → {entry.target:#x}" if entry.is_valid else where


def _filled(fill: Fill) -> Iterator[Fact]:
    frame = "none now" if fill.hpa is None else f"HPA {fill.hpa:#x}"
    yield Fact("frame map", f"GPA {fill.gpa:#x} is {frame}", "allocated for this" if fill.is_new else "it was there")
    if fill.role:
        yield Fact("role", fill.role, "for whom these tables are: it decides the leaf's bits")
    if fill.tables:
        yield Fact("tables", f"{fill.tables} more", "on the way to the leaf")
    if fill.stage is not None:
        for entry in fill.stage.entries[:-1]:
            yield Fact(f"{fill.name} level {entry.level}", f"[{entry.index}] {flags_text(entry.value)}",
                       f"at HPA {entry.address:#x} → {entry.target:#x}")
    if fill.pte is not None:
        slot = "" if fill.slot is None else f"at HPA {fill.slot:#x}"
        note = "W withheld: stores must exit" if fill.is_guarded else ""
        yield Fact(f"{fill.name} leaf", flags_text(fill.pte), "; ".join(each for each in (slot, note) if each))


# --- effect and verdict


def _effect(case: Case) -> tuple[Fact, ...]:
    if not case.difference.is_known:
        return (Fact("not known", "", "the guest was not seen before and after: it has no past, or has not gone on"),)
    return tuple(fact for change in case.difference.changes for fact in _change(change)) or (
        Fact("nothing", "", "that the guest could see"),)


def _change(change: Change) -> Iterator[Fact]:
    name = change.name if change.vcpu is None else f"vCPU {change.vcpu}: {change.name}"
    value = f"{change.before} → {change.after}" if change.before else change.after
    yield Fact(name, value, change.note)
    for field in change.fields:
        yield Fact(f"  {change.name}.{field.name}", f"{field.before:#x} → {field.after:#x}", field.about)


def _verdict(case: Case) -> tuple[str, tuple[Fact, ...]]:
    reason = case.logged.reason
    count = Fact("counted as", label(reason), f"number {case.nth:,} of these")
    if reason >= ExitReason.REFLECTED:
        cause = in_words(reason - ExitReason.REFLECTED)
        return (f"REFLECT: the guest gets the exception, {cause}, as its hart would deliver it.", (
            count, Fact("clock", "+1", "a trap that the guest takes is a step")))
    steps = Fact("clock", "+0" if case.logged.is_hidden else "+1",
                 "the guest cannot tell" if case.logged.is_hidden else "an instruction was executed for the guest")
    return "HANDLED: the guest never knows.", (count, steps)

