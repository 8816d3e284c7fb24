"""Privileged instructions of the guest that trapped: CSR accesses, sret, sfence.vma and wfi, emulated on the vCPU.

The same handlers serve every technique: what traps differs, what the instruction does to the guest does not. Each
retires the instruction (pc moves on, one step) and says HANDLED, or touches nothing and says REFLECT: then the guest
gets the illegal-instruction exception that its hart would raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ..isa.decoder import Decoded, decode
from .csr_file import CSR_NAMES, CYCLE, INSTRET, SATP, SCOUNTEREN, STIMECMP
from .exits import HANDLED, REFLECT, ExitReason, InstructionHandler
from .traps import can_wake, emulate_sret, retire
from .walker import SUPERVISOR, USER

if TYPE_CHECKING:
    from .vcpu import Vcpu

_COUNTERS: Final = {number: "Zicntr" if number <= INSTRET else "Zihpm" for number in range(CYCLE, CYCLE + 32)}
"""The user counters (cycle, time and instret first), each with its extension."""
_WORD: Final = (1 << 64) - 1


def _csr_handler(combine: Callable[[int, int], int], always_writes: bool, is_immediate: bool) -> InstructionHandler:
    """A handler for one of the six CSR instructions; `combine(old, operand)` is the new value."""

    def emulate_csr(vcpu: Vcpu, instruction: Decoded) -> bool:
        number = instruction.imm
        operand = instruction.rs1
        writes = always_writes or operand != 0
        hart = vcpu.hart
        if number in _COUNTERS:
            if writes or _COUNTERS[number] not in vcpu.vm.config.isa:
                return REFLECT
            if vcpu.mode == USER and not vcpu.csrs.read(SCOUNTEREN) >> (number & 31) & 1:
                return REFLECT
            hart.write_gpr(instruction.rd, vcpu.read_counter(number))
        elif number == STIMECMP and vcpu.mode == SUPERVISOR and "Sstc" in vcpu.vm.config.isa:
            if not is_immediate:
                operand = hart.read_gpr(operand)
            old = vcpu.deadline
            if writes:
                vcpu.set_timer(combine(old, operand))
            hart.write_gpr(instruction.rd, old)
        elif number in CSR_NAMES and vcpu.mode == SUPERVISOR:
            if not is_immediate:
                operand = hart.read_gpr(operand)
            csrs = vcpu.csrs
            old = csrs.read(number)
            if writes:
                csrs.write(number, combine(old, operand))
            if instruction.rd:
                hart.write_gpr(instruction.rd, old)
        else:
            return REFLECT
        hart.retire()
        return HANDLED

    return emulate_csr


def _swap(_: int, operand: int) -> int:
    return operand


def _set_bits(old: int, operand: int) -> int:
    return old | operand


def _clear_bits(old: int, operand: int) -> int:
    return old & ~operand & _WORD


def emulate_sret_instruction(vcpu: Vcpu, instruction: Decoded) -> bool:
    """sret: S-mode's return; illegal in U-mode."""
    if vcpu.mode != SUPERVISOR:
        return REFLECT
    emulate_sret(vcpu)
    return HANDLED


def emulate_sfence(vcpu: Vcpu, instruction: Decoded) -> bool:
    """sfence.vma: whoever caches translations hears of it. x0 stands for every address, and for every address space."""
    if vcpu.mode != SUPERVISOR:
        return REFLECT
    hart = vcpu.hart
    gva = hart.read_gpr(instruction.rs1) if instruction.rs1 else None
    asid = hart.read_gpr(instruction.rs2) & 0xFFFF if instruction.rs2 else None
    vcpu.fence(gva, asid)
    retire(vcpu)
    return HANDLED


def emulate_ordering(vcpu: Vcpu, instruction: Decoded) -> bool:
    """sfence.w.inval and sfence.inval.ir, whose partner sinval.vma is emulated as a whole fence; illegal in U-mode."""
    if vcpu.mode != SUPERVISOR:
        return REFLECT
    retire(vcpu)
    return HANDLED


def emulate_wfi(vcpu: Vcpu, instruction: Decoded) -> bool:
    """wfi: retires at once if an enabled interrupt is pending, else the vCPU sleeps. Illegal in U-mode."""
    if vcpu.mode != SUPERVISOR:
        return REFLECT
    retire(vcpu)
    if not can_wake(vcpu):
        vcpu.is_waiting = True
        vcpu.vm.needs_attention = True
    return HANDLED


class InstructionRule(NamedTuple):
    """How a trapped instruction is emulated, and the reason such exits are counted under."""

    reason: int
    handler: InstructionHandler


INSTRUCTION_RULES: Final[Mapping[str, InstructionRule]] = {
    "csrrw": InstructionRule(ExitReason.CSR, _csr_handler(_swap, True, False)),
    "csrrs": InstructionRule(ExitReason.CSR, _csr_handler(_set_bits, False, False)),
    "csrrc": InstructionRule(ExitReason.CSR, _csr_handler(_clear_bits, False, False)),
    "csrrwi": InstructionRule(ExitReason.CSR, _csr_handler(_swap, True, True)),
    "csrrsi": InstructionRule(ExitReason.CSR, _csr_handler(_set_bits, False, True)),
    "csrrci": InstructionRule(ExitReason.CSR, _csr_handler(_clear_bits, False, True)),
    "sret": InstructionRule(ExitReason.SRET, emulate_sret_instruction),
    "sfence.w.inval": InstructionRule(ExitReason.SFENCE, emulate_ordering),
    "sfence.vma": InstructionRule(ExitReason.SFENCE, emulate_sfence),
    "wfi": InstructionRule(ExitReason.WFI, emulate_wfi),
}
"""The instructions whose trap means emulation; every other illegal instruction is the guest's own."""


class InstructionTable:
    """INSTRUCTION_RULES with replacements, looked up by an instruction's bits.

    replacements: instruction name to handler. isa: the guest's extensions; what it does not have has no rule. The same
    bits are decoded once.
    """

    def __init__(self, replacements: Mapping[str, InstructionHandler], isa: frozenset[str]) -> None:
        self._isa = isa
        self._rules = dict(INSTRUCTION_RULES)
        for name, handler in replacements.items():
            reason = self._rules[name].reason if name in self._rules else int(ExitReason.CSR)
            self._rules[name] = InstructionRule(reason, handler)
        self._known: dict[int, tuple[int, InstructionHandler, Decoded] | None] = {}

    def dispatch(self, vcpu: Vcpu, insn: int) -> bool:
        """Emulate the instruction with these bits and count the exit; REFLECT if it has no rule or its handler says
        so."""
        try:
            entry = self._known[insn]
        except KeyError:
            entry = self._known[insn] = self.find(insn)
        if entry is None:
            return REFLECT
        reason, handler, instruction = entry
        if handler(vcpu, instruction):
            vcpu.exits[reason] += 1
            return HANDLED
        return REFLECT

    def stock(self, name: str) -> InstructionHandler | None:
        """The hypervisor's own handler for an instruction, whatever stands in its place."""
        rule = INSTRUCTION_RULES.get(name)
        return None if rule is None else rule.handler

    def find(self, insn: int) -> tuple[int, InstructionHandler, Decoded] | None:
        """The reason, handler and instruction of these bits; None if they have no rule."""
        instruction = decode(insn)
        rule = self._rules.get(instruction.name) if instruction is not None else None
        if instruction is None or rule is None:
            return None
        if instruction.row.extension and instruction.row.extension not in self._isa:
            return None
        is_satp = rule.reason == ExitReason.CSR and instruction.imm == SATP
        return (ExitReason.SATP if is_satp else rule.reason), rule.handler, instruction
