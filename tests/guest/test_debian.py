"""The image `debian`: what is packed into it, and that a fetch leaves the whole image or none."""

from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from hartvisor.core.machine.elf_writer import elf_file
from hartvisor.guest import GuestError, debian, image
from hartvisor.guest.apt import AptError
from hartvisor.guest.cpio import CHARACTER_DEVICE, FILE, FOLDER, Entry, write_cpio
from hartvisor.guest.kernel_modules import module_name, module_needs, modules_dep, with_needs

NEEDS = {"ext4": ["jbd2", "crc16", "builtin"], "jbd2": ["crc16"], "crc16": []}
PATHS = {name: f"kernel/{name}.ko" for name in NEEDS}


def test_cpio_is_what_cpio_reads(tmp_path: Path) -> None:
    entries = [Entry("a", FOLDER | 0o755), Entry("a/b", FILE | 0o640, b"hello"), Entry("c", FILE | 0o644)]
    archive = write_cpio(entries)
    assert len(archive) % 4 == 0
    found = {}
    at = 0
    while True:
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        assert archive[at : at + 6] == b"070701"
        name = archive[at + 110 : at + 109 + fields[11]].decode()
        data_at = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            break
        found[name] = (fields[1], archive[data_at : data_at + fields[6]])
        at = (data_at + fields[6] + 3) // 4 * 4
    assert found == {entry.path: (entry.mode, entry.data) for entry in entries}


def test_cpio_devices_have_their_numbers() -> None:
    archive = write_cpio([Entry("dev/console", CHARACTER_DEVICE | 0o600, device=(5, 1))])
    assert [int(archive[6 + 8 * i : 14 + 8 * i], 16) for i in (9, 10)] == [5, 1]


def test_modules_come_after_what_they_need() -> None:
    assert with_needs(["ext4"], NEEDS) == ["crc16", "jbd2", "ext4"]
    with pytest.raises(KeyError):
        with_needs(["nothing"], NEEDS)


def test_modules_dep_names_what_is_loaded_last_first() -> None:
    assert modules_dep(PATHS, NEEDS).splitlines()[0] == "kernel/ext4.ko: kernel/jbd2.ko kernel/crc16.ko"


def test_module_names_have_no_dashes() -> None:
    assert module_name("6.12/kernel/drivers/virtio-rng.ko.xz") == "virtio_rng"


def test_a_module_without_modinfo_needs_nothing() -> None:
    assert module_needs(elf_file(b"\0\0\0\0", 0x1000, 0x1000, {})) == []


def test_a_kernel_without_its_drivers_is_refused() -> None:
    module = lzma.compress(elf_file(b"\0\0\0\0", 0x1000, 0x1000, {}))
    with pytest.raises(AptError, match="no module virtio_mmio, "):
        debian.initramfs_entries(b"", {"6.12/kernel/kvm.ko.xz": module})


def test_the_newest_kernel_is_taken() -> None:
    names = ["linux-image-6.12.9+deb13-riscv64", "linux-image-6.12.107+deb13-riscv64", "linux-image-6.12.200-cloud"]
    assert debian.newest_kernel(names) == "linux-image-6.12.107+deb13-riscv64"
    with pytest.raises(AptError, match=r"no package linux-image-6\.12"):
        debian.newest_kernel(["linux-image-6.13.1-riscv64"])


class BrokenApt:
    """An apt whose downloads end early."""

    def __init__(self, folder: Path, suite: str, architecture: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def update(self, progress: object) -> None:
        pass

    def names(self, prefix: str) -> list[str]:
        return ["linux-image-6.12.1-riscv64"]

    def download(self, packages: list[str], progress: object) -> dict[str, Path]:
        raise AptError("the network is down")


def test_a_cut_fetch_leaves_nothing_and_the_image_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(debian, "PrivateApt", BrokenApt)
    with pytest.raises(AptError, match="the network is down"):
        debian.fetch()
    assert not debian.is_fetched()
    assert not debian.debian_folder().exists()
    with pytest.raises(GuestError, match=r"guest debian is not there yet .* run: hartvisor images fetch debian"):
        image("debian")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "opensbi_1_all.deb"
    archive.write_bytes(b"not a package")
    with pytest.raises((AptError, FileNotFoundError), match=r"opensbi_1_all\.deb|dpkg-deb"):
        debian._read_package(archive, lambda path: True)


def test_a_fetched_image_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = debian.debian_folder()
    folder.mkdir(parents=True)
    (folder / debian.MANIFEST).write_text(f'{{"layout": {debian.LAYOUT}}}')
    monkeypatch.setattr(subprocess, "Popen", None)
    assert debian.fetch() == folder
