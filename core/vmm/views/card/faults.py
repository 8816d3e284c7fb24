"""Why an access to memory, or a timer, exits or does not."""

from __future__ import annotations

from typing import Final

from ....isa.causes import (
    INSTRUCTION_GUEST_PAGE_FAULT,
    LOAD_GUEST_PAGE_FAULT,
    STORE_GUEST_PAGE_FAULT,
)
from ...walker import PAGE_FAULT
from ..stages import PROCESS as TRANSLATION
from ..stages import StageView
from .event import ACCESS_NAMES, Accessed, Event, Executed, Target, TimedOut
from .rules import H_DELEGATION, Why, exception, why_executed
from .world import World

GUEST_PAGE_FAULTS: Final = "H: Guest-Page Faults"
G_STAGE: Final = "H: Guest Physical Address Translation"
_ENVIRONMENT: Final = "H: Hypervisor Environment Configuration Register (henvcfg)"
_GUEST_PAGE_FAULT: Final = (INSTRUCTION_GUEST_PAGE_FAULT, LOAD_GUEST_PAGE_FAULT, STORE_GUEST_PAGE_FAULT)

_MISS: Final = ("Shadow entries are made when they are first needed: the hypervisor walks the guest's tables, and "
                "writes what the hart is to find.")
_GUARD: Final = "Shadow entries derive from this table, so the hypervisor must see each store to it."
_DEMAND: Final = "Guest frames get host frames when they are first touched."
_DEVICE: Final = "The device is the hypervisor's: it executes the access in the guest's place."
_NOTHING: Final = "The guest gets the access fault that its hart would raise."
_WHOSE: Final = ("Most page faults are missing shadow entries, so all come to the hypervisor, and the guest's own "
                 "tables tell whose it is.")
_TIME: Final = "time has reached the guest's deadline, and its timer interrupt becomes pending."
_RAISES: Final = "The hypervisor ends the guest's stretch here, and sets VSTIP in hvip."
_DELIVERS: Final = "The hypervisor ends the guest's stretch here, and delivers the interrupt once it is enabled."


def why(event: Event, world: World) -> Why:
    """Whether the event exits under a technique, and by which rule."""
    if isinstance(event, Executed):
        return why_executed(event, world)
    if isinstance(event, TimedOut):
        return _why_timer(world)
    return _why_shadow(event, world) if world.is_shadowed else _why_second_stage(event)


def _why_timer(world: World) -> Why:
    if world.is_virtual:
        rule = f"With henvcfg.STCE=0 the hart keeps no timer for the guest: {_TIME}"
        return Why(True, None, rule, _ENVIRONMENT, _RAISES)
    return Why(True, None, f"The guest's sip is the hypervisor's to keep: {_TIME}",
               "Supervisor Interrupt (sip and sie) Registers", _DELIVERS)


def _why_shadow(event: Accessed, world: World) -> Why:
    """The hart walks tables of the hypervisor's."""
    cause, name, gpa = PAGE_FAULT[event.access], ACCESS_NAMES[event.access], f"GPA {event.gpa:#x}"
    raised = exception(cause)
    if event.level is not None:
        rule = "The hart does not read the guest's tables: the hypervisor does, for which nothing traps."
        return Why(False, None, rule, TRANSLATION)
    match event.target:
        case Target.FORBIDDEN:
            rule = f"{_stopped(event.guest)}: {raised}, the guest's own."
            forbids = event.guest.rule
            assert forbids is not None
            return Why(True, cause, rule, forbids.section, _WHOSE, forbids.step)
        case Target.TABLELESS:
            rule = f"A table of the guest's would lie at {gpa}, which is not RAM, so it has no shadow: {raised}."
            return Why(True, cause, rule, TRANSLATION, _NOTHING)
        case Target.DEVICE | Target.HOLE:
            rule = f"The guest's tables lead to {gpa}, {_place(event)}. No shadow entry leads there: {raised}."
            return Why(True, cause, rule, TRANSLATION, _DEVICE if event.where else _NOTHING)
        case Target.TABLE:
            rule = f"{gpa} lies in a table of the guest's that is shadowed, so shadow leaves to it have W=0: {raised}."
            return Why(True, cause, rule, TRANSLATION, _GUARD)
    register = "vsatp" if world.is_virtual else "satp"
    rule = (f"The guest's tables lead GVA {event.gva:#x} to {gpa}, but the shadow table in {register} has no entry yet "
            f"that lets the {name} through: {raised}.")
    return Why(True, cause, rule, TRANSLATION, _MISS)


def _why_second_stage(event: Accessed) -> Why:
    """The hart walks the guest's own tables, and those of the second stage."""
    cause, gpa, name = _GUEST_PAGE_FAULT[event.access], f"GPA {event.gpa:#x}", ACCESS_NAMES[event.access]
    raised = exception(cause)
    match event.target:
        case Target.FORBIDDEN:
            own = PAGE_FAULT[event.access]
            rule = (f"The hart walks the guest's own tables. {_stopped(event.guest)}: {exception(own)}, which is "
                    f"delegated to the guest (hedeleg bit {own}).")
            return Why(False, own, rule, H_DELEGATION)
        case Target.TABLELESS:
            rule = f"The walk reads an entry at {gpa}, which is not RAM, so the G-stage has nothing there: {raised}."
            return Why(True, cause, rule, GUEST_PAGE_FAULTS, _NOTHING)
        case Target.DEVICE | Target.HOLE:
            rule = f"The guest's tables lead to {gpa}, {_place(event)}. The G-stage has no entry for it: {raised}."
            return Why(True, cause, rule, GUEST_PAGE_FAULTS, _DEVICE if event.where else _NOTHING)
        case _ if event.is_first:
            table = "" if event.level is None else f", which the walk reads as the guest's level-{event.level} table"
            rule = f"The G-stage has no entry yet that lets the {name} of {gpa}{table} through: {raised}."
            return Why(True, cause, rule, GUEST_PAGE_FAULTS, _DEMAND)
        case Target.TABLE:
            rule = "The hart walks the guest's own tables: nothing derives from them, a store to one is like any other."
            return Why(False, None, rule, G_STAGE)
    return Why(False, None, "The hart walks the guest's own tables, and the G-stage maps the frame already.", G_STAGE)


def _stopped(stage: StageView) -> str:
    """Where and why the guest's own tables forbid an access."""
    assert stage.rule is not None
    if not stage.entries:
        return f"GVA {stage.address:#x}: {stage.rule.text}"
    entry = stage.entries[-1]
    return f"The guest's level-{entry.level} entry at GPA {entry.address:#x} forbids it ({stage.rule.text})"


def _place(event: Accessed) -> str:
    return f"which is {event.where}, a device" if event.where else "where nothing is"
