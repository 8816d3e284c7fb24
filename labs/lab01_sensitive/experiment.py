"""What an instruction is, found out by running it: in each mode, under many states of the supervisor's resources.

Source of the definitions: G. Popek and R. Goldberg, "Formal Requirements for Virtualizable Third Generation
Architectures" (1974).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...core.hart import EXIT_TRAP, HOST_M, Hart, Memory
from ...core.isa.csrs import BY_NAME
from ...core.isa.extensions import without
from ...core.isa.instructions import INSTRUCTIONS
from ...core.isa.row import Instruction as Row
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.csr_file import GUEST_CSRS
from ...core.vmm.guest_isa import GUEST_ISA
from ..kit.hart import SUPERVISOR, USER
from ..kit.paging import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from ..kit.sensitive import BEHAVIOUR, CONTROL, INNOCUOUS, TRAPS

ISA: Final = without(GUEST_ISA, "F", "Zihpm")
"""Without floating point, whose FS is lent to whoever runs (lab 2), and without the counters that count events."""
EXTENSIONS: Final = {"I", "M", "Zmmul", "Zicsr", "Zifencei", "Zaamo", "Zalrsc", "Zba", "Zbb", "Zbs", "Zbc", "Zicond",
                     "S", "H", "Svinval", ""}
ROWS: Final = tuple(row for row in INSTRUCTIONS if row.length == 4 and row.extension in EXTENSIONS and not row.expands)
CSR_ROWS: Final = tuple(row for row in ROWS if row.format.name == "csr")
PLAIN_ROWS: Final = tuple(row for row in ROWS if row.format.name != "csr")

CODE: Final = RAM_BASE
DATA: Final = RAM_BASE + 0x4000
PROBED: Final = RAM_BASE + 0x6000
ROOTS: Final = {USER: (RAM_BASE + 0x1_0000, RAM_BASE + 0x1_1000),
                SUPERVISOR: (RAM_BASE + 0x1_2000, RAM_BASE + 0x1_3000)}
PROBE: Final = 0x4000_0000 | PROBED & (1 << 30) - 1
"""An address of a second gibibyte, which leads to the first."""
LOAD_PROBE: Final = 0x0002_B483
"""ld s1, 0(t0)."""
EVERY_BIT: Final = (1 << 64) - 1
GIB: Final = RAM_BASE >> 2 | PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D
RD, POINTER, OTHER, OPERAND = 8, 5, 6, 7
FENCES: Final = ("sfence.vma", "sinval.vma")
"""With x0: of every address and address space."""
_IMM: Final = {"B": 8, "J": 8, "U": 0x5000, "I-shift": 3, "I-shiftw": 3}

BASE: Final = {"sstatus": 0, "stvec": 0x8000_0F00, "sscratch": EVERY_BIT, "sepc": EVERY_BIT - 1, "scause": 63,
               "stval": EVERY_BIT, "sie": 0x222, "scounteren": 0, "senvcfg": 0}
VARIED: Final[tuple[dict[str, int], ...]] = (
    {}, {"sstatus": 1 << 1}, {"sstatus": 1 << 5}, {"sstatus": 1 << 8}, {"sstatus": 1 << 18}, {"sstatus": 1 << 19},
    {"stvec": 0x8000_0E01}, {"sscratch": 5}, {"sepc": 0x8000_0080}, {"scause": 7}, {"stval": 9}, {"sie": 0x20},
    {"sip": 2, "sie": 0}, {"satp": 1}, {"clock": 1 << 20})
SUPERVISORS: Final[tuple[dict[str, int], ...]] = ({"scounteren": 7}, {"senvcfg": 1})
"""What a supervisor may set as it likes, but a hypervisor leaves off for those below."""


@dataclass(frozen=True)
class Run:
    """One execution: whether it trapped; what a user sees of it; the supervisor's resources behind it."""

    cause: int | None
    seen: tuple[int, ...]
    resources: tuple[int, ...]


class Experiment:
    """A hart to try instructions on, with a TLB that shows what fences do."""

    def __init__(self) -> None:
        self._memory = Memory(1 << 20, base=RAM_BASE)
        self._hart = Hart(self._memory, isa=ISA, has_h=False, hosts=HOST_M, tlb="stale")
        self._write(pmpaddr0=(1 << 54) - 1, pmpcfg0=0x1F, mcounteren=7, mideleg=0x222)
        self._known: dict[tuple[str, int | None, bool, int], str] = {}

    def _write(self, **values: int) -> None:
        for name, value in values.items():
            self._hart.write_csr(BY_NAME[name].number, value)

    def has(self, number: int) -> bool:
        """Whether the hart has such a CSR."""
        try:
            self._hart.read_csr(number)
        except KeyError:
            return False
        return True

    def classify(self, row: Row, csr: int | None, writes: bool, mode: int) -> str:
        """What it is in this mode."""
        key = row.name, csr, writes, mode
        if key not in self._known:
            self._known[key] = self._classify(row, csr, writes, mode)
        return self._known[key]

    def _classify(self, row: Row, csr: int | None, writes: bool, mode: int) -> str:
        results: dict[int, set[tuple[int, ...]]] = {}
        is_control = False
        operands = (EVERY_BIT, 0, 8 << 60 | ROOTS[mode][1] >> 12, 0x222) if writes and row.name[-1] != "i" else (0x222,)
        for varied in (*VARIED, *(SUPERVISORS if mode == SUPERVISOR else ())):
            for index, operand in enumerate(operands):
                before = self._prepare(mode, varied, operand)
                run = self._run(encode(row, csr, writes))
                if run.cause is not None:
                    return TRAPS
                is_control |= run.resources != before
                results.setdefault(index, set()).add(run.seen)
        if is_control:
            return CONTROL
        return BEHAVIOUR if any(len(seen) > 1 for seen in results.values()) else INNOCUOUS

    def _prepare(self, mode: int, varied: dict[str, int], operand: int) -> tuple[int, ...]:
        """Make the hart so; its resources."""
        hart, memory = self._hart, self._memory
        values = BASE | {name: value for name, value in varied.items() if name not in ("sip", "satp", "clock")}
        root = ROOTS[mode][varied.get("satp", 0)]
        leaf = GIB | PTE_U if mode == USER else GIB
        for place in ROOTS[mode]:
            memory.store(place + 8, 8, leaf)
            memory.store(place + 16, 8, leaf)
        self._write(**values, mip=varied.get("sip", 0), satp=8 << 60 | root >> 12)
        hart.steps = hart.idle_steps = hart.guest_traps = 0
        hart.fence()
        hart.write_gprs([0] * POINTER + [PROBE] + [0] * (31 - POINTER))
        self._step(LOAD_PROBE, mode)
        assert hart.read_gpr(9) == memory.load(PROBED, 8)
        for place in ROOTS[mode]:
            memory.store(place + 8, 8, 0)  # without a fence: the TLB has the translation still
        hart.steps = varied.get("clock", 1000)
        gprs = [index * 0x0101_0101 for index in range(32)]
        gprs[POINTER], gprs[OPERAND] = DATA, operand
        hart.write_gprs(gprs)
        for offset in range(0, 24, 8):
            memory.store(DATA + offset, 8, 0x1122_3344_5566_7788 + offset)
        hart.pc, hart.privilege, hart.waiting = CODE, mode, False
        return (*self._resources(), True)

    def _resources(self) -> tuple[int, ...]:
        hart = self._hart
        return (*(hart.read_csr(number) for number in GUEST_CSRS), hart.privilege, int(hart.waiting))

    def _step(self, word: int, mode: int) -> bool:
        """Execute a word at CODE; whether it retired."""
        hart = self._hart
        self._memory.write(CODE, word.to_bytes(4, "little"))
        hart.pc, hart.privilege = CODE, mode
        return hart.run(1).reason != EXIT_TRAP

    def _run(self, word: int) -> Run:
        hart = self._hart
        mode = hart.privilege
        self._memory.write(CODE, word.to_bytes(4, "little"))
        exit = hart.run(1)
        if exit.reason == EXIT_TRAP:
            return Run(exit.cause, (), ())
        data = [self._memory.load(DATA + offset, 8) for offset in range(0, 24, 8)]
        seen = (*hart.read_gprs(), hart.pc, *data)
        resources = self._resources()
        hart.waiting = False
        is_kept = True
        if resources[:-1] == self._resources()[:-1] and hart.privilege == mode:
            hart.write_gpr(POINTER, PROBE)
            is_kept = self._step(LOAD_PROBE, mode)
        return Run(None, seen, (*resources, is_kept))


def encode(row: Row, csr: int | None, writes: bool) -> int:
    """The instruction's word, on the registers of the experiment."""
    values = {"rd": RD, "rs1": POINTER, "rs2": OTHER, "imm": _IMM.get(row.format.name, 8)}
    if csr is not None:
        operand = 31 if row.name[-1] == "i" else OPERAND
        values |= {"imm": csr, "rs1": operand if writes else 0}
    if row.name in FENCES:
        values |= {"rs1": 0, "rs2": 0}
    word = row.match
    for name, field in row.format.operands.items():
        if name in values:
            word |= field.insert(values[name])
    return word
