"""The next instructions, executed ahead on a bench: what they will leave in registers and memory, which branches they
take, where they exit, and where foretelling ends.

It ends where something is not known yet: at a device's register, at what only the hypervisor or the guest's handler
decides, at an interrupt that is due. What others do meanwhile (devices, other harts, who types) is not foreseen. Memory
is looked at, never stored to: stores are kept aside for the loads behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from ...isa.causes import describe
from ...isa.csrs import BY_NUMBER
from ...isa.decoder import Decoded, decode, length
from ...isa.paging import PAGE_SHIFT
from ...isa.registers import ABI, FLOAT_ABI
from ...isa.row import ANY_MODE
from ..csr_file import (
    CYCLE,
    FCSR,
    FLOAT_CSRS,
    GUEST_CSRS,
    N_COUNTERS,
    SATP,
    SIE,
    SSCRATCH,
    SSTATUS,
    SSTATUS_FS,
    STVEC,
)
from ..emulate import MEMORY_OPS, MemoryOp
from ..exits import label
from ..traps import pick_pending
from ..walker import ACCESS_FAULT, FETCH, LOAD, STORE, SUPERVISOR, USER
from .bench import MASK, bench_for
from .card.event import executed
from .card.faults import why
from .card.world import world_of
from .listing import BRANCHES, text_of
from .places import PlaceKind, place_of
from .telescope import SP, Telescope

if TYPE_CHECKING:
    from ..exit_log import LoggedExit
    from ..inspector import Inspector

MOST: Final = 32
"""Steps that are foretold at most."""

STI: Final = 5
WORD_BYTES: Final = 8
CSR_READS: Final = ("csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci")
TRAPS: Final = " traps"
"""So ends what is said of an instruction that exits whatever its operands."""

ENDS: Final = ("ecall", "ebreak", "sret", "mret", "wfi", "wrs.nto")
DECISIVE: Final = (SSTATUS, SIE, SATP, STVEC)
"""CSRs a write of which changes what comes next: interrupts, permissions, translation."""


@dataclass(frozen=True)
class Effect:
    """What an instruction leaves: a register's name, or a place in memory, its value, and what that points to."""

    where: str
    value: int
    leads: str = ""


@dataclass(frozen=True)
class Foretold:
    """A step that is to come. number: 0 for the next one. text: disassembled. effects: what it leaves; places on the
    stack are told by sp as it is then. access: what it loads or stores: (gva, size, name of the place). taken: of a
    branch. exits: why it exits, in a few words; empty if it does not. ends: why nothing is known from here on; the step
    itself is then not executed. following: the pc behind it."""

    number: int
    pc: int
    text: str = ""
    effects: tuple[Effect, ...] = ()
    access: tuple[int, int, str] | None = None
    taken: bool | None = None
    exits: str = ""
    ends: str = ""
    following: int = 0


def _logged(exit: LoggedExit) -> str:
    return f"exit {exit.number:,}: {label(exit.reason)}"


class _Unknown(Exception):
    """Nothing is known from here on, for this reason."""


_KNOWN: Final[WeakKeyDictionary[Inspector, tuple[tuple[int, ...], tuple[Foretold, ...]]]] = WeakKeyDictionary()
"""What was foretold last of each VM, and where it stood then: a guest at rest is shown many times."""


def foretell(inspector: Inspector, count: int = MOST) -> tuple[Foretold, ...]:
    """The next steps of the vCPU looked at, `count` at most; the last one may say why there are no more."""
    vcpu = inspector.vcpu
    if vcpu.is_stopped or vcpu.is_waiting:
        return ()
    exit = -1 if inspector.exit is None else inspector.exit
    place = (inspector.step, exit, inspector.moves, inspector.edits, vcpu.index, vcpu.hart.pc, count)
    known = _KNOWN.get(inspector)
    if known is None or known[0] != place:
        known = _KNOWN[inspector] = (place, tuple(_Future(inspector).steps(count)))
    return known[1]


class _Future:
    """A vCPU's registers and memory as they will be."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        vcpu = self._vcpu = inspector.vcpu
        self._telescope = Telescope(inspector)
        self._sight = self._telescope.sight
        self._bench = bench_for(vcpu.vm.config.isa)
        hart = vcpu.hart
        self._pc = hart.pc
        self._gprs = list(hart.read_gprs())
        self._fprs = list(hart.read_fprs())
        self._has_float = "F" in vcpu.vm.config.isa
        self._fcsr = hart.read_csr(FCSR) if self._has_float else 0
        self._float_on = self._has_float and bool(vcpu.csrs.read(SSTATUS) & SSTATUS_FS)
        self._stored: dict[int, int] = {}       # bytes by GPA
        self._frames: set[int] = set()          # that hold any of them
        self._csrs: dict[int, int | None] = {}  # written ahead; None: with a value that only a CSR instruction knows
        self._filled: set[tuple[int, int]] = set()
        self._past = inspector.end - inspector.step if len(vcpu.vm.vcpus) == 1 else 0
        self._world = world_of(vcpu) if inspector.technique != "bare" else None
        # Where the hart's root is not the one that the guest's mode needs, an entry or the first fault will load it.
        self._is_settled = not getattr(vcpu.csrs, "is_stale", False) and (
            inspector.technique != "shadow" or bool(vcpu.csrs.read(SATP) >> 60)
            or not hart.translate(hart.pc, FETCH)[1])

    def steps(self, count: int) -> list[Foretold]:
        """Step by step."""
        found: list[Foretold] = []
        self._fetched: Decoded | None = None
        timer = self._steps_to_timer()
        pending = pick_pending(self._vcpu)
        for number in range(count):
            pc = self._pc
            if number == 0 and pending is not None:
                found.append(Foretold(0, pc, ends=f"{describe(1 << 63 | pending)}: to {self._vector()}"))
                break
            if number >= timer:
                found.append(Foretold(number, pc, ends="the timer interrupt is due"))
                break
            self._telescope.sp = self._gprs[SP]
            try:
                step = self._step(number)
                found.append(replace(step, exits=self._exits(step)))
            except _Unknown as reason:
                insn = self._fetched
                text, exits = ("", "") if insn is None else (text_of(insn.insn, pc), self._exits_itself(insn))
                found.append(Foretold(number, pc, text, exits=exits, ends=str(reason)))
                break
        return found

    def _exits(self, step: Foretold) -> str:
        """Why a step exits: as it did, where that is past; else as the tables and the technique are now. (In the past
        tables are colder than they were, so there they tell nothing.)"""
        log, number = self._inspector.log, step.number
        if log is None or not (self._past or self._inspector.exit is not None):
            return step.exits
        if number == 0 and self._inspector.exit is not None:
            return _logged(log[self._inspector.exit])
        if number >= self._past:
            return step.exits if step.exits.endswith(TRAPS) else ""
        at = self._inspector.step + number
        first = log.first_at(at)
        return _logged(log[first]) if first < len(log) and (log[first].step, log[first].pc) == (at, step.pc) else ""

    def _steps_to_timer(self) -> int:
        """After how many steps the timer interrupts, if it can as things are."""
        vcpu = self._vcpu
        csrs = vcpu.csrs
        is_open = vcpu.mode == USER or csrs.read(SSTATUS) & 2
        if not is_open or not csrs.read(SIE) >> STI & 1 or vcpu.is_timer_pending:
            return MOST + 1
        return max(0, vcpu.deadline * vcpu.vm.steps_per_tick - vcpu.hart.steps)

    def _vector(self) -> str:
        base = self._vcpu.csrs.read(STVEC) & ~3
        return self._inspector.code.describe(self._vcpu, base) or f"{base:#x}"

    # --- one step

    def _step(self, number: int) -> Foretold:
        self._fetched = None
        bits, exits = self._fetch()
        insn = decode(bits)
        if insn is None:
            raise _Unknown(f"an illegal instruction: traps to {self._vector()}")
        self._fetched = insn
        pc = self._pc
        exits = exits or self._exits_itself(insn)
        operation = MEMORY_OPS.get(insn.name)
        access = None
        if operation is not None:
            effects, access, missing = self._access(insn, operation)
            exits = exits or missing
            self._pc = pc + insn.length & MASK
        elif insn.name in CSR_READS:
            effects = self._csr(insn)
            self._pc = pc + insn.length & MASK
        else:
            effects = self._compute(insn)
        taken = self._pc != pc + insn.length & MASK if insn.name in BRANCHES else None
        return Foretold(number, pc, text_of(insn.insn, pc), effects, access, taken, exits, "", self._pc)

    def _fetch(self) -> tuple[int, str]:
        low, missing = self._halfword(self._pc)
        if length(low) == 2:
            return low, missing
        high, also = self._halfword(self._pc + 2 & MASK)
        return low | high << 16, missing or also

    def _halfword(self, gva: int) -> tuple[int, str]:
        gpa, missing = self._place(gva, FETCH, 2)
        return self._load(gpa, 2), missing

    def _compute(self, insn: Decoded) -> tuple[Effect, ...]:
        """Registers to registers: on the bench."""
        if insn.name in ENDS or insn.row.privilege.modes != ANY_MODE:
            raise _Unknown(self._end_of(insn))
        if self._is_float(insn) and not self._float_on:
            raise _Unknown(f"floating point is off (FS=0): an illegal instruction, traps to {self._vector()}")
        came = self._bench.try_out(insn, self._pc, self._gprs, self._fprs, self._fcsr)
        if came.cause is not None:
            raise _Unknown(f"{describe(came.cause)}: traps to {self._vector()}")
        self._pc, self._fcsr = came.pc, came.fcsr
        if came.gpr is not None:
            return (self._write_gpr(insn.rd, came.gpr),)
        return (self._write_fpr(insn.rd, came.fpr),) if came.fpr is not None else ()

    def _end_of(self, insn: Decoded) -> str:
        vcpu = self._vcpu
        match insn.name:
            case "ecall" if vcpu.mode == SUPERVISOR:
                return "a call to the firmware, which is the hypervisor"
            case "ecall" | "ebreak":
                return f"{'a system call' if insn.name == 'ecall' else 'a breakpoint'}: traps to {self._vector()}"
            case "sret":
                sepc = self._csrs.get(0x141, vcpu.csrs.read(0x141))
                return "returns" if sepc is None else f"returns to {self._name(sepc)}"
            case "wfi":
                return "waits for an interrupt"
        return f"what {insn.name} does is not foretold"

    def _write_gpr(self, number: int, value: int) -> Effect:
        self._gprs[number] = value & MASK if number else 0
        return Effect(ABI[number], self._gprs[number], self._name_of(self._gprs[number]))

    def _write_fpr(self, number: int, value: int) -> Effect:
        self._fprs[number] = value & MASK
        return Effect(FLOAT_ABI[number], self._fprs[number])

    @staticmethod
    def _is_float(insn: Decoded) -> bool:
        return any(field.is_float for field in insn.row.format.operands.values())

    # --- CSRs

    def _csr(self, insn: Decoded) -> tuple[Effect, ...]:
        """A guest's CSR is read as it is now, or as it was written ahead, where that is plain."""
        number, vcpu = insn.imm, self._vcpu
        name = BY_NUMBER[number].name if number in BY_NUMBER else f"CSR {number:#x}"
        if number in FLOAT_CSRS and self._float_on:
            raise _Unknown(f"what {name} does is not foretold")
        if CYCLE <= number < CYCLE + N_COUNTERS:
            raise _Unknown(f"{name} counts: its value is not foretold")
        if number not in GUEST_CSRS or vcpu.mode != SUPERVISOR:
            raise _Unknown(f"{name} is not open to it: an illegal instruction, traps to {self._vector()}")
        writes = insn.name in ("csrrw", "csrrwi") or insn.rs1 != 0
        old = self._csrs.get(number, vcpu.csrs.read(number))
        operand = insn.rs1 if insn.name.endswith("i") else self._gprs[insn.rs1]
        if insn.rd and old is None:
            raise _Unknown(f"what {name} keeps of a write is not foretold")
        if writes and number in DECISIVE:
            raise _Unknown(f"{name} decides what comes next")
        effects = [self._write_gpr(insn.rd, old)] if insn.rd and old is not None else []
        if writes:
            is_plain = number == SSCRATCH and insn.name in ("csrrw", "csrrwi")
            self._csrs[number] = operand if is_plain else None
            if is_plain:
                effects.append(Effect("sscratch", operand, self._name_of(operand)))
        return tuple(effects)

    # --- memory

    def _access(self, insn: Decoded, operation: MemoryOp) -> tuple[tuple[Effect, ...], tuple[int, int, str], str]:
        kind, size = operation.kind, operation.size
        if kind not in ("load", "store", "lr", "amo") or size > WORD_BYTES:
            raise _Unknown(f"what {insn.name} does is not foretold")
        if operation.is_float and not self._float_on:
            raise _Unknown(f"floating point is off (FS=0): an illegal instruction, traps to {self._vector()}")
        gva = self._gprs[insn.rs1] + insn.imm & MASK
        if kind in ("lr", "amo") and gva & size - 1:
            raise _Unknown(f"a misaligned address: traps to {self._vector()}")
        access = LOAD if kind in ("load", "lr") else STORE
        gpa, missing = self._place(gva, access, size)
        named = (gva, size, self._name_of(gva))
        if kind == "store":
            value = (self._fprs if operation.is_float else self._gprs)[insn.rs2]
            return (self._store(gpa, size, value, named[2] or f"{gva:#x}"),), named, missing
        old = self._load(gpa, size)
        bit = 1 << 8 * size - 1
        value = (old ^ bit) - bit & MASK if operation.is_signed else old
        effects: list[Effect] = []
        if kind == "amo" and operation.amo is not None:
            operand = self._gprs[insn.rs2] & 2 * bit - 1
            effects.append(self._store(gpa, size, operation.amo(old, operand, size), named[2] or f"{gva:#x}"))
        if operation.is_float:
            effects.insert(0, self._write_fpr(insn.rd, value | MASK << 8 * size & MASK))
        elif insn.rd:
            effects.insert(0, self._write_gpr(insn.rd, value))
        return tuple(effects), named, missing

    def _place(self, gva: int, access: int, size: int) -> tuple[int, str]:
        """The GPA, and why the access exits, if it does."""
        if (gva & 0xFFF) + size > 0x1000:
            raise _Unknown("an access to two pages is not foretold")
        found = self._sight.walk(gva, access)
        if any(pte_gpa >> PAGE_SHIFT in self._frames for pte_gpa, _ in found.levels):
            raise _Unknown("page tables will have been stored to")
        if found.cause is not None:
            raise _Unknown(f"{describe(found.cause)}: traps to {self._vector()}")
        if not self._vcpu.vm.ram.contains(found.gpa, size):
            place = place_of(self._inspector, found.gpa)
            if place.kind is PlaceKind.DEVICE:
                raise _Unknown(f"a register of the {place.name}: a device's answer is not foretold")
            raise _Unknown(f"{describe(ACCESS_FAULT[access])}: traps to {self._vector()}")
        return found.gpa, self._misses(gva, access, found.gpa)

    def _misses(self, gva: int, access: int, gpa: int) -> str:
        """Why an access to RAM exits, by the tables that the hart walks now; each page once."""
        key = (gva >> PAGE_SHIFT, access)
        if self._world is None or key in self._filled:
            return ""
        is_first = not self._filled
        self._filled.add(key)
        if not self._is_settled and not (is_first and self._inspector.technique == "shadow"):
            return ""
        if not self._vcpu.hart.translate(gva, access)[1]:
            return ""
        # The guest's own tables let it through, so whatever the hart found missing is the hypervisor's to make.
        pager = getattr(self._vcpu.technique, "pager", None)
        if access == STORE and pager is not None and pager.is_guarded(gpa >> PAGE_SHIFT):
            self._filled.discard(key)
            return "a store to a page table that is shadowed"
        self._filled |= {(key[0], LOAD), (key[0], STORE)}
        return "no shadow entry yet" if self._world.is_shadowed else "no G-stage entry yet"

    def _exits_itself(self, insn: Decoded) -> str:
        """Whether the technique makes the instruction exit, whatever its operands."""
        if self._world is None or not (insn.row.privilege.traps or insn.name in (*CSR_READS, *ENDS)):
            return ""
        found = why(executed(self._vcpu, insn.insn, self._vcpu.mode), self._world)
        return f"{insn.row.name}{TRAPS}" if found.exits else ""

    def _load(self, gpa: int, size: int) -> int:
        data = bytearray(self._vcpu.vm.ram.peek(gpa, size))
        if gpa >> PAGE_SHIFT in self._frames:
            for at in range(size):
                data[at] = self._stored.get(gpa + at, data[at])
        return int.from_bytes(data, "little")

    def _store(self, gpa: int, size: int, value: int, name: str) -> Effect:
        value &= (1 << 8 * size) - 1
        self._frames.add(gpa >> PAGE_SHIFT)
        for at in range(size):
            self._stored[gpa + at] = value >> 8 * at & 0xFF
        return Effect(f"[{name}]", value, self._name_of(value))

    # --- names

    def _name_of(self, value: int) -> str:
        """What a value points to, in a word."""
        pointee = self._telescope.find(value)
        return "" if pointee is None else pointee.name or pointee.text

    def _name(self, address: int) -> str:
        return self._inspector.code.describe(self._vcpu, address) or f"{address:#x}"
