"""Debian's drivers and our devices: one boot of a VM with a disk, two folders, an entropy source, a balloon and a
second console, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b, md5
from pathlib import Path

import pytest

from .support import Run, answers, hartvisor, require_debian
from .test_disk import WRITE, Tools

FOLDER = b"""mkdir a b
mount -t 9p -o trans=virtio,version=9p2000.L share a
mount -t 9p -o trans=virtio,version=9p2000.L look b
cp a/big a/sub/copy; md5sum <a/sub/copy
mv a/sub/copy a/moved; rm a/big
echo appended >>a/moved
mkdir a/new; ln -s moved a/link; readlink a/link
rmdir a/sub; echo rmdir $?
cat a/escape || echo no way out
cat b/greeting
echo spoilt >b/greeting || echo still whole
umount a; umount b
"""
OTHERS = b"""cat /sys/class/misc/hw_random/rng_current
echo random $(dd if=/dev/hwrng bs=32 count=1 2>/dev/null | od -An -tx1 -v)
echo to the second console >/dev/hvc0
echo $(free -k | grep Mem) $(grep balloon_ /proc/vmstat)
rmmod virtio_balloon
echo $(free -k | grep Mem) $(grep balloon_ /proc/vmstat)
poweroff -f
"""
BIG = bytes(range(251)) * 4000  # a megabyte, and no page like another
SEED = b"any"
INFLATED = 32 << 20


@dataclass(frozen=True)
class Booted:
    """The run, what its shell said, and the host's files after it."""

    run: Run
    said: list[bytes]
    folder: Path


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> Booted:
    require_debian()
    folder = tmp_path_factory.mktemp("host")
    for name in ("rw/sub", "ro"):
        (folder / name).mkdir(parents=True)
    (folder / "rw/big").write_bytes(BIG)
    (folder / "rw/escape").symlink_to("../ro/greeting")
    (folder / "ro/greeting").write_text("look, do not touch\n")
    Tools.find().make(folder / "disk.img")
    run = hartvisor(
        "run", "debian", "--technique", "two-stage", "--memory", "256M", "--drive", str(folder / "disk.img"),
        "--share", str(folder / "rw"), "--share", f"{folder / 'ro'},tag=look,ro",
        "--device", f"rng,seed={SEED.decode()}",
        "--device", f"balloon,size={INFLATED >> 20}M", "--device", f"console,file={folder / 'hvc0'}",
        typed=WRITE + FOLDER + OTHERS)
    return Booted(run, answers(run.out), folder)


def test_the_guest_powers_off(booted: Booted) -> None:
    assert booted.run.status == 0, booted.run.err


def test_an_ext4_disk_is_mounted_and_written(booted: Booted) -> None:
    assert b"from the host" in booted.said
    Tools.find().check_answer(booted.folder / "disk.img")


def test_a_shared_folder_is_read_and_written(booted: Booted) -> None:
    folder = booted.folder / "rw"
    assert md5(BIG).hexdigest().encode() + b"  -" in booted.said
    assert (folder / "moved").read_bytes() == BIG + b"appended\n"
    assert sorted(each.name for each in folder.iterdir()) == ["escape", "link", "moved", "new"]
    assert (folder / "link").readlink() == Path("moved") and b"moved" in booted.said
    assert b"rmdir 0" in booted.said


def test_no_link_leads_out_of_it(booted: Booted) -> None:
    assert b"no way out" in booted.said


def test_one_shared_for_reading_stays_as_it_is(booted: Booted) -> None:
    assert b"look, do not touch" in booted.said and b"still whole" in booted.said
    assert (booted.folder / "ro/greeting").read_text() == "look, do not touch\n"


def test_the_entropy_source_gives_the_stream_of_its_seed(booted: Booted) -> None:
    """Of which the kernel has taken some before."""
    stream = b"".join(blake2b(SEED + number.to_bytes(8, "little")).digest() for number in range(200))
    (line,) = (line for line in booted.said if line.startswith(b"random "))
    assert b"virtio_rng.0" in booted.said
    given = bytes.fromhex(line.removeprefix(b"random ").decode())
    assert len(given) == 32 and given in stream


def test_a_second_console_prints(booted: Booted) -> None:
    assert (booted.folder / "hvc0").read_bytes() == b"to the second console\r\n"


def test_the_balloon_takes_memory_and_gives_it_back(booted: Booted) -> None:
    full, empty = ([int(word) for word in line.split() if word.isdigit()]
                   for line in booted.said if line.startswith(b"Mem: "))
    pages = INFLATED >> 12
    assert (full[6:8], empty[6:8]) == ([pages, 0], [pages, pages])
    assert empty[2] - full[2] > (INFLATED >> 10) - 4096  # KiB free
