"""Lab 4: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from tests.labs.support import changed, judge, lost, one

GUESTS = {"mapping", "rights", "spaces", "honest-faults", "fills"}
WALKS = {"walk-guest", "classify-fault"}

WRONG = {
    "the supervisor executes user pages under SUM": (
        {"access == FETCH or not context.sum": "not context.sum"}, {"walk-guest"}, ("walk-guest", "cause")),
    "MXR is not looked at": (
        {"flags & PTE_R or (context.mxr and flags & PTE_X)": "flags & PTE_R"}, {"walk-guest"}, ("walk-guest", "cause")),
    "a store does not need D": (
        {"PTE_A | (PTE_D if access == STORE else 0)": "PTE_A"}, {"walk-guest", "mapping"}, ("walk-guest", "cause")),
    "a misaligned superpage is fine": (
        {"is_misaligned = ppn(pte) & (1 << 9 * level) - 1": "is_misaligned = 0"}, {"walk-guest"},
        ("walk-guest", "cause")),
    "a missing table is a page fault": (
        {"return Walk(ACCESS_FAULT[access])": "return Walk(PAGE_FAULT[access])"}, {"walk-guest"},
        ("walk-guest", "cause")),
    "devices are the guest's fault": (
        {'Verdict("device", gpa=found.gpa)': 'Verdict("guest", PAGE_FAULT[access])'},
        {"classify-fault", "honest-faults"}, ("classify-fault", "kind")),
    "leaves allow what the page has, whoever asks": (
        {"                     if allows(flags, context, access))": "                     if flags & bit)"},
        {"rights"}, ("rights", "shadow")),
    "clean pages are writable": (
        {"        if not flags & PTE_D:\n            rights &= ~PTE_W\n": ""}, {"mapping"}, ("mapping", "shadow leaf")),
    "fences do nothing": (
        {"        for each in list(self.roots):\n            if asid": "        for each in ():\n            if asid"},
        {"mapping", "spaces"}, ("mapping", "shadow leaf")),
    "a fence of another space's page is ours": (
        {"each.satp >> 44 & 0xFFFF != asid": "each.satp >> 44 & 0xFFFF == asid"}, {"spaces"},
        ("spaces", "shadow leaf")),
    "the frame map is forgotten": (
        {"frame >> 2 | self.leaf": "found.gpa >> 12 << 10 | self.leaf"}, {"mapping", "fills"},
        ("mapping", "shadow leaf")),
    "never fills": (
        {"        self.machine.store(table + index(gva, 0) * PTE_SIZE, frame": "        (0, frame"},
        GUESTS, ("mapping", "shadow entry")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, (check, field) = WRONG[name]
    result = judge(4, changed(4, changes), names=sorted(WALKS | GUESTS))
    assert missing <= lost(result) <= WALKS | GUESTS
    found = one(result, check).first_divergence
    assert found is not None
    assert found.field.startswith(field)


def test_dropping_everything_is_right_but_brings_fewer_points() -> None:
    """At every fence all roots go, and at every other root all that came before."""
    changes = {
        "            if asid is not None and each.satp >> 44 & 0xFFFF != asid:\n                continue\n": "",
        "            if gva is None:\n                self.drop": "            if True:\n                self.drop",
        "        if context not in self.roots:\n":
            "        for each in [each for each in self.roots if each != context]:\n"
            "            self.drop(self.roots.pop(each))\n        if context not in self.roots:\n"}
    result = judge(4, changed(4, changes), names=sorted(GUESTS))
    assert lost(result) == {"fills"}
    assert 0 < one(result, "fills").points < one(result, "fills").max


def test_tables_of_others_are_out_of_reach() -> None:
    """The guest's own, and the machine's memory."""
    for hpa in ("0x8030_0000", "0x80000000", "-8", "1 << 70", "'x'"):
        line = "        self.machine = machine\n"
        reach = {line: f"{line}        machine.store({hpa}, 0)\n"}
        check = one(judge(4, changed(4, reach), names=("mapping",)))
        assert check.status.value == "crash"
        assert "ShadowPager.use raised ValueError" in check.message
