"""The stack of calls that leads to where a hart is, innermost first.

Where the image says how (call frame information) that is followed, through a kernel's trap handler too. Elsewhere
frame pointers are (ELF psABI, "Frame Pointer Convention": s0 points behind the saved ra and the caller's s0), as far
as code is found that keeps them; a function that keeps none, or does not yet or no longer, has its caller in ra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from ..isa.decoder import Decoded, decode, length
from ..isa.registers import NUMBER
from ..machine.call_frames import CSR_COLUMN, N_GPRS, FrameRule

MAX_DEPTH: Final = 64
PROLOGUE_BYTES: Final = 96
"""How far into a function its frame pointer is set, at most."""

EPILOGUE_BYTES: Final = 48
"""How far before its end a function restores s0, at most."""

ENDS: Final = ("jal", "jalr", "beq", "bne", "blt", "bge", "bltu", "bgeu")

FRAME_RECORD: Final = 16
"""Bytes below a frame pointer: the caller's s0, then ra."""

WORD_BYTES: Final = 8
PC_COLUMN: Final = 64
"""Stands for the address to come back to, as among DWARF's register numbers ("alternate frame return column")."""

NOTHING: Final[Mapping[int, int]] = MappingProxyType({})
WORD: Final = (1 << 64) - 1
RA, SP, FP = NUMBER["ra"], NUMBER["sp"], NUMBER["s0"]

Load = Callable[[int, int], "int | None"]
"""load(va, size): what lies there, None where nothing can be read."""


class Finder(Protocol):
    """What knows functions by address: `machine.symbols.Symbols`, or several of them together."""

    def find(self, address: int) -> tuple[str, int] | None:
        """The function's name and the offset into it, in bytes."""


class Rules(Protocol):
    """What knows how to leave a function: `machine.call_frames.CallFrames`, or several of them together."""

    def find(self, address: int) -> FrameRule | None:
        """The rule at an instruction."""


class Frame(NamedTuple):
    """A function's activation. address: of the instruction at pc in the innermost, and where a trap came from; else of
    the one to come back to. inside: an address within the instruction that it is at: that which called.

    sp: the stack pointer here, None if it cannot be told. saved: where in memory it keeps registers of its caller's, or
    of what it interrupted: address by number, PC_COLUMN for the address to come back to.
    """

    address: int
    inside: int
    sp: int | None
    saved: Mapping[int, int] = NOTHING

    @property
    def is_interrupted(self) -> bool:
        """Whether a trap led away from it, and no call."""
        return self.address == self.inside


class Unwinder:
    """Follows stacks in one address space, or in several that have the same code at the same addresses."""

    def __init__(self, symbols: Finder, rules: Rules | None = None) -> None:
        self._symbols = symbols
        self._rules = rules
        self._frames: dict[int, int | None] = {}
        self._ends: dict[int, bool] = {}

    def frames(self, pc: int, gprs: Sequence[int], load: Load, csrs: Mapping[int, int] = NOTHING) -> Iterator[Frame]:
        """From the function at `pc`, where a hart has these registers, outwards, MAX_DEPTH at most.

        csrs: values by number, of those that a trap's handler has not saved yet.
        """
        known = {number + CSR_COLUMN: value for number, value in csrs.items()}
        state = _State(pc, pc, dict(enumerate(gprs)) | known, is_exact=True)
        for _ in range(MAX_DEPTH):
            found = self._rules.find(state.inside) if self._rules is not None else None
            outer, saved = _by_rule(state, found, load) if found is not None else self._by_convention(state, load)
            yield Frame(state.address, state.inside, state.registers.get(SP), saved)
            if outer is None or (outer.address, outer.registers.get(SP)) == (state.address, state.registers.get(SP)):
                return
            state = outer

    def _by_convention(self, state: _State, load: Load) -> tuple[_State | None, Mapping[int, int]]:
        here = self._start(state.inside)
        if here is None:
            return None, NOTHING
        sets_at = self._sets_frame(here, load)
        pc = state.address
        if state.is_exact and (sets_at is None or pc <= here + sets_at or self._has_left(pc, load)):
            ra = state.registers.get(RA)
            caller = self._start(ra - 1) if ra else None
            if ra is None or caller is None or caller == here:
                return None, NOTHING  # ra is from a call of its own, or leads nowhere
            kept = {number: value for number, value in state.registers.items() if number == FP}
            return _State(ra, ra - 1, kept), NOTHING
        fp = state.registers.get(FP)
        if sets_at is None or fp is None or fp & 7:
            return None, NOTHING
        caller_fp, saved_ra = load(fp - FRAME_RECORD, WORD_BYTES), load(fp - WORD_BYTES, WORD_BYTES)
        if caller_fp is None or saved_ra is None or self._start(saved_ra - 1) is None:
            return None, NOTHING
        registers = {SP: fp}
        if caller_fp > fp:  # stacks grow downwards
            registers[FP] = caller_fp
        return _State(saved_ra, saved_ra - 1, registers), {FP: fp - FRAME_RECORD, PC_COLUMN: fp - WORD_BYTES}

    def _start(self, address: int) -> int | None:
        found = self._symbols.find(address)
        return None if found is None else address - found[1]

    def _sets_frame(self, start: int, load: Load) -> int | None:
        """The offset of the instruction that makes s0 the frame pointer, None if the function at `start` has none."""
        if start not in self._frames:
            self._frames[start] = next(
                (address - start for address, insn in _code(start, PROLOGUE_BYTES, load)
                 if insn.name == "addi" and (insn.rd, insn.rs1) == (FP, SP)), None)
        return self._frames[start]

    def _has_left(self, pc: int, load: Load) -> bool:
        """Whether the function is about to return, and s0 is its caller's again."""
        if pc not in self._ends:
            last = next((insn for _, insn in _code(pc, EPILOGUE_BYTES, load)
                         if insn.rd == FP or insn.name in ENDS), None)
            self._ends[pc] = last is not None and (last.name, last.rd, last.rs1) == ("jalr", 0, RA)
        return self._ends[pc]


class _State:
    """A function's registers, as far as they are known. is_exact: it is about to execute the instruction at `address`;
    else it has called, and what a call may change is not what it was."""

    def __init__(self, address: int, inside: int, registers: dict[int, int], *, is_exact: bool = False) -> None:
        self.address = address
        self.inside = inside
        self.registers = registers
        self.is_exact = is_exact


def _by_rule(state: _State, rule: FrameRule, load: Load) -> tuple[_State | None, Mapping[int, int]]:
    base = state.registers.get(rule.register)
    if base is None:
        return None, NOTHING
    cfa = base + rule.offset & WORD
    if rule.return_column not in rule.saved and not state.is_exact:
        return None, NOTHING  # it has called, and kept no way back: the outermost
    registers = {number: value for number, value in state.registers.items() if number not in rule.lost}
    registers[SP] = cfa
    for number, other in rule.moved.items():
        if other in state.registers:
            registers[number] = state.registers[other]
    for number, offset in rule.saved.items():
        value = load(cfa + offset & WORD, WORD_BYTES)
        if value is None:
            registers.pop(number, None)
        else:
            registers[number] = value
    saved = {PC_COLUMN if number == rule.return_column else number: cfa + offset & WORD
             for number, offset in rule.saved.items()}
    address = registers.get(rule.return_column)
    if not address:
        return None, saved
    kept = {number: value for number, value in registers.items() if number < N_GPRS}
    return _State(address, address if rule.is_trap else address - 1, kept, is_exact=rule.is_trap), saved


def _code(start: int, size: int, load: Load) -> Iterator[tuple[int, Decoded]]:
    """The instructions in memory, with their addresses, as far as there are any."""
    address = start
    while address < start + size:
        low = load(address, 2)
        high = load(address + 2, 2) if low is not None and length(low) == 4 else 0
        insn = decode(low | high << 16) if low is not None and high is not None else None
        if insn is None:
            return
        yield address, insn
        address += insn.length
