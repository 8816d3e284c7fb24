"""Lab 3: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import json

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from hartvisor.labs.kit.hart import VirtualHart
from hartvisor.labs.kit.interrupts import SUPERVISOR, Clock, Gates
from hartvisor.labs.lab03_interrupts import versions
from hartvisor.labs.lab03_interrupts.lab import BROKEN
from tests.labs.support import changed, judge, lost, one

STI_FIRST = {"SEI, SSI, STI, VSEI": "SEI, STI, SSI, VSEI"}

WRONG = {
    "the timer comes before the software interrupt": (
        STI_FIRST, ("pick-pending", "interrupts", "inject"), {"pick-pending", "interrupts"},
        ("interrupts", "interrupt")),
    "sie is ignored": (
        {"ready = gates.pending & gates.enabled": "ready = gates.pending"}, ("pick-pending", "masked"),
        {"pick-pending", "masked"}, ("masked", "interrupt")),
    "sstatus.SIE counts in U-mode, too": (
        {"if gates.mode == USER or gates.virtual or (gates.mode == SUPERVISOR and gates.sie)": "if gates.sie"},
        ("pick-pending", "interrupts"), {"pick-pending", "interrupts"}, ("interrupts", "interrupt")),
    "VS-mode gets VS's numbers": (
        {"chosen - 1 if chosen in (VSSI, VSTI, VSEI) else chosen": "chosen"}, ("pick-pending", "masked"),
        {"pick-pending"}, ("pick-pending", "interrupt")),
    "mideleg is not looked at": (
        {"first(ready & ~gates.mideleg)": "first(ready & 0x888)",
         "at_s = ready & gates.mideleg": "at_s = ready & ~0x888"},
        ("pick-pending", "masked"), {"pick-pending"}, ("pick-pending", "target")),
    "SIE stays on": (
        {"status & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)": "status & ~(SSTATUS_SPIE | SSTATUS_SPP)"},
        ("inject", "exceptions", "ticks"), {"inject", "ticks"}, ("ticks", "sstatus.SIE")),
    "SPP is not cleared": (
        {"status & ~(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)": "status & ~(SSTATUS_SIE | SSTATUS_SPIE)"},
        ("inject",), {"inject"}, ("inject", "sstatus.SPP")),
    "exceptions are vectored": (
        {"if is_vectored and is_interrupt else": "if is_vectored else"}, ("inject", "exceptions"),
        {"inject", "exceptions"}, ("exceptions", "pc")),
    "sepc is the next instruction": (
        {"hart.csrs[SEPC] = hart.pc": "hart.csrs[SEPC] = hart.pc + 4"}, ("exceptions",), {"exceptions"},
        ("exceptions", "sepc.ADDRESS")),
    "a tick stays until it is taken": (
        {"        hart.csrs[SIP] &= ~STIP\n": ""}, ("set-timer", "ticks"), {"set-timer", "ticks"},
        ("ticks", "sip.STIP")),
    "a tick comes a tick late": (
        {"if clock.time >= self.deadline": "if clock.time > self.deadline"}, ("set-timer", "ticks", "sleep"),
        {"set-timer", "ticks", "sleep"}, ("ticks", "sip.STIP")),
    "every look at the clock is a tick": (
        {"if clock.time >= self.deadline:": "if self.deadline != NEVER:"}, ("set-timer", "ticks", "sleep"),
        {"set-timer", "ticks", "sleep"}, ("ticks", "sip.STIP")),
    "the alarm is in ticks": (
        {"else self.deadline * clock.steps_per_tick\n": "else self.deadline * 20\n"}, ("set-timer", "ticks", "alarms"),
        {"set-timer", "ticks", "alarms"}, ("ticks", "sip.STIP")),
    "wfi wants sstatus.SIE": (
        {"if hart.csrs[SIP] & hart.csrs[SIE]:": "if hart.csrs[SIP] & hart.csrs[SIE] and hart.csrs[SSTATUS] & 2:"},
        ("wfi", "sleep", "ticks"), {"wfi", "sleep"}, ("sleep", "wfi")),
    "wfi does not look at sie": (
        {"if not hart.csrs[SIE] & STIP or self": "if self"}, ("wfi", "ticks"), {"wfi"}, ("wfi", "wfi")),
    "wfi never sleeps": (
        {"            return Wait(True)\n": "            return Wait(False)\n",
         "return Wait(True, self.deadline * clock.steps_per_tick)": "return Wait(False)"},
        ("wfi", "sleep", "alarms"), {"wfi", "sleep", "alarms"}, ("alarms", "wfi")),
    "never interrupts": (
        {"        ready = gates.pending": "        return None\n        ready = gates.pending"},
        ("interrupts", "masked"), {"interrupts", "masked"}, ("masked", "interrupt")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, names, missing, place = WRONG[name]
    result = judge(3, changed(3, changes), names=names)
    assert lost(result) == missing
    found = one(result, place[0]).first_divergence
    assert found is not None
    assert found.field == place[1]


def test_a_timer_that_asks_every_tick_is_right_but_brings_fewer_points() -> None:
    changes = {"else self.deadline * clock.steps_per_tick\n":
               "else (clock.time + 1) * clock.steps_per_tick\n"}
    result = judge(3, changed(3, changes), names=("ticks", "alarms"))
    assert lost(result) == {"alarms"}
    assert 0 < one(result, "alarms").points < one(result, "alarms").max


def test_a_timer_that_asks_at_once_for_ever_ends() -> None:
    again = {"None if self.deadline == NEVER else self.deadline * clock.steps_per_tick": "0"}
    for name in ("ticks", "set-timer", "sleep"):
        check = one(judge(3, changed(3, again), names=(name,)))
        assert check.status.value == "fail"
        assert check.points == 0


HS, TVAL, DEADLINE = 'return Taken("HS", chosen)', "hart.csrs[STVAL] = tval", "        self.deadline = deadline\n"
PICKS, INJECTS, TIMERS = ("interrupts", "pick-pending"), ("exceptions", "inject"), ("ticks", "set-timer")

ODD = {
    "an interrupt of nonsense": ({HS: "return 5"}, PICKS),
    "a cause of text": ({HS: "return Taken('HS', 'x' * 99)"}, PICKS),
    "another mode": ({HS: "return Taken('M', chosen)"}, PICKS),
    "registers that are too few": ({TVAL: "hart.gprs = []"}, INJECTS),
    "CSRs gone": ({TVAL: "hart.csrs.clear()"}, INJECTS),
    "a trap of two steps": ({TVAL: f"{TVAL}; hart.retire()"}, INJECTS),
    "an alarm of text": ({DEADLINE: "        return 'soon'\n"}, TIMERS),
    "an alarm before the beginning": ({DEADLINE: "        return -1\n"}, TIMERS),
    "an alarm beyond all": ({DEADLINE: "        return 1 << 900\n"}, TIMERS),
    "a timer that moves pc": ({DEADLINE: "        self.deadline = deadline; hart.pc += 4\n"}, ("ticks",)),
    "a wait that is none": ({"            return Wait(False)\n": "            return True\n"}, ("sleep", "wfi")),
    "a wait of text": ({"            return Wait(True)\n": "            return Wait('long', 'x')\n"}, ("wfi",)),
}


@pytest.mark.parametrize("name", ODD)
def test_answers_that_make_no_sense(name: str) -> None:
    """No points, and no bug of ours."""
    changes, names = ODD[name]
    for check in judge(3, changed(3, changes), names=names).checks:
        assert check.status.value in ("fail", "crash"), check
        assert check.points == 0


def test_a_recording_leads_to_the_trap_that_went_wrong(tmp_path) -> None:
    result = judge(3, changed(3, WRONG["exceptions are vectored"][0]), names=("exceptions",), artifacts=tmp_path)
    check = one(result)
    found = check.first_divergence
    assert found is not None and check.replay is not None
    again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
    again.run(found.step)
    assert (again.vm.hart.pc, again.vm.steps) == (found.pc, found.step)
    again.run(again.recording.length, is_verified=True)
    assert json.dumps(result.as_json())


def _asked(subject: versions.Right) -> list[object]:
    """What a version makes of a trap, of gates, of a deadline and of a wfi."""
    numbers = (0x100, 0x104, 0x105, 0x106, 0x10A, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180)
    hart = VirtualHart(mode=SUPERVISOR, csrs=dict.fromkeys(numbers, 0) | {0x105: 0x8020_1001, 0x100: 2})
    found: list[object] = [subject.pick_pending(Gates(0x22, enabled, 0x222, 0, SUPERVISOR, False, False, True, False))
                           for enabled in (0x22, 0x20)]
    subject.inject(hart, 2, 0, False)
    found += [hart.pc, dict(hart.csrs)]
    for step, deadline in ((30, 3), (30, 4)):
        found += [subject.set_timer(hart, Clock(step, 10), deadline), hart.csrs[0x144]]
    hart.csrs[0x144] = hart.csrs[0x104] = 2
    hart.csrs[0x100] = 0
    return [*found, subject.wfi(hart, Clock(30, 10))]


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_version_differs(name: str) -> None:
    right, broken = versions.Right(), versions.VERSIONS[name]()
    assert isinstance(broken, versions.Right)
    assert _asked(broken) != _asked(right)
