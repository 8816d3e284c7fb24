"""The block device, driven by the model of a driver: data, bounds, errors, write-through, and state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.mmio import VirtioMmio
from hartvisor.core.devices.virtio.overlay import open_disk
from hartvisor.core.devices.virtio.storage import MemoryDisk, Storage

from . import disk as d
from .disk import Disk
from .driver import EVENT_IDX, EVERYTHING, INDIRECT_DESC, NEEDS_RESET, STATUS, Driver
from .ram import BASE, Ram

SECTORS = 64
FLUSH_FEATURE = 1 << 9
RO = 1 << 5


def plug(storage: Storage, features: int = EVERYTHING, *, is_indirect: bool = False) -> Disk:
    """A disk on the storage, its driver started."""
    ram, slot = Ram(), VirtioMmio()
    slot.plug(VirtioBlock(storage, "serial no. 1"), ram)
    driver = Driver(slot, ram, BASE)
    driver.start(features)
    return Disk(driver, is_indirect=is_indirect)


class Watched(MemoryDisk):
    """Counts flushes, and fails where it is told to."""

    flushes = 0
    is_broken = False

    def read(self, offset: int, length: int) -> bytes:
        if self.is_broken:
            raise OSError("the disk is broken")
        return super().read(offset, length)

    def flush(self) -> None:
        if self.is_broken:
            raise OSError("the disk is broken")
        self.flushes += 1


def test_the_driver_finds_capacity_and_limits() -> None:
    driver = plug(MemoryDisk(SECTORS * 512)).driver
    assert driver.load(0x008) == 2
    assert (driver.load(0x100), driver.load(0x104)) == (SECTORS, 0)
    assert driver.load(0x10C) == 254  # seg_max
    assert driver.load(0x114) == 512  # blk_size


@pytest.mark.parametrize("is_indirect", [False, True])
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_read_however_it_is_cut(is_indirect: bool, data: st.DataObject) -> None:
    disk = plug(MemoryDisk(SECTORS * 512), is_indirect=is_indirect)
    model = bytearray(SECTORS * 512)
    for _ in range(data.draw(st.integers(1, 6))):
        sector = data.draw(st.integers(0, SECTORS - 1))
        length = 512 * data.draw(st.integers(1, min(8, SECTORS - sector)))
        cuts = data.draw(st.lists(st.integers(1, length - 1), unique=True, max_size=8))
        if data.draw(st.booleans()):
            content = random.Random(data.draw(st.integers(0, 99))).randbytes(length)
            disk.write(sector, content, cuts)
            model[sector * 512 : sector * 512 + length] = content
        else:
            assert disk.read(sector, length, cuts) == model[sector * 512 : sector * 512 + length]
    assert disk.read(0, SECTORS * 512) == model


@pytest.mark.parametrize(
    ("kind", "sector", "length"),
    [
        (d.IN, SECTORS, 512),
        (d.IN, SECTORS - 1, 1024),
        (d.IN, (1 << 64) - 1, 512),
        (d.IN, 0, 100),
        (d.OUT, SECTORS, 512),
        (d.OUT, 1 << 55, 512),
        (d.OUT, 0, 513),
    ],
)
def test_what_is_out_of_bounds_is_an_io_error(kind: int, sector: int, length: int) -> None:
    storage = MemoryDisk(SECTORS * 512)
    disk = plug(storage)
    before = storage.read(0, storage.size)
    if kind == d.IN:
        assert disk.request(d.IN, sector, room=length) == d.IOERR
        assert disk.length == 0  # nothing before the status was written
    else:
        assert disk.request(d.OUT, sector, b"x" * length) == d.IOERR
    assert storage.read(0, storage.size) == before
    assert not disk.driver.needs_reset


def test_a_failing_host_is_an_io_error_and_the_device_goes_on() -> None:
    storage = Watched(SECTORS * 512)
    disk = plug(storage)
    storage.is_broken = True
    assert disk.request(d.IN, 0, room=512) == d.IOERR
    assert disk.request(d.FLUSH, 0) == d.IOERR
    storage.is_broken = False
    assert disk.read(0, 512) == bytes(512)


def test_unknown_requests_are_unsupported() -> None:
    disk = plug(MemoryDisk(SECTORS * 512))
    for kind in (2, 3, 10, 11, 14, 99, 0xFFFF_FFFF):
        assert disk.request(kind, 0) == d.UNSUPP


def test_the_serial_number() -> None:
    disk = plug(MemoryDisk(SECTORS * 512))
    assert disk.request(d.GET_ID, 0, room=20) == d.OK
    assert disk.peek(20) == b"serial no. 1".ljust(20, b"\0")


def zeroes(sector: int, count: int, flags: int = 0) -> bytes:
    return sector.to_bytes(8, "little") + count.to_bytes(4, "little") + flags.to_bytes(4, "little")


def test_write_zeroes_clears_its_segment_and_nothing_else() -> None:
    disk = plug(MemoryDisk(SECTORS * 512))
    disk.write(0, b"x" * 5 * 512)
    assert disk.request(d.WRITE_ZEROES, 0, zeroes(1, 3, flags=1)) == d.OK
    assert disk.read(0, 5 * 512) == b"x" * 512 + bytes(3 * 512) + b"x" * 512
    assert disk.request(d.WRITE_ZEROES, 0, zeroes(SECTORS - 1, 2)) == d.IOERR
    assert disk.request(d.WRITE_ZEROES, 0, zeroes(0, 1 << 30)) == d.IOERR
    assert disk.request(d.WRITE_ZEROES, 0, zeroes(0, 1, flags=2)) == d.UNSUPP
    assert disk.request(d.WRITE_ZEROES, 0, zeroes(0, 1) * 2) == d.IOERR


def test_without_flush_every_write_is_durable_at_once() -> None:
    storage = Watched(SECTORS * 512)
    disk = plug(storage)
    disk.write(0, bytes(512))
    assert storage.flushes == 0
    disk.flush()
    assert storage.flushes == 1
    disk = plug(storage, EVERYTHING & ~FLUSH_FEATURE)
    disk.write(0, bytes(512))
    assert storage.flushes == 2


def test_a_read_only_image_says_so_and_takes_no_write(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"a" * 1024)
    storage = open_disk(image, is_read_only=True)
    disk = plug(storage)
    assert disk.driver.offered() & RO
    assert disk.request(d.OUT, 0, b"b" * 512) == d.IOERR
    assert disk.request(d.WRITE_ZEROES, 0, zeroes(0, 1)) == d.IOERR
    assert disk.read(1, 512) == b"a" * 512
    storage.close()
    assert image.read_bytes() == b"a" * 1024


@pytest.mark.parametrize("pieces", [[(16, False)], [(15, False), (1, True)], [(1, True)]])
def test_a_request_without_header_or_status_needs_a_reset(pieces: list[tuple[int, bool]]) -> None:
    disk = plug(MemoryDisk(SECTORS * 512))
    ring = disk.driver.rings[0]
    ring.add([(disk.driver.allocate(size), size, is_writable) for size, is_writable in pieces])
    disk.driver.kick()
    assert disk.driver.load(STATUS) & NEEDS_RESET
    disk.driver.start()
    assert Disk(disk.driver).read(0, 512) == bytes(512)


@pytest.mark.parametrize("features", [EVERYTHING, EVERYTHING & ~EVENT_IDX, EVERYTHING & ~INDIRECT_DESC])
def test_a_restored_disk_goes_on_like_the_saved_one(features: int) -> None:
    storage = MemoryDisk(SECTORS * 512)
    ram, slot = Ram(), VirtioMmio()
    slot.plug(VirtioBlock(storage), ram)
    driver = Driver(slot, ram, BASE)
    driver.start(features)
    disk = Disk(driver)
    for sector in range(20):
        disk.write(sector, bytes([sector]) * 512)
    twin = VirtioMmio()
    twin.plug(VirtioBlock(storage), ram)
    twin.restore(slot.save())
    assert twin.save() == slot.save()
    driver.registers = twin
    for sector in range(20):
        assert disk.read(sector, 512) == bytes([sector]) * 512
