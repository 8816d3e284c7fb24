"""Lab 6: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from tests.labs.support import changed, judge, lost, one

VMS = {"machine", "latency"}
"""They run much, and are asked only for what they must find."""
TIME = {"shares", "sleepers", "starvation", *VMS}
BALLOONS = {"balloons", "overcommit"}
SHARE = {"sharing", "comparisons"}

WRONG = {
    "shares count for nothing": (
        {"one.place += steps * STRIDE1 // one.shares": "one.place += steps * STRIDE1 // 100"},
        {"shares", "machine"}, TIME, ("shares", "Jain's index by shares")),
    "a turn is a turn": (
        {"one.place += steps * STRIDE1 // one.shares":
         "one.place += STRIDE1 // one.shares * (2000 if steps > 0 else 0)"},
        {"shares"}, TIME, ("shares", "Jain's index by shares")),
    "set_shares does nothing": (
        {"        one.shares = shares\n": ""}, {"shares"}, TIME, ("shares", "Jain's index after set_shares")),
    "time asleep is saved up": (
        {"            one.place += self.everybodys\n": "            one.place += 0\n"}, {"sleepers"}, TIME,
        ("sleepers", "quanta of the client that slept")),
    "sleep forgets debts": (
        {"one.place = max(one.place - self.everybodys, 0)": "one.place = 0"}, {"sleepers"}, TIME,
        ("sleepers", "quanta of the client that naps")),
    "always the first": (
        {"        return min(runnable, key=lambda client: (self.clients[client].place, client))":
         "        return runnable[0]"},
        {"shares", "sleepers", "starvation", "machine"}, TIME, ("starvation", "steps that client")),
    "who has more shares goes first": (
        {"(self.clients[client].place, client))": "(-self.clients[client].shares, client))"},
        {"shares", "starvation", "machine"}, TIME, ("starvation", "steps that client")),
    "a client that is not there": (
        {"        return min(runnable, key=lambda client: (self.clients[client].place, client))":
         "        return max(self.clients) + 1"}, TIME, TIME, ("machine", "pick_next")),
    "who wakes goes behind all others": (
        {"            one.place += self.everybodys\n":
         "            one.place = max([each.place for each in self.clients.values() if each.is_awake], default=0)"
         " + 30000 * STRIDE1 // one.shares\n"},
        {"latency"}, TIME, None),
    "reservations are ignored": (
        {" if vm.pages - targets[index] > vm.reservation]": " if vm.pages > targets[index]]"}, {"balloons"}, BALLOONS,
        ("balloons", "balloon of VM")),
    "whoever has most pages gives": (
        {"return (vms[index].pages - targets[index]) / vms[index].shares": "return vms[index].pages - targets[index]"},
        BALLOONS, BALLOONS, ("balloons", "balloon of VM")),
    "balloons never grow": (
        {"        while free < low:\n": "        while False:\n"}, BALLOONS, BALLOONS,
        ("overcommit", "pages swapped out")),
    "balloons never shrink": (
        {"        while free > high:\n": "        while False:\n"}, {"balloons"}, BALLOONS,
        ("balloons", "balloon of VM")),
    "everything is taken": (
        {"        while free < low:\n": "        while True:\n"}, {"balloons"}, BALLOONS,
        ("balloons", "balloon of VM")),
    "the hash decides": (
        {"            if self.host.equal(page.frame, next(iter(kind.frames))):\n": "            if True:\n"},
        {"sharing", "comparisons"}, SHARE, ("sharing", "after join")),
    "nothing is shared": (
        {"        users: dict[int, set[int]] = {}\n": "        return\n        users: dict[int, set[int]] = {}\n"},
        {"sharing", "comparisons"}, SHARE, ("sharing", "frames saved")),
    "one page of a kind is enough": (
        {"if place is None or len(users[page.frame]) > 1:":
         "if place is None or len(users[page.frame]) > 1 or len(kind.frames[place]) > 1:"},
        {"sharing", "comparisons"}, SHARE, ("sharing", "frames saved")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, possible, place = WRONG[name]
    elsewhere = {"balloons"} if "shares" in possible else {"starvation"}
    asked = possible - VMS | missing | elsewhere | ({place[0]} if place is not None else set())
    result = judge(6, changed(6, changes), names=sorted(asked))
    assert missing <= lost(result) <= possible
    if place is not None:
        found = one(result, place[0]).first_divergence
        assert found is not None
        assert place[1] in found.field


def test_comparing_every_pair_is_right_but_brings_fewer_points() -> None:
    wrong = {"            if self.host.equal(page.frame, next(iter(kind.frames))):\n":
             "            if [self.host.equal(page.frame, frame) for frame in kind.frames][0]:\n"}
    result = judge(6, changed(6, wrong), names=("sharing", "comparisons"))
    assert lost(result) == {"comparisons"}
    assert 0 < one(result, "comparisons").points < one(result, "comparisons").max


@pytest.mark.parametrize("body", [
    "self.host.join(0, 0, 0)", "self.host.join('x', 5, pages[0].frame)", "self.host.join(-1, 1 << 70, None)",
    "self.host.join(77, pages[0].gfn, pages[0].frame)", "self.host.join(0, pages[0].gfn, pages[0].frame)",
    "self.host.equal(0x80000000, 1 << 66)", "self.host.join(pages[0].vm, pages[0].gfn, pages[1].frame)",
    "while True: self.host.equal(pages[0].frame, pages[1].frame)"])
def test_frames_of_others_are_out_of_reach(body: str) -> None:
    first = "        users: dict[int, set[int]] = {}\n"
    check = one(judge(6, changed(6, {first: f"        {body}\n{first}"}), names=("sharing",)))
    assert check.status.value in ("crash", "fuel"), check
    assert check.points == 0


@pytest.mark.parametrize("body", ["return None", "return []", "return ['x']", "return [-1] * len(vms)",
                                  "return [True] * len(vms)", "return [1 << 80] * len(vms)"])
def test_targets_that_are_none(body: str) -> None:
    first = "        targets = [vm.balloon for vm in vms]\n"
    result = judge(6, changed(6, {first: f"        {body}\n{first}"}), names=("balloons", "overcommit"))
    assert {check.status.value for check in result.checks} == {"fail"}
    assert result.points == 0
