"""A sampling profile of a guest: where it is every so many steps, by symbol; the same in every run.

A stack is followed by frame pointers (ELF psABI, "Frame Pointer Convention": s0 points behind the saved ra and the
caller's s0), as far as code is found that keeps them. A function that keeps none, or does not yet or no longer, has
its caller in ra.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from ...hart import Hart
from ...isa.decoder import Decoded, decode, length
from ...isa.registers import NUMBER
from ...machine.symbols import Symbols
from ..walker import LOAD
from .events import MODES

if TYPE_CHECKING:
    from ...machine.machine import Machine
    from ..vm import Vm

MAX_DEPTH: Final = 64
PROLOGUE_BYTES: Final = 96
"""How far into a function its frame pointer is set, at most."""

EPILOGUE_BYTES: Final = 48
"""How far before its end a function restores s0, at most."""

ENDS: Final = ("jal", "jalr", "beq", "bne", "blt", "bge", "bltu", "bgeu")

FRAME_RECORD: Final = 16
"""Bytes below a frame pointer: the caller's s0, then ra."""

RA, SP, FP = NUMBER["ra"], NUMBER["sp"], NUMBER["s0"]
ASLEEP: Final = "[asleep]"

Load = Callable[[int, int], "int | None"]
"""load(va, size): what lies there, None where nothing can be read."""


class Sample(NamedTuple):
    """A hart at one moment."""

    prefix: str
    hart: Hart
    is_asleep: bool
    load: Load


def vm_sample(vm: Vm) -> Sample:
    """The vCPU whose turn it is."""
    vcpu = vm.current
    ram = vm.ram

    def load(va: int, size: int) -> int | None:
        found = vcpu.walk(va, LOAD)
        if found.cause is not None or va & size - 1 or not ram.contains(found.gpa, size):
            return None
        return ram.load(found.gpa, size)

    which = f"vCPU {vcpu.index};" if len(vm.vcpus) > 1 else ""
    return Sample(which + MODES[vcpu.mode], vcpu.hart, vcpu.is_waiting or vcpu.is_stopped, load)


def machine_sample(machine: Machine) -> Sample:
    """The hart whose turn it is."""
    hart = machine.current

    def load(va: int, size: int) -> int | None:
        hpa, cause = hart.translate(va, LOAD)
        if cause or va & size - 1 or not machine.memory.contains(hpa, size):
            return None
        return machine.memory.load(hpa, size)

    index = machine.harts.index(hart)
    which = f"hart {index};" if len(machine.harts) > 1 else ""
    return Sample(which + MODES[hart.privilege | (4 if hart.virtual else 0)], hart, hart.waiting, load)


class Profile:
    """Counts of stacks. name: the guest's, at the root of all. every: steps between samples."""

    def __init__(self, name: str, symbols: Symbols, every: int) -> None:
        self.every = every
        self.stacks: Counter[str] = Counter()
        self._name = name
        self._symbols = symbols
        self._frames: dict[int, int | None] = {}
        self._ends: dict[int, bool] = {}

    def add(self, sample: Sample) -> None:
        """Count where a hart is."""
        names = [ASLEEP] if sample.is_asleep else self._stack(sample)
        self.stacks[";".join([self._name, sample.prefix, *reversed(names)])] += 1

    def folded(self) -> str:
        """A line a stack, root first: `guest;mode;caller;function count`, as flamegraph.pl and speedscope read it."""
        return "".join(f"{stack} {count}\n" for stack, count in sorted(self.stacks.items()))

    def top(self, count: int) -> list[tuple[str, int, int]]:
        """The functions most samples were in: name with its mode, samples in itself, those in it or what it called."""
        own: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        for stack, samples in self.stacks.items():
            _, mode, *names = stack.removeprefix(self._name).split(";")
            if mode.startswith(("vCPU", "hart")):
                mode, *names = names
            own[f"{names[-1]} ({mode})"] += samples
            for name in set(names):
                whole[f"{name} ({mode})"] += samples
        return [(name, samples, whole[name]) for name, samples in own.most_common(count)]

    # --- stacks

    def _stack(self, sample: Sample) -> list[str]:
        """Names from the innermost function outwards."""
        hart = sample.hart
        pc = hart.pc
        names = [self._function(pc)]
        fp = hart.read_gpr(FP)
        here = self._start(pc)
        if here is None:
            return names
        sets_at = self._sets_frame(here, sample.load)
        if sets_at is None or pc <= here + sets_at or self._has_left(pc, sample.load):
            ra = hart.read_gpr(RA)
            caller = self._start(ra - 1)
            if caller is None or caller == here:
                return names  # ra is from a call of its own, or leads nowhere
            names.append(self._function(ra - 1))
            if self._sets_frame(caller, sample.load) is None:
                return names
        while len(names) < MAX_DEPTH and not fp & 7:
            caller_fp, saved_ra = sample.load(fp - FRAME_RECORD, 8), sample.load(fp - FRAME_RECORD // 2, 8)
            if caller_fp is None or saved_ra is None or self._start(saved_ra - 1) is None:
                break
            names.append(self._function(saved_ra - 1))
            if caller_fp <= fp:  # stacks grow downwards
                break
            fp = caller_fp
        return names

    def _start(self, address: int) -> int | None:
        found = self._symbols.find(address)
        return None if found is None else address - found[1]

    def _function(self, address: int) -> str:
        """The function's name; the page where it has none."""
        found = self._symbols.find(address)
        return found[0].replace(";", ":").replace(" ", "_") if found is not None else f"{address & -4096:#x}"

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
