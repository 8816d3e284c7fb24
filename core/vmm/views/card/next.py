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
from .event import Accessed, Event, accessed, executed
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
    `refused`."""

    technique: str
    why: Why | None
    refused: str = ""


@dataclass(frozen=True)
class NextView:
    """code: the instruction at pc. access: the address that it loads from or stores to, as its registers are now.
    verdicts: by technique, that of the VM first. is_memory: whether it depends on tables, of which only the present
    technique's are there to be looked at."""

    code: CodeAt
    access: str
    verdicts: tuple[Elsewhere, ...]
    is_memory: bool


def elsewhere(vcpu: Vcpu, event: Event) -> tuple[Elsewhere, ...]:
    """The techniques other than the vCPU's own."""
    own = vcpu.technique.name
    return tuple(_verdict(vcpu, event, technique) for technique in TECHNIQUES if technique != own)


def _verdict(vcpu: Vcpu, event: Event, technique: str) -> Elsewhere:
    try:
        return Elsewhere(technique, why(event, world_of(vcpu, technique)))
    except ConfigError as error:
        return Elsewhere(technique, None, str(error))


def look_ahead(inspector: Inspector) -> NextView:
    """The instruction at pc of the vCPU looked at, if nothing interrupts it."""
    vcpu = inspector.vcpu
    code = code_at(inspector, vcpu)
    event = memory_event(inspector, vcpu, code.insn)
    if event is not None:
        name = "store to" if event.access == STORE else "load from"
        where = f"{name} GVA {event.gva:#x}"
        return NextView(code, where, (_own_access(vcpu, event), *elsewhere(vcpu, event)), True)
    if code.insn is None:
        return NextView(code, "", (), False)
    instruction = executed(vcpu, code.insn, vcpu.mode)
    own = Elsewhere(vcpu.technique.name, why(instruction, world_of(vcpu)))
    return NextView(code, "", (own, *elsewhere(vcpu, instruction)), False)


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
