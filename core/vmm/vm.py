"""A virtual machine: its memory, board, vCPU and clock, and the loop that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from ..devices.console import ConsoleEnd, discard
from ..devices.test_finisher import Finish, Outcome
from ..devices.virtio.balloon import VirtioBalloon
from ..devices.virtio.device import VirtioDevice
from ..devices.virtio.ram import SharedRam
from ..errors import ConfigError
from ..hart import Hart, Memory
from ..isa.causes import SEI, STI
from ..isa.paging import PAGE_SHIFT, PAGE_SIZE
from ..machine.board import CONSOLE, QUIET_TICKS, Board
from ..machine.boot import initrd_region
from ..machine.device_tree import DEFAULT_TIMEBASE, build_device_tree
from ..machine.inputs import Inputs
from ..machine.interrupts import plic_controller
from ..machine.loader import Image, place
from ..machine.machine import QUANTUM
from ..machine.memory_map import RAM_BASE, device_tree_region
from ..machine.network import Network
from ..machine.paged import ZERO_PAGE, Paged
from ..machine.watching import Range, Until
from .config import VmConfig
from .csr_file import GUEST_CSRS, SCOUNTEREN, SIE
from .digest import MemoryDigest
from .exits import ExitReason
from .frames import FrameAllocator
from .guest_isa import HOST_ISA
from .guest_memory import GuestMemory, IdentityMemory
from .sbi_call import A0, A1
from .state import NEVER, GuestState, VmState
from .stop import Stop, StopReason, explain_trap_loop
from .traps import can_wake
from .vcpu import Vcpu
from .walker import SUPERVISOR
from .watcher import Watcher

if TYPE_CHECKING:
    from .table_notes import TableNotes

LOOK_INTERVAL: Final = 1 << 16
"""Steps between two looks at whether the guest is caught in a trap loop; looks come at multiples of it, whatever the
technique."""


OPEN_COUNTERS: Final = 7
"""scounteren at the start: firmware hands over with cycle, time and instret open to U-mode. OpenSBI does, and Linux
counts on it: its vDSO reads the time."""


Tenancy = tuple[FrameAllocator, GuestMemory]
"""What a VM has of a machine's RAM: where its frames and tables come from, and the guest's RAM in them."""


def _own_machine(config: VmConfig) -> Tenancy:
    """A machine with as much RAM as one VM needs."""
    if not config.technique_class.owns_frames:
        memory = Memory(config.memory, base=RAM_BASE, large_pages=True)
        return FrameAllocator(memory), IdentityMemory(memory, RAM_BASE, config.memory)
    memory = Memory(config.memory + config.table_space, base=RAM_BASE, large_pages=True)
    frames = FrameAllocator(memory)
    return frames, GuestMemory(memory, frames, RAM_BASE, config.memory)


class Vm:
    """One VM, ready to run its first instruction, or a bare machine under the built-in SBI (technique "bare").

    config: what it is made of. image: the guest (from core.machine.loader); None: nothing, a state is put in later.
    output: called with what the guest writes to its console. devices: what is in the virtio slots, from the first; None
    leaves one empty. tenancy: what it has of a machine that others run on too; None: a machine of its own.
    Raises ImageError or ConfigError if they do not fit together. Whatever the guest does, `run` raises nothing.

    ram: guest memory by GPA. frames: the machine's frames. board, bus, console: its devices. inputs: the way to them
    from outside. vcpus: the guest's harts, each on one of the machine's harts.
    memory_digest: kept up to date by `digest`, once it was asked for.
    watcher: there while watchpoints are set, or the VM is to stop at a change. table_notes: there while they are taken.
    needs_attention: set by handlers when the run loop has something to look at; the technique then returns to it.
    """

    def __init__(self, config: VmConfig, image: Image | None, output: Callable[[bytes], None] = discard,
                 devices: Sequence[VirtioDevice | None] = (), tenancy: Tenancy | None = None) -> None:
        self.config = config
        self.image = image
        technique = config.technique_class
        self.frames, self.ram = tenancy or _own_machine(config)
        memory = self.ram.memory
        self.harts = tuple(
            Hart(memory, hart_id=index, isa=HOST_ISA if technique.has_h else config.isa, hosts=technique.hosts,
                 steps_per_tick=config.steps_per_tick, tlb=config.tlb)
            for index in range(config.vcpus))
        # Half of what is left beside guest RAM is for shadow pages; the rest is slack for G-stage tables.
        self.max_table_frames = config.table_space // PAGE_SIZE // 2
        self.console = ConsoleEnd(output)
        self.needs_attention = False
        self.memory_digest: MemoryDigest | None = None
        self._power_off: str | None = None
        self._host_stop: StopReason | None = None
        self.watcher: Watcher | None = None
        self.table_notes: TableNotes | None = None
        # On QEMU's virt, each hart has two PLIC contexts: M-mode's, which no guest has, and S-mode's.
        contexts = [line for index in range(config.vcpus) for line in (None, partial(self._set_external, index))]
        self.inputs = Inputs(lambda: self.steps)
        self.network = Network(lambda: self.steps, config.steps_per_tick * config.vcpus, self.inputs)
        self.network.on_change = self._look_again
        self.board = Board(plic_controller(contexts), self.console, self._finish,
                           SharedRam(self.ram, self._break_reservations), self.network)
        self.board.attach_all(devices)
        for slot in self.board.virtio:
            if isinstance(slot.device, VirtioBalloon):
                slot.device.on_inflate = self.take_pages
        self.inputs.connect(CONSOLE, self.console.type)
        self.bus = self.board.bus
        first = technique(self, self.harts[0])
        self.vcpus = [Vcpu(self, index, hart, technique(self, hart, first) if index else first)
                      for index, hart in enumerate(self.harts)]
        for vcpu in self.vcpus:
            vcpu.technique.attach(vcpu)
        self._turn = 0
        self._turn_end = QUANTUM if config.vcpus > 1 else NEVER
        self._quiet_steps = QUIET_TICKS * config.steps_per_tick
        self.ram.attach(self)
        if image is not None:
            self._load_guest(image)

    # --- building

    def _load_guest(self, image: Image) -> None:
        """Image, initial ramdisk and device tree into guest RAM, and the first vCPU to where firmware hands over (SBI:
        a0 = hart id, a1 = device tree); the others are stopped."""
        config = self.config
        tree_region = device_tree_region(config.memory)
        initrd = initrd_region(len(config.initrd), image, config.memory)
        taken = [tree_region] + ([initrd] if initrd is not None else [])
        place(image, self.ram.write, RAM_BASE, config.memory, taken)
        if initrd is not None:
            self.ram.write(initrd.base, config.initrd)
        tree = build_device_tree(
            memory_size=config.memory, n_harts=config.vcpus, bootargs=config.append, initrd=initrd,
            isa=config.isa, timebase_frequency=DEFAULT_TIMEBASE)
        self.ram.write(tree_region.base, tree)
        gprs = [0] * 32
        gprs[A0], gprs[A1] = 0, tree_region.base
        csrs = dict.fromkeys(GUEST_CSRS, 0) | {SCOUNTEREN: OPEN_COUNTERS}
        for vcpu in self.vcpus:
            vcpu.load(GuestState(tuple(gprs), image.entry, SUPERVISOR, csrs, is_stopped=vcpu.index > 0))

    # --- the whole state

    @property
    def paged(self) -> tuple[Paged, ...]:
        """Where its pages are: RAM first, then the disks that keep their writes in memory, by slot."""
        return (self.ram, *self.board.memory_disks)

    def save(self) -> VmState:
        """Everything but the pages, between two runs."""
        return VmState(tuple(vcpu.save() for vcpu in self.vcpus), self._turn, self._turn_end, self._power_off,
                       self.board.save())

    def restore(self, state: VmState) -> None:
        """Become what `save` saw, in a VM with as many vCPUs and the same devices; the pages are put back before."""
        self._turn, self._turn_end, self._power_off = state.turn, state.turn_end, state.power_off
        self._host_stop = None
        if self.watcher is not None:
            self.watcher.forget()
        for vcpu, saved in zip(self.vcpus, state.vcpus, strict=True):
            vcpu.load(saved)
        self.board.restore(state.board)
        for vcpu, saved in zip(self.vcpus, state.vcpus, strict=True):
            vcpu.reservation = saved.reservation
        if len(self.vcpus) > 1:
            self.vcpus[self._turn].technique.take_turn()

    # --- facts

    @property
    def steps(self) -> int:
        """The steps of all vCPUs since the VM was started."""
        return sum(hart.steps for hart in self.harts)

    @property
    def steps_per_tick(self) -> int:
        """mtime advances by one every so many steps."""
        return self.config.steps_per_tick

    @property
    def current(self) -> Vcpu:
        """The vCPU whose turn it is."""
        return self.vcpus[self._turn]

    @property
    def hart(self) -> Hart:
        """The first vCPU's hart."""
        return self.harts[0]

    @property
    def instructions(self) -> int:
        """Guest instructions retired: steps without those asleep and those that were traps."""
        return sum(hart.steps - hart.idle_steps - hart.guest_traps for hart in self.harts)

    @property
    def active_steps(self) -> int:
        """The steps not slept through, of all vCPUs."""
        return sum(hart.steps - hart.idle_steps for hart in self.harts)

    @property
    def exits(self) -> list[int]:
        """How often each exit happened, over all vCPUs, indexed by ExitReason."""
        return [sum(counts) for counts in zip(*(vcpu.exits for vcpu in self.vcpus), strict=True)]

    @property
    def is_off(self) -> bool:
        """Whether the guest has powered off."""
        return self._power_off is not None

    @property
    def off_reason(self) -> str | None:
        """Why the guest is off; None while it is not."""
        return self._power_off

    @property
    def is_asleep(self) -> bool:
        """Whether nothing but input can wake the guest."""
        return self.nap == NEVER

    # --- what the host stops it for

    @property
    def breakpoints(self) -> frozenset[int]:
        """Guest virtual addresses at which any vCPU stops, before the instruction; settable with any iterable."""
        return self.harts[0].breakpoints

    @breakpoints.setter
    def breakpoints(self, addresses: Iterable[int]) -> None:
        chosen = frozenset(addresses)
        for hart in self.harts:
            hart.breakpoints = chosen

    @property
    def watchpoints(self) -> tuple[Range, ...]:
        """Ranges of guest RAM, by GPA, an access to which ends a run once its step is done, whoever does it.

        Settable with any iterable; raises ConfigError for what is not RAM.
        """
        return self.watcher.watchpoints if self.watcher is not None else ()

    @watchpoints.setter
    def watchpoints(self, ranges: Iterable[Range]) -> None:
        watcher = self.watcher or Watcher(self)
        watcher.watchpoints = tuple(ranges)
        self._keep(watcher)

    @property
    def until(self) -> Until | None:
        """The register of a vCPU whose change ends a run, after the step that made it. Settable; raises ConfigError for
        what the guest has not."""
        return self.watcher.until if self.watcher is not None else None

    @until.setter
    def until(self, until: Until | None) -> None:
        watcher = self.watcher or Watcher(self)
        watcher.until = until
        self._keep(watcher)

    def _keep(self, watcher: Watcher) -> None:
        self.watcher = watcher if watcher.watchpoints or watcher.until is not None else None

    # --- what handlers and devices call

    def power_off(self, why: str) -> None:
        """The guest asked to be switched off (or rebooted, which is the host's to do)."""
        self._power_off = why
        self.needs_attention = True

    def _finish(self, finish: Finish) -> None:
        how = {Outcome.PASS: "pass", Outcome.FAIL: f"fail, code {finish.code}", Outcome.RESET: "reset"}[finish.outcome]
        self.power_off(f"test finisher: {how}")

    def _set_external(self, index: int, level: bool) -> None:
        """The PLIC's line to a vCPU."""
        self.vcpus[index].csrs.set_pending(SEI, level)

    def _look_again(self) -> None:
        """A frame has been sent, and will arrive before anything else was to happen."""
        self.needs_attention = True

    def fence_harts(self) -> None:
        """Tables that any vCPU may use have changed."""
        for hart in self.harts:
            hart.fence()

    def stop_for(self, reason: StopReason) -> None:
        """The hart is at one of the host's breakpoints (BREAKPOINT), an exit that the host waits for has been handled
        (EXIT), or the VM wants frames (MEMORY)."""
        self._host_stop = reason
        self.needs_attention = True

    def write_memory(self, gpa: int, data: bytes) -> None:
        """Store to guest RAM as a device does: reservations on these bytes are lost."""
        self._break_reservations(gpa, len(data))
        self.ram.write(gpa, data)

    def take_pages(self, gpas: Iterable[int]) -> None:
        """The guest gives whole pages away: what they hold is gone, and their frames are the machine's again."""
        for gpa in gpas:
            gfn = gpa >> PAGE_SHIFT
            if self.ram.is_mapped(gfn):
                self.write_memory(gpa, ZERO_PAGE)
                if self.watcher is not None:
                    self.watcher.collect()
                self.vcpus[0].technique.forget_frame(gfn)
                self.ram.release(gfn)
        self.fence_harts()

    def forget_frame(self, gfn: int) -> None:
        """The guest frame is about to move, or to lose its host frame: no translation may lead there."""
        self.vcpus[0].technique.forget_frame(gfn)
        self.fence_harts()

    def _break_reservations(self, gpa: int, length: int) -> None:
        for vcpu in self.vcpus:
            vcpu.break_reservation(gpa, length)

    # --- running

    def run(self, budget: int) -> Stop:
        """Run `budget` steps, over all vCPUs together; fewer only for the reason that the Stop names. The clock never
        passes the budget's end.

        vCPUs take turns of QUANTUM steps; an exit does not end a turn, so the way a run is cut into budgets changes
        nothing.
        """
        if budget < 0:
            raise ConfigError(f"a budget of {budget} steps: it must not be negative")
        end = self.steps + budget
        if self.watcher is not None:
            self.watcher.start()
        if self.table_notes is None:
            return self._run(end)
        with self.table_notes.taking():
            return self._run(end)

    def _run(self, end: int) -> Stop:
        network = self.network
        while True:
            total = self.steps
            network.deliver(total)
            vcpu = self.vcpus[self._turn]
            left = min(end, network.next) - total
            stop = self._run_vcpu(vcpu, min(vcpu.hart.steps + left, self._turn_end))
            if stop is not None:
                return stop
            if vcpu.hart.steps >= self._turn_end:
                self._pass_turn()
            if self.steps >= end:
                return Stop(StopReason.BUDGET, "the budget is used up", self.steps)

    def _pass_turn(self) -> None:
        self._turn = (self._turn + 1) % len(self.vcpus)
        if self._turn == 0:
            self._turn_end += QUANTUM
        self.vcpus[self._turn].technique.take_turn()

    def _run_vcpu(self, vcpu: Vcpu, end: int) -> Stop | None:
        """Run one vCPU until its clock shows `end`, or it sent a frame that is answered (None), or something stops the
        VM."""
        hart = vcpu.hart
        first_frame = self.network.next  # an earlier one can come to be while the guest runs
        per_tick = self.config.steps_per_tick
        while True:
            steps = hart.steps
            self.needs_attention = False
            fires = vcpu.deadline * per_tick
            is_due = steps >= fires
            if is_due != vcpu.is_timer_pending:
                vcpu.is_timer_pending = is_due
                vcpu.csrs.set_pending(STI, is_due)
            stop = self._find_stop(vcpu, steps, end)
            if stop is not None or steps >= end or self.network.next < first_frame:
                return stop
            if vcpu.is_waiting and can_wake(vcpu):
                vcpu.is_waiting = vcpu.is_suspended = False
            elif vcpu.is_waiting or vcpu.is_stopped:
                nap = self.nap
                if nap >= self._quiet_steps and self.board.offer_input():
                    continue
                if nap == NEVER:
                    why = "the guest stopped its only hart" if vcpu.is_stopped else "no timer armed and no input"
                    return Stop(StopReason.ASLEEP, f"asleep: {why}", self.steps)
                wakes = min(steps + self._nap(vcpu), end)
                hart.idle_steps += wakes - steps
                hart.steps = wakes
            else:
                limit = min(end, (steps | LOOK_INTERVAL - 1) + 1)
                if not is_due and fires < limit:
                    limit = fires
                vcpu.technique.run(limit)
                if hart.steps == fires and not is_due:
                    vcpu.exits[ExitReason.TIMER] += 1
                    if vcpu.technique.observer is not None:
                        vcpu.technique.observer.timed()

    @property
    def nap(self) -> int:
        """How many steps the VM will sleep from now on, left alone; 0 for one that is awake, NEVER for one that nothing
        in it wakes."""
        return min(self.network.wait(self.steps), *(self._nap(each) for each in self.vcpus))

    def _nap(self, vcpu: Vcpu) -> int:
        """How many steps a vCPU will sleep from now on, left alone; NEVER for one that no timer wakes."""
        if vcpu.is_stopped:
            return NEVER
        if not vcpu.is_waiting or can_wake(vcpu):
            return 0
        fires = vcpu.deadline * self.config.steps_per_tick
        is_due = vcpu.hart.steps >= fires
        if is_due or vcpu.deadline == NEVER or not vcpu.csrs.read(SIE) >> STI & 1:
            return NEVER
        return fires - vcpu.hart.steps

    def _find_stop(self, vcpu: Vcpu, steps: int, end: int) -> Stop | None:
        """Whether to stop here, before the vCPU's next step."""
        if self._power_off is not None:
            return Stop(StopReason.POWER_OFF, self._power_off, self.steps)
        if self._host_stop is not None:
            reason, self._host_stop = self._host_stop, None
            return Stop(reason, f"{reason.value} at {vcpu.hart.pc:#x}", self.steps, vcpu.index)
        if self.watcher is not None:
            found = self.watcher.find_stop(vcpu)
            if found is not None:
                return found
        if (steps >= end or not steps % LOOK_INTERVAL) and not vcpu.is_stopped:
            loop = explain_trap_loop(vcpu)
            if loop is not None:
                return Stop(StopReason.GUEST_FAULT, loop, self.steps)
        return None
