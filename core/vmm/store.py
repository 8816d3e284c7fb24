"""Snapshots on disk: one SQLite file with a tree of them.

    snapshots   name, note, parent, when, steps, digest; compressed: recipe, state, maps (page number to page's hash)
    pages       the pages, by the blake2b-128 of their 4096 bytes, compressed; each is there once, whoever has it

A save is one transaction: a crash leaves the store as it was, or with the new snapshot whole. Everything is checked
when it is read: a page against its hash, the rest against a checksum. What is damaged is named; the rest is still
there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Any, Final

import zstandard

from ..errors import ConfigError
from ..machine.paged import DirtyLog
from .digest import digest, digest_of
from .plain import DamagedError, dumps, loads
from .recipe import Recipe
from .snapshots import Snapshot
from .state import VmState
from .vm import Vm

APPLICATION: Final = 0x48565353
"""What SQLite's application_id says of a store of ours: "HVSS"."""

FORMAT: Final = 1
HASH_SIZE: Final = 16
LEVEL: Final = 1
"""zstd's: pages compress hardly better at higher ones."""

PATIENCE: Final = 5.0
"""Seconds to wait for another process that writes."""

MOST: Final = 1 << 30
"""Bytes that anything here unpacks to, at most."""

ENTRY = Struct("<Q16s")

SCHEMA: Final = """
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, note TEXT NOT NULL, parent INTEGER REFERENCES snapshots(id),
    created TEXT NOT NULL, steps INTEGER NOT NULL, digest TEXT NOT NULL, recipe BLOB NOT NULL, state BLOB NOT NULL,
    maps BLOB NOT NULL, checksum BLOB NOT NULL);
CREATE TABLE pages (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
"""
COLUMNS: Final = "name, note, parent, created, steps, digest, recipe, state, maps, checksum"

Map = dict[int, bytes]
"""Of one Paged: the hash of each page that is not as at first."""


@dataclass(frozen=True)
class Info:
    """What the list of snapshots says of one. parent: the name of the one it was reached from. created: ISO 8601."""

    name: str
    note: str
    parent: str | None
    created: str
    steps: int
    digest: str


@dataclass(frozen=True)
class Saved:
    """A snapshot that was read. maps: of RAM, then of each disk kept in memory."""

    info: Info
    recipe: Recipe
    state: VmState
    maps: tuple[Map, ...]


class Store:
    """A store, made if `path` is not there. Raises ConfigError or DamagedError where it cannot be one.

    Every method raises ConfigError for names that are not there or taken already, and where the host fails.
    """

    def __init__(self, path: Path, *, is_made: bool = True) -> None:
        self.path = path
        self._vm: Vm | None = None
        self._maps: tuple[Map, ...] = ()
        if not is_made and not path.exists():
            raise ConfigError(f"{path}: no such snapshot store")
        try:
            path.absolute().parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"{path}: {error}") from None
        try:
            with self._named():
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        (found,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not found and not tables:
            self._db.executescript(f"BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; "
                                   f"PRAGMA user_version = {FORMAT}; COMMIT")
        elif found != APPLICATION:
            raise DamagedError(f"{self.path}: an SQLite file, but no snapshot store")
        elif version != FORMAT:
            raise DamagedError(f"{self.path}: a snapshot store of format {version}; this version knows {FORMAT}")
        self._db.execute("PRAGMA synchronous = FULL")

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    # --- saving

    def save(self, name: str, vm: Vm, recipe: Recipe, *, note: str = "", parent: str | None = None) -> Info:
        """Keep the VM's present state. parent: the snapshot that it was reached from.

        The second time for the same VM costs what was stored to in between.
        """
        maps, fresh = self._changed(vm)
        state = vm.save()
        info = Info(name, note, parent, _now(), state.steps, digest(vm))
        try:
            self._write(info, recipe, state, maps, fresh)
        except BaseException:
            self._vm = None         # what was taken from the dirty log is in no snapshot
            raise
        return info

    def put(self, name: str, snapshot: Snapshot, recipe: Recipe, *, note: str = "", parent: str | None = None) -> Info:
        """Keep a snapshot from memory (snapshots.py), of a VM made by the recipe."""
        contents = [snapshot.all_pages(index) for index in range(len(snapshot.pages))]
        kept = [{number: data for number, data in pages.items() if data is not None} for pages in contents]
        state: VmState = snapshot.state
        info = Info(name, note, parent, _now(), state.steps, digest_of(state, kept[0]))
        maps = tuple({number: _hash(data) for number, data in pages.items()} for pages in kept)
        fresh = {maps[index][number]: data for index, pages in enumerate(kept) for number, data in pages.items()}
        self._write(info, recipe, state, maps, fresh)
        return info

    def _write(self, info: Info, recipe: Recipe, state: VmState, maps: tuple[Map, ...],
               fresh: dict[bytes, bytes]) -> None:
        with self._transaction():
            self._insert(info, _pack(dumps(recipe)), _pack(dumps(state)), _pack(_join(maps)))
            compressor = zstandard.ZstdCompressor(level=LEVEL)
            known = self._db.cursor()
            known.executemany("INSERT OR IGNORE INTO pages VALUES (?, ?)",
                              ((key, compressor.compress(data)) for key, data in fresh.items()))

    def _changed(self, vm: Vm) -> tuple[tuple[Map, ...], dict[bytes, bytes]]:
        """The maps of the present state, and the pages that may be new here, by hash."""
        if self._vm is not vm:
            self._vm, self._maps = vm, tuple({} for _ in vm.paged)
            for source in vm.paged:
                source.take_dirty(DirtyLog.STORE)
            changed = [source.written() for source in vm.paged]
        else:
            changed = [source.take_dirty(DirtyLog.STORE) for source in vm.paged]
        fresh: dict[bytes, bytes] = {}
        for source, pages, numbers in zip(vm.paged, self._maps, changed, strict=True):
            for number in numbers:
                data = source.read_page(number)
                if data is None:
                    pages.pop(number, None)
                else:
                    key = _hash(data)
                    pages[number] = key
                    fresh[key] = data
        return self._maps, fresh

    def _insert(self, info: Info, recipe: bytes, state: bytes, maps: bytes) -> None:
        parent = self._row(info.parent)["id"] if info.parent is not None else None
        if self._db.execute("SELECT 1 FROM snapshots WHERE name = ?", (info.name,)).fetchone():
            raise ConfigError(f"{self.path}: there is a snapshot {info.name!r} already; choose another name")
        self._db.execute(f"INSERT INTO snapshots ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                         (info.name, info.note, parent, info.created, info.steps, info.digest, recipe, state, maps,
                          _checksum(info.steps, info.digest, recipe, state, maps)))

    # --- reading

    def list(self) -> list[Info]:
        """All snapshots, oldest first."""
        with self._named():
            rows = self._db.execute(
                "SELECT s.name, s.note, p.name, s.created, s.steps, s.digest FROM snapshots s "
                "LEFT JOIN snapshots p ON p.id = s.parent ORDER BY s.id").fetchall()
        return [Info(*row) for row in rows]

    def load(self, name: str) -> Saved:
        """A snapshot without its pages. Raises DamagedError."""
        with self._named():
            row = self._row(name)
        parts = row["recipe"], row["state"], row["maps"]
        if _checksum(row["steps"], row["digest"], *parts) != row["checksum"]:
            raise DamagedError(f"{self.path}: snapshot {name!r} is damaged: its checksum is wrong")
        recipe, state, maps = (_unpack(part, f"{self.path}: snapshot {name!r}") for part in parts)
        info = next(info for info in self.list() if info.name == name)
        return Saved(info, loads(Recipe, recipe), loads(VmState, state), _split(maps, f"{self.path}: {name!r}"))

    def page(self, key: bytes) -> bytes | None:
        """A page by its hash; None where it is missing or damaged."""
        try:
            found = self._db.execute("SELECT data FROM pages WHERE hash = ?", (key,)).fetchone()
            data = zstandard.decompress(found[0], MOST) if found is not None else b""
        except (sqlite3.DatabaseError, zstandard.ZstdError):
            return None
        return data if found is not None and _hash(data) == key else None

    def restore(self, name: str, output: Callable[[bytes], None], technique: str | None = None) -> tuple[Vm, Recipe]:
        """A VM that goes on from a snapshot, and its recipe; under another technique, if given. Raises DamagedError,
        before there is a VM, where anything of it is damaged."""
        saved = self.load(name)
        pages = self.contents(saved)
        recipe = saved.recipe.under(technique or saved.recipe.technique)
        vm = recipe.blank(output)
        if len(vm.paged) != len(pages):
            raise DamagedError(f"{self.path}: snapshot {name!r} has {len(pages) - 1} disks, its recipe another number")
        for source, contents in zip(vm.paged, pages, strict=True):
            for number, data in contents.items():
                source.write_page(number, data)
        vm.restore(saved.state)
        return vm, recipe

    def contents(self, saved: Saved) -> tuple[dict[int, bytes], ...]:
        """The pages of a snapshot that was read: of RAM, then of each disk kept in memory. Raises DamagedError."""
        return tuple(self._pages(saved, index) for index in range(len(saved.maps)))

    def _pages(self, saved: Saved, index: int) -> dict[int, bytes]:
        contents = {}
        for number, key in saved.maps[index].items():
            data = self.page(key)
            if data is None:
                raise DamagedError(f"{self.path}: snapshot {saved.info.name!r}: {where(index, number)} is damaged; "
                                   "`hartvisor snapshot verify` lists all that is")
            contents[number] = data
        return contents

    def verify(self) -> Iterator[str]:
        """What is damaged, a line each; nothing where all is well."""
        good: dict[bytes, bool] = {}
        for info in self.list():
            try:
                saved = self.load(info.name)
            except DamagedError as error:
                yield str(error).removeprefix(f"{self.path}: ")
                continue
            for index, pages in enumerate(saved.maps):
                for number, key in pages.items():
                    if key not in good:
                        good[key] = self.page(key) is not None
                    if not good[key]:
                        yield f"snapshot {info.name!r}: {where(index, number)} is damaged"

    # --- the tree

    def branch(self, name: str, new: str, note: str = "") -> Info:
        """Another name for the state of `name`, as its child, to go on from separately."""
        saved = self.load(name)
        with self._transaction():
            row = self._row(name)
            info = Info(new, note, name, _now(), row["steps"], row["digest"])
            self._insert(info, row["recipe"], row["state"], row["maps"])
        assert saved.info.name == name
        return info

    def delete(self, name: str) -> int:
        """Forget a snapshot; its children become its parent's. Returns how many pages nobody else had."""
        with self._transaction():
            row = self._row(name)
            self._db.execute("UPDATE snapshots SET parent = ? WHERE parent = ?", (row["parent"], row["id"]))
            self._db.execute("DELETE FROM snapshots WHERE id = ?", (row["id"],))
            kept = {key for (maps,) in self._db.execute("SELECT maps FROM snapshots").fetchall()
                    for pages in _split(_unpack(maps, str(self.path)), str(self.path)) for key in pages.values()}
            gone = [key for (key,) in self._db.execute("SELECT hash FROM pages").fetchall() if key not in kept]
            self._db.executemany("DELETE FROM pages WHERE hash = ?", ((key,) for key in gone))
        return len(gone)

    def copy(self, name: str, target: Store, new: str | None = None) -> Info:
        """Put a snapshot, without its relatives, into another store. Raises DamagedError where it is damaged."""
        saved = self.load(name)
        keys = {key for pages in saved.maps for key in pages.values()}
        for index in range(len(saved.maps)):
            self._pages(saved, index)
        info = Info(new or name, saved.info.note, None, saved.info.created, saved.info.steps, saved.info.digest)
        with self._named():
            row = self._row(name)
            packed = [(key, self._db.execute("SELECT data FROM pages WHERE hash = ?", (key,)).fetchone()[0])
                      for key in keys]
        with target._transaction():
            target._insert(info, row["recipe"], row["state"], row["maps"])
            target._db.executemany("INSERT OR IGNORE INTO pages VALUES (?, ?)", packed)
        return info

    # --- SQLite

    def _row(self, name: str | None) -> dict[str, Any]:
        cursor = self._db.execute("SELECT * FROM snapshots WHERE name = ?", (name,))
        row = cursor.fetchone()
        if row is None:
            known = ", ".join(each for (each,) in self._db.execute("SELECT name FROM snapshots ORDER BY id")) or "none"
            raise ConfigError(f"{self.path}: no snapshot {name!r}; there are: {known}")
        return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}

    @contextmanager
    def _named(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            why = "in use by another process" if "locked" in str(error) else str(error)
            raise ConfigError(f"{self.path}: {why}") from None
        except sqlite3.DatabaseError as error:
            raise DamagedError(f"{self.path}: no snapshot store, or a damaged one: {error}") from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All, or nothing."""
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


def where(index: int, number: int) -> str:
    """What to call a page: of RAM, by its GPA, or of a disk."""
    return f"page {number << 12:#x}" if index == 0 else f"page {number} of disk {index - 1}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=HASH_SIZE).digest()


def _checksum(steps: int, state_digest: str, *parts: bytes) -> bytes:
    whole = blake2b(f"{steps} {state_digest}".encode(), digest_size=HASH_SIZE)
    for part in parts:
        whole.update(len(part).to_bytes(8, "little") + part)
    return whole.digest()


def _pack(data: bytes) -> bytes:
    return zstandard.compress(data, LEVEL)


def _unpack(data: bytes, what: str) -> bytes:
    try:
        return zstandard.decompress(data, MOST)
    except zstandard.ZstdError as error:
        raise DamagedError(f"{what} is damaged: {error}") from None


def _join(maps: tuple[Map, ...]) -> bytes:
    """The maps one behind the other: how many entries, then number and hash of each."""
    parts = []
    for pages in maps:
        parts.append(len(pages).to_bytes(8, "little"))
        parts += [ENTRY.pack(number, key) for number, key in sorted(pages.items())]
    return b"".join(parts)


def _split(data: bytes, what: str) -> tuple[Map, ...]:
    maps, at = [], 0
    while at < len(data):
        count = int.from_bytes(data[at : at + 8], "little")
        at += 8
        end = at + count * ENTRY.size
        if end > len(data):
            raise DamagedError(f"{what} is damaged: its map of pages is cut off")
        maps.append(dict(ENTRY.iter_unpack(data[at:end])))
        at = end
    return tuple(maps)
