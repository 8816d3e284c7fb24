"""A VM written down, and made again from that."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError, ImageError
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.plain import dumps, loads
from hartvisor.core.vmm.recipe import DriveRef, Recipe
from hartvisor.core.vmm.snapshots import Snapshots
from hartvisor.guest import image

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")


def recipe(folder: Path) -> Recipe:
    """tern with a disk and arguments."""
    disk = folder / "disk.img"
    disk.write_bytes(bytes(8192))
    config = VmConfig(technique="shadow", memory=32 << 20, append="workload=1")
    return Recipe.of("kernel", config, image("kernel"), drives=(DriveRef.of(disk, False),))


def test_the_same_vm_comes_of_it(tmp_path: Path) -> None:
    """Through text and back: the same guest, at the same state after the same steps, under any technique."""
    made = loads(Recipe, dumps(recipe(tmp_path)))
    assert made == recipe_again(made)
    digests = set()
    for technique in TECHNIQUES:
        vm = made.under(technique).start(lambda data: None)
        vm.run(400_000)
        digests.add(digest(vm))
    assert len(digests) == 1


def recipe_again(made: Recipe) -> Recipe:
    """Through text once more."""
    return loads(Recipe, dumps(made))


def test_a_blank_vm_takes_a_saved_state(tmp_path: Path) -> None:
    """All pages and the state of one VM, put into one that never loaded an image, under another technique."""
    made = recipe(tmp_path)
    vm = made.start(lambda data: None)
    vm.board.memory_disks[0].write(4096, b"written")
    vm.run(700_000)
    snapshot = Snapshots(vm).take()
    other = made.under("two-stage").blank(lambda data: None)
    for index, source in enumerate(other.paged):
        for number, data in snapshot.all_pages(index).items():
            source.write_page(number, data)
    other.restore(snapshot.state)
    assert digest(other) == digest(vm)
    assert other.board.memory_disks[0].read(4096, 7) == b"written"
    vm.run(300_000)
    other.run(300_000)
    assert digest(other) == digest(vm)


def test_the_parts_of_a_ramdisk_keep_their_order(tmp_path: Path) -> None:
    """Linux unpacks a later archive over an earlier one."""
    parts = [tmp_path / name for name in ("late", "early")]
    for part in parts:
        part.write_bytes(part.name.encode())
    made = loads(Recipe, dumps(Recipe.of("kernel", VmConfig(), image("kernel"), parts)))
    assert made.start(lambda data: None).config.initrd == b"lateearly"


def test_another_image_is_refused(tmp_path: Path) -> None:
    """A file that is not the one written down, or is gone, ends in one line."""
    copy = tmp_path / "guest.elf"
    copy.write_bytes(image("hello").read_bytes())
    made = Recipe.of("guest", VmConfig(), copy)
    copy.write_bytes(image("kernel").read_bytes())
    with pytest.raises(ImageError, match=r"guest\.elf: not the file it was"):
        made.start(lambda data: None)
    copy.unlink()
    with pytest.raises(ImageError, match=r"guest\.elf"):
        made.start(lambda data: None)


def test_a_changed_disk_is_refused(tmp_path: Path) -> None:
    """What was saved lies on top of the disk as it was."""
    made = recipe(tmp_path)
    (tmp_path / "disk.img").write_bytes(bytes(4096))
    with pytest.raises(ConfigError, match="the disk image has changed since"):
        made.blank(lambda data: None)


def test_a_vm_of_ones_own_parts_has_no_recipe() -> None:
    """A student's handler cannot be written down."""
    config = VmConfig(instruction_handlers={"wfi": lambda vcpu, insn: True})
    with pytest.raises(ConfigError, match="handlers of one's own"):
        Recipe.of("kernel", config, image("kernel"))
