"""Lab 8: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from tests.labs.support import changed, judge, lost, one

COPIES = {"same-digest", "lossy-link", "slow-link", "converges", "never-converges", "downtime", "pages"}
CHECKS = COPIES | {"nothing-twice"}
NO_ROUNDS = {"        pages = sorted(self.left | set(self.migration.take_dirty()))\n        self.left = set()\n":
             "        pages = []\n",
             "left <= FEW or": "True or"}

WRONG = {
    "the log is emptied after the round, too": (
        {"            self.left |= set(self.migration.send([each for each in batch if each not in again]))":
         "            self.left |= set(self.migration.send([each for each in batch if each not in again]))\n"
         "        self.migration.take_dirty()"}, COPIES, ("same-digest", "page 0x")),
    "what is lost is not sent again": (
        {"            self.left |= set(self.migration.send([": "            set(self.migration.send(["},
        {"lossy-link"}, ("lossy-link", "page 0x")),
    "what is lost in the pause is not sent again": (
        {"        while pages:\n            pages = self": "        if pages:\n            pages = self"},
        {"lossy-link"}, ("lossy-link", "page 0x")),
    "the state is sent once": (
        {"        while not self.migration.send_state():\n            pass": "        pass"},
        CHECKS, ("same-digest", "state")),
    "pages that wait are forgotten": (
        {"        pages = sorted(self.left | set(self.migration.take_dirty()))\n        while":
         "        pages = sorted(self.left)\n        while"}, COPIES, ("same-digest", "page 0x")),
    "only what is dirty now": (
        {"        self.left: set[int] = set()\n": "        self.left: set[int] = set(migration.take_dirty()[:0])\n"},
        CHECKS, ("same-digest", "page 0x")),
    "no rounds": (NO_ROUNDS, CHECKS - {"same-digest", "lossy-link", "slow-link"}, ("converges", "downtime")),
    "no end while the guest stores": (
        {"left <= FEW or self.in_vain >= PATIENCE or done.number >= MOST_ROUNDS": "left == 0"},
        COPIES, ("never-converges", "rounds")),
    "each round sends all": (
        {"        pages = sorted(self.left | set(self.migration.take_dirty()))\n        self.left = set()\n":
         "        self.all = pages = sorted({*getattr(self, 'all', ()), *self.migration.take_dirty()})\n"
         "        self.left = set()\n"}, {"converges", "downtime", "pages"}, ("converges", "downtime")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, place = WRONG[name]
    result = judge(8, changed(8, changes), names=CHECKS)
    assert lost(result) == missing
    found = one(result, place[0]).first_divergence
    assert found is not None
    assert found.field.startswith(place[1])


def test_sending_what_is_dirty_again_is_right_but_brings_fewer_points() -> None:
    result = judge(8, changed(8, {" if each not in again": ""}), names=CHECKS)
    assert lost(result) == {"pages"}
    assert 0 < one(result, "pages").points < one(result, "pages").max


def test_the_store_that_was_missed_is_found_and_recorded(tmp_path) -> None:
    """The recording's next step is that store, to that page."""
    check = one(judge(8, changed(8, WRONG["the log is emptied after the round, too"][0]), names=("same-digest",),
                      artifacts=tmp_path))
    found = check.first_divergence
    assert found is not None and check.replay is not None
    assert " sd s1, " in found.line
    again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
    again.run(found.step)
    vm = again.vm
    assert vm.hart.pc == found.pc
    page = int(found.field.split()[1], 16) >> 12
    before = vm.ram.page(page)
    vm.run(1)
    assert vm.ram.page(page) != before


@pytest.mark.parametrize("line", [
    "migration.send([0])", "migration.send('x')", "migration.send([0x80300] * 5000)", "migration.send([-1])",
    "migration.send([True])", "migration.send_state()", "migration.peek_dirty(None)"])
def test_what_makes_no_sense_is_refused(line: str) -> None:
    after = {"        self.left: set[int] = set()\n": f"        self.left: set[int] = set()\n        {line}\n"}
    check = one(judge(8, changed(8, after), names=("nothing-twice",)))
    assert check.status.value == "crash"
    assert "Migrator.use raised" in check.message


def test_a_link_that_is_flooded_runs_out_of_fuel() -> None:
    flood = {"        while pages:\n            pages = self": "        while pages:\n            self"}
    assert one(judge(8, changed(8, flood), names=("nothing-twice",))).status.value in ("pass", "fuel")
    assert one(judge(8, changed(8, flood), names=("converges",))).status.value == "fuel"
