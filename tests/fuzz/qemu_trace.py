"""What our hart executed on the way to a log entry of a program, instruction by instruction.

A difference from QEMU is explained by what was executed, never by the look of a log alone; so the programs that
differ, and only they, are run again, one instruction at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from hartvisor.core.hart import Hart
from hartvisor.core.isa.csrs import BY_NAME, BY_NUMBER
from hartvisor.core.isa.decoder import Decoded, decode

from .qemu_layout import ACT_PTE, ARENA, ARENA_SIZE, INITIAL_CSRS, Program
from .qemu_ours import Run
from .qemu_state import TABLES, frame_address

FETCH, LOAD, STORE = range(3)
U64, PAGE = (1 << 64) - 1, 4096
# What `csrrs` and the others make of a CSR's old value and their operand.
_WRITES = {
    "csrrw": lambda old, operand: operand,
    "csrrs": lambda old, operand: old | operand,
    "csrrc": lambda old, operand: old & ~operand,
}
_MSTATUS, _MIP, _MIE, _MENVCFG, _HENVCFG = (
    BY_NAME[name].number for name in ("mstatus", "mip", "mie", "menvcfg", "henvcfg")
)
_XCAUSE = {"M": "mcause", "S": "scause", "VS": "vscause"}
INTERRUPT = 1 << 63
LCOFI = INTERRUPT | 13
_MODES = {(3, False): "M", (1, False): "S", (0, False): "U", (1, True): "VS", (0, True): "VU"}


@dataclass(frozen=True, slots=True)
class Executed:
    """An instruction, and what it found.

    entry: the log entry that the next trap to M-mode wrote. mode: M, S (which is HS), U, VS or VU. decoded: None where
    it could not be fetched or is no instruction. csr: the CSR that it names, as its mode sees it (sstatus in VS-mode
    is vsstatus). written: what it gave that CSR to hold, before the CSR made it legal. reservation: LR's, -1 for none.
    place: where a cache-block instruction's byte lies, -1 where no translation leads. pending: mip & mie. is_stale:
    its bytes were stored since the last FENCE.I. retired: it did not trap; target, cause: if it did, the handler's mode
    and its xcause, as interrupts are numbered in mip.
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
            while not run.has_left:
                self._step(run, self._entries)
            self._look_at_tables()
            self.gates.add(run.hart.read_csr(_MENVCFG) ^ run.hart.read_csr(_HENVCFG))
            self._entries += 1

    def written(self) -> list[tuple[str, int, int]]:
        """Every value that a CSR was given, in order: its name, the value, the entry (-1: before the program)."""
        found = [(name, self.program.csrs.get(name, 0), -1) for name in INITIAL_CSRS]
        return found + [(one.csr, one.written, one.entry) for one in self.executed if one.written is not None]

    def stretch(self, entry: int) -> list[Executed]:
        """What was executed between the entry before and this one."""
        return [one for one in self.executed if one.entry == entry]

    def _step(self, run: Run, entry: int) -> None:
        hart = run.hart
        insn, pc, mode = hart.fetch_insn(), hart.pc, _MODES[hart.privilege, hart.virtual]
        hpa = hart.translate(pc, FETCH)[0]
        size = 2 if insn & 3 != 3 else 4
        decoded = decode(insn & 0xFFFF if size == 2 else insn) if insn else None
        operand = hart.read_gpr(decoded.rs1) if decoded else 0
        csr, written = self._csr_write(hart, decoded, mode)
        reservation, mstatus, traps = hart.reservation, hart.read_csr(_MSTATUS), hart.guest_traps
        pending = hart.read_csr(_MIP) & hart.read_csr(_MIE)
        place = -1
        if decoded and decoded.row.format.name == "block":
            found, cause = hart.translate(operand, LOAD)
            place = -1 if cause else found
        straddles = size == 4 and pc % PAGE == PAGE - 2
        halves = ((hpa, 2), (hart.translate(pc + 2 & U64, FETCH)[0], 2)) if straddles else ((hpa, size),)
        is_stale = any(self._is_stale(*half) for half in halves)
        run.machine.run(1)
        retired = hart.guest_traps == traps
        self.executed.append(
            Executed(
                entry, pc, insn, decoded, mode, operand, csr, written if retired else None, reservation, mstatus, place,
                pending, is_stale, retired, *(("", 0) if retired else _trap(hart)),
            )
        )  # fmt: skip
        if retired and decoded and decoded.name == "fence.i":
            self._fenced = run.memory.read(ARENA, ARENA_SIZE)
        elif retired and decoded and decoded.name.startswith(("sfence", "hfence", "sinval", "hinval")):
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
    def _csr_write(hart: Hart, decoded: Decoded | None, mode: str) -> tuple[str, int | None]:
        if decoded is None or not decoded.name.startswith("csrr"):
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
