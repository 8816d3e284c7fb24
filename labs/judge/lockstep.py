"""A student's hypervisor and the bare machine, side by side on one guest: the first step that tells them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from ...core.isa.csrs import BY_NAME
from ...core.isa.registers import ABI
from ...core.vmm.config import VmConfig
from ...core.vmm.csr_file import CSR_NAMES, SSTATUS, SSTATUS_SD
from ...core.vmm.stop import StopReason
from ...core.vmm.techniques import Technique
from ...core.vmm.vcpu import Vcpu
from ...core.vmm.vm import Vm
from .guests import AFTER, Guest
from .runner import Diverged, OutOfFuel
from .trial import Trial
from .verdict import Divergence, failed

MODES: Final = ("U", "S")
TICK_EVERY: Final = 64
"""Exits between two looks at whether the run was cancelled."""


class Lockstep:
    """Runs a guest under a student's hypervisor; its exit handlers call `enter` before and `leave` after what they do.

    vm: the student's; ref: bare, always at or before the student's step. exits: how many there were; most: may be.
    bare: the bare machine's technique, should it be another than most have.
    type: how the student's guest gets what is typed, should it not come by the board's console.
    """

    def __init__(self, trial: Trial, guest: Guest, config: VmConfig, most: int,
                 bare: str | type[Technique] = "bare") -> None:
        self.trial = trial
        self.guest = guest
        self.vm: Vm = guest.start(config)
        self.ref: Vm = guest.start(guest.config(bare, isa=config.isa, steps_per_tick=config.steps_per_tick))
        self.type: Callable[[bytes], None] = self.vm.console.type
        self.exits = 0
        self._most = most
        self._is_recorded = bare == "bare"  # the shipped hypervisor, which a recording is for, knows no other machine
        self._config = config
        self._step = self._pc = 0

    def run(self, budget: int) -> None:
        """Run to the guest's end, typing on the way what there is to type. Raises OutOfFuel, Diverged."""
        for step, data in self.guest.around.typed:
            if self.vm.run(step - self.vm.steps).reason is not StopReason.BUDGET:
                break
            self._step, self._pc = self.vm.steps, self.vm.hart.pc
            self._catch_up()
            self.ref.console.type(data)
            self.type(data)
        stop = self.vm.run(budget - self.vm.steps)
        self._step, self._pc = self.vm.steps, self.vm.hart.pc
        self._catch_up()
        if stop.reason is StopReason.BUDGET:
            raise OutOfFuel(f"the guest had not ended after {budget:,} steps")
        self.compare({})
        wanted = self.ref.run(0)
        if stop.reason is not wanted.reason:
            self.part("stop", stop.detail, wanted.detail)

    def enter(self, vcpu: Vcpu) -> None:
        """An exit: up to here nothing must differ. Raises OutOfFuel, Diverged."""
        self.exits += 1
        if self.exits > self._most:
            raise OutOfFuel(f"more than {self._most:,} exits, at pc {vcpu.hart.pc:#x}: does what trapped ever retire?")
        if self.exits % TICK_EVERY == 0:
            self.trial.tick()
        self.meet(vcpu)

    def meet(self, vcpu: Vcpu) -> None:
        """Between two steps: up to here nothing must differ. Raises Diverged."""
        self._step, self._pc = vcpu.hart.steps, vcpu.hart.pc
        self.agree()

    def agree(self) -> None:
        """Nothing must differ now; what does is laid to the step that `meet` or `enter` was called before. Raises
        Diverged."""
        self._catch_up()
        self.compare({})

    def leave(self, vcpu: Vcpu, csrs: dict[int, int]) -> None:
        """The exit is handled, and took steps. csrs: the student's own values of the guest's CSRs, where they have
        such. Raises Diverged."""
        if vcpu.hart.steps == self._step:
            self.part("pc", f"{vcpu.hart.pc:#x} still: the instruction was handled, but did not retire",
                      "that of the next instruction")
        self._catch_up()
        self.compare(csrs)

    def _catch_up(self) -> None:
        behind = self.vm.steps - self.ref.steps
        if behind > 0:
            self.ref.run(behind)

    def compare(self, csrs: dict[int, int]) -> None:
        """What the guest can see of its hart. Raises Diverged."""
        mine, right = self.vm.vcpus[0], self.ref.vcpus[0]
        if mine.hart.pc != right.hart.pc:
            self.part("pc", f"{mine.hart.pc:#x}", f"{right.hart.pc:#x}")
        if mine.mode != right.mode:
            self.part("mode", MODES[mine.mode], MODES[right.mode])
        ours, theirs = mine.hart.read_gprs(), right.hart.read_gprs()
        if ours != theirs:
            number = next(index for index in range(32) if ours[index] != theirs[index])
            self.part(ABI[number], f"{ours[number]:#x}", f"{theirs[number]:#x}")
        for number, name in CSR_NAMES.items():
            mask = ~SSTATUS_SD if number == SSTATUS else -1  # it follows from FS
            got, wanted = csrs.get(number, mine.csrs.read(number)) & mask, right.csrs.read(number) & mask
            if got != wanted:
                self.part(csr_field(name, got ^ wanted), f"{got:#x}", f"{wanted:#x}")

    def part(self, field: str, got: str, wanted: str, is_guests: bool = True) -> NoReturn:
        """They have parted, by the step before: tell where, and record the way up to there. is_guests: the guest can
        see the field. Raises Diverged."""
        found = Divergence(self._step, self._pc, self.guest.line_at(self._pc), field, got, wanted)
        replay = None
        if self.trial.artifacts is not None and self._is_recorded:
            config = self.guest.config("deprivileged", isa=self._config.isa, steps_per_tick=self._config.steps_per_tick)
            replay = self.guest.record(self.trial.artifacts, self.trial.check.name, config, self._step + AFTER)
        said = f"{field} is not what it is on a real hart" if is_guests else f"{field} is wrong"
        raise Diverged(failed(said, found, replay=replay, exits=self.exits))


def csr_field(name: str, difference: int) -> str:
    """The first of a CSR's fields that differs: "sstatus.SPP"; the CSR where it has none there."""
    for row in BY_NAME[name].fields:
        if row.mask & difference:
            return f"{name}.{row.name}"
    return name
