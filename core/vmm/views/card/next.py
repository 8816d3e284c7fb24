"""What the instruction that the guest stands at would do under each technique; and how the others would have taken an
event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ....errors import ConfigError
from ....isa.decoder import decode
from ....isa.paging import PAGE_SHIFT
from ...emulate import BLOCK_SIZE, MEMORY_OPS
from ...techniques.shadow_paging import ShadowPaged
from ...walker import LOAD, STORE
from .code import CodeAt, code_at
from .event import Accessed, Event, Target, accessed, executed
from .faults import why
from .rules import Why
from .world import TECHNIQUES, world_of

if TYPE_CHECKING:
    from ...inspector import Inspector
    from ...vcpu import Vcpu

_WORD = (1 << 64) - 1


@dataclass(frozen=True)
class Elsewhere:
    """A technique, and what an event comes to under it. why: None where it cannot run this guest at all, because of
    `refused`. depends: on what, where it cannot be told from here whether it exits; `why` is then why it would."""

    technique: str
    why: Why | None
    refused: str = ""
    depends: str = ""

    @property
    def is_free(self) -> bool:
        """Whether it is no exit, for certain."""
        return self.why is not None and not self.why.exits and not self.depends


@dataclass(frozen=True)
class NextView:
    """code: the instruction at pc. access: the address that it loads from or stores to, as its registers are now.
    verdicts: by technique, that of the VM first."""

    code: CodeAt
    access: str
    verdicts: tuple[Elsewhere, ...]


def elsewhere(vcpu: Vcpu, event: Event, *, has_missed: bool = True) -> tuple[Elsewhere, ...]:
    """The techniques other than the vCPU's own. has_missed: an access to RAM is one that exited for want of an entry.
    """
    own = vcpu.technique.name
    return tuple(_verdict(vcpu, event, technique, has_missed) for technique in TECHNIQUES if technique != own)


def _verdict(vcpu: Vcpu, event: Event, technique: str, has_missed: bool) -> Elsewhere:
    try:
        found = why(event, world_of(vcpu, technique))
    except ConfigError as error:
        return Elsewhere(technique, None, str(error))
    if not isinstance(event, Accessed) or not found.exits or event.is_first:
        return Elsewhere(technique, found)
    if event.target is Target.TABLE:
        return Elsewhere(technique, found, depends="on whether its shadow tables mirror that table now")
    if event.target is not Target.RAM:
        return Elsewhere(technique, found)
    if not has_missed:
        return Elsewhere(technique, found, depends="on whether its shadow tables have an entry for it by now")
    if vcpu.technique.name == "deprivileged" or (technique == "deprivileged" and event.guest.format is None):
        depends = "it divides its tables among the guest's modes in another way, so the entry may be there by now"
        return Elsewhere(technique, found, depends=depends)
    return Elsewhere(technique, found)


def look_ahead(inspector: Inspector) -> NextView:
    """The instruction at pc of the vCPU looked at, if nothing interrupts it."""
    vcpu = inspector.vcpu
    code = code_at(inspector, vcpu)
    event = memory_event(inspector, vcpu, code.insn)
    if event is not None:
        name = "store to" if event.access == STORE else "load from"
        where = f"{name} GVA {event.gva:#x}"
        return NextView(code, where, (_own_access(vcpu, event), *elsewhere(vcpu, event, has_missed=False)))
    if code.insn is None:
        return NextView(code, "", ())
    instruction = executed(vcpu, code.insn, vcpu.mode)
    own = Elsewhere(vcpu.technique.name, why(instruction, world_of(vcpu)))
    return NextView(code, "", (own, *elsewhere(vcpu, instruction)))


def memory_event(inspector: Inspector, vcpu: Vcpu, insn: int | None) -> Accessed | None:
    """The access that the instruction at pc makes; None if it makes none."""
    decoded = None if insn is None else decode(insn)
    operation = None if decoded is None else MEMORY_OPS.get(decoded.name)
    if decoded is None or operation is None:
        return None
    imm = 0 if operation.size == BLOCK_SIZE else decoded.imm
    gva = vcpu.hart.read_gpr(decoded.rs1) + imm & _WORD
    access = LOAD if operation.kind in ("load", "lr", "manage") else STORE
    found, ram = vcpu.walk(gva, access), vcpu.vm.ram
    is_ram = found.cause is None and ram.contains(found.gpa)
    gfn, technique = found.gpa >> PAGE_SHIFT, vcpu.technique
    is_guarded = isinstance(technique, ShadowPaged) and technique.pager.is_guarded(gfn)
    return accessed(inspector, vcpu, gva, access, vcpu.mode, is_guarded=is_ram and access == STORE and is_guarded,
                    is_first=is_ram and inspector.log is not None and inspector.log.first_fill(gfn) is None)


def _own_access(vcpu: Vcpu, event: Accessed) -> Elsewhere:
    """By the tables that the hart would walk, as they are now."""
    world = world_of(vcpu)
    _, cause = vcpu.hart.translate(event.gva, event.access)
    if not cause:
        return Elsewhere(world.technique, Why(False, None, "The tables that the hart walks let it through.",
                                              "Virtual Address Translation Process"))
    return Elsewhere(world.technique, why(event, world))
