"""What the bare machine has for firmware, besides the board that VMs have too: ACLINT, RTC, fw_cfg, the reset ROM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from ..devices.aclint import Aclint, TimerWires
from ..devices.fw_cfg import FwCfg
from ..devices.rom import Rom
from ..devices.rtc_goldfish import RtcGoldfish
from ..devices.virtio.ram import GuestRam
from ..errors import ConfigError
from ..hart import Hart
from ..isa.causes import MSI
from .board import Board
from .device_tree import DEFAULT_TIMEBASE
from .memory_map import ACLINT, FW_CFG, RESET_ROM, RTC
from .network import NEVER

NANOSECONDS_PER_TICK = 10**9 // DEFAULT_TIMEBASE


class Clock(Protocol):
    """The machine's time, which is that of the hart whose turn it is."""

    def read_nanoseconds(self) -> int:
        """Since the machine was started."""

    def read_mtime(self) -> int:
        """In ticks."""

    def write_mtime(self, value: int) -> None:
        """Set it, in ticks."""


class FirmwareDevices:
    """The devices, attached to the board. files: what fw_cfg holds. Raises ConfigError for a file's name."""

    def __init__(
        self, board: Board, harts: Sequence[Hart], clock: Clock, ram: GuestRam, files: Mapping[str, bytes]
    ) -> None:
        wires = [TimerWires(partial(hart.set_irq, MSI), partial(setattr, hart, "mtimecmp")) for hart in harts]
        self.rtc = RtcGoldfish(clock.read_nanoseconds, board.irq_line(RTC))
        self.rom = Rom()
        board.attach(ACLINT, Aclint(wires, clock.read_mtime, clock.write_mtime))
        board.attach(RTC, self.rtc)
        board.attach(RESET_ROM, self.rom)
        try:
            board.attach(FW_CFG, FwCfg(ram, len(harts), files))
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def wait(self, steps: int, steps_per_tick: int) -> int:
        """How many steps after `steps`, of the clock's hart, the RTC's alarm goes off, which one that is due does now;
        NEVER for none."""
        deadline = self.rtc.deadline
        if deadline is None:
            return NEVER
        due = -(-deadline // NANOSECONDS_PER_TICK) * steps_per_tick
        if due > steps:
            return due - steps
        self.rtc.check_alarm()
        return NEVER
