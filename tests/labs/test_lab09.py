"""Lab 9: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import json
from random import Random

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from hartvisor.labs.lab09_twostage import versions
from hartvisor.labs.lab09_twostage.cases import Maker
from hartvisor.labs.lab09_twostage.lab import BROKEN
from tests.labs.support import changed, judge, lost, one

LOOKS = {"translate", "hlv", "hsv"}
STAGES = {"mapping", "moving", "honest-faults", "cost"}

WRONG = {
    "the second stage does not look at U": (
        {"if not pte & PTE_U or not allows(pte, checked": "if not allows(pte, checked"}, LOOKS, LOOKS,
        ("translate", "cause")),
    "the root's index has nine bits": (
        {"(view.hgatp & PPN & ~3) << 12, gpa >> 30": "(view.hgatp & PPN & ~3) << 12, gpa >> 30 & 511"}, LOOKS, LOOKS,
        ("translate", "cause")),
    "the guest's tables are not translated": (
        {"            pte = ram.load(place.hpa)\n": "            pte = ram.load(place.gpa)\n"},
        {"translate", "mapping"}, {"translate"}, ("translate", "cause")),
    "the guest's MXR opens the host's tables": (
        {"allows(pte, checked, view.mxr and not is_implicit)":
         "allows(pte, checked, (view.mxr or view.vmxr) and not is_implicit)"}, {"translate", "hlv"},
        {"translate", "hlv"}, ("translate", "cause")),
    "MXR counts for the guest's tables' entries": (
        {"view.mxr and not is_implicit)": "view.mxr)"}, {"translate"}, {"translate"}, ("translate", "cause")),
    "a fault at a table entry is told as the access's own": (
        {"gpa, is_implicit)\n        if gpa >> 41": "gpa)\n        if gpa >> 41"}, {"translate", "hlv", "hsv"}, LOOKS,
        ("translate", "is_implicit")),
    "the access of a table entry is a load's fault": (
        {"fault = Found(GUEST_PAGE_FAULT[access]": "fault = Found(GUEST_PAGE_FAULT[LOAD if is_implicit else access]"},
        {"translate", "hsv"}, {"translate", "hsv"}, ("translate", "cause")),
    "hlvx wants R": (
        {"        checked = FETCH if as_code else access\n": "        checked = access\n"}, {"translate", "hlv", "hsv"},
        {"translate", "hlv"}, None),
    "hlv does not extend the sign": (
        {"if isinstance(value, int) and is_signed and": "if isinstance(value, int) and is_signed and 0 and"}, LOOKS,
        {"hlv"}, ("hlv", "result")),
    "hsv stores eight bytes": (
        {"ram.store(found.hpa, size, value)": "ram.store(found.hpa & ~7, 8, value)"}, LOOKS, {"hsv"},
        ("hsv", "memory")),
    "leaves without U": (
        {"FULL = PTE_V | RWX | PTE_U |": "FULL = PTE_V | RWX |"}, STAGES, STAGES, ("mapping", "G-stage leaf")),
    "leaves without D": (
        {"PTE_A | PTE_D\nSWAPPED": "PTE_A\nSWAPPED"}, {"mapping"}, {"mapping"}, ("mapping", "G-stage leaf")),
    "the frame map is forgotten": (
        {"frame >> 2 | FULL": "fault.gpa >> 12 << 10 | FULL"}, {"mapping"}, {"mapping"}, ("mapping", "G-stage leaf")),
    "a page that has gone stays mapped": (
        {"            self.host.store(slot, 0)\n": ""}, {"mapping", "moving"}, {"moving"}, ("moving", "G-stage leaf")),
    "no fence behind unmap": (
        {"            self.host.hfence_gvma(gpa, self.vmid)\n": ""}, {"mapping", "moving"}, {"moving"}, None),
    "the fence is of another VM": (
        {"hfence_gvma(gpa, self.vmid)": "hfence_gvma(gpa, self.vmid + 1)"}, {"mapping", "moving"}, {"moving"}, None),
    "devices are the guest's fault": (
        {'Verdict("device", gpa=fault.gpa)': 'Verdict("guest", cause=ACCESS_FAULT[fault.access])'},
        {"honest-faults"}, {"honest-faults"}, ("honest-faults", "on_guest_fault")),
    "maps nothing": (
        {"            self.host.store(slot, frame >> 2 | FULL)\n": ""}, STAGES, STAGES, ("mapping", "G-stage entry")),
    "no switch": (
        {"        leaving.csrs = {number: self": "        return\n        leaving.csrs = {number: self"},
        {"switch", "same-vmid"}, {"switch", "same-vmid"}, ("switch", "vs")),
    "vsepc is not swapped": (
        {"VSSCRATCH, VSEPC, VSCAUSE, VSTVAL, VSATP, SCOUNTEREN": "VSSCRATCH, VSCAUSE, VSTVAL, VSATP, SCOUNTEREN"},
        {"switch"}, {"switch"}, ("switch", "vsepc")),
    "senvcfg is not swapped": (
        {"SCOUNTEREN, SENVCFG, HTIMEDELTA, HVIP,\n": "SCOUNTEREN, HTIMEDELTA, HVIP,\n"}, {"switch"}, {"switch"},
        ("switch", "senvcfg")),
    "pending interrupts are not swapped": (
        {"HTIMEDELTA, HVIP,\n": "HTIMEDELTA,\n"}, {"switch"}, {"switch"}, ("switch", "vsip")),
    "no fence where the VMIDs are one": (
        {"if leaving.vmid == entering.vmid:": "if False:"}, {"switch", "same-vmid"}, {"same-vmid"}, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, names, missing, place = WRONG[name]
    result = judge(9, changed(9, changes), names=sorted(names))
    assert lost(result) == missing
    for check in missing:
        assert one(result, check).first_divergence is not None
    if place is not None:
        found = one(result, place[0]).first_divergence
        assert found is not None
        assert found.field.startswith(place[1])


def test_a_fence_at_every_fault_is_right_but_brings_fewer_points() -> None:
    changes = {'            return Verdict("mapped")\n':
               '            self.host.hfence_gvma()\n            return Verdict("mapped")\n'}
    result = judge(9, changed(9, changes), names=("mapping", "cost"))
    assert lost(result) == {"cost"}
    assert 0 < one(result, "cost").points < one(result, "cost").max


def test_what_is_none_of_its_business_is_out_of_reach() -> None:
    """Other memory, other CSRs, and questions that make no sense."""
    for line in ("host.store(0x8030_0000, 0)", "host.store(-8, 0)", "host.allocate(3)", "host.write_csr(0x302, 0)",
                 "host.read_csr('x')", "host.frame(None)"):
        reach = {"        self.vmid = vmid\n": f"        self.vmid = vmid\n        {line}\n"}
        for name in ("mapping", "switch"):
            check = one(judge(9, changed(9, reach), names=(name,)))
            assert check.status.value == "crash", (line, check)
            assert "TwoStage.use raised ValueError" in check.message


ODD = {
    "a root of nothing": {"        return self.top\n": "        return None\n"},
    "a root of one frame": {"self.top = self.host.allocate(4)": "self.top = self.host.allocate()"},
    "tables without end": {
        "self.top = self.host.allocate(4)": "self.top = [self.host.allocate(4) for _ in range(999)]"},
    "a table that is its own": {
        "self.top = self.host.allocate(4)":
        "self.top = self.host.allocate(4); [self.host.store(self.top + 8 * i, self.top >> 2 | 1) for i in range(9)]"},
    "a verdict of its own": {'Verdict("mapped")': '{"mapped": True}'},
    "a lie": {'Verdict("mapped")': 'Verdict("device", gpa=fault.gpa)'},
    "a world of nonsense": {"        leaving.csrs = {number: self": "        entering.csrs = leaving.csrs = None\n"
                            "        entering.csrs = {number: self"},
    "fences without end": {
        '            return Verdict("mapped")\n': "            while True: self.host.hfence_gvma()\n"},
    "numbers beyond": {"        leaving.csrs = {number: self":
                       "        self.host.write_csr(HGATP, 1 << 70)\n        leaving.csrs = {number: self"},
}


@pytest.mark.parametrize("name", ODD)
def test_answers_that_make_no_sense(name: str) -> None:
    """No points, and no bug of ours."""
    result = judge(9, changed(9, ODD[name]), names=("mapping", "switch"))
    assert {check.status.value for check in result.checks} <= {"pass", "fail", "crash", "fuel", "timeout"}
    assert lost(result)


def test_a_recording_leads_to_where_it_went_wrong(tmp_path) -> None:
    submission = changed(9, WRONG["devices are the guest's fault"][0])
    result = judge(9, submission, names=("honest-faults",), artifacts=tmp_path)
    check = one(result)
    found = check.first_divergence
    assert found is not None and check.replay is not None
    again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
    again.run(found.step)
    assert (again.vm.hart.pc, again.vm.steps) == (found.pc, found.step)
    assert json.dumps(result.as_json())


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_version_differs(name: str) -> None:
    """On some access; the sign is hlv's alone."""
    right, broken = versions.Right(), versions.VERSIONS[name]()
    assert isinstance(broken, versions.Right)
    maker = Maker(Random("two stages"))
    cases = [maker.case(1) for _ in range(400)]

    def asked(subject: versions.Right) -> list[object]:
        return [(subject.two_stage_translate(case.view, case.gva, case.access, False, case.ram()),
                 subject.hlv(case.view, case.gva, 1, True, case.ram())) for case in cases]

    assert asked(right) != asked(broken)
