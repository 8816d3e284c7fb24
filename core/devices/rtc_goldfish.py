"""Goldfish real-time clock: nanoseconds since the epoch, and one alarm.

Source: "Goldfish virtual hardware", section RTC, of the Android emulator's documents, as QEMU's `virt` board has it.

    0x00  TIME_LOW         load: the low half now, latching the high one; store: set that half of the clock
    0x04  TIME_HIGH        load: the latched half; store: set that half of the clock
    0x08  ALARM_LOW        store: arm the alarm, ALARM_HIGH having been stored before
    0x0C  ALARM_HIGH
    0x10  IRQ_ENABLED      bit 0
    0x14  CLEAR_ALARM      any store disarms
    0x18  ALARM_STATUS     1 while armed
    0x1C  CLEAR_INTERRUPT  any store lowers the interrupt

Only 4-byte accesses are decoded. Time comes from a function, so that a machine stays deterministic: it is the virtual
clock's.
"""

from collections.abc import Callable

from .device import DeviceFault, IrqLine, State, int_of, unwired

TIME_LOW = 0x00
TIME_HIGH = 0x04
ALARM_LOW = 0x08
ALARM_HIGH = 0x0C
IRQ_ENABLED = 0x10
CLEAR_ALARM = 0x14
ALARM_STATUS = 0x18
CLEAR_INTERRUPT = 0x1C

LOW_HALF = 0xFFFF_FFFF
U64 = (1 << 64) - 1


class RtcGoldfish:
    """The clock.

    now: nanoseconds, never falling. irq: the alarm's line. epoch: what the guest reads while `now` gives 0, in
    nanoseconds. Whoever owns the virtual clock calls `check_alarm` no later than at `deadline`.
    """

    def __init__(self, now: Callable[[], int], irq: IrqLine = unwired, epoch: int = 0) -> None:
        self.irq = irq
        self._now = now
        self._offset = epoch
        self._latched_high = 0
        self._alarm = 0
        self._is_armed = False
        self._is_enabled = False
        self._is_raised = False

    @property
    def deadline(self) -> int | None:
        """When the alarm goes off, in nanoseconds of `now`; None while it is not armed."""
        return self._alarm - self._offset if self._is_armed else None

    def check_alarm(self) -> None:
        """Let an alarm that is due go off."""
        if self._is_armed and self._time() >= self._alarm:
            self._is_armed = False
            self._is_raised = True
            self._update()

    def load(self, offset: int, size: int) -> int:
        """Read a register; those that only take stores read 0."""
        if size != 4:
            raise DeviceFault
        if offset == TIME_LOW:
            time = self._time()
            self._latched_high = time >> 32
            return time & LOW_HALF
        if offset == TIME_HIGH:
            return self._latched_high
        if offset == ALARM_LOW:
            return self._alarm & LOW_HALF
        if offset == ALARM_HIGH:
            return self._alarm >> 32
        if offset == IRQ_ENABLED:
            return int(self._is_enabled)
        if offset == ALARM_STATUS:
            return int(self._is_armed)
        return 0

    def store(self, offset: int, size: int, value: int) -> None:
        """Write a register; ALARM_STATUS and offsets beyond the last register ignore it."""
        if size != 4:
            raise DeviceFault
        if offset == TIME_LOW:
            self._set_time(self._time() & ~LOW_HALF | value)
        elif offset == TIME_HIGH:
            self._set_time(self._time() & LOW_HALF | value << 32)
        elif offset == ALARM_LOW:
            self._alarm = self._alarm & ~LOW_HALF | value
            self._is_armed = True
            self.check_alarm()
        elif offset == ALARM_HIGH:
            self._alarm = self._alarm & LOW_HALF | value << 32
        elif offset == IRQ_ENABLED:
            self._is_enabled = bool(value & 1)
            self._update()
        elif offset == CLEAR_ALARM:
            self._is_armed = False
        elif offset == CLEAR_INTERRUPT:
            self._is_raised = False
            self._update()

    def save(self) -> State:
        """The registers; the virtual clock is its owner's to save."""
        return {
            "offset": self._offset,
            "latched_high": self._latched_high,
            "alarm": self._alarm,
            "armed": int(self._is_armed),
            "enabled": int(self._is_enabled),
            "raised": int(self._is_raised),
        }

    def restore(self, state: State) -> None:
        """Become the saved clock and drive the line."""
        self._offset = int_of(state, "offset")
        self._latched_high = int_of(state, "latched_high")
        self._alarm = int_of(state, "alarm")
        self._is_armed = bool(int_of(state, "armed"))
        self._is_enabled = bool(int_of(state, "enabled"))
        self._is_raised = bool(int_of(state, "raised"))
        self._update()

    def _time(self) -> int:
        return self._now() + self._offset & U64

    def _set_time(self, time: int) -> None:
        self._offset = time - self._now()

    def _update(self) -> None:
        self.irq(self._is_raised and self._is_enabled)
