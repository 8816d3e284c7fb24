"""Kill a machine in the middle of heavy writes, again and again: what a flush has acknowledged must be on the disk.

    python -m tests.devices.virtio.cuts 100

A child process drives a block device, whose file loses what is not synced (faults.py), with the writes and flushes that
a seed determines, and reports each flush that its driver saw acknowledged. It is killed: by itself, just before some
store to the file, or by its parent, at some moment. The parent then looks at the disk: each sector must hold what was
last written to it before the last acknowledged flush, or whole what was written later, or, if the run wrote nothing
there, what it held before. The next child goes on with the same disk; raw images and overlays take turns.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.overlay import OverlayDisk, create_overlay, open_disk
from hartvisor.core.devices.virtio.storage import RawDisk, Storage

from .disk import Disk
from .faults import SECTOR, FaultyFile, Fuse
from .slot import Slot

ROOT = Path(__file__).resolve().parents[3]

MODULE = "tests.devices.virtio.cuts"
SECTORS = 8192
STAMP = Struct("<QQQQ")  # run, write, sector, their sum: 16 times a sector
NEVER = 1 << 62

#: The kinds of disk that take turns. A third, "lying", forgets to sync: the test of this test.
KINDS = ("raw", "overlay")


@dataclass(frozen=True)
class Operation:
    """A write of `count` sectors, or, where that is 0, a flush."""

    sector: int
    count: int


def operations(run: int) -> Iterator[Operation]:
    """What the child of this run does, without end: writes cluster in places, and every few there is a flush."""
    choose = random.Random(run)
    while True:
        place = choose.randrange(SECTORS)
        for _ in range(choose.randint(1, 12)):
            sector = min(SECTORS - 1, place + choose.randrange(300))
            yield Operation(sector, min(choose.choice([1, 2, 8, 64, 127]), SECTORS - sector))
        yield Operation(0, 0)


def content(run: int, write: int, sector: int) -> bytes:
    """What write number `write` of a run puts into a sector."""
    return STAMP.pack(run, write, sector, run + write + sector) * (SECTOR // STAMP.size)


# --- the child


def drive(kind: str, folder: Path, run: int, fuse: int) -> None:
    """Write and flush until killed; every acknowledged flush is a line with its operation's number."""
    disk = Disk(Slot(VirtioBlock(open_faulty(kind, folder, run, Fuse(fuse))), (16,)).driver)
    for number, operation in enumerate(operations(run)):
        if operation.count:
            sectors = range(operation.sector, operation.sector + operation.count)
            disk.write(operation.sector, b"".join(content(run, number, sector) for sector in sectors))
        else:
            disk.flush()
            os.write(1, b"%d\n" % number)


def open_faulty(kind: str, folder: Path, seed: int, fuse: Fuse) -> Storage:
    """The disk, on a file that loses what is not synced."""
    file = FaultyFile(folder / kind, seed, fuse)
    if kind == "overlay":
        return OverlayDisk(file, open_disk(folder / "base", is_read_only=True))
    return Lying(file) if kind == "lying" else RawDisk(file)


class Lying(RawDisk):
    """A disk whose flush does nothing."""

    def flush(self) -> None:
        """Promise everything."""


# --- the parent


class Cuts:
    """Disks of these kinds, and what they held after the last cut."""

    def __init__(self, folder: Path, kinds: tuple[str, ...] = KINDS) -> None:
        self.folder = folder
        self._kinds = kinds
        base = random.Random(0).randbytes(SECTORS * SECTOR)
        (folder / "base").write_bytes(base)
        for kind in kinds:
            if kind == "overlay":
                create_overlay(folder / kind, folder / "base")
            else:
                (folder / kind).write_bytes(base)
        self._base = base
        self._before = dict.fromkeys(kinds, base)

    def cut(self, run: int) -> str:
        """Let one child run, kill it, look; what happened, in a line. Raises AssertionError for a lost write."""
        choose = random.Random(f"cut {run}")
        kind = self._kinds[run % len(self._kinds)]
        by_itself = choose.random() < 0.7
        fuse = choose.randint(1, 4000) if by_itself else NEVER
        command = [sys.executable, "-m", MODULE, "drive", kind, self.folder, run, fuse]
        child = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, cwd=ROOT)
        assert child.stdout is not None
        if not by_itself:
            child.stdout.readline()
            time.sleep(choose.uniform(0, 0.15))
            child.kill()
        lines = child.stdout.read().splitlines()
        child.stdout.close()
        assert child.wait() == -9, f"the child of run {run} failed"
        flushed = int(lines[-1]) if lines else -1
        rewritten = self._look(kind, run, flushed)
        how = f"before store {fuse} to the file" if by_itself else "by the parent"
        return f"run {run}: {kind}, killed {how}; {len(lines)} flushes seen, {rewritten} later writes survived in part"

    def _look(self, kind: str, run: int, flushed: int) -> int:
        """Compare the disk with what it may hold; returns how many writes since the last flush left a trace."""
        disk = open_disk(self.folder / kind)
        now = disk.read(0, SECTORS * SECTOR)
        disk.close()
        assert (self.folder / "base").read_bytes() == self._base
        durable: dict[int, int] = {}  # sector: the last write to it that a flush acknowledged
        later: set[tuple[int, int]] = set()
        survived = set()
        for number, operation in enumerate(operations(run)):
            if number > flushed and not operation.count:
                break  # that flush was not acknowledged, so the child did nothing behind it
            sectors = range(operation.sector, operation.sector + operation.count)
            if number < flushed:
                durable.update(dict.fromkeys(sectors, number))
            else:
                later.update((sector, number) for sector in sectors)
        for sector in range(SECTORS):
            found = now[sector * SECTOR : (sector + 1) * SECTOR]
            kept = content(run, durable[sector], sector) if sector in durable else self._slice(kind, sector)
            if found != kept:
                _, write, _, _ = STAMP.unpack_from(found)
                assert (sector, write) in later, f"run {run}: sector {sector} of {kind} was lost"
                assert found == content(run, write, sector), f"run {run}: sector {sector} of {kind} is torn"
                survived.add(write)
        self._before[kind] = now
        return len(survived)

    def _slice(self, kind: str, sector: int) -> bytes:
        return self._before[kind][sector * SECTOR : (sector + 1) * SECTOR]


def main(arguments: list[str]) -> None:
    """`drive …` is the child; else the number of cuts to make."""
    if arguments[0] == "drive":
        kind, folder, run, fuse = arguments[1:]
        drive(kind, Path(folder), int(run), int(fuse))
    with tempfile.TemporaryDirectory() as folder:
        cuts = Cuts(Path(folder))
        for run in range(int(arguments[0])):
            print(cuts.cut(run), flush=True)
    print(f"{arguments[0]} cuts: every acknowledged flush is intact")


if __name__ == "__main__":
    main(sys.argv[1:])
