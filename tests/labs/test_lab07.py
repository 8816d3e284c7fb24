"""Lab 7: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from tests.labs.support import changed, judge, lost, one

BACK = {"line", "tree", "devices", "isolation", "frames", "copies"}
LOGS = {"dirty-log", "copies"}
ALL = {*BACK, *LOGS}

WRONG = {
    "only memory comes back": (
        {"        self.memory.load(wanted.state)\n": ""}, BACK, ALL, ("line", "hart0.pc after a restore")),
    "snapshots are not protected": (
        {"        for gfn in sorted(self.writable):\n            self.map(gfn, self.current[gfn], False)\n": ""},
        {"line", "tree", "devices", "isolation"}, ALL, ("line", "memory at")),
    "cow_break does not copy": (
        {"        elif self.keepers[hpa]:\n": "        elif False:\n"}, {"line", "tree", "devices", "isolation"}, ALL,
        ("isolation", "memory at")),
    "a fresh frame, but nothing in it": (
        {"            self.memory.copy(hpa, new)\n": ""}, BACK, ALL, ("line", "memory at")),
    "pages that were not there stay": (
        {"for gfn in sorted(self.current.keys() | wanted.frames.keys())": "for gfn in sorted(wanted.frames)"},
        {"line", "tree"}, ALL, ("line", "memory at")),
    "after a restore pages are writable": (
        {"self.map(gfn, wanted.frames[gfn], False)": "self.map(gfn, wanted.frames[gfn], True)"}, {"line", "tree"}, ALL,
        ("line", "memory at")),
    "cow_break does nothing": (
        {"        self.map(gfn, hpa, True)\n": ""}, ALL, ALL, ("line", "after cow_break")),
    "the log is not protected anew": (
        {"            if gfn in self.writable:\n": "            if False:\n"}, {"dirty-log"}, {"dirty-log"},
        ("dirty-log", "dirty_log: page")),
    "the log is never cleared": (
        {"        self.dirty.clear()\n": ""}, {"dirty-log"}, LOGS, ("dirty-log", "dirty_log: page")),
    "a restore is not logged": (
        {"        self.dirty.update(moved)\n": ""}, {"dirty-log"}, {"dirty-log"}, ("dirty-log", "dirty_log: page")),
    "everything is always dirty": (
        {"        log = sorted(self.dirty)\n": "        log = sorted(self.current)\n"}, {"dirty-log"}, LOGS,
        ("dirty-log", "dirty_log: page")),
    "forgetting frees what others keep": (
        {"            if self.keepers[hpa] <= 0:\n": "            if True:\n"}, {"frames"}, ALL, None),
    "forgetting frees nothing": (
        {"        self.release([hpa for hpa in frames if hpa not in mapped])\n": ""}, {"frames"}, {"frames"},
        ("frames", "frames held")),
    "restore leaks": (
        {"        self.release(left)\n": ""}, {"frames"}, {"frames"}, ("frames", "frames held")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, possible, place = WRONG[name]
    result = judge(7, changed(7, changes), names=sorted(ALL))
    assert missing <= lost(result) <= possible
    if place is not None:
        found = one(result, place[0]).first_divergence
        assert found is not None
        assert place[1] in found.field


def test_copying_for_the_log_alone_is_right_but_brings_fewer_points() -> None:
    result = judge(7, changed(7, {"        elif self.keepers[hpa]:\n": "        else:\n"}), names=("line", "copies"))
    assert lost(result) == {"copies"}
    assert 0 < one(result, "copies").points < one(result, "copies").max


def test_protecting_anew_without_end_runs_out_of_fuel() -> None:
    """A store over the end of a page needs both of its pages: whoever protects the others again never gets there."""
    wrong = {"        self.map(gfn, hpa, True)\n":
             "        for other in sorted(self.writable):\n            self.map(other, self.current[other], False)\n"
             "        self.map(gfn, hpa, True)\n"}
    assert one(judge(7, changed(7, wrong), names=("line",))).status.value == "fuel"


def test_frames_of_others_are_out_of_reach() -> None:
    for reach in ("memory.free(0x80000000 - 4096)", "memory.copy(-8, 0)", "memory.map('x', 0, True)",
                  "memory.map(0x80300, next(iter(memory.frames().values())), True)", "memory.load(5)",
                  "memory.unmap(0)", "memory.free(next(iter(memory.frames().values())))",
                  "memory.map(0x80000, 0x80000000, 1)", "[memory.allocate() for _ in range(2000)]"):
        start = "        self.count = 0\n"
        check = one(judge(7, changed(7, {start: f"{start}        {reach}\n"}), names=("line",)))
        assert check.status.value == "crash", check
        assert "Snapshots.use raised ValueError" in check.message


def test_a_recording_leads_to_where_the_two_parted(tmp_path) -> None:
    wrong = WRONG["snapshots are not protected"][0]
    check = one(judge(7, changed(7, wrong), names=("line",), artifacts=tmp_path))
    found = check.first_divergence
    assert found is not None and check.replay is not None
    again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
    again.run(found.step)
    assert again.vm.hart.pc == found.pc


@pytest.mark.parametrize(("method", "body"), [
    ("snapshot", "return None"), ("snapshot", "return True"), ("snapshot", "return 1"), ("dirty_log", "return None"),
    ("dirty_log", "return ['x']"), ("dirty_log", "return [-5]"), ("dirty_log", "return [1 << 300]")])
def test_answers_that_are_none(method: str, body: str) -> None:
    first = {"snapshot": "        for gfn in sorted(self.writable):\n",
             "dirty_log": "        log = sorted(self.dirty)\n"}
    wrong = {first[method]: f"        {body}\n{first[method]}"}
    check = one(judge(7, changed(7, wrong), names=("dirty-log",)))
    assert check.status.value == "fail"
    assert check.points == 0
