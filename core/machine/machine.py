"""The bare machine: RAM, harts and a board, run in turns.

Firmware and kernels run on it as on QEMU's `virt`; with M-mode hosted, the caller is the firmware: it gets the traps
to M-mode. Virtual machines are not built of this class but of the same parts, by core/vmm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from ..devices.console import ConsoleEnd
from ..devices.device import State
from ..devices.test_finisher import Finish
from ..devices.virtio.device import VirtioDevice
from ..devices.virtio.ram import SharedRam
from ..errors import ConfigError
from ..hart import (
    EXIT_BREAKPOINT,
    EXIT_IDLE,
    EXIT_MMIO,
    EXIT_TRAP,
    EXIT_WATCHPOINT,
    EXIT_WFI,
    HOST_M,
    Exit,
    Hart,
    HartState,
    Memory,
)
from ..isa.causes import SEI
from ..isa.csrs import BY_NAME
from ..isa.extensions import DEFAULT_ISA, close, without
from .board import CONSOLE, QUIET_TICKS, Board
from .boot import DYNAMIC_INFO_ADDRESS, BootFiles, initrd_region, reset_rom
from .device_tree import build_device_tree
from .firmware_devices import NANOSECONDS_PER_TICK, FirmwareDevices
from .inputs import Inputs
from .interrupts import DEFAULT_GUESTS, MAX_GUESTS, Aia, machine_controller, plic_controller
from .loader import Image, place
from .memory_map import MIN_MEMORY, PAGE_SIZE, RAM_BASE, Region, device_tree_region
from .network import NEVER, Network
from .paged import Paged, RamPages
from .watching import Hit, Range, Until, make_hit, register_value

DEFAULT_STEPS_PER_TICK = 10
#: Steps that a hart takes before the next has its turn. Part of what a machine of several harts computes: never
#: change it lightly.
QUANTUM = 10_000
MAX_HARTS = 8

M_MODE, S_MODE = 3, 1
T0, A0, A1, A2 = 5, 10, 11, 12
MIE, MIP = BY_NAME["mie"].number, BY_NAME["mip"].number
U64 = (1 << 64) - 1


class StopReason(Enum):
    """Why `Machine.run` returned."""

    BUDGET = "the budget is used up"
    TRAP = "a trap to a hosted mode"
    FINISHED = "powered off, or asked for a reset"
    ASLEEP = "asleep: no timer armed and no input"
    BREAKPOINT = "a breakpoint"
    WATCHPOINT = "an access to what is watched"
    CHANGED = "what was waited for has changed"


@dataclass(frozen=True)
class Stop:
    """The end of one `Machine.run`. hart: the index of the hart that it is about, or that had its turn; exit: what that
    returned last. hit: what a watchpoint saw."""

    reason: StopReason
    hart: int
    exit: Exit | None = None
    hit: Hit | None = None

    @property
    def is_over(self) -> bool:
        """Whether it stopped for another reason than the budget."""
        return self.reason is not StopReason.BUDGET

    @property
    def is_asleep(self) -> bool:
        """Whether only input can wake it."""
        return self.reason is StopReason.ASLEEP


@dataclass(frozen=True)
class MachineState:
    """All of a machine but the contents of its RAM and disks.

    harts: by index. turn, turn_end: whose turn it is, and the step of its clock at which that ends. has_worked: whether
    each took a step in its last turn. finish: how it was powered off. board: the devices' states by region name.
    """

    harts: tuple[HartState, ...]
    turn: int
    turn_end: int
    has_worked: tuple[bool, ...]
    finish: Finish | None
    board: dict[str, State]


class Machine:
    """A machine of one or more harts.

    memory_size: bytes of RAM, a multiple of 4096 and at least memory_map.MIN_MEMORY. hosts: HOST_* bits, the modes
    that the caller plays. isa: the harts' extensions; has_h=False takes H away. console: the serial port's far end.
    tlb: as for Hart. aia: what takes the PLIC's place; with interrupt files, each hart has Smaia and as many files for
    guests as `aia_guests` says, 0 to 7 (without H none). devices: what is in the virtio slots, from the first; None
    leaves one empty. fw_cfg: files for firmware, by name. Raises ConfigError for what cannot be built.

    on_access: told of each access to a device before it is answered.
    """

    def __init__(
        self,
        memory_size: int,
        *,
        n_harts: int = 1,
        hosts: int = 0,
        isa: frozenset[str] = DEFAULT_ISA,
        has_h: bool = True,
        console: ConsoleEnd | None = None,
        steps_per_tick: int = DEFAULT_STEPS_PER_TICK,
        tlb: str = "precise",
        aia: Aia = Aia.NONE,
        aia_guests: int = DEFAULT_GUESTS,
        devices: Sequence[VirtioDevice | None] = (),
        fw_cfg: Mapping[str, bytes] | None = None,
    ) -> None:
        if memory_size < MIN_MEMORY or memory_size % PAGE_SIZE:
            raise ConfigError(
                f"memory of {memory_size} bytes: it must be a multiple of {PAGE_SIZE} and at least {MIN_MEMORY}"
            )
        if not 1 <= n_harts <= MAX_HARTS:
            raise ConfigError(f"{n_harts} harts: a machine has 1 to {MAX_HARTS}")
        self.steps_per_tick = steps_per_tick
        self._quiet_steps = QUIET_TICKS * steps_per_tick
        self.is_hosted = bool(hosts & HOST_M)
        if self.is_hosted and n_harts > 1:
            raise ConfigError(f"{n_harts} harts: without firmware a machine has one")
        if not 0 <= aia_guests <= MAX_GUESTS:
            raise ConfigError(f"{aia_guests} interrupt files for guests: a hart has 0 to {MAX_GUESTS}")
        if self.is_hosted and aia is not Aia.NONE:
            raise ConfigError(f"aia {aia.value}: the board that the hypervisor shares has a PLIC")
        isa = isa if has_h else without(isa, "H")
        guests = aia_guests if "H" in isa else 0
        has_files = aia is Aia.APLIC_IMSIC
        self.memory = Memory(memory_size, RAM_BASE, large_pages=True)
        self.harts = tuple(
            Hart(self.memory, hart_id=index, isa=close([*isa, "Smaia"]) if has_files else isa, hosts=hosts,
                 steps_per_tick=steps_per_tick, tlb=tlb, guest_files=guests if has_files else None)
            for index in range(n_harts)
        )
        self.console = console or ConsoleEnd()
        self.finish: Finish | None = None
        self.on_access: Callable[[Hart, Exit], None] | None = None
        if self.is_hosted:
            controller = plic_controller([None, partial(self.harts[0].set_irq, SEI)])
        else:
            controller = machine_controller(aia, self.harts, guests)
        self.inputs = Inputs(lambda: self.steps)
        self.network = Network(lambda: self.steps, steps_per_tick * n_harts, self.inputs)
        ram = SharedRam(self.memory, self._break_reservations)
        self.board = Board(controller, self.console, self._on_finish, ram, self.network)
        self.board.attach_all(devices)
        self.inputs.connect(CONSOLE, self.console.type)
        self._firmware: FirmwareDevices | None = None
        if not self.is_hosted:
            self._firmware = FirmwareDevices(self.board, self.harts, self, ram, fw_cfg or {})
            for hart in self.harts:
                hart.reports_idle = self._quiet_steps
        self._until: Until | None = None
        self._is_watched = False
        self._turn = 0
        self._turn_end = self._quantum = QUANTUM if n_harts > 1 else U64
        self._has_worked = [True] * n_harts  # whether each hart took a step in its last turn

    # --- what it runs

    def load(self, image: Image, *, bootargs: str = "") -> None:
        """As `boot`, of a single image, in M-mode or, where that is hosted, S-mode."""
        self.boot(BootFiles(bios=image, bootargs=bootargs))

    def boot(self, files: BootFiles) -> None:
        """Place bios, kernel, initial ramdisk and device tree in the fresh RAM, and every hart at the start (boot.py
        says where and in what state).

        Raises ImageError where something does not fit, ConfigError where the kernel's arguments cannot be handed over.
        """
        size = self.memory.size
        first, kernel = files.first, files.kernel
        initrd = initrd_region(len(files.initrd), kernel or first, size)
        tree = build_device_tree(
            memory_size=size,
            n_harts=len(self.harts),
            bootargs=files.bootargs,
            initrd=initrd,
            isa=self.harts[0].isa,
            board=[region for region, _ in self.board.bus.slots],
        )
        taken = [device_tree_region(size)] + ([initrd] if initrd is not None else [])
        place(first, self.memory.write, self.memory.base, size, reserved=taken)
        if kernel is not None and kernel is not first:
            bios_code = Region(f"bios {first.name}", first.segments[0].gpa, len(first.segments[0].data))
            place(kernel, self.memory.write, self.memory.base, size, reserved=[*taken, bios_code])
        self.memory.write(taken[0].base, tree)
        if initrd is not None:
            self.memory.write(initrd.base, files.initrd)
        if self._firmware is not None:
            self._firmware.rom.data = reset_rom(first.entry, taken[0].base, kernel)
        for index, hart in enumerate(self.harts):
            hart.pc = first.entry
            hart.privilege = S_MODE if self.is_hosted else M_MODE
            hart.write_gpr(A0, index)
            hart.write_gpr(A1, taken[0].base)
            if self._firmware is not None:
                hart.write_gpr(T0, first.entry)
                hart.write_gpr(A2, DYNAMIC_INFO_ADDRESS)

    # --- running

    def run(self, budget: int) -> Stop:
        """Take `budget` steps, over all harts together, or stop earlier.

        Harts take turns of QUANTUM steps; an exit does not end a turn, so the way a run is cut into budgets changes
        nothing.
        """
        left = budget
        before = self._until_value()
        network, end = self.network, self.steps + budget
        while self.finish is None:
            network.deliver(end - left)
            hart = self.harts[self._turn]
            limit = min(left, self._turn_end - hart.steps, self._wait(end - left))
            if limit <= 0:
                if left <= 0:
                    return Stop(StopReason.BUDGET, self._turn)
                self._pass_turn()
                continue
            steps = hart.steps
            exit_ = hart.run(limit)
            if exit_.reason == EXIT_MMIO:
                self._access(hart, exit_)
            if hart.steps != steps:
                self._has_worked[self._turn] = True
                left -= hart.steps - steps
            if exit_.reason == EXIT_TRAP:
                return Stop(StopReason.TRAP, self._turn, exit_)
            if exit_.reason == EXIT_BREAKPOINT:
                return Stop(StopReason.BREAKPOINT, self._turn, exit_)
            if self._is_watched and (hart.steps != steps or exit_.reason == EXIT_WATCHPOINT):
                stop = self._find_stop(exit_, before)
                if stop is not None:
                    return stop
            if exit_.reason == EXIT_IDLE:
                self._offer_input()
            elif exit_.reason == EXIT_WFI and not self._offer_input():
                wait = self._wait(end - left)
                if wait == NEVER and not self._can_be_woken():
                    return Stop(StopReason.ASLEEP, self._turn, exit_)
                left -= self._sleep(hart, min(left, self._turn_end - hart.steps, wait))
        return Stop(StopReason.FINISHED, self._turn)

    def _wait(self, now: int) -> int:
        """How many steps after `now` something happens outside the harts: a frame comes, or the RTC's alarm."""
        wait = self.network.wait(now)
        return wait if self._firmware is None else min(
            wait, self._firmware.wait(self.harts[self._turn].steps, self.steps_per_tick))

    def _access(self, hart: Hart, exit_: Exit) -> None:
        """Let the bus answer the device access that the hart waits for."""
        if self.on_access is not None:
            self.on_access(hart, exit_)
        bus = self.board.bus
        if exit_.is_store:
            if bus.store(exit_.address, exit_.size, exit_.value):
                hart.complete_mmio()
            else:
                hart.fault_mmio()
        else:
            value = bus.load(exit_.address, exit_.size)
            if value is None:
                hart.fault_mmio()
            else:
                hart.complete_mmio(value)

    def _break_reservations(self, hpa: int, length: int) -> None:
        """A device stores to [hpa, hpa + length): reservations on any of its doublewords are lost."""
        for hart in self.harts:
            reserved = hart.reservation
            if reserved >= 0 and hpa < (reserved | 7) + 1 and reserved & ~7 < hpa + length:
                hart.reservation = -1

    def _pass_turn(self) -> None:
        self._turn = (self._turn + 1) % len(self.harts)
        if self._turn == 0:
            self._turn_end += self._quantum
        self._has_worked[self._turn] = False

    def _can_be_woken(self) -> bool:
        """Whether another hart is awake, about to be, or sleeps towards a timer, and so may yet wake the one whose turn
        it is."""
        return any(worked or hart.read_csr(MIP) & hart.read_csr(MIE) for index, (worked, hart)
                   in enumerate(zip(self._has_worked, self.harts, strict=True)) if index != self._turn)

    def _offer_input(self) -> bool:
        """A hart falls asleep: if it is the last of all, its user types something. Whether that came to pass."""
        is_asleep = all(hart.waiting for hart in self.harts) and self._wait(self.steps) >= self._quiet_steps
        return is_asleep and self.board.offer_input()

    def _sleep(self, hart: Hart, steps: int) -> int:
        """Let time pass for a hart in WFI; returns how much did."""
        hart.steps += steps
        hart.idle_steps += steps
        return steps

    # --- what the host stops it for

    @property
    def breakpoints(self) -> frozenset[int]:
        """Virtual addresses at which any hart stops, before the instruction; settable with any iterable."""
        return self.harts[0].breakpoints

    @breakpoints.setter
    def breakpoints(self, addresses: Iterable[int]) -> None:
        chosen = frozenset(addresses)
        for hart in self.harts:
            hart.breakpoints = chosen

    @property
    def watchpoints(self) -> tuple[Range, ...]:
        """Ranges of RAM an access to which ends a run once its step is done, whoever does it.

        Settable with any iterable; raises ConfigError for what is not RAM.
        """
        return self.memory.watchpoints

    @watchpoints.setter
    def watchpoints(self, ranges: Iterable[Range]) -> None:
        chosen = tuple(ranges)
        for hpa, length, _ in chosen:
            if length < 1 or not self.memory.contains(hpa, length):
                raise ConfigError(f"a watchpoint of {length} bytes at {hpa:#x}: that is not RAM")
        self.memory.watchpoints = chosen
        self._is_watched = bool(chosen) or self._until is not None

    @property
    def until(self) -> Until | None:
        """The register of a hart whose change ends a run, after the step that made it. Settable; raises ConfigError
        for what that hart has not."""
        return self._until

    @until.setter
    def until(self, until: Until | None) -> None:
        for hart in self.harts:
            hart.until = None
        if until is not None:
            try:
                self.harts[until.hart].until = until.kind, until.number
            except (KeyError, ValueError) as error:
                raise ConfigError(str(error.args[0])) from error
        self._until = until
        self._is_watched = bool(self.watchpoints) or until is not None

    def _until_value(self) -> int:
        until = self._until
        return 0 if until is None else register_value(self.harts[until.hart], until.kind, until.number)

    def _find_stop(self, exit_: Exit, before: int) -> Stop | None:
        """Whether the step just taken, or what a device did in it, is what the host waits for."""
        seen = exit_ if exit_.reason == EXIT_WATCHPOINT else self.memory.take_hit()
        if seen is not None:
            hit = make_hit(seen, seen.address)
            return Stop(StopReason.WATCHPOINT, self._turn if hit.hart is None else hit.hart, exit_, hit)
        if self._until is not None and self._until_value() != before:
            return Stop(StopReason.CHANGED, self._until.hart, exit_)
        return None

    # --- the whole state

    @property
    def paged(self) -> tuple[Paged, ...]:
        """Where its pages are: RAM first, then the disks that keep their writes in memory, by slot."""
        return (RamPages(self.memory), *self.board.memory_disks)

    def save(self) -> MachineState:
        """Everything but the pages, between two runs."""
        return MachineState(tuple(hart.save() for hart in self.harts), self._turn, self._turn_end,
                            tuple(self._has_worked), self.finish, self.board.save())

    def restore(self, state: MachineState) -> None:
        """Become what `save` saw, on a machine with the same harts and devices; the pages are put back before."""
        self._turn, self._turn_end, self.finish = state.turn, state.turn_end, state.finish
        self._has_worked = list(state.has_worked)
        self.memory.take_hit()  # the pages put back are no news
        self.board.restore(state.board)
        for hart, saved in zip(self.harts, state.harts, strict=True):
            hart.restore(saved)

    # --- the clock and the finisher

    @property
    def current(self) -> Hart:
        """The hart whose turn it is."""
        return self.harts[self._turn]

    @property
    def steps(self) -> int:
        """The steps of all harts together."""
        return sum(hart.steps for hart in self.harts)

    @property
    def active_steps(self) -> int:
        """Those of them that were not slept through."""
        return sum(hart.steps - hart.idle_steps for hart in self.harts)

    def read_nanoseconds(self) -> int:
        """The clock that the RTC shows, in nanoseconds since the machine was started."""
        return self.harts[self._turn].steps // self.steps_per_tick * NANOSECONDS_PER_TICK

    def read_mtime(self) -> int:
        """The clock that the ACLINT shows to the hart whose turn it is, in ticks."""
        hart = self.harts[self._turn]
        return hart.steps // self.steps_per_tick + hart.mtime_offset & U64

    def write_mtime(self, value: int) -> None:
        """Set the clock of all harts, which is one."""
        offset = value - self.harts[self._turn].steps // self.steps_per_tick & U64
        for hart in self.harts:
            hart.mtime_offset = offset

    def _on_finish(self, finish: Finish) -> None:
        self.finish = finish
