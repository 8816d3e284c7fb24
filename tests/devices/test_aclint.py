"""The ACLINT: software interrupts and the machine timer."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.aclint import MSIP_BASE, MTIME, MTIMECMP_BASE, NEVER, Aclint, TimerWires
from hartvisor.core.devices.device import DeviceFault

from .lines import Line


class Timer:
    """An ACLINT of two harts, with a clock that stands still."""

    def __init__(self) -> None:
        self.mtime = 0x1_2345_6789
        self.msip = [Line(), Line()]
        self.mtimecmp = [0, 0]
        wires = [TimerWires(self.msip[0], self.set_first), TimerWires(self.msip[1], self.set_second)]
        self.aclint = Aclint(wires, lambda: self.mtime, self.set_mtime)

    def set_first(self, value: int) -> None:
        self.mtimecmp[0] = value

    def set_second(self, value: int) -> None:
        self.mtimecmp[1] = value

    def set_mtime(self, value: int) -> None:
        self.mtime = value


@pytest.fixture
def timer() -> Timer:
    return Timer()


def test_bit_0_of_msip_drives_the_harts_line(timer: Timer) -> None:
    timer.aclint.store(MSIP_BASE + 4, 4, 0xFFFF_FFFF)
    assert [line.level for line in timer.msip] == [False, True]
    assert [timer.aclint.load(MSIP_BASE + 4 * hart, 4) for hart in (0, 1)] == [0, 1]
    timer.aclint.store(MSIP_BASE + 4, 4, 0xFFFF_FFFE)
    assert not timer.msip[1].level


def test_comparators_start_at_never(timer: Timer) -> None:
    assert timer.aclint.load(MTIMECMP_BASE, 8) == NEVER


def test_a_comparator_is_set_whole_or_by_halves(timer: Timer) -> None:
    timer.aclint.store(MTIMECMP_BASE + 8, 8, 0x1122_3344_5566_7788)
    assert timer.mtimecmp[1] == 0x1122_3344_5566_7788
    timer.aclint.store(MTIMECMP_BASE + 12, 4, 0xAABB_CCDD)
    timer.aclint.store(MTIMECMP_BASE + 8, 4, 0x1)
    assert timer.mtimecmp[1] == 0xAABB_CCDD_0000_0001
    assert timer.aclint.load(MTIMECMP_BASE + 8, 4) == 1
    assert timer.aclint.load(MTIMECMP_BASE + 12, 4) == 0xAABB_CCDD


def test_mtime_is_read_and_written_whole_or_by_halves(timer: Timer) -> None:
    assert timer.aclint.load(MTIME, 8) == 0x1_2345_6789
    assert timer.aclint.load(MTIME, 4) == 0x2345_6789
    assert timer.aclint.load(MTIME + 4, 4) == 1
    timer.aclint.store(MTIME + 4, 4, 2)
    assert timer.mtime == 0x2_2345_6789
    timer.aclint.store(MTIME, 8, 5)
    assert timer.mtime == 5


@pytest.mark.parametrize(("offset", "size"), [(MSIP_BASE + 8, 4), (MTIMECMP_BASE + 16, 8), (MTIME - 8, 8)])
def test_harts_that_do_not_exist_read_zero_and_ignore_stores(timer: Timer, offset: int, size: int) -> None:
    timer.aclint.store(offset, size, 1)
    assert timer.aclint.load(offset, size) == 0


@pytest.mark.parametrize(
    ("offset", "size"),
    [(MSIP_BASE, 1), (MSIP_BASE, 2), (MSIP_BASE, 8), (MTIMECMP_BASE, 1), (MTIME, 2), (0xC000, 4), (0xFFF8, 8)],
)
def test_other_sizes_and_places_are_not_decoded(timer: Timer, offset: int, size: int) -> None:
    with pytest.raises(DeviceFault):
        timer.aclint.load(offset, size)
    with pytest.raises(DeviceFault):
        timer.aclint.store(offset, size, 0)


def test_restoring_drives_every_wire(timer: Timer) -> None:
    timer.aclint.store(MSIP_BASE, 4, 1)
    timer.aclint.store(MTIMECMP_BASE + 8, 8, 77)
    twin = Timer()
    twin.aclint.restore(timer.aclint.save())
    assert [line.level for line in twin.msip] == [True, False]
    assert twin.mtimecmp == [NEVER, 77]
    assert twin.aclint.save() == timer.aclint.save()
