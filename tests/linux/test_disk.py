"""An ext4 disk over virtio-blk: made by the host, mounted and written by Debian's kernel, read by the host again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .support import answers, hartvisor, require_debian

TYPED = b"mount -t ext4 /dev/vda /mnt && cat /mnt/greeting\necho from the guest >/mnt/answer\n" \
        b"umount /mnt\npoweroff -f\n"


@pytest.mark.parametrize("command", [
    ("machine", "debian", "--smp", "4"), ("run", "debian", "--technique", "two-stage"),
], ids=["machine", "vm"])
def test_an_ext4_disk_is_mounted_and_written(tmp_path: Path, command: tuple[str, ...]) -> None:
    require_debian()
    tools = [shutil.which(name, path="/usr/sbin:/sbin:/usr/bin") for name in ("mkfs.ext4", "debugfs", "e2fsck")]
    if None in tools:
        pytest.skip("needs mkfs.ext4, debugfs and e2fsck: apt-get install e2fsprogs")
    mkfs, debugfs, e2fsck = (str(tool) for tool in tools)
    files, disk = tmp_path / "files", tmp_path / "disk.img"
    files.mkdir()
    (files / "greeting").write_text("from the host\n")
    subprocess.run([mkfs, "-q", "-d", str(files), str(disk), "16M"], check=True)
    run = hartvisor(*command, "--drive", str(disk), typed=TYPED)
    assert run.status == 0, run.err
    assert b"from the host" in answers(run.out)
    assert subprocess.run([e2fsck, "-fn", str(disk)], capture_output=True, check=False).returncode == 0
    read = subprocess.run([debugfs, "-R", "cat answer", str(disk)], capture_output=True, check=True)
    assert read.stdout == b"from the guest\n"


def test_a_missing_disk_is_one_line(tmp_path: Path) -> None:
    run = hartvisor("run", "hello", "--drive", str(tmp_path / "nowhere.img"))
    assert run.status == 2
    (line,) = run.err.splitlines()
    assert "nowhere.img" in line
