"""The goldfish clock, on a virtual clock that the test moves."""

from __future__ import annotations

import pytest

from hartvisor.core.devices import rtc_goldfish as r
from hartvisor.core.devices.device import DeviceFault

from .lines import Line

EPOCH = 0x17_0000_0000_0000_00


class Clock:
    """A goldfish RTC and the nanoseconds it counts."""

    def __init__(self) -> None:
        self.now = 0
        self.line = Line()
        self.rtc = r.RtcGoldfish(lambda: self.now, self.line, EPOCH)

    def is_interrupting(self) -> bool:
        return self.line.level

    def time(self) -> int:
        low = self.rtc.load(r.TIME_LOW, 4)
        return self.rtc.load(r.TIME_HIGH, 4) << 32 | low

    def arm(self, time: int) -> None:
        self.rtc.store(r.ALARM_HIGH, 4, time >> 32)
        self.rtc.store(r.ALARM_LOW, 4, time & 0xFFFF_FFFF)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_goes_with_the_virtual_clock(clock: Clock) -> None:
    clock.now = 5_000_000_007
    assert clock.time() == EPOCH + 5_000_000_007


def test_the_high_half_is_latched_with_the_low_one(clock: Clock) -> None:
    low = clock.rtc.load(r.TIME_LOW, 4)
    clock.now = 1 << 40
    assert clock.rtc.load(r.TIME_HIGH, 4) << 32 | low == EPOCH


def test_the_clock_can_be_set_by_halves(clock: Clock) -> None:
    clock.rtc.store(r.TIME_HIGH, 4, 3)
    clock.rtc.store(r.TIME_LOW, 4, 9)
    clock.now = 10
    assert clock.time() == (3 << 32) + 19


def test_an_alarm_interrupts_at_its_time_and_not_before(clock: Clock) -> None:
    clock.rtc.store(r.IRQ_ENABLED, 4, 1)
    clock.arm(EPOCH + 100)
    assert (clock.rtc.deadline, clock.rtc.load(r.ALARM_STATUS, 4)) == (100, 1)
    clock.now = 99
    clock.rtc.check_alarm()
    assert not clock.is_interrupting()
    clock.now = 100
    clock.rtc.check_alarm()
    assert clock.is_interrupting()
    assert (clock.rtc.deadline, clock.rtc.load(r.ALARM_STATUS, 4)) == (None, 0)
    clock.rtc.store(r.CLEAR_INTERRUPT, 4, 1)
    assert not clock.is_interrupting()


def test_an_alarm_in_the_past_goes_off_at_once(clock: Clock) -> None:
    clock.rtc.store(r.IRQ_ENABLED, 4, 1)
    clock.arm(EPOCH)
    assert clock.is_interrupting()


def test_a_cleared_alarm_does_not_go_off(clock: Clock) -> None:
    clock.rtc.store(r.IRQ_ENABLED, 4, 1)
    clock.arm(EPOCH + 100)
    clock.rtc.store(r.CLEAR_ALARM, 4, 1)
    clock.now = 200
    clock.rtc.check_alarm()
    assert (clock.line.level, clock.rtc.deadline) == (False, None)


def test_a_masked_interrupt_appears_when_it_is_enabled(clock: Clock) -> None:
    clock.arm(EPOCH)
    assert not clock.is_interrupting()
    clock.rtc.store(r.IRQ_ENABLED, 4, 1)
    assert clock.is_interrupting()


def test_registers_read_back(clock: Clock) -> None:
    clock.arm(0x7FFF_FFFF_1234_5678)
    clock.rtc.store(r.IRQ_ENABLED, 4, 3)
    clock.rtc.store(r.ALARM_STATUS, 4, 0)
    offsets = (r.ALARM_LOW, r.ALARM_HIGH, r.IRQ_ENABLED, r.ALARM_STATUS, r.CLEAR_ALARM, r.CLEAR_INTERRUPT, 0x20)
    assert [clock.rtc.load(offset, 4) for offset in offsets] == [0x1234_5678, 0x7FFF_FFFF, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("size", [1, 2, 8])
def test_only_words_are_decoded(clock: Clock, size: int) -> None:
    with pytest.raises(DeviceFault):
        clock.rtc.load(r.TIME_LOW, size)
    with pytest.raises(DeviceFault):
        clock.rtc.store(r.TIME_LOW, size, 0)


def test_a_restored_clock_goes_on_like_the_saved_one(clock: Clock) -> None:
    clock.rtc.store(r.IRQ_ENABLED, 4, 1)
    clock.rtc.store(r.TIME_HIGH, 4, 1)
    clock.arm(0)
    clock.arm(2 << 32)
    twin = Clock()
    twin.rtc.restore(clock.rtc.save())
    assert twin.rtc.save() == clock.rtc.save()
    assert (twin.line.level, twin.time(), twin.rtc.deadline) == (True, clock.time(), clock.rtc.deadline)
