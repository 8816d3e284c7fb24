"""What every memory-mapped device looks like to the bus, and to whoever saves a machine."""

from collections.abc import Callable
from typing import Protocol

#: What `Device.save` returns: register names to plain values, so that a snapshot needs no knowledge of the device.
State = dict[str, int | bytes]

#: An interrupt line: call it with True to raise, with False to lower. Driving a line to the level it has is harmless.
IrqLine = Callable[[bool], None]


def unwired(level: bool) -> None:
    """An interrupt line that leads nowhere."""


class DeviceFault(Exception):
    """The device does not decode this access (size, alignment or offset). The bus makes an access fault of it.

    This is the guest's mistake, not ours: it never leaves the bus.
    """


class Device(Protocol):
    """A device as seen from its registers.

    offset: bytes from the device's base; size: 1, 2, 4 or 8 bytes, naturally aligned.
    """

    def load(self, offset: int, size: int) -> int:
        """Read a register, with its side effects; the value is unsigned and fits `size`. Raises DeviceFault."""

    def store(self, offset: int, size: int, value: int) -> None:
        """Write a register; value is unsigned and fits `size`. Raises DeviceFault."""

    def save(self) -> State:
        """Everything the guest could ever see of the device, as plain values; equal states give equal dicts."""

    def restore(self, state: State) -> None:
        """Become the device that `save` saw, and drive the output lines accordingly."""


def int_of(state: State, name: str) -> int:
    """The saved integer `name`. Raises TypeError where the state holds something else."""
    value = state[name]
    if not isinstance(value, int):
        raise TypeError(f"saved device state: {name} should be an integer, not {type(value).__name__}")
    return value


def bytes_of(state: State, name: str) -> bytes:
    """The saved bytes `name`. Raises TypeError where the state holds something else."""
    value = state[name]
    if not isinstance(value, bytes):
        raise TypeError(f"saved device state: {name} should be bytes, not {type(value).__name__}")
    return value
