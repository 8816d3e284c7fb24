"""Lab 2: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import json

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from tests.labs.support import changed, judge, lost, one

ONE_EACH = {"        following = hart.following()\n        while": "        following = None\n        while"}
"""No instruction after the one that trapped."""
GUESTS = {"supervisor-guests", "whole-guests", "illegal-is-reflected", "exits"}

WRONG = {
    "sret leaves SPP": (
        {"~(SSTATUS_SIE | SSTATUS_SPP) | SSTATUS_SPIE": "~SSTATUS_SIE | SSTATUS_SPIE"},
        {"sret"}, GUESTS, ("sret", "sstatus.SPP")),
    "sret enables interrupts always": (
        {"        if status & SSTATUS_SPIE:\n": "        if True:\n"},
        {"sret"}, GUESTS, ("sret", "sstatus.SIE")),
    "any MODE in satp": (
        {"number == SATP and value >> 60 not in (BARE, SV39, SV48, SV57)": "False"},
        {"csr-write-warl"}, GUESTS, ("csr-write-warl", "satp.PPN")),
    "counters are open to U-mode": (
        {"is_open = hart.mode == SUPERVISOR or hart.csrs[SCOUNTEREN] >> (number & 31) & 1": "is_open = True"},
        {"csr-privilege"}, GUESTS, ("csr-privilege", "result")),
    "csrrs with x0 writes": (
        {'if kind == "w" or instruction.rs1:': "if True:"}, {"whole-guests"}, GUESTS, ("whole-guests", "pc")),
    "an immediate is read as a register": (
        {"operand = instruction.rs1 if is_immediate else": "operand ="}, {"supervisor-guests"}, GUESTS, None),
    "SD is stored": (
        {"value = value | SSTATUS_SD if value & SSTATUS_FS == SSTATUS_FS else value & ~SSTATUS_SD": "pass"},
        {"csr-read"}, GUESTS, ("csr-read", "sstatus.SD")),
    "handles everything": (
        {"        if not self.execute(hart, instruction):\n            return False\n":
         "        if not self.execute(hart, instruction):\n            hart.retire()\n            return True\n"},
        {"whole-guests", "illegal-is-reflected"}, GUESTS, ("illegal-is-reflected", "pc")),
    "reflects everything": (
        {"        if not self.execute(hart, instruction):\n            return False\n": "        return False\n"},
        {"supervisor-guests", "whole-guests", "illegal-is-reflected", "exits"}, GUESTS, ("supervisor-guests", "pc")),
    "forgets to retire": (
        {"        hart.write_gpr(instruction.rd, old)\n        hart.retire()\n":
         "        hart.write_gpr(instruction.rd, old)\n"},
        {"supervisor-guests"}, GUESTS, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, possible, place = WRONG[name]
    result = judge(2, changed(2, changes))
    assert missing <= lost(result) <= missing | possible
    if place is not None:
        found = one(result, place[0]).first_divergence
        assert found is not None
        assert found.field == place[1]


def test_an_exit_each_is_right_but_brings_fewer_points() -> None:
    result = judge(2, changed(2, ONE_EACH), names=("whole-guests", "exits"))
    assert lost(result) == {"exits"}
    assert one(result, "exits").points == 0


def test_a_recording_leads_to_the_instruction_that_went_wrong(tmp_path) -> None:
    """Up to the divergence the student's run and the recorded one are the same; its pc and step are the recording's."""
    submission = changed(2, WRONG["sret leaves SPP"][0] | ONE_EACH)
    result = judge(2, submission, names=("whole-guests",), artifacts=tmp_path)
    check = one(result)
    found = check.first_divergence
    assert found is not None and check.replay is not None
    assert found.field == "sstatus.SPP"
    assert found.line.endswith("sret")
    again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
    again.run(found.step)
    assert again.vm.hart.pc == found.pc
    assert again.vm.steps == found.step
    again.run(again.recording.length, is_verified=True)
    assert json.dumps(result.as_json())
