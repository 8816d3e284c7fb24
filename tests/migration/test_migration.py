"""A VM moves, runs on as if nothing had been, and is never in two places."""

from __future__ import annotations

import socket
from itertools import pairwise
from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.migration.records import SOURCE, TARGET, Phase, Records
from hartvisor.core.vmm.migration.resume import decide
from hartvisor.core.vmm.migration.rounds import Policy
from hartvisor.core.vmm.migration.source import End, Source
from hartvisor.core.vmm.migration.target import Target
from hartvisor.core.vmm.migration.wire import SocketLink

from .cuts import try_cut
from .support import PATIENCE, Wire, future, ignore, kernel, migrate, revive


@pytest.mark.parametrize("technique", ["bare", "deprivileged", "shadow", "two-stage"])
def test_it_goes_on_at_the_target(tmp_path: Path, technique: str) -> None:
    """Under the technique of one's choice, from the very step at which it paused, with an equal future."""
    vm, recipe = kernel()
    vm.run(500_000)
    outcome = migrate(tmp_path, vm, recipe, technique=technique)
    assert (outcome.result.end, outcome.arrival.end) == (End.MOVED, End.MOVED), outcome
    moved = outcome.arrival.vm
    assert moved is not None
    assert moved.config.technique == technique
    assert digest(moved) == digest(vm)
    assert moved.steps > 500_000
    assert future(moved) == future(vm)


def test_rounds_send_what_changed(tmp_path: Path) -> None:
    """The first sends everything, each later one what was stored to meanwhile; then a pause for the rest."""
    vm, recipe = kernel()
    vm.run(300_000)
    outcome = migrate(tmp_path, vm, recipe, policy=Policy(downtime=0.0, max_rounds=4))
    rounds = outcome.result.rounds
    assert [each.number for each in rounds] == [1, 2, 3, 4]
    assert rounds[0].pages > 60
    assert all(later.pages == before.dirty for before, later in pairwise(rounds))
    assert outcome.result.downtime > 0
    assert outcome.result.bytes == outcome.passed[0]


def test_a_guest_that_stores_too_fast_is_slowed_down(tmp_path: Path) -> None:
    """Where a round leaves as much as it sent, the guest gets less time in the next."""
    vm, recipe = kernel(append="workload=9")
    vm.run(3_000_000)
    outcome = migrate(tmp_path, vm, recipe, policy=Policy(downtime=0.0, max_rounds=8))
    throttles = [each.throttle for each in outcome.result.rounds]
    assert throttles == sorted(throttles)
    assert throttles[0] == 0.0
    assert max(throttles) <= 0.95


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_leaves_one_owner_or_none_yet(tmp_path: Path, seed: int) -> None:
    """At a random byte of either direction. (python -m tests.migration.cuts 200 tries many.)"""
    assert try_cut(tmp_path, seed) is None


def test_after_a_cut_in_the_commit_a_person_names_the_owner(tmp_path: Path) -> None:
    """Both stand still and are saved; the named one goes on where they paused, the other forgets."""
    vm, recipe = kernel()
    vm.run(400_000)
    whole = migrate(tmp_path / "whole", *kernel())
    back = whole.passed[1]
    for number, owner in enumerate((SOURCE, TARGET)):
        folder = tmp_path / owner
        # What comes back is WELCOME, READY, COMMITTED and DONE: cut in the third.
        outcome = migrate(folder, vm, recipe, wire=Wire((-1, back * 5 // 8)))
        assert (outcome.result.end, outcome.arrival.end) == (End.UNDECIDED, End.UNDECIDED), number
        for side, records in zip((SOURCE, TARGET), outcome.records, strict=True):
            note = records.find("m1", side)
            assert note is not None
            assert note.phase is Phase.UNDECIDED
            assert digest(revive(records, side)) == digest(vm)
            mine = decide(records, "m1", owner)
            assert [each.side for each in mine] == ([side] if side == owner else [])
            with pytest.raises(ConfigError):
                decide(records, "m1", owner)


def test_a_source_that_gave_the_vm_up_does_not_go_on(tmp_path: Path) -> None:
    """After COMMITTED it is the target's, unless the target is lost for good."""
    vm, recipe = kernel()
    whole = migrate(tmp_path / "whole", *kernel())
    outcome = migrate(tmp_path / "cut", vm, recipe, wire=Wire((-1, whole.passed[1] - 1)))
    assert outcome.result.end is End.UNDECIDED
    assert outcome.arrival.end is End.MOVED
    with pytest.raises(ConfigError, match="this side gave the VM up, and the target may run it"):
        decide(outcome.records[0], "m1", SOURCE)
    assert [each.side for each in decide(outcome.records[0], "m1", SOURCE, is_forced=True)] == [SOURCE]


@pytest.mark.parametrize("place", [0, 7, 30, 2000, 100_000])
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    """The target refuses with one line, the source goes on."""
    vm, recipe = kernel()
    vm.run(300_000)
    outcome = migrate(tmp_path, vm, recipe, wire=Wire(flipped=place))
    assert outcome.result.end is End.STAYED
    assert outcome.arrival.end is End.STAYED
    assert "\n" not in outcome.arrival.why
    assert list(Records(tmp_path / "target").folder.iterdir()) == []
    assert vm.run(1000).reason.name == "BUDGET"


def test_a_stranger_is_turned_away(tmp_path: Path) -> None:
    """Something else at the other end of the line: one line, nothing changed."""
    for greeting in (b"GET / HTTP/1.1\r\n\r\n" * 4, b"\0" * 64, b"HVMIGR" + b"\xff" * 40, b""):
        here, there = socket.socketpair()
        there.sendall(greeting)
        there.shutdown(socket.SHUT_WR)
        arrival = Target(SocketLink(here, PATIENCE), Records(tmp_path), ignore).receive()
        assert arrival.end is End.STAYED
        assert "\n" not in arrival.why
        here.close()
        there.close()
    here, there = socket.socketpair()
    there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    vm, recipe = kernel()
    result = Source(vm, recipe, SocketLink(here, PATIENCE), Records(tmp_path), "m1").migrate()
    assert (result.end, "the other side is not" in result.why) == (End.STAYED, True)
    here.close()
    there.close()
    assert list(tmp_path.iterdir()) == []
