"""A sampling profile of a guest: where it is every so many steps, by symbol; the same in every run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from ...hart import Hart
from ...machine.symbols import Symbols
from ..unwind import Load, Rules, Unwinder
from ..walker import LOAD
from .events import MODES

if TYPE_CHECKING:
    from ...machine.machine import Machine
    from ..vm import Vm

ASLEEP: Final = "[asleep]"


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
    """Counts of stacks. name: the guest's, at the root of all. every: steps between samples. rules: how to leave the
    functions that say so."""

    def __init__(self, name: str, symbols: Symbols, every: int, rules: Rules | None = None) -> None:
        self.every = every
        self.stacks: Counter[str] = Counter()
        self._name = name
        self._symbols = symbols
        self._unwinder = Unwinder(symbols, rules)

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

    def _stack(self, sample: Sample) -> list[str]:
        """Names from the innermost function outwards."""
        hart = sample.hart
        return [self._function(frame.inside)
                for frame in self._unwinder.frames(hart.pc, hart.read_gprs(), sample.load)]

    def _function(self, address: int) -> str:
        """The function's name; the page where it has none."""
        found = self._symbols.find(address)
        return found[0].replace(";", ":").replace(" ", "_") if found is not None else f"{address & -4096:#x}"
