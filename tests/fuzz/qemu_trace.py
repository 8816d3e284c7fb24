"""What our hart executed on the way to a log entry of a program, instruction by instruction.

A difference from QEMU is explained by what was executed, never by the look of a log alone; so the programs that
differ, and only they, are run again, one instruction at a time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from hartvisor.core.hart import Hart
from hartvisor.core.isa.csrs import BY_NAME, BY_NUMBER
from hartvisor.core.isa.decoder import Decoded, decode

from .qemu_layout import ACT_PTE, ARENA, ARENA_RANGE, ARENA_SIZE, INITIAL_CSRS, Program
from .qemu_ours import LIMIT, Run
from .qemu_state import SV39, SV48, SV57, TABLES, R, V, W, X, frame_address

FETCH, LOAD, STORE = range(3)
U64, PAGE, PPN = (1 << 64) - 1, 4096, (1 << 44) - 1
NO_RESERVATION = -1
MXR = 1 << 19
_SYSTEM = 0x73
# What `csrrs` and the others make of a CSR's old value and their operand.
_WRITES = {
    "csrrw": lambda old, operand: operand,
    "csrrs": lambda old, operand: old | operand,
    "csrrc": lambda old, operand: old & ~operand,
}
_MSTATUS, _MIP, _MIE, _MEPC, _MENVCFG, _HENVCFG = (
    BY_NAME[name].number for name in ("mstatus", "mip", "mie", "mepc", "menvcfg", "henvcfg")
)
_LEVELS = {SV39: 3, SV48: 4, SV57: 5}
_AS_STORE = {5: 7, 13: 15, 21: 23}
_XCAUSE = {"M": "mcause", "S": "scause", "VS": "vscause"}
INTERRUPT = 1 << 63
LCOFI = INTERRUPT | 13
_MODES = {(3, False): "M", (1, False): "S", (0, False): "U", (1, True): "VS", (0, True): "VU"}


@dataclass(slots=True)
class Executed:
    """An instruction, and what it found.

    entry: the log entry that the next trap to M-mode wrote. mode: M, S (which is HS), U, VS or VU. decoded: None where
    it could not be fetched or is no instruction. csr: the CSR that it names, as its mode sees it (sstatus in VS-mode
    is vsstatus). written: what it gave that CSR to hold, before the CSR made it legal. reservation: LR's, -1 for none.
    place: where a cache-block instruction's byte lies, -1 where no translation leads. as_load, as_store: the exceptions
    that a load and a store of the byte at rs1 would meet there, both as a store raises them; 0 for none. pending: mip &
    mie. is_stale: its bytes were stored since the last FENCE.I. retired: it did not trap; target, cause: if it did, the
    handler's mode and its xcause, as interrupts are numbered in mip. mstatus, reservation, place, as_load, as_store and
    pending are there where they may matter.
    """

    entry: int
    pc: int
    insn: int
    decoded: Decoded | None
    mode: str
    operand: int
    csr: str
    written: int | None
    reservation: int
    mstatus: int
    place: int
    as_load: int
    as_store: int
    pending: int
    is_stale: bool
    retired: bool
    target: str
    cause: int

    @property
    def taken(self) -> int | None:
        """The number of the interrupt that was taken instead of the instruction."""
        return self.cause ^ INTERRUPT if self.cause >= INTERRUPT else None

    @property
    def name(self) -> str:
        """The instruction's name; "" where there is none."""
        return self.decoded.name if self.decoded else ""


def _trap(hart: Hart) -> tuple[str, int]:
    """Which mode's handler the trap just taken went to, and its xcause."""
    target = _MODES[hart.privilege, hart.virtual]
    cause = hart.read_csr(BY_NAME[_XCAUSE[target]].number)
    # VS-mode sees its interrupts under the supervisor's numbers, one lower than in mip.
    return target, cause + 1 if target == "VS" and cause >= INTERRUPT and cause != LCOFI else cause


def _tables(run: Run) -> bytes:
    """The arena's page tables but for A and D, which the hart sets itself."""
    data = bytearray(run.memory.read(frame_address(min(TABLES)), (max(TABLES) + 1 - min(TABLES)) << 12))
    data[::8] = data[::8].translate(_WITHOUT_A_AND_D)
    return bytes(data)


_WITHOUT_A_AND_D = bytes(byte & 0x3F for byte in range(256))


class Trace:
    """The way of one program, as far as it was asked to go."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.executed: list[Executed] = []
        self.traps: list[Executed] = []
        """Those that did not retire."""
        self.trapped_at: list[int] = []
        """mepc at each entry: as in the log, or a run in single steps is not what it should be."""
        self._found: dict[Callable[[Executed], bool], tuple[int, bool]] = {}
        self.gates: set[int] = set()
        """The bits that differed between menvcfg and henvcfg at any time."""
        self.stale_tables: set[int] = set()
        """The entries before which page tables had been stored to, and not yet fenced."""
        self._run = Run(program)
        self._entries = 0
        self._fenced, self._tables = b"", b""

    def go_to(self, entry: int) -> None:
        """Run on until `entry` has been written."""
        run = self._run
        while self._entries <= entry and run.enter():
            if not self._entries:
                self._fenced, self._tables = run.memory.read(ARENA, ARENA_SIZE), _tables(run)
            elif self.program.actions[self._entries - 1].flags & ACT_PTE:
                self._tables = _tables(run)
            while not run.has_left and run.hart.steps < LIMIT:
                self._step(run, self._entries)
            self.trapped_at.append(run.hart.read_csr(_MEPC))
            self._look_at_tables()
            self.gates.add(run.hart.read_csr(_MENVCFG) ^ run.hart.read_csr(_HENVCFG))
            self._entries += 1

    def ever(self, condition: Callable[[Executed], bool]) -> bool:
        """Whether the condition, the same function each time, holds for anything executed; each is asked about once."""
        start, found = self._found.get(condition, (0, False))
        found = found or any(condition(one) for one in islice(self.executed, start, None))
        self._found[condition] = len(self.executed), found
        return found

    def leaves_arena(self, hgatp: int, gpa: int) -> bool:
        """Whether the G-stage's walk for an address comes to an entry outside of the arena, which alone PMP opens; by
        the tables as they were at the last entry gone to."""
        levels, table = _LEVELS.get(hgatp >> 60, 0), (hgatp & PPN) << 12
        for level in reversed(range(levels)):
            index = gpa >> 12 + 9 * level & (0x7FF if level == levels - 1 else 0x1FF)
            if not ARENA <= table + 8 * index < ARENA + ARENA_RANGE:
                return True
            pte = self._run.memory.load(table + 8 * index, 8)
            if not pte & V or pte & (R | W | X):
                return False
            table = (pte >> 10 & PPN) << 12
        return False

    def written(self) -> list[tuple[str, int, int]]:
        """Every value that a CSR was given, in order: its name, the value, the entry (-1: before the program)."""
        found = [(name, self.program.csrs.get(name, 0), -1) for name in INITIAL_CSRS]
        return found + [(one.csr, one.written, one.entry) for one in self.executed if one.written is not None]

    def stretch(self, entry: int) -> list[Executed]:
        """What was executed between the entry before and this one."""
        start = bisect_left(self.executed, entry, key=attrgetter("entry"))
        return [one for one in islice(self.executed, start, None) if one.entry == entry]

    def _step(self, run: Run, entry: int) -> None:
        hart = run.hart
        insn, pc, mode, traps = hart.fetch_insn(), hart.pc, _MODES[hart.privilege, hart.virtual], hart.guest_traps
        size = 2 if insn & 3 != 3 else 4
        decoded = decode(insn & 0xFFFF if size == 2 else insn) if insn else None
        operand, csr, written, place, reservation, mstatus = 0, "", None, -1, NO_RESERVATION, 0
        as_load, as_store = 0, 0
        if decoded:
            operand = hart.read_gpr(decoded.rs1)
            if mode == "M" or insn & 0x7F == _SYSTEM:
                mstatus = hart.read_csr(_MSTATUS)
                csr, written = self._csr_write(hart, decoded, mode)
            elif decoded.name in ("sc.w", "sc.d"):
                reservation = hart.reservation
            if decoded.row.format.name in ("block", "amo"):
                found, as_load = hart.translate(operand, LOAD)
                place = -1 if as_load else found
                as_load, as_store = _AS_STORE.get(as_load, as_load), hart.translate(operand, STORE)[1]
        hpa = hart.translate(pc, FETCH)[0]
        if size == 4 and pc % PAGE == PAGE - 2:
            is_stale = self._is_stale(hpa, 2) or self._is_stale(hart.translate(pc + 2 & U64, FETCH)[0], 2)
        else:
            is_stale = self._is_stale(hpa, size)
        run.step()
        retired = hart.guest_traps == traps
        target, trap_cause, pending = "", 0, 0
        if not retired:
            # A trap leaves these as they were: MXR, and what is pending and enabled.
            mstatus |= hart.read_csr(_MSTATUS) & MXR
            pending = hart.read_csr(_MIP) & hart.read_csr(_MIE)
            target, trap_cause = _trap(hart)
        one = Executed(
            entry, pc, insn, decoded, mode, operand, csr, written if retired else None, reservation, mstatus, place,
            as_load, as_store, pending, is_stale, retired, target, trap_cause,
        )  # fmt: skip
        self.executed.append(one)
        if not retired:
            self.traps.append(one)
        elif decoded and decoded.name == "fence.i":
            self._fenced = run.memory.read(ARENA, ARENA_SIZE)
        elif decoded and decoded.name.startswith(("sfence", "hfence", "sinval", "hinval")):
            self._look_at_tables()
            self._tables = _tables(run)

    def _is_stale(self, hpa: int, size: int) -> bool:
        """Whether the bytes have been stored to since the last FENCE.I."""
        at = hpa - ARENA
        return 0 <= at < ARENA_SIZE and self._run.memory.read(hpa, size) != self._fenced[at : at + size]

    def _look_at_tables(self) -> None:
        if _tables(self._run) != self._tables:
            self.stale_tables.add(self._entries)

    @staticmethod
    def _csr_write(hart: Hart, decoded: Decoded, mode: str) -> tuple[str, int | None]:
        if not decoded.name.startswith("csrr"):
            return "", None
        number = decoded.imm & 0xFFF
        row = BY_NUMBER.get(number)
        if row is None:
            return f"{number:#x}", None
        if mode == "VS" and row.vs_twin:
            row = BY_NAME[row.vs_twin]
        is_immediate = decoded.name.endswith("i")
        kind = decoded.name.removesuffix("i")
        if kind != "csrrw" and not decoded.rs1:
            return row.name, None
        operand = decoded.rs1 if is_immediate else hart.read_gpr(decoded.rs1)
        try:
            old = hart.read_csr(row.number)
        except KeyError:
            return row.name, None
        return row.name, _WRITES[kind](old, operand) & U64
