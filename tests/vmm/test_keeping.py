"""Named snapshots on disk: out of one VM's tree, and into another's, under another technique."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.inspector import Inspector, keeping
from hartvisor.core.vmm.recipe import Recipe
from hartvisor.core.vmm.store import Store
from hartvisor.guest import image

from .views.support import TECHNIQUES, do, run


def start(technique: str, memory: int = 32 << 20, name: str = "kernel") -> Inspector:
    recipe = Recipe.of(name, VmConfig(technique=technique, memory=memory), image(name))
    return Inspector(name, recipe.start(lambda data: None), recipe=recipe)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_what_is_stored_is_what_saving_the_vm_would_store(technique: str, tmp_path: Path) -> None:
    inspector = start(technique)
    run(inspector, 2_000_000)
    tree = keeping.tree_of(inspector)
    node = tree.save("booted", "a note")
    expected = digest(inspector.vm)
    run(inspector, 500_000)
    info = keeping.store(inspector, node.number, tmp_path / "s.db")
    assert (info.digest, info.steps, info.note, info.parent) == (expected, 2_000_000, "a note", None)
    store = Store(tmp_path / "s.db")
    assert list(store.verify()) == []
    vm, _ = store.restore("booted", lambda data: None)
    assert digest(vm) == expected
    store.close()


def test_the_store_knows_which_was_reached_over_which(tmp_path: Path) -> None:
    inspector = start("two-stage")
    tree, path = keeping.tree_of(inspector), tmp_path / "s.db"
    run(inspector, 1_000_000)
    first = tree.save("first")
    run(inspector, 1_000_000)
    tree.save("between")
    run(inspector, 1_000_000)
    last = tree.save("last")
    keeping.store(inspector, first.number, path)
    assert keeping.store(inspector, last.number, path, "kept").parent == "first"
    with pytest.raises(ConfigError, match="already"):
        keeping.store(inspector, last.number, path, "first")


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_stored_one_can_be_gone_to_like_any_other(technique: str, tmp_path: Path) -> None:
    """From a VM of one technique into the tree of another's, which then goes on as the first did."""
    first, path = start("shadow"), tmp_path / "s.db"
    run(first, 2_000_000)
    first.vm.inputs.push(CONSOLE, b"echo from afar\n")
    run(first, 1_000)
    node = keeping.tree_of(first).save("afar")
    keeping.store(first, node.number, path)
    at, there = digest(first.vm), first.step
    run(first, 1_000_000)
    later = digest(first.vm)

    inspector = start(technique)
    run(inspector, 1_000_000)
    before, output = digest(inspector.vm), inspector.output.upto(inspector.step)
    tree = keeping.tree_of(inspector)
    home = tree.save("home")
    loaded = keeping.load(inspector, path, "afar")
    again = keeping.load(inspector, path, "afar")
    assert loaded is not None and again is not None and again.name == "afar 2"
    do(keeping.restore(inspector, loaded.number))
    assert (digest(inspector.vm), inspector.step) == (at, there)
    assert inspector.output.upto(inspector.step) == b"" and not (inspector.log and len(inspector.log))
    run(inspector, 1_000_000)
    assert digest(inspector.vm) == later
    assert b"from afar" in inspector.output.upto(inspector.step)
    assert inspector.timeline is not None
    with pytest.raises(ConfigError, match="the past begins at"):
        inspector.timeline.goto(there - 1)
    do(keeping.restore(inspector, home.number))
    assert (digest(inspector.vm), inspector.output.upto(inspector.step)) == (before, output)
    do(keeping.restore(inspector, loaded.number))
    assert inspector.end == there + 1_000_000, "its future was kept"


def test_one_of_another_machine_is_not_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    other = start("bare", memory=64 << 20)
    keeping.store(other, keeping.tree_of(other).save("large").number, path)
    another = start("bare", name="hello")
    keeping.store(another, keeping.tree_of(another).save("hello").number, path)
    inspector = start("bare")
    assert keeping.load(inspector, path, "large") is None
    assert keeping.load(inspector, path, "hello") is None
    with pytest.raises(ConfigError, match="no snapshot 'none'"):
        keeping.load(inspector, path, "none")
    inspector.recipe = None
    with pytest.raises(ConfigError, match="in memory only"):
        keeping.load(inspector, path, "large")
