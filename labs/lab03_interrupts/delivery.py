"""The student's Traps in the real hypervisor: a deprivileged VM whose traps, timer and wfi are the student's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from ...core.hart import Exit
from ...core.isa import causes
from ...core.isa.decoder import Decoded
from ...core.vmm import sbi_numbers as sbi
from ...core.vmm.csr_file import SCAUSE, SIE, SIP, SSTATUS, SSTATUS_SIE
from ...core.vmm.exits import HANDLED, REFLECT, ExitReason, reflected
from ...core.vmm.guest_isa import GUEST_ISA
from ...core.vmm.sbi import call
from ...core.vmm.sbi_call import A0, A6, A7
from ...core.vmm.state import NEVER
from ...core.vmm.techniques.deprivileged import Deprivileged
from ...core.vmm.vcpu import Vcpu
from ..judge.guests import Guest
from ..judge.lockstep import Lockstep
from ..judge.runner import OutOfFuel
from ..judge.session import Session, Stopped
from ..judge.trial import Trial
from ..judge.verdict import Status
from ..judge.virtual import put, virtual_hart
from ..kit.hart import SUPERVISOR, VirtualHart
from ..kit.interrupts import SEI, SSI, STI, Clock, Gates, Taken, Wait

ISA: Final = GUEST_ISA - {"Zihpm"}
GUESTS: Final = 1 << SSI | 1 << STI | 1 << SEI
"""The interrupts that this guest can get, all of which its firmware has delegated to S-mode."""
MOST_TRIES: Final = 3
"""Times that a timer may ask to be called again at once."""
TIMER_CALLS: Final = ((sbi.TIME, 0), (sbi.LEGACY_SET_TIMER, None))
"""set_timer's extension and function, new and old; the old one looks at no function."""


class Delivery:
    """The hypervisor with the student's Traps in it, in lockstep with the bare hart.

    wakes: how often the hypervisor's own timer went off for the guest. due: how often a tick of the guest's was due.
    """

    def __init__(self, trial: Trial, guest: Guest, steps_per_tick: int, looks: Random | None = None,
                 most: int = 20_000, student: Session | None = None) -> None:
        self._student = student or trial.student
        self._steps_per_tick = steps_per_tick
        self._looks = looks
        self._most = most
        self._alarm: int | None = None
        self._due: int | None = None
        self._until: int | None = None
        self._sleeps = False
        self._look = self._next_look(0)
        self.wakes = self.due = self.interrupts = 0
        delivery = self

        class StudentsTraps(Deprivileged):
            """As shipped, with the student's delivery of traps in our place."""

            def before_entry(self) -> bool:
                """Is there an interrupt to take?"""
                if delivery.interrupt(self.vcpu):
                    return False
                if self.csrs.is_stale or self.pager.active is None:
                    self._load_root()
                return True

            def reflect(self, cause: int, tval: int) -> None:
                """An exception of the guest's own."""
                if cause == causes.VIRTUAL_INSTRUCTION:
                    cause = causes.ILLEGAL_INSTRUCTION
                self.vcpu.exits[reflected(cause)] += 1
                delivery.inject(self.vcpu, cause, tval)

            def run(self, limit: int) -> None:
                """Stretch by stretch, to where somebody has to look at the clock."""
                delivery.run_to(self, super().run, limit)

        config = guest.config(StudentsTraps, isa=ISA, lends_csrs=False, steps_per_tick=steps_per_tick,
                              instruction_handlers={"wfi": self.wfi}, handlers={causes.ECALL_FROM_U: self.ecall})
        self.lockstep = Lockstep(trial, guest, config, most)
        self._vcpu = self.lockstep.vm.vcpus[0]
        self._ref = self.lockstep.ref

    def run(self, budget: int) -> dict[str, int]:
        """Run the guest to its end; what was counted. Raises Diverged, OutOfFuel, Stopped."""
        self.lockstep.run(budget)
        return {"exits": self.lockstep.exits, "instructions": self.lockstep.vm.instructions,
                "interrupts": self.interrupts, "ticks": self.due, "wakes": self.wakes}

    # --- the clock

    def _next_look(self, now: int) -> int:
        return NEVER if self._looks is None else now + self._looks.randrange(1, 120)

    def _clock(self) -> Clock:
        return Clock(self._vcpu.hart.steps, self._steps_per_tick)

    def run_to(self, technique: Deprivileged, run: Callable[[int], None], limit: int) -> None:
        """Run to `limit`, with a look at the clock where the student asked for one, where a tick is due, and where the
        hypervisor has business of its own."""
        hart, vm, csrs = technique.hart, self.lockstep.vm, technique.csrs
        while not vm.needs_attention and hart.steps < limit:
            goal = min(limit, self._look, *(each for each in (self._alarm, self._due) if each is not None))
            if not self._sleeps:
                run(goal)
            elif csrs.read(SIP) & csrs.read(SIE):
                self._sleeps = False
            elif self._until is None and self._alarm is None:
                self._vcpu.is_waiting = True  # for good: nothing but input, of which there is none, can wake it
                vm.needs_attention = True
            else:
                hart.idle_steps += goal - hart.steps
                hart.steps = goal
            if hart.steps >= goal:
                self.settle()
                self.lockstep.meet(self._vcpu)

    def settle(self) -> None:
        """Let the student see the clock where it is to."""
        now = self._vcpu.hart.steps
        if self._due is not None and now >= self._due:
            self._due = None
            self.due += 1
        tries = 0
        while self._alarm is not None and now >= self._alarm:
            tries += 1
            self.wakes += 1
            if tries > MOST_TRIES:
                self.lockstep.meet(self._vcpu)
                raise Stopped(Status.FAIL, f"on_clock at step {now:,} asks to be called at step {self._alarm:,}: again "
                                           "at once, and again")
            if self.wakes > self._most:
                raise OutOfFuel(f"the timer went off more than {self._most:,} times")
            self._ask_clock()
        if now >= self._look:
            self._look = self._next_look(now)
            self._ask_clock()

    def _ask_clock(self) -> None:
        hart = virtual_hart(self._vcpu)
        self._alarm = self._step(self._student.call("Traps.on_clock", hart, self._clock()), "on_clock")
        self._put(hart, "on_clock", 0)

    def _step(self, said: object, who: str) -> int | None:
        if said is None:
            return None
        if type(said) is not int or said < 0:
            raise Stopped(Status.FAIL, f"{who} gave {said!r:.40}, where a step or None is wanted")
        return said

    def _put(self, hart: VirtualHart, who: str, steps: int) -> None:
        put(self._vcpu, hart)
        if hart.steps != steps:
            raise Stopped(Status.FAIL, f"{who} took {hart.steps} steps: it takes {steps}")
        if not steps and hart.pc != self._vcpu.hart.pc:
            raise Stopped(Status.FAIL, f"{who} moved pc")

    def _leave(self, vcpu: Vcpu, csrs: dict[int, int]) -> None:
        self.settle()
        self.lockstep.leave(vcpu, csrs | {SIP: vcpu.csrs.read(SIP)})

    # --- traps

    def interrupt(self, vcpu: Vcpu) -> bool:
        """Before an entry: whether the student had the guest take an interrupt."""
        csrs = vcpu.csrs
        pending, enabled = csrs.read(SIP), csrs.read(SIE)
        if not pending:
            return False
        is_on = bool(csrs.read(SSTATUS) & SSTATUS_SIE)
        said = self._student.call(
            "Traps.pick_pending", Gates(pending, enabled, GUESTS, 0, vcpu.mode, False, False, is_on, False))
        if said is None and not (pending & enabled and (is_on or vcpu.mode != SUPERVISOR)):
            return False
        self.lockstep.enter(vcpu)
        wanted = self._takes()
        if said != wanted:
            self.lockstep.part("interrupt", told(said), told(wanted))
        assert wanted is not None, "the bare hart does not take what is pending, enabled and let through"
        self.interrupts += 1
        self._inject(vcpu, wanted.cause, 0, True)
        return True

    def _takes(self) -> Taken | None:
        """What the bare hart takes here: it goes a step ahead."""
        traps = self._ref.hart.guest_traps
        self._ref.run(1)
        if self._ref.hart.guest_traps == traps:
            return None
        return Taken("HS", self._ref.vcpus[0].csrs.read(SCAUSE) & 63)

    def inject(self, vcpu: Vcpu, cause: int, tval: int) -> None:
        """The guest takes an exception, as the student does it."""
        self.lockstep.enter(vcpu)
        self._inject(vcpu, cause, tval, False)

    def _inject(self, vcpu: Vcpu, cause: int, tval: int, is_interrupt: bool) -> None:
        hart = virtual_hart(vcpu)
        self._student.call("Traps.inject", hart, cause, tval, is_interrupt)
        put(vcpu, hart)
        if hart.steps != 1:
            raise Stopped(Status.FAIL, f"inject took {hart.steps} steps: a trap is one, as jump() counts it")
        vcpu.hart.redirect(hart.pc, True)
        self._leave(vcpu, hart.csrs)

    # --- time

    def ecall(self, vcpu: Vcpu, exit: Exit) -> bool:
        """A call to the firmware: the hypervisor's own, but for set_timer."""
        if vcpu.mode != SUPERVISOR:
            return REFLECT
        vcpu.exits[ExitReason.SBI] += 1
        real = vcpu.hart
        extension, function, deadline = real.read_gpr(A7), real.read_gpr(A6), real.read_gpr(A0)
        is_timer = any(extension == each and what in (None, function) for each, what in TIMER_CALLS)
        if is_timer:
            self.lockstep.enter(vcpu)
        call(vcpu)
        if not is_timer:
            return HANDLED
        vcpu.deadline = NEVER  # the VM's own timer stays out of it
        self._due = None if deadline == NEVER else max(deadline * self._steps_per_tick, real.steps)
        hart = virtual_hart(vcpu)
        self._alarm = self._step(self._student.call("Traps.set_timer", hart, self._clock(), deadline), "set_timer")
        self._put(hart, "set_timer", 0)
        self._leave(vcpu, hart.csrs)
        return HANDLED

    def wfi(self, vcpu: Vcpu, instruction: Decoded) -> bool:
        """wfi: how long it sleeps is the student's to say, and the bare hart's to know."""
        self.lockstep.enter(vcpu)
        hart = virtual_hart(vcpu)
        before = vcpu.hart.pc
        said = self._student.call("Traps.wfi", hart, self._clock())
        if said is None:
            return REFLECT
        if not isinstance(said, Wait) or type(said.sleeps) is not bool:
            raise Stopped(Status.FAIL, f"wfi gave {said!r:.60}, where Wait or None is wanted")
        until = self._step(said.until, "wfi's until")
        if hart.steps != 1 or hart.pc != before + 4:
            raise Stopped(Status.FAIL, "wfi must retire: hart.retire()")
        put(vcpu, hart)
        vcpu.hart.retire()
        self._leave(vcpu, hart.csrs)
        got, wanted = self.shown(said.sleeps, until), self._truth()
        if got != wanted:
            self.lockstep.part("wfi", got, wanted)
        self._sleeps, self._until = got != "goes on", until
        self.lockstep.vm.needs_attention = True
        return HANDLED

    def _truth(self) -> str:
        """How long the bare hart, which has just retired the same wfi, will sleep."""
        sleeper = self._ref.vcpus[0]
        nap = self._ref.nap
        return self.shown(sleeper.is_waiting and nap > 0, None if nap == NEVER else self._ref.steps + nap)

    def shown(self, sleeps: bool, until: int | None) -> str:
        """A wait in words; one that ends as it begins is none."""
        if not sleeps or (until is not None and until <= self._vcpu.hart.steps):
            return "goes on"
        return "sleeps until input" if until is None else f"sleeps until step {until:,}"


def told(taken: object) -> str:
    """What pick_pending said, in words."""
    if taken is None:
        return "none taken"
    if not isinstance(taken, Taken):
        return f"{taken!r:.40}"
    return f"{taken.cause!r:.20} taken in {taken.target!r:.20}"
