"""The snapshot store: what is saved comes back, a crash leaves old or new, damage is named and stays where it is."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.plain import DamagedError
from hartvisor.core.vmm.recipe import DriveRef, Recipe
from hartvisor.core.vmm.store import Store
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")


def ignore(data: bytes) -> None:
    """The guest's output."""


def kernel(folder: Path, technique: str = "shadow") -> tuple[Vm, Recipe]:
    """tern at work, with a disk."""
    disk = folder / "disk.img"
    if not disk.exists():
        disk.write_bytes(bytes(16384))
    recipe = Recipe.of("kernel", VmConfig(technique=technique, memory=32 << 20, append="workload=1"), image("kernel"),
                       drives=(DriveRef.of(disk, False),))
    return recipe.start(ignore), recipe


def fill(folder: Path) -> tuple[Path, dict[str, str]]:
    """A store with a line of three snapshots, and the digest of each."""
    path = folder / "snapshots.db"
    store = Store(path)
    vm, recipe = kernel(folder)
    vm.board.memory_disks[0].write(4096, b"on disk")
    digests, parent = {}, None
    for name in ("first", "second", "third"):
        vm.run(400_000)
        digests[name] = store.save(name, vm, recipe, note=f"the {name}", parent=parent).digest
        parent = name
    store.close()
    return path, digests


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_every_snapshot_comes_back_under_every_technique(tmp_path: Path, technique: str) -> None:
    """Equal digests, and an equal future."""
    path, digests = fill(tmp_path)
    store = Store(path)
    futures = set()
    for name, expected in digests.items():
        vm, recipe = store.restore(name, ignore, technique)
        assert digest(vm) == expected
        assert recipe.technique == technique
        assert vm.board.memory_disks[0].read(4096, 7) == b"on disk"
        vm.run(2_000_000 - vm.steps)
        futures.add(digest(vm))
    assert len(futures) == 1


def test_the_list_tells_the_tree(tmp_path: Path) -> None:
    """Names, notes, parents, steps; a snapshot taken after going back has the one it went back to as its parent."""
    path, _ = fill(tmp_path)
    store = Store(path)
    vm, recipe = store.restore("first", ignore)
    vm.run(1000)
    store.save("other", vm, recipe, parent="first")
    store.branch("second", "twin", note="to try something")
    assert [(info.name, info.parent) for info in store.list()] == [
        ("first", None), ("second", "first"), ("third", "second"), ("other", "first"), ("twin", "second")]
    assert [info.note for info in store.list()][:2] == ["the first", "the second"]
    assert store.load("twin").state == store.load("second").state


def test_deleting_keeps_what_others_need(tmp_path: Path) -> None:
    """The children get the grandparent, the pages that nobody else has go, all else comes back."""
    path, digests = fill(tmp_path)
    store = Store(path)
    assert store.delete("second") > 0
    assert [(info.name, info.parent) for info in store.list()] == [("first", None), ("third", "first")]
    for name in ("first", "third"):
        assert digest(store.restore(name, ignore)[0]) == digests[name]
    assert list(store.verify()) == []
    with pytest.raises(ConfigError, match="no snapshot 'second'; there are: first, third"):
        store.delete("second")


def test_a_copy_is_whole(tmp_path: Path) -> None:
    """Export and import: one snapshot in a store of its own."""
    path, digests = fill(tmp_path)
    target = Store(tmp_path / "export.db")
    Store(path).copy("second", target, "here")
    assert [(info.name, info.parent) for info in target.list()] == [("here", None)]
    assert digest(target.restore("here", ignore)[0]) == digests["second"]
    with pytest.raises(ConfigError, match="there is a snapshot 'here' already"):
        Store(path).copy("first", target, "here")


def test_a_second_save_adds_what_changed(tmp_path: Path) -> None:
    """Pages are there once; the same VM's next snapshot adds few."""
    path, _ = fill(tmp_path)
    store = Store(path)
    counts = [len({key for pages in store.load(name).maps for key in pages.values()}) for name in ("first", "second")]
    (total,) = sqlite3.connect(path).execute("SELECT count(*) FROM pages").fetchone()
    assert total < sum(counts)


def damage_page(path: Path, name: str) -> int:
    """Break a page that `name` alone has; its number."""
    store = Store(path)
    others = {key for info in store.list() if info.name != name for pages in store.load(info.name).maps
              for key in pages.values()}
    number, key = next((number, key) for number, key in store.load(name).maps[0].items() if key not in others)
    store.close()
    database = sqlite3.connect(path)
    database.execute("UPDATE pages SET data = zeroblob(20) WHERE hash = ?", (key,))
    database.commit()
    return number


def test_a_damaged_page_is_named_and_the_rest_restored(tmp_path: Path) -> None:
    """By page and snapshot; the other snapshots come back."""
    path, digests = fill(tmp_path)
    number = damage_page(path, "second")
    store = Store(path)
    assert list(store.verify()) == [f"snapshot 'second': page {number << 12:#x} is damaged"]
    with pytest.raises(DamagedError, match=f"snapshot 'second': page {number << 12:#x} is damaged"):
        store.restore("second", ignore)
    for name in ("first", "third"):
        assert digest(store.restore(name, ignore)[0]) == digests[name]


@pytest.mark.parametrize("column", ["recipe", "state", "maps", "digest", "checksum"])
def test_a_damaged_row_is_named(tmp_path: Path, column: str) -> None:
    """A change anywhere in a snapshot's row."""
    path, digests = fill(tmp_path)
    database = sqlite3.connect(path)
    (value,) = database.execute(f"SELECT {column} FROM snapshots WHERE name = 'third'").fetchone()
    changed = value[:-1] + ("?" if isinstance(value, str) else bytes([value[-1] ^ 1]))
    database.execute(f"UPDATE snapshots SET {column} = ? WHERE name = 'third'", (changed,))
    database.commit()
    store = Store(path)
    assert list(store.verify()) == ["snapshot 'third' is damaged: its checksum is wrong"]
    with pytest.raises(DamagedError, match="'third' is damaged"):
        store.restore("third", ignore)
    assert digest(store.restore("second", ignore)[0]) == digests["second"]


def test_foreign_and_broken_files_are_refused(tmp_path: Path) -> None:
    """Text, another program's database, a cut store: one line each, and the file stays as it is."""
    path, _ = fill(tmp_path)
    whole = path.read_bytes()
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE things (x)")
    for name, data, message in (("text", b"hello, world" * 100, "no snapshot store"),
                                ("other.db", other.read_bytes(), "an SQLite file, but no snapshot store"),
                                ("cut", whole[: len(whole) // 2 // 4096 * 4096], "damaged|malformed")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises((DamagedError, ConfigError), match=message):
            store = Store(tmp_path / name)
            assert list(store.verify()) != []
            raise DamagedError("damaged")
        assert (tmp_path / name).read_bytes() == data
    with pytest.raises(ConfigError, match="no such snapshot store"):
        Store(tmp_path / "absent", is_made=False)


SAVER = """
import sys
from pathlib import Path
from tests.vmm.test_store import kernel
from hartvisor.core.vmm.store import Store
folder = Path(sys.argv[1])
vm, recipe = kernel(folder)
store = Store(folder / "snapshots.db")
print("ready", flush=True)
for number in range(10_000):
    vm.run(20_000)
    store.save(f"s{number}", vm, recipe)
    print(number, flush=True)
"""


def test_a_kill_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """kill -9 in the midst of saving, five times: every snapshot that was reported is there and whole."""
    for round_ in range(5):
        folder = tmp_path / str(round_)
        folder.mkdir()
        process = subprocess.Popen([sys.executable, "-c", SAVER, str(folder)], stdout=subprocess.PIPE, text=True,
                                   cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        last = -1
        for _ in range(round_ % 4 + 1):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        last = max([last, *(int(line) for line in process.stdout.read().split())])
        process.wait()
        process.stdout.close()
        store = Store(folder / "snapshots.db")
        assert list(store.verify()) == []
        assert {f"s{number}" for number in range(last + 1)} <= {info.name for info in store.list()}
        store.close()


def test_a_store_in_use_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process writes, a save waits, and then ends in one line."""
    monkeypatch.setattr("hartvisor.core.vmm.store.PATIENCE", 0.1)
    path, _ = fill(tmp_path)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    vm, recipe = kernel(tmp_path)
    store = Store(path)
    with pytest.raises(ConfigError, match="in use by another process"):
        store.save("late", vm, recipe)
    database.execute("ROLLBACK")
    store.save("late", vm, recipe)
    assert digest(store.restore("late", ignore)[0]) == digest(vm)
