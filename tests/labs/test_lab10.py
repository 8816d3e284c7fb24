"""Lab 10: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from tests.labs.support import changed, judge, lost, one

RECORDS = {"needless"}
"""Of the checks that a wrong answer may pass, the one that is looked at with each."""

WRONG = {
    "answers are not logged": (
        {"            return packed(2 * len(event.data)) + event.data": '            return b""'},
        {"needless", "asked"}, ("needless", "log of asked")),
    "the end of input is not logged": (
        {"        if event.kind == ASKED:\n": "        if event.kind == ASKED and event.data:\n",
         "        if event.kind != TYPED:\n": "        if event.kind != TYPED or not event.data:\n"},
        {"needless", "asked"}, ("asked", "input")),
    "what devices say is logged": (
        {"        if event.kind == ASKED:\n": '        if event.kind in (ASKED, "loaded"):\n'},
        {"needless"}, ("needless", "log of loaded")),
    "input comes a step late": (
        {"self.steps.append(step)": "self.steps.append(step + 1)"},
        {"typed", "anywhere"}, ("typed", "console.typed")),
    "of two at one step the last is given first": (
        {"            self.machine.type(self.pieces[self.given])\n            self.given += 1":
         "            self.given += 1\n        for piece in self.pieces[self.given - self.steps.count(here):self.given]"
         "[::-1] if here in self.steps else ():\n            self.machine.type(piece)"},
        {"typed", "asleep"}, ("typed", "console.typed")),
    "the first step has no input": (
        {"        self.settle(0)\n": "        self.given = self.steps.count(0)\n"},
        {"asleep"}, ("asleep", "console.typed")),
    "at a checkpoint input is given twice": (
        {"bisect_right(self.steps, stone)": "bisect_right(self.steps, stone - 1)",
         "        while here < step:\n": "        while here < step:\n            self.settle(here)\n",
         "FIRST_STRIDE = 128": "FIRST_STRIDE = 1"},
        {"anywhere"}, ("anywhere", "console.typed")),
    "restored, it has given what lies ahead": (
        {"            here, self.given = stone, bisect_right(self.steps, stone)": "            here = stone"},
        {"anywhere", "reverse-step"}, ("anywhere", "console.typed")),
    "back by two": (
        {"target = self.machine.step() - 1": "target = self.machine.step() - 2"},
        {"reverse-step"}, ("reverse-step", "steps")),
    "back by an undone count, not by running": (
        {"        self.replay(target)\n": "        pass\n"}, {"reverse-step"}, ("reverse-step", "steps")),
    "steps in one byte": (
        {"packed(gap)": "packed(gap & 0x7F)"}, {"reverse-cost"}, ("reverse-cost", "console.typed")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, place = WRONG[name]
    result = judge(10, changed(10, changes), names=missing | RECORDS)
    assert lost(result) == missing
    found = one(result, place[0]).first_divergence
    assert found is not None
    assert found.field == place[1]


def test_a_fat_log_is_right_but_brings_fewer_points() -> None:
    result = judge(10, changed(10, {"packed(gap) + event.data": "packed(gap)[:-1] + bytes((packed(gap)[-1] | 0x80,)) + "
                                    "b'\\x80' * 7 + b'\\0' + event.data"}), names=("typed", "log-size"))
    assert lost(result) == {"log-size"}
    assert 0 < one(result, "log-size").points < one(result, "log-size").max


def test_without_checkpoints_going_back_is_right_but_dear() -> None:
    result = judge(10, changed(10, {"STONES = 12": "STONES = 1", "NEAR = 24": "NEAR = 10 ** 9"}),
                   names=("reverse-cost",))
    assert lost(result) == {"reverse-cost"}
    assert one(result, "reverse-cost").points == 0


def test_a_recording_leads_to_the_step_that_went_wrong(tmp_path) -> None:
    """It holds the input as it was."""
    changes = WRONG["input comes a step late"][0]
    check = one(judge(10, changed(10, changes), names=("typed",), artifacts=tmp_path))
    found = check.first_divergence
    assert found is not None and check.replay is not None
    again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
    again.run(found.step)
    assert again.vm.hart.pc == found.pc
    again.run(again.recording.length, is_verified=True)
    assert [event.step for event in again.recording.events if event.step <= found.step][-1] == found.step


@pytest.mark.parametrize("line", [
    "machine.run(1 << 40)", "machine.run(-1)", "machine.run('x')", "machine.type('x')", "machine.type(b'')",
    "machine.supply(5)", "machine.restore(9)", "machine.forget(None)", "[machine.checkpoint() for _ in range(99)]"])
def test_what_makes_no_sense_is_refused(line: str) -> None:
    after = {"        self.settle(0)\n": f"        {line}\n        self.settle(0)\n"}
    check = one(judge(10, changed(10, after), names=("typed",)))
    assert check.status.value == "crash"
    assert "raised ValueError" in check.message
