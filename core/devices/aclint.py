"""ACLINT (the older CLINT): software interrupts and the machine timer, for M-mode firmware.

Source: RISC-V Advanced Core Local Interruptor Specification 1.0-rc4 (MSWI and MTIMER devices), laid out as SiFive's
CLINT:

    0x0000  msip of hart h, at 4 * h         4-byte accesses; bit 0 drives MSIP, the rest reads 0
    0x4000  mtimecmp of hart h, at 8 * h     4- and 8-byte accesses
    0xBFF8  mtime                            4- and 8-byte accesses

Registers of harts that do not exist read 0 and ignore stores, as on QEMU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .device import DeviceFault, State, bytes_of

MSIP_BASE = 0x0000
MTIMECMP_BASE = 0x4000
MTIME = 0xBFF8
END = 0xC000

#: A comparator that never fires.
NEVER = (1 << 64) - 1


@dataclass(frozen=True)
class TimerWires:
    """What the ACLINT needs of one hart: where its MSIP line and its comparator go."""

    set_msip: Callable[[bool], None]
    set_mtimecmp: Callable[[int], None]


class Aclint:
    """One ACLINT for all harts of a machine.

    harts: the wires of each, by hart index. read_mtime and write_mtime: the machine's clock, in ticks of the timebase.
    """

    def __init__(
        self, harts: Sequence[TimerWires], read_mtime: Callable[[], int], write_mtime: Callable[[int], None]
    ) -> None:
        self._harts = tuple(harts)
        self._read_mtime = read_mtime
        self._write_mtime = write_mtime
        self._msip = [0] * len(self._harts)
        self._mtimecmp = [NEVER] * len(self._harts)

    def load(self, offset: int, size: int) -> int:
        """Read a register or, with size 4, half of a 64-bit one."""
        if offset < MTIMECMP_BASE:
            if size != 4:
                raise DeviceFault
            hart = offset >> 2
            return self._msip[hart] if hart < len(self._harts) else 0
        if size < 4 or offset >= END:
            raise DeviceFault
        hart = offset - MTIMECMP_BASE >> 3
        if offset >= MTIME:
            register = self._read_mtime()
        elif hart < len(self._harts):
            register = self._mtimecmp[hart]
        else:
            register = 0
        return register >> 8 * (offset & 7) & (1 << 8 * size) - 1

    def store(self, offset: int, size: int, value: int) -> None:
        """Write a register or, with size 4, half of a 64-bit one."""
        if offset < MTIMECMP_BASE:
            if size != 4:
                raise DeviceFault
            hart = offset >> 2
            if hart < len(self._harts):
                self._msip[hart] = value & 1
                self._harts[hart].set_msip(bool(value & 1))
            return
        if size < 4 or offset >= END:
            raise DeviceFault
        hart = offset - MTIMECMP_BASE >> 3
        if offset >= MTIME:
            self._write_mtime(merge(self._read_mtime(), offset, size, value))
        elif hart < len(self._harts):
            self._mtimecmp[hart] = merge(self._mtimecmp[hart], offset, size, value)
            self._harts[hart].set_mtimecmp(self._mtimecmp[hart])

    def save(self) -> State:
        """msip: one byte a hart; mtimecmp: eight little-endian bytes a hart. The clock is the machine's to save."""
        mtimecmp = b"".join(value.to_bytes(8, "little") for value in self._mtimecmp)
        return {"msip": bytes(self._msip), "mtimecmp": mtimecmp}

    def restore(self, state: State) -> None:
        """Become the saved ACLINT and drive every hart's wires."""
        self._msip = list(bytes_of(state, "msip"))
        mtimecmp = bytes_of(state, "mtimecmp")
        self._mtimecmp = [int.from_bytes(mtimecmp[at : at + 8], "little") for at in range(0, len(mtimecmp), 8)]
        for hart, wires in enumerate(self._harts):
            wires.set_msip(bool(self._msip[hart]))
            wires.set_mtimecmp(self._mtimecmp[hart])


def merge(register: int, offset: int, size: int, value: int) -> int:
    """The 64-bit register after a store of `size` bytes at `offset` modulo 8."""
    shift = 8 * (offset & 7)
    mask = (1 << 8 * size) - 1 << shift
    return register & ~mask | value << shift & mask
