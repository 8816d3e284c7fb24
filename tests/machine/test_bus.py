"""The bus: who answers, and what becomes an access fault."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hartvisor.core.devices.device import DeviceFault, State
from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.bus import Bus
from hartvisor.core.machine.memory_map import Region


class Recorder:
    """A device that remembers accesses and answers with its number; offset 0x80 is not decoded."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.seen: list[tuple[int, ...]] = []

    def load(self, offset: int, size: int) -> int:
        self.check(offset)
        self.seen.append((offset, size))
        return self.number

    def store(self, offset: int, size: int, value: int) -> None:
        self.check(offset)
        self.seen.append((offset, size, value))

    def check(self, offset: int) -> None:
        if offset == 0x80:
            raise DeviceFault

    def save(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(42)


@pytest.fixture
def bus(recorder: Recorder) -> Bus:
    bus = Bus()
    bus.attach(Region("recorder", 0x1000, 0x100), recorder)
    return bus


def test_a_device_sees_offsets_and_sizes(bus: Bus, recorder: Recorder) -> None:
    assert bus.load(0x1008, 4) == 42
    assert bus.store(0x10F8, 8, 7)
    assert recorder.seen == [(8, 4), (0xF8, 8, 7)]


@pytest.mark.parametrize("address", [0, 0xFF8, 0x1100, 1 << 63])
def test_where_no_device_is_there_is_an_access_fault(bus: Bus, address: int) -> None:
    assert bus.load(address, 8) is None
    assert not bus.store(address, 8, 0)


@pytest.mark.parametrize(("address", "size"), [(0x1001, 2), (0x1002, 4), (0x1004, 8), (0x10FF, 2)])
def test_a_misaligned_access_is_an_access_fault(bus: Bus, recorder: Recorder, address: int, size: int) -> None:
    assert bus.load(address, size) is None
    assert not bus.store(address, size, 0)
    assert recorder.seen == []


def test_what_the_device_does_not_decode_is_an_access_fault(bus: Bus) -> None:
    assert bus.load(0x1080, 1) is None
    assert not bus.store(0x1080, 1, 0)


def test_an_empty_bus_faults_everywhere() -> None:
    assert Bus().load(0, 1) is None


def test_devices_at_the_same_addresses_are_refused(bus: Bus, recorder: Recorder) -> None:
    with pytest.raises(ConfigError, match=r"b at 0x10ff-0x11fe overlaps recorder at 0x1000-0x10ff"):
        bus.attach(Region("b", 0x10FF, 0x100), recorder)


def test_slots_come_by_rising_address(bus: Bus, recorder: Recorder) -> None:
    low, high = Region("low", 0, 8), Region("high", 0x2000, 8)
    bus.attach(high, recorder)
    bus.attach(low, recorder)
    assert [region.name for region, _ in bus.slots] == ["low", "recorder", "high"]


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(1, 8)), max_size=8), st.integers(0, 40))
def test_every_address_reaches_the_one_device_attached_there(places: list[tuple[int, int]], at: int) -> None:
    bus, owner = Bus(), dict[int, int]()
    for number, (base, size) in enumerate(places, 1):
        try:
            bus.attach(Region(str(number), base, size), Recorder(number))
        except ConfigError:
            assert any(address in owner for address in range(base, base + size))
        else:
            assert not any(address in owner for address in range(base, base + size))
            owner.update(dict.fromkeys(range(base, base + size), number))
    assert bus.load(at, 1) == owner.get(at)
