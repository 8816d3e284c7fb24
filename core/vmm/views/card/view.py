"""An exit's card: built once when the guest comes to rest at the exit, and kept.

At an exit the guest stands before the instruction that trapped. What the exit changed is seen one step on, and the
guest taken back (Timeline.ahead). The exit is the card's, whichever vCPU is looked at; a guest without a past stands
behind its exit, and the card says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ....isa.causes import EXCEPTION_BY_NUMBER, INTERRUPT_BY_NUMBER, STI
from ....isa.paging import PAGE_SHIFT, PTE_V, ppn
from ...csr_file import CSR_NAMES, SIP, STVEC
from ...exit_log import LoggedExit
from ...exits import ExitReason, label
from ...sbi_names import call_of
from ...traps import pick_pending
from ...walker import USER
from ..stages import flags_text
from .changes import Change, Difference, Kind, difference
from .code import CodeAt, Describe, code_at, fetch, namer, text_of
from .event import ACCESS_NAMES, Accessed, Event, Executed, event_of
from .facts import Fact, MicroStep
from .faults import why
from .fills import fill_changes, fill_of
from .handlers import Called, called_for
from .micro import Case, micro_steps
from .next import Elsewhere, NextView, elsewhere, look_ahead
from .rules import Why
from .sbi_text import SbiText, sbi_text
from .world import world_of

if TYPE_CHECKING:
    from ...inspector import Inspection, Inspector
    from ...vcpu import Vcpu


@dataclass(frozen=True)
class GoesOn:
    """code: where the guest goes on. note: in which way."""

    code: CodeAt
    note: str


@dataclass(frozen=True)
class CardView:
    """One exit. number, nth: in the log, and among those of its kind. code: the instruction that trapped. mode: the
    guest's, hart_mode: the hart's. cause: the trap's, in words. what: the event, in words. why: the rule that made it
    trap. called: what handled it. difference: before and after. elsewhere: the other techniques. steps: the handling,
    stage by stage. is_before: the guest stands before it; else it has no past, and stands behind it. gva: of the access
    that did not get through.
    """

    number: int
    nth: int
    logged: LoggedExit
    technique: str
    n_vcpus: int
    label: str
    code: CodeAt
    mode: str
    hart_mode: str
    cause: str
    what: str
    why: Why
    called: tuple[Called, ...]
    difference: Difference
    goes_on: GoesOn
    elsewhere: tuple[Elsewhere, ...]
    steps: tuple[MicroStep, ...]
    is_before: bool
    gva: int | None

    @property
    def avoiders(self) -> tuple[Elsewhere, ...]:
        """The techniques under which it would not have been an exit."""
        return tuple(each for each in self.elsewhere if each.is_free)


@dataclass(frozen=True)
class CardPage:
    """What there is to say where the guest stands. card: at an exit. last: the exit before, where it is at none. next:
    of the instruction that it stands at. empty: why there is none of these. n_exits: that are known."""

    step: int
    technique: str
    is_running: bool
    n_exits: int
    card: CardView | None = None
    last: LoggedExit | None = None
    last_symbol: str = ""
    next: NextView | None = None
    empty: str = ""


_CARDS: WeakKeyDictionary[Inspector, tuple[tuple[LoggedExit, int], CardView]] = WeakKeyDictionary()


def view_card(inspection: Inspection) -> CardPage:
    """The card of the exit that the guest stands at; elsewhere, what went before and what comes."""
    inspector = inspection.inspector
    log = inspector.log
    page = CardPage(inspector.step, inspector.technique, inspector.is_running, 0 if log is None else len(log))
    if log is None:
        return replace(page, empty="On the bare machine nothing is virtualized, so nothing exits.")
    if inspector.is_running:
        return _with_last(page, inspector, len(log))
    number = inspector.exit
    if number is not None and number < len(log):
        return replace(page, card=_kept_card(inspector, number))
    return replace(_with_last(page, inspector, log.first_at(inspector.step)), next=look_ahead(inspector))


def _with_last(page: CardPage, inspector: Inspector, end: int) -> CardPage:
    if not end or inspector.log is None:
        return replace(page, empty="No exit yet.")
    last = inspector.log[end - 1]
    return replace(page, last=last, last_symbol=inspector.symbols.describe(last.pc))


def _kept_card(inspector: Inspector, number: int) -> CardView:
    assert inspector.log is not None
    key = inspector.log[number], inspector.edits
    kept = _CARDS.get(inspector)
    if kept is None or kept[0] != key:
        kept = _CARDS[inspector] = key, make_card(inspector, number)
    return kept[1]


def make_card(inspector: Inspector, number: int) -> CardView:
    """The card of an exit in the log, at which the guest stands."""
    assert inspector.log is not None
    logged, counts = inspector.log[number], inspector.log.count(0, number + 1)
    vcpu = inspector.vm.vcpus[logged.vcpu]
    describe = namer(inspector, vcpu)
    is_before = inspector.step == logged.step and vcpu.hart.pc == logged.pc
    event, world = event_of(inspector, logged), world_of(vcpu)
    call = sbi_text(vcpu) if logged.reason == ExitReason.SBI and is_before else None
    fill = fill_of(inspector, logged, event) if isinstance(event, Accessed) and logged.is_hidden else None
    changed = Difference((), is_known=False)
    if logged.reason == ExitReason.TIMER:
        changed = Difference(_timer_changes(vcpu))
    elif fill is not None:
        changed = Difference(fill_changes(fill))
    elif is_before:
        changed = difference(inspector, logged.vcpu)
    changes = [*_written_as_it_was(vcpu, event, changed), *changed.changes]
    changed = replace(changed, changes=tuple(_annotated(each, logged, call) for each in changes))
    called = called_for(vcpu, logged, event)
    goes_on = _goes_on(inspector, vcpu, logged, changed)
    case = Case(vcpu, logged, event, called, changed, fill, call, describe, counts[logged.reason], is_before)
    code = _code(vcpu, logged, event, describe)
    return CardView(
        number, counts[logged.reason], logged, inspector.technique, len(inspector.vm.vcpus), label(logged.reason), code,
        "U" if logged.mode == USER else "S", world.mode(logged.mode), _cause(logged), _what(logged, event, call, code),
        why(event, world), called, changed, goes_on, elsewhere(vcpu, event), micro_steps(case, _last_stage(goes_on)),
        is_before, event.gva if isinstance(event, Accessed) else None)


def _code(vcpu: Vcpu, logged: LoggedExit, event: Event, describe: Describe) -> CodeAt:
    """The instruction that trapped; of a fetch that did not get through, what the guest's own tables lead to."""
    pc, insn = logged.pc, logged.insn or None
    if logged.reason == ExitReason.TIMER:
        return CodeAt(pc, describe(pc), None, "between two instructions")
    if insn is None and isinstance(event, Accessed):
        insn = fetch(vcpu, pc)
    return CodeAt(pc, describe(pc), insn, text_of(insn, pc))


def _cause(logged: LoggedExit) -> str:
    if logged.reason == ExitReason.TIMER:
        return f"none; the guest's own {INTERRUPT_BY_NUMBER[STI].description.lower()}"
    return f"{EXCEPTION_BY_NUMBER[logged.cause].description} ({logged.cause})"


def _what(logged: LoggedExit, event: Event, call: SbiText | None, code: CodeAt) -> str:
    if logged.reason == ExitReason.SBI:
        return call.text if call is not None else call_of(logged.tval, logged.gpa).name
    if isinstance(event, Accessed):
        where = f" = {event.where}" if event.where else ""
        leads = f" → GPA {event.gpa:#x}{where}" if event.guest.result is not None else ""
        return f"{ACCESS_NAMES[event.access]} of GVA {event.gva:#x}{leads}"
    return "the guest's timer" if logged.reason == ExitReason.TIMER else code.text


def _written_as_it_was(vcpu: Vcpu, event: Event, changed: Difference) -> list[Change]:
    """A CSR that was written with the value that it had."""
    if not isinstance(event, Executed) or not event.writes or event.csr not in CSR_NAMES or changed.then is None:
        return []
    if any(change.kind is Kind.CSR or change.name == "mode" for change in changed.changes):
        return []
    value = f"{vcpu.csrs.read(event.csr):#x}"
    return [Change(Kind.CSR, CSR_NAMES[event.csr], value, value, "written, and as it was")]


def _annotated(change: Change, logged: LoggedExit, call: SbiText | None) -> Change:
    """With what its new value means here."""
    if call is not None and change.kind is Kind.REGISTER:
        return replace(change, note=call.note(change.name, change.after))
    if logged.reason == ExitReason.PT_WRITE and change.kind is Kind.MEMORY and change.after:
        value = int(change.after, 16)
        leads = f" to {ppn(value) << PAGE_SHIFT:#x}" if value & PTE_V else ""
        return replace(change, note=f"an entry: {flags_text(value)}{leads}")
    return change


def _timer_changes(vcpu: Vcpu) -> tuple[Change, ...]:
    """sip as it was a moment before, and is."""
    now = vcpu.csrs.read(SIP)
    return (Change(Kind.CSR, "sip.STIP", "0", str(now >> STI & 1), "pending"),)


def _goes_on(inspector: Inspector, vcpu: Vcpu, logged: LoggedExit, changed: Difference) -> GoesOn:
    """Where, once the hart enters the guest again."""
    here = code_at(inspector, vcpu)
    if logged.reason == ExitReason.TIMER:
        if pick_pending(vcpu) is None:
            return GoesOn(here, "here: its interrupts are disabled")
        base = vcpu.csrs.read(STVEC)
        handler = (base & ~3) + (4 * STI if base & 1 else 0)
        return GoesOn(CodeAt(handler, inspector.code.describe(vcpu, handler), None, "its trap handler"),
                      "it takes the interrupt")
    if logged.is_hidden:
        return GoesOn(here, "the same instruction once more, which now gets through")
    if changed.then is None:
        return GoesOn(here, "here")
    names = {change.name: change.after for change in changed.changes if change.vcpu is None}
    if "VM" in names:
        return GoesOn(changed.then, "nowhere: the VM is off")
    if names.get("stopped") == "yes":
        return GoesOn(changed.then, "nowhere: the hart is stopped")
    if names.get("asleep") == "yes":
        return GoesOn(changed.then, "asleep, until an interrupt comes")
    if logged.reason >= ExitReason.REFLECTED:
        return GoesOn(changed.then, "in its trap handler")
    return GoesOn(changed.then, "")


def _last_stage(goes_on: GoesOn) -> tuple[Fact, ...]:
    code = goes_on.code
    return (Fact("pc", f"{code.pc:#x}", code.symbol), Fact("next", code.text, goes_on.note))
