"""Saving and restoring: a run that goes on from a snapshot is the run that was never interrupted."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.storage import MemoryDisk
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.snapshots import Snapshots
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
CONFIG = VmConfig(memory=64 << 20, append="workload=1")
SPAN = 6_000_000


def kernel(technique: str) -> Vm:
    """tern, with work to do and a disk."""
    return Vm(replace(CONFIG, technique=technique), load_image(image("kernel")),
              devices=[VirtioBlock(MemoryDisk(1 << 20))])


def later(vm: Vm, steps: int = 300_000) -> str:
    """The digest so many steps from now."""
    vm.run(steps)
    return digest(vm)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_going_back_and_on_again_gives_the_same_run(technique: str) -> None:
    """Snapshots at random points; each, restored in any order, has the digest it had, and so has what follows."""
    random = Random(technique)
    vm = kernel(technique)
    snapshots = Snapshots(vm)
    points = []
    for _ in range(6):
        vm.run(random.randrange(SPAN // 6))
        points.append((snapshots.take(), digest(vm), vm.steps))
    futures = {snapshot: later(vm) for snapshot, _, _ in points if snapshots.restore(snapshot) is None}
    for snapshot, before, steps in random.sample(points, len(points)):
        snapshots.restore(snapshot)
        assert (vm.steps, digest(vm)) == (steps, before)
        assert later(vm) == futures[snapshot]


def test_restored_under_another_technique_it_goes_on_alike() -> None:
    """The state is the guest's: saved under one technique it goes on under any other, digest for digest."""
    random = Random(1)
    for source in TECHNIQUES:
        vm = kernel(source)
        snapshots = Snapshots(vm)
        vm.run(random.randrange(SPAN))
        snapshot = snapshots.take()
        state, pages = snapshot.state, snapshot.all_pages(0)
        expected = later(vm)
        for target in TECHNIQUES:
            other = kernel(target)
            for gfn, data in pages.items():
                other.ram.write_page(gfn, data)
            other.restore(state)
            assert later(other) == expected, f"from {source} to {target}"


def test_a_forgotten_snapshot_leaves_its_relatives_whole() -> None:
    """Forgetting gives the children what they shared; every other snapshot restores as before."""
    vm = kernel("two-stage")
    snapshots = Snapshots(vm)
    points = []
    for _ in range(5):
        vm.run(400_000)
        points.append((snapshots.take(), digest(vm)))
    for index in (1, 3):
        snapshots.forget(points[index][0])
    for index in (4, 0, 2):
        snapshot, expected = points[index]
        snapshots.restore(snapshot)
        assert digest(vm) == expected
    with pytest.raises(ValueError, match="cannot be forgotten"):
        snapshots.forget(points[0][0])


def test_a_disk_in_memory_goes_back_with_the_machine() -> None:
    """What was written to a disk after the snapshot is gone when it is restored."""
    vm = kernel("two-stage")
    disk = vm.board.memory_disks[0]
    disk.write(4096, b"before")
    snapshots = Snapshots(vm)
    snapshot = snapshots.take()
    disk.write(4098, b"after")
    disk.write(9000, b"more")
    snapshots.restore(snapshot)
    assert disk.read(4096, 8) == b"before\0\0"
    assert disk.read(9000, 4) == bytes(4)


def test_a_snapshot_holds_what_was_stored_to_since_the_last() -> None:
    """Two in a row: the second has no pages, and shares the first's."""
    vm = kernel("shadow")
    snapshots = Snapshots(vm)
    vm.run(100_000)
    first = snapshots.take()
    second = snapshots.take()
    assert first.size > 0
    assert second.size == 0
    assert second.all_pages(0) == first.all_pages(0)
