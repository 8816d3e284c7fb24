"""Named snapshots: every one can be gone back to, on whatever history it lies, with its past and its future."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.inspector import Inspector
from hartvisor.core.vmm.snapshot_tree import SnapshotTree
from hartvisor.core.vmm.timeline import Timeline

from .views.support import TECHNIQUES, run, tern


@dataclass(frozen=True)
class Known:
    """What a VM was at some moment: its state, what had been written, how many exits there had been."""

    step: int
    digest: str
    output: bytes
    exits: int


def known(inspector: Inspector) -> Known:
    log = inspector.log
    return Known(inspector.step, digest(inspector.vm), inspector.output.upto(inspector.step),
                 log.first_at(inspector.step) if log is not None else 0)


def parts(inspector: Inspector) -> tuple[Timeline, SnapshotTree]:
    assert inspector.timeline is not None and inspector.snapshots is not None
    return inspector.timeline, inspector.snapshots


def shell(technique: str) -> Inspector:
    """tern at its prompt."""
    inspector = tern(technique, append="")
    run(inspector, 2_000_000)
    return inspector


def type_to(inspector: Inspector, text: bytes) -> None:
    inspector.vm.inputs.push(CONSOLE, text)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_both_ways_from_one_place_are_kept(technique: str) -> None:
    """Two commands typed at the same step, in two histories; each is there again with its output and exits."""
    inspector = shell(technique)
    timeline, tree = parts(inspector)
    start = tree.save("prompt")
    at_start = known(inspector)
    type_to(inspector, b"echo one\n")
    run(inspector, 1_000_000)
    one, at_one = tree.save("one"), known(inspector)
    run(inspector, 500_000)
    end = known(inspector)

    tree.restore(start)
    assert known(inspector) == at_start
    assert timeline.end == end.step, "the way to `one` lies ahead"
    type_to(inspector, b"echo two\n")
    assert len(tree.lines) == 1, "it has a name on it, so it was kept"
    run(inspector, 1_000_000)
    two, at_two = tree.save("two"), known(inspector)
    assert b"two" in at_two.output and b"one" not in at_two.output

    tree.restore(one)
    assert known(inspector) == at_one
    assert timeline.end == end.step
    run(inspector, end.step - inspector.step)
    assert known(inspector) == end
    tree.restore(two)
    assert known(inspector) == at_two
    timeline.goto(at_start.step)
    assert known(inspector) == at_start
    timeline.goto(two.step)
    assert known(inspector) == at_two
    tree.restore(start)
    assert known(inspector) == at_start


def test_without_a_name_the_future_is_forgotten_and_a_branch_keeps_it() -> None:
    inspector = shell("two-stage")
    timeline, tree = parts(inspector)
    run(inspector, 500_000)
    timeline.goto(2_000_000)
    type_to(inspector, b"ls\n")
    assert (timeline.end, tree.lines) == (2_000_000, [])
    with pytest.raises(ConfigError, match="nothing lies ahead"):
        tree.branch()
    run(inspector, 500_000)
    end = known(inspector)
    timeline.goto(2_200_000)
    tree.branch()
    assert (timeline.end, len(tree.lines)) == (2_200_000, 1)
    type_to(inspector, b"ps\n")
    run(inspector, 100_000)
    tree.restore_end(tree.lines[0])
    assert known(inspector) == end
    assert len(tree.lines) == 1, "the history of ps was left, and kept"
    tree.drop(tree.lines[0])
    assert tree.lines == [] and len(timeline.kept) == 0


def test_a_snapshot_knows_what_was_typed_at_its_step() -> None:
    """Before and after a key, at the same step; and before and after a change by hand."""
    inspector = shell("shadow")
    _, tree = parts(inspector)
    before, at_before = tree.save("before"), known(inspector)
    type_to(inspector, b"x")
    typed, at_typed = tree.save("typed"), known(inspector)
    inspector.target.write_register(0, 9, 0x1234)
    edited, at_edited = tree.save("edited"), known(inspector)
    assert len({at_before, at_typed, at_edited}) == 3
    run(inspector, 100_000)
    for _ in range(2):
        for node, expected in ((edited, at_edited), (before, at_before), (typed, at_typed)):
            tree.restore(node)
            assert known(inspector) == expected, node.name


def test_names_are_unique_and_can_be_changed() -> None:
    inspector = shell("bare")
    _, tree = parts(inspector)
    first = tree.save()
    assert first.name == "snapshot 1"
    run(inspector, 10)
    second = tree.save()
    with pytest.raises(ConfigError, match="already"):
        tree.save("snapshot 2")
    with pytest.raises(ConfigError, match="already"):
        tree.rename(second, "snapshot 1")
    with pytest.raises(ConfigError, match="needs a name"):
        tree.rename(second, " ")
    tree.rename(second, "later", "a note")
    assert (tree.find(second.number).name, second.note) == ("later", "a note")
    tree.delete(first)
    with pytest.raises(ConfigError, match="gone"):
        tree.find(first.number)
    assert [node.name for node in tree.nodes] == ["later"]


def test_named_ones_stay_when_memory_is_short() -> None:
    """Others are thinned out, of the histories that were left first; every step can still be had."""
    inspector = shell("two-stage")
    timeline, tree = parts(inspector)
    timeline._interval, timeline._memory_limit = 0.0005, 4 << 20
    moments = []
    for text in (b"echo one\n", b"ls\n", b"ps\n"):
        timeline.goto(2_000_000)
        type_to(inspector, text)
        for _ in range(4):
            run(inspector, 500_000)
            moments.append((tree.save(), known(inspector)))
    assert len(tree.lines) == 2
    for node, expected in moments:
        tree.restore(node)
        assert known(inspector) == expected
    for node, expected in reversed(moments):
        tree.restore(node)
        timeline.goto(2_000_100)
        timeline.goto(node.step)
        assert known(inspector) == expected


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_moves_leaves_every_snapshot_whole(technique: str, seed: int) -> None:
    """Runs, keys, changes by hand, travels, names, branches and deletions at random: each name is what it was, and so
    is the end of each history."""
    random = Random(f"{technique} {seed}")
    inspector = shell(technique)
    timeline, tree = parts(inspector)
    timeline._interval = 0.002
    moments: dict[int, Known] = {}
    ends: dict[int, tuple[Any, Known]] = {}
    for _ in range(40):
        move = random.choice(("run", "run", "type", "type", "goto", "save", "save", "restore", "restore", "edit",
                              "branch", "delete", "end"))
        if move == "run":
            run(inspector, random.randrange(200_000))
        elif move == "type":
            type_to(inspector, random.choice((b"ls\n", b"ps\n", b"echo hello\n", b"x", b"\n")))
        elif move == "goto":
            timeline.goto(random.randrange(timeline.start, timeline.end + 1))
        elif move == "save":
            moments[tree.save().number] = known(inspector)
        elif move == "restore" and tree.nodes:
            node = random.choice(tree.nodes)
            tree.restore(node)
            assert known(inspector) == moments[node.number]
        elif move == "edit":
            inspector.target.write_register(0, 27, random.randrange(1 << 32))
        elif move == "branch" and inspector.is_past:
            timeline.goto(timeline.end)
            here = known(inspector)
            timeline.goto(random.randrange(timeline.start, timeline.end))
            tree.branch()
            ends[id(tree.lines[-1])] = tree.lines[-1], here
        elif move == "delete" and tree.nodes:
            tree.delete(random.choice(tree.nodes))
        elif move == "end" and tree.lines:
            line = random.choice(tree.lines)
            tree.restore_end(line)
            if id(line) in ends:
                assert known(inspector) == ends[id(line)][1]
    for node in tree.nodes:
        tree.restore(node)
        assert known(inspector) == moments[node.number]
        assert [each.number for each in tree.nodes] == sorted(each.number for each in tree.nodes)
