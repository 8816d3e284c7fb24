"""SiFive test finisher: one word by which a guest says that it is done, and how it went.

Source: QEMU's `virt` board ("sifive,test0"); Linux and OpenSBI drive it through syscon-poweroff and syscon-reboot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from .device import DeviceFault, State

FINISHER = 0x0

FAIL_WORD = 0x3333
PASS_WORD = 0x5555
RESET_WORD = 0x7777


class Outcome(Enum):
    """What a guest asked for."""

    PASS = "pass"
    FAIL = "fail"
    RESET = "reset"


@dataclass(frozen=True)
class Finish:
    """The guest's last word. code: bits 31:16 of a fail store, else 0."""

    outcome: Outcome
    code: int = 0


class TestFinisher:
    """The device. on_finish is called at the store; stopping the machine is up to it.

    Loads give 0. Other offsets and other words are ignored, as on QEMU; accesses of 1 and 8 bytes are not decoded.
    """

    __test__ = False  # not a test class, whatever pytest thinks of the name

    def __init__(self, on_finish: Callable[[Finish], None]) -> None:
        self._on_finish = on_finish

    def load(self, offset: int, size: int) -> int:
        """Always 0."""
        if size not in (2, 4):
            raise DeviceFault
        return 0

    def store(self, offset: int, size: int, value: int) -> None:
        """0x5555 passes, 0x3333 | code << 16 fails, 0x7777 asks for a reset."""
        if size not in (2, 4):
            raise DeviceFault
        if offset != FINISHER:
            return
        word, code = value & 0xFFFF, value >> 16
        if word == PASS_WORD:
            self._on_finish(Finish(Outcome.PASS))
        elif word == FAIL_WORD:
            self._on_finish(Finish(Outcome.FAIL, code))
        elif word == RESET_WORD:
            self._on_finish(Finish(Outcome.RESET))

    def save(self) -> State:
        """Nothing: the device has no state."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to do."""
