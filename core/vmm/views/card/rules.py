"""Why an instruction exits, or does not: the instruction's row, the CSR's number, and what the technique has set up.

Each sentence is written once; it holds for the technique at hand as for the others, so what explains an exit also tells
which technique would have gone without it. `faults.py` does the same for accesses to memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ....isa.causes import EXCEPTION_BY_NUMBER, ILLEGAL_INSTRUCTION, VIRTUAL_INSTRUCTION
from ....isa.csr import Csr
from ....isa.csrs import BY_NAME as CSRS
from ....isa.csrs import BY_NUMBER
from ....isa.instructions import BY_NAME
from ....isa.row import Instruction, TrapRule
from ...csr_file import CYCLE, FLOAT_CSRS, N_COUNTERS, SATP, STIMECMP
from ...walker import USER
from .event import Executed
from .world import World

MAPPING: Final = "CSR Address Mapping Conventions"
H_CAUSES: Final = "H: Trap Cause Codes"
H_CSRS: Final = "H: Hypervisor and Virtual Supervisor CSRs"
H_DELEGATION: Final = "H: Hypervisor Trap Delegation (hedeleg and hideleg) Registers"
DELEGATION: Final = "Machine Trap Delegation (medeleg and mideleg) Registers"
FLOAT_STATUS: Final = "Extension Context Status in mstatus Register"

PURPOSES: Final = {
    "hstatus.VTVM": "The hypervisor sets VTVM because the hart walks shadow tables: it has to hear of each change of "
                    "address space and of each fence.",
    "hstatus.VTW": "The hypervisor sets VTW to get the hart back while the guest waits.",
    "hcounteren": "H has an offset for time, but none for cycle, instret and the others, so the hypervisor answers.",
    "henvcfg.STCE": "The hypervisor keeps the guest's one timer itself, for stimecmp and SBI alike.",
    "hstateen0.ENVCFG": "That is how senvcfg is kept from a guest that has not all of its fields.",
    "U-mode": "The guest's kernel believes it is in S-mode; the hypervisor does for it what S-mode would.",
    "own": "Without H nothing is delegated below S-mode: the guest's own exceptions come to the hypervisor too, which "
           "delivers them.",
    "virtual": "The guest knows no H: the hypervisor delivers it as an illegal instruction.",
    "call": "The guest's firmware is the hypervisor, under every technique.",
}
"""Why a technique has arranged it so, by the setting."""


DYNAMIC: Final = 7
"""The rm that means: as frm says."""
NO_ROUNDING: Final = 5
"""Values of frm from here on are no rounding mode."""

_TIMERS: Final = (STIMECMP, CSRS["vstimecmp"].number)
_STATE_GATES: Final = {
    "senvcfg": "0.ENVCFG", "henvcfg": "0.ENVCFG", "scontext": "0.CONTEXT", "hcontext": "0.CONTEXT",
    **{f"{level}stateen{i}": f"{i}.SE{'' if i else '0'}" for level in "sh" for i in range(4)}}
"""What the state enables open: CSR to number and field of mstateen and hstateen."""


@dataclass(frozen=True)
class Why:
    """exits: whether it does. cause: the exception that the hart raises, None for none. rule: what the manual says of
    this case, in a sentence. section: where it says so; step: of the algorithm there, 0 for none. purpose: why the
    technique has arranged it so, "" where that goes without saying."""

    exits: bool
    cause: int | None
    rule: str
    section: str
    purpose: str = ""
    step: int = 0


def exception(cause: int) -> str:
    """An exception in the manual's words, with its number."""
    return f"{in_words(cause)} ({cause})"


def in_words(cause: int) -> str:
    """An exception as in the midst of a sentence."""
    text = EXCEPTION_BY_NUMBER[cause].description
    return text[0].lower() + text[1:]


def why_executed(event: Executed, world: World) -> Why:
    """Whether the instruction exits, and why."""
    found = _trap(event, world)
    if found.cause is None or not world.delegates(found.cause):
        if found.cause == VIRTUAL_INSTRUCTION and event.mode == USER:
            return Why(True, found.cause, found.rule, found.section, PURPOSES["virtual"])
        if found.exits and not found.purpose and not world.is_virtual:
            return Why(True, found.cause, found.rule, found.section, PURPOSES["own"])
        return found
    return Why(False, found.cause, f"{EXCEPTION_BY_NUMBER[found.cause].description} is delegated to the guest "
               f"(hedeleg bit {found.cause}): the hart itself takes the trap to the guest's handler.", H_DELEGATION)


def _trap(event: Executed, world: World) -> Why:
    mode = world.mode(event.mode)
    if event.raised is not None:
        cause = EXCEPTION_BY_NUMBER[event.raised]
        return Why(True, event.raised, f"By its address alone the access is a case of {exception(cause.number)}.",
                   cause.section)
    if event.decoded is None:
        return Why(True, ILLEGAL_INSTRUCTION, f"The bits {event.insn:#x} are no instruction of this hart: "
                   f"{exception(ILLEGAL_INSTRUCTION)}.", EXCEPTION_BY_NUMBER[ILLEGAL_INSTRUCTION].section)
    if event.csr is not None:
        return _why_csr(event, event.csr, mode, world)
    return _why_row(BY_NAME[event.decoded.name], event, mode, world)


# --- instructions


def _why_row(row: Instruction, event: Executed, mode: str, world: World) -> Why:
    """By the privilege rules of the row, which is that of the instruction itself, not of a compressed form of it."""
    allowed, section = row.privilege, row.privilege.section or MAPPING
    spared = []
    for trap in allowed.traps:
        if trap.mode != mode:
            continue
        if not trap.condition or holds(trap.condition, event, world):
            return Why(True, trap.cause, _trap_text(row, trap), section, _purpose_of(trap, mode, event))
        spared.append(trap.condition)
    if mode not in allowed.modes:
        modes = " and ".join(", ".join(allowed.modes).rsplit(", ", 1))
        rule = (f"{row.name} completes in {modes} only, and the hart is in {mode}-mode: "
                f"{exception(ILLEGAL_INSTRUCTION)}.")
        return Why(True, ILLEGAL_INSTRUCTION, rule, section, PURPOSES["U-mode"] if event.mode != USER else "")
    because = f"; it would trap with {' or '.join(spared)}" if spared else ""
    return Why(False, None, f"In {mode}-mode {row.name} completes on the hart{because}.", section)


def _trap_text(row: Instruction, trap: TrapRule) -> str:
    given = f"With {trap.condition}, {row.name}" if trap.condition else row.name
    return f"{given} in {trap.mode}-mode raises {exception(trap.cause)}."


def _purpose_of(trap: TrapRule, mode: str, event: Executed) -> str:
    for setting, purpose in PURPOSES.items():
        if f"{setting}=" in trap.condition:
            return purpose
    if event.decoded is not None and event.decoded.name == "ecall" and event.mode != USER:
        return PURPOSES["call"]
    return PURPOSES["U-mode"] if mode == "U" and event.mode != USER and not trap.condition else ""


def holds(condition: str, event: Executed, world: World) -> bool:
    """Whether a rule's condition does: fields compared with 0 or 1, joined by "and" and, in parentheses, "or"."""
    if condition == "rm is dyn and frm holds no rounding mode":
        rounding = event.decoded.row.format.operands.get("rm") if event.decoded is not None else None
        return rounding is not None and rounding.extract(event.insn) == DYNAMIC and event.frm >= NO_ROUNDING
    if condition.endswith(" is off"):
        return any(not world.field(name) for name in condition.removesuffix(" is off").split(" or "))
    return all(any(_holds_term(term, world) for term in part.strip("()").split(" or "))
               for part in condition.split(" and "))


def _holds_term(term: str, world: World) -> bool:
    if "≠" in term:
        name, value = term.split("≠")
        return world.field(name) != int(value)
    name, value = term.split("=")
    return world.field(name) == int(value)


# --- CSRs, as the hart's csr_check has it


def _why_csr(event: Executed, number: int, mode: str, world: World) -> Why:
    csr = BY_NUMBER.get(number)
    if csr is None or not csr.exists_in(world.isa):
        return _illegal(f"This hart has no CSR {number:#05x}", MAPPING)
    assert event.decoded is not None
    if event.writes and csr.is_read_only:
        return _illegal(f"{csr.name} is read-only, since bits 11:10 of its number {number:#05x} are 3, and "
                        f"{event.decoded.name} writes it", MAPPING)
    denied = _denied(csr, mode, event, world)
    if denied is not None:
        return denied
    if csr.vs_twin:
        return Why(False, None, f"With V=1 {csr.name} stands for {csr.vs_twin}, the guest's own: the hart executes "
                   f"{event.decoded.name} itself.", H_CSRS)
    rule = f"{mode}-mode may access {csr.name}: the hart executes {event.decoded.name} itself."
    return Why(False, None, rule, MAPPING)


def _denied(csr: Csr, mode: str, event: Executed, world: World) -> Why | None:
    """The first gate that is shut."""
    number, owner = csr.number, csr.number >> 8 & 3
    if CYCLE <= number < CYCLE + N_COUNTERS:
        return _counter_gate(csr, mode, event, world)
    if number in FLOAT_CSRS and not (world.field("mstatus.FS") and (
            not world.is_virtual or world.field("vsstatus.FS"))):
        return _illegal(f"Floating point is off: FS is 0, and {csr.name} belongs to it", FLOAT_STATUS)
    if owner == 3:
        return _illegal(f"{csr.name} is a machine CSR: bits 9:8 of its number {number:#05x} are 3", MAPPING)
    gate = _timer_gate(csr, world) if number in _TIMERS else _state_gate(csr, world)
    if gate is not None:
        return gate
    if not world.is_virtual and owner:
        kind = "a supervisor" if owner == 1 else "a hypervisor"
        return Why(True, ILLEGAL_INSTRUCTION, f"{csr.name} is {kind} CSR: bits 9:8 of its number {number:#05x} are "
                   f"{owner}; the hart is in U-mode: {exception(ILLEGAL_INSTRUCTION)}.", MAPPING,
                   PURPOSES["U-mode"] if event.mode != USER and owner == 1 else "")
    if owner == 2 or (owner == 1 and mode == "VU"):
        return _virtual(f"HS-mode could access {csr.name} like this, {mode}-mode may not", H_CAUSES)
    if number == SATP and world.field("hstatus.VTVM"):
        return _virtual("With hstatus.VTVM=1, satp is closed to VS-mode", H_CAUSES, "hstatus.VTVM")
    return None


def _counter_gate(csr: Csr, mode: str, event: Executed, world: World) -> Why | None:
    """mcounteren, hcounteren, scounteren: each opens a counter to those below."""
    bit = csr.number & 31
    field = ("CY", "TM", "IR")[bit] if bit < 3 else f"HPM{bit}"
    if not world.csrs["mcounteren"] >> bit & 1:
        return _illegal(f"mcounteren.{field}=0: no mode below M may read {csr.name}",
                        "Machine Counter-Enable (mcounteren) Register")
    if world.is_virtual and not world.csrs["hcounteren"] >> bit & 1:
        return _virtual(f"With hcounteren.{field}=0 and mcounteren.{field}=1, {csr.name} is closed while V=1",
                        "H: Hypervisor Counter-Enable (hcounteren) Register", "hcounteren")
    if mode in ("U", "VU") and not world.csrs["scounteren"] >> bit & 1:
        section = "Counter-Enable (scounteren) Register"
        if world.is_virtual:
            return _virtual(f"With scounteren.{field}=0, {csr.name} is closed to VU-mode", section)
        text = f"With scounteren.{field}=0, {csr.name} is closed to U-mode: {exception(ILLEGAL_INSTRUCTION)}."
        return Why(True, ILLEGAL_INSTRUCTION, text, section, PURPOSES["U-mode"] if event.mode != USER else "")
    return None


def _timer_gate(csr: Csr, world: World) -> Why | None:
    section = "Supervisor Timer (stimecmp) Register"
    if not world.field("menvcfg.STCE") or not world.field("mcounteren.TM"):
        return _illegal(f"menvcfg.STCE or mcounteren.TM is 0: no mode below M may access {csr.name}", section)
    if world.is_virtual and csr.number == STIMECMP and not world.field("henvcfg.STCE"):
        return _virtual("With henvcfg.STCE=0, stimecmp is closed while V=1",
                        "H: Hypervisor Environment Configuration Register (henvcfg)", "henvcfg.STCE")
    return None


def _state_gate(csr: Csr, world: World) -> Why | None:
    """The state enables; of what they gate, a guest can meet senvcfg alone, and its own scontext and sstateen."""
    gate = _STATE_GATES.get(csr.name)
    if gate is None:
        return None
    section = "State Enable 0 Registers"
    if not world.field(f"mstateen{gate}"):
        return _illegal(f"With mstateen{gate}=0, {csr.name} is closed to all modes below M", section)
    if world.is_virtual and not world.field(f"hstateen{gate}"):
        return _virtual(f"With hstateen{gate}=0, {csr.name} is closed while V=1", section, f"hstateen{gate}")
    return None


def _illegal(what: str, section: str) -> Why:
    return Why(True, ILLEGAL_INSTRUCTION, f"{what}: {exception(ILLEGAL_INSTRUCTION)}.", section)


def _virtual(what: str, section: str, setting: str = "") -> Why:
    return Why(True, VIRTUAL_INSTRUCTION, f"{what}: {exception(VIRTUAL_INSTRUCTION)}.", section,
               PURPOSES.get(setting, ""))
