"""What each side writes down, so that a VM is neither lost nor in two places, whatever is cut or killed.

    <migration>.<side>.json      how far this side has come
    <migration>.<side>.hvm       the VM: frames as on the link (HELLO, PAGES, STATE), to make it again from
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final

from ...errors import ConfigError
from ..plain import DamagedError, dumps, loads
from ..recipe import Recipe
from ..state import VmState
from ..vm import Vm
from .wire import BATCH, Hello, Kind, pack, pack_pages, read_frames, unpack_pages

SOURCE: Final = "source"
TARGET: Final = "target"


class Phase(Enum):
    """How far a side has come."""

    UNDECIDED = "undecided"  # the VM stands still here, and perhaps there; a person says whose it is
    GIVEN = "given"          # it is the target's
    OWNED = "owned"          # it is ours, and runs, or ran


@dataclass(frozen=True)
class Record:
    """One side's note. migration: its name. side: SOURCE or TARGET. peer: where the other side is, for people."""

    migration: str
    side: str
    phase: Phase
    image: str
    steps: int
    peer: str


class Records:
    """The notes in a folder, made if need be. Raises ConfigError where the host fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: {error.strerror}") from None

    def note(self, record: Record, *, is_durable: bool = True) -> None:
        """Write a note, durably unless told otherwise, in place of the one before."""
        path = self._path(record.migration, record.side, "json")
        fresh = path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(dumps(record))
                if is_durable:
                    make_durable(file)
            fresh.replace(path)
            if is_durable:
                self._sync_folder()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None

    def find(self, migration: str, side: str) -> Record | None:
        """A note, if there is one. Raises DamagedError."""
        path = self._path(migration, side, "json")
        try:
            return loads(Record, path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except DamagedError as error:
            raise DamagedError(f"{path}: {error}") from None

    def all(self) -> list[Record]:
        """Every note."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            migration, side = path.stem.rsplit(".", 1)
            record = self.find(migration, side)
            if record is not None:
                found.append(record)
        return found

    def forget(self, migration: str, side: str) -> None:
        """Remove the note, and the VM."""
        for suffix in ("json", "hvm"):
            self._path(migration, side, suffix).unlink(missing_ok=True)

    # --- the VM

    def open_journal(self, migration: str, side: str) -> BinaryIO:
        """A new file for the VM's frames."""
        path = self._path(migration, side, "hvm")
        try:
            return path.open("wb")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None

    def save(self, vm: Vm, hello: Hello, side: str) -> None:
        """Write the whole VM down, durably."""
        with self.open_journal(hello.migration, side) as file:
            file.write(pack(Kind.HELLO, dumps(hello)))
            for index, source in enumerate(vm.paged):
                numbers = source.written()
                for start in range(0, len(numbers), BATCH):
                    pages = [(index, number, source.read_page(number)) for number in numbers[start : start + BATCH]]
                    file.write(pack(Kind.PAGES, pack_pages(pages)))
            file.write(pack(Kind.STATE, dumps(vm.save())))
            make_durable(file)

    def load(self, migration: str, side: str) -> tuple[Recipe, list[bytes], VmState]:
        """Recipe, bodies of PAGES frames in their order, and state, of a VM that was written down.

        Raises ConfigError where there is none, DamagedError where it is not whole.
        """
        path = self._path(migration, side, "hvm")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        hello: Hello | None = None
        state: VmState | None = None
        pages = []
        try:
            for kind, body in read_frames(data):
                if kind is Kind.HELLO:
                    hello = loads(Hello, body)
                elif kind is Kind.PAGES:
                    pages.append(body)
                elif kind is Kind.STATE:
                    state = loads(VmState, body)
        except DamagedError as error:
            raise DamagedError(f"{path}: {error}") from None
        if hello is None or state is None:
            raise DamagedError(f"{path}: cut off; there is no whole VM in it")
        return hello.recipe, pages, state

    def _path(self, migration: str, side: str, suffix: str) -> Path:
        return self.folder / f"{migration}.{side}.{suffix}"

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_durable(file: BinaryIO) -> None:
    """Return when what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def put_pages(vm: Vm, body: bytes) -> int:
    """Put the pages of a PAGES frame in place; how many they were. Raises DamagedError."""
    paged, count = vm.paged, 0
    for index, number, data in unpack_pages(body):
        if index >= len(paged):
            raise DamagedError(f"pages of part {index}: this VM has {len(paged)}")
        try:
            paged[index].write_page(number, data)
        except (KeyError, ValueError):
            raise DamagedError(f"page {number:#x} lies outside the VM") from None
        count += 1
    return count
