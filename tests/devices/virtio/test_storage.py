"""Disks in files: locks, overlays, and what reaches the file when."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.devices.virtio.overlay import CLUSTER, create_overlay, data_offset, open_disk
from hartvisor.core.devices.virtio.storage import HostFile, MemoryDisk, Storage
from hartvisor.core.errors import ConfigError

SIZE = 5 * CLUSTER + 512


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.write_bytes(random.Random(0).randbytes(SIZE))
    return path


def overlay(base: Path, name: str = "overlay") -> Path:
    path = base.with_name(name)
    create_overlay(path, base)
    return path


writes = st.lists(
    st.tuples(st.integers(0, SIZE // 512 - 1), st.integers(1, 300), st.binary(min_size=1, max_size=3)), max_size=12
)


@given(writes)
@settings(max_examples=40, deadline=None)
def test_every_kind_of_disk_keeps_what_is_written(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("disks")
    base = folder / "base"
    content = random.Random(1).randbytes(SIZE)
    base.write_bytes(content)
    (folder / "raw").write_bytes(content)
    below = MemoryDisk(SIZE)
    below.write(0, content)
    disks: list[Storage] = [open_disk(overlay(base)), open_disk(folder / "raw"), MemoryDisk(base=below)]
    model = bytearray(content)
    for sector, count, pattern in changes:
        data = (pattern * 512 * count)[: min(512 * count, SIZE - 512 * sector)]
        model[512 * sector : 512 * sector + len(data)] = data
        for disk in disks:
            disk.write(512 * sector, data)
    assert all(disk.read(0, SIZE) == model for disk in disks)
    for disk in disks[:2]:
        disk.close()
    again = [open_disk(folder / name) for name in ("overlay", "raw")]
    assert all(disk.read(0, SIZE) == model for disk in again)
    for disk in again:
        disk.close()
    assert base.read_bytes() == content
    assert below.read(0, SIZE) == content


def test_an_overlay_on_an_overlay(base: Path) -> None:
    first = overlay(base, "first")
    disk = open_disk(first)
    disk.write(0, b"1" * 512)
    disk.close()
    disk = open_disk(overlay(first, "second"))
    disk.write(512, b"2" * 512)
    assert disk.read(0, 1536) == b"1" * 512 + b"2" * 512 + base.read_bytes()[1024:1536]
    disk.close()


def test_an_overlay_takes_only_the_room_of_what_was_written(base: Path) -> None:
    path = overlay(base)
    disk = open_disk(path)
    disk.write(2 * CLUSTER, bytes(512))
    disk.close()
    assert path.stat().st_blocks * 512 < 3 * CLUSTER
    assert path.stat().st_size == data_offset(SIZE) + SIZE


def test_a_file_that_ends_within_a_sector_is_filled_up_with_zeros(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(b"x" * 700)
    disk = open_disk(path)
    assert (disk.size, disk.read(512, 512)) == (1024, b"x" * 188 + bytes(324))
    disk.close()


# --- locks


def test_a_disk_belongs_to_one_machine_at_a_time(base: Path) -> None:
    disk = open_disk(base)
    with pytest.raises(ConfigError, match=r"base: in use by another machine"):
        open_disk(base)
    with pytest.raises(ConfigError, match="in use"):
        open_disk(base, is_read_only=True)
    disk.close()
    readers = [open_disk(base, is_read_only=True) for _ in range(2)]
    with pytest.raises(ConfigError, match="in use"):
        open_disk(base)
    for reader in readers:
        reader.close()
    open_disk(base).close()


def test_a_base_cannot_be_written_under_its_overlays(base: Path) -> None:
    disks = [open_disk(overlay(base, name)) for name in ("a", "b")]
    with pytest.raises(ConfigError, match="in use"):
        open_disk(base)
    for disk in disks:
        disk.close()


def test_another_process_is_told_too(base: Path) -> None:
    disk = open_disk(base)
    program = (
        "import sys, pathlib; from hartvisor.core.devices.virtio.overlay import open_disk\n"
        "from hartvisor.core.errors import ConfigError\n"
        "try: open_disk(pathlib.Path(sys.argv[1]))\n"
        "except ConfigError as error: sys.exit(str(error))"
    )
    run = subprocess.run([sys.executable, "-c", program, str(base)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.strip() == (
        f"{base}: in use by another machine; a disk can be shared only if all open it read-only, or through an overlay "
        "each"
    )
    disk.close()


# --- mistakes


def test_mistakes_are_one_clear_line(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere: No such file"):
        open_disk(tmp_path / "nowhere")
    path = overlay(base)
    with pytest.raises(ConfigError, match="overlay: File exists"):
        create_overlay(path, base)
    with pytest.raises(ConfigError, match="No such file"):
        create_overlay(tmp_path / "other", tmp_path / "nowhere")
    assert not (tmp_path / "other").exists()
    base.write_bytes(bytes(512))
    with pytest.raises(ConfigError, match=r"an overlay of \d+ bytes, but its base .* now has 512"):
        open_disk(path)
    base.unlink()
    with pytest.raises(ConfigError, match="base: No such file"):
        open_disk(path)
    path.write_bytes(path.read_bytes()[:18] + b"\x09\x00" + path.read_bytes()[20:])
    with pytest.raises(ConfigError, match="an overlay of format 9"):
        open_disk(path)


def test_a_read_only_overlay_takes_no_write(base: Path) -> None:
    disk = open_disk(overlay(base), is_read_only=True)
    assert disk.is_read_only
    assert disk.read(0, 512) == base.read_bytes()[:512]
    with pytest.raises(OSError, match="read-only"):
        disk.write(0, bytes(512))
    disk.close()


def test_a_sync_that_failed_once_never_succeeds_again(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = HostFile(base)

    def fail(fd: int) -> None:
        raise OSError("lost")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="lost"):
            file.sync()
    with pytest.raises(OSError, match="lost"):
        file.sync()
    file.close()
