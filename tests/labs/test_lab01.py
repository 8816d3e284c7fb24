"""Lab 1: wrong answers lose the right points, at the right place; and the theorem holds for our hart."""

from __future__ import annotations

from random import Random

import pytest

from hartvisor.labs.kit.hart import SUPERVISOR, USER
from hartvisor.labs.kit.sensitive import BEHAVIOUR, CONTROL, TRAPS, Instruction, State
from hartvisor.labs.lab01_sensitive import versions
from hartvisor.labs.lab01_sensitive.box import DECOYS, HOLES, SHOWN, BlackBox, customs
from hartvisor.labs.lab01_sensitive.checks import guests_csrs
from hartvisor.labs.lab01_sensitive.experiment import CSR_ROWS, PLAIN_ROWS, Experiment
from hartvisor.labs.lab01_sensitive.lab import BROKEN
from tests.labs.support import changed, judge, lost, one

CLASSES = {"classify-plain", "classify-csr"}
BOXES = {"find-silent", "honest-machines"}
PATCHES = {"deprivilege", "patches"}

WRONG = {
    "wfi is innocuous": (
        {'SUPERVISORS = ("sret", "wfi", ': 'SUPERVISORS = ("sret", '}, CLASSES, {"classify-plain"},
        ("classify-plain", "class")),
    "a fence is innocuous": (
        {'"wfi", "sfence.vma", "sinval.vma")': '"wfi")\nMORE = ("sfence.vma", "sinval.vma")'}, CLASSES,
        {"classify-plain"}, ("classify-plain", "class")),
    "reading is innocuous": (
        {"return CONTROL if writes else BEHAVIOUR": "return CONTROL if writes else INNOCUOUS"}, CLASSES,
        {"classify-csr"}, ("classify-csr", "class")),
    "read-only CSRs can be written": (
        {" or (writes and csr >> 10 == 3)": ""}, CLASSES, {"classify-csr"}, ("classify-csr", "class")),
    "counters are open to users": (
        {"mode == USER or (writes": "(mode == USER and csr < 0xC00) or (writes"}, CLASSES, {"classify-csr"},
        ("classify-csr", "class")),
    "all numbers are CSRs": (
        {"if csr not in self.csrs or mode == USER": "if csr >> 8 & 3 > 1 or mode == USER"}, CLASSES, {"classify-csr"},
        ("classify-csr", "class")),
    "everything traps": (
        {"        name = instruction.name\n": "        return TRAPS\n        name = instruction.name\n"}, CLASSES,
        CLASSES, ("classify-plain", "class")),
    "finds nothing": (
        {"if self.is_silent(box, word)]": "if False]"}, BOXES, {"find-silent"}, ("find-silent", "silent")),
    "finds all": (
        {"if self.is_silent(box, word)]": "if word]"}, BOXES, BOXES, ("honest-machines", "silent")),
    "what does not trap is silent": (
        {"if user.cause is not None:\n                return False\n": "return user.cause is None\n"}, BOXES, BOXES,
        ("honest-machines", "silent")),
    "never tries supervisor mode": (
        {"replace(state, mode=SUPERVISOR)": "state", "(supervisor, SUPERVISOR))": "(supervisor, USER))"}, BOXES,
        {"find-silent"}, ("find-silent", "silent")),
    "tries one state": (
        {"states = list(self.states())": "states = list(self.states())[:1]"}, BOXES, {"find-silent"},
        ("find-silent", "silent")),
    "does not look at CSRs": (
        {"if seen.mode != mode or seen.csrs != state.csrs:": "if seen.mode != mode:"}, BOXES, {"find-silent"},
        ("find-silent", "silent")),
    "patches nothing": (
        {"if word & each.mask == each.match and not": "if not word and not"}, PATCHES, {"deprivilege", "patches"},
        ("deprivilege", "")),
    "patches with a nop": (
        {"EBREAK = 0x0010_0073": "EBREAK = 0x13"}, PATCHES, PATCHES, ("deprivilege", "")),
    "trusts users' code whatever it needs": (
        {"not (each.needs == MODE and index in only_users)": "index not in only_users"}, PATCHES, PATCHES,
        ("deprivilege", "")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, names, missing, (check, field) = WRONG[name]
    result = judge(1, changed(1, changes), names=sorted(names))
    assert lost(result) == missing
    found = one(result, check).first_divergence
    assert found is not None
    assert found.field == field or not field


def test_patching_all_is_right_but_brings_fewer_points() -> None:
    result = judge(1, changed(1, {" and not (each.needs == MODE and index in only_users)": ""}), names=sorted(PATCHES))
    assert lost(result) == {"patches"}
    assert 0 < one(result, "patches").points < one(result, "patches").max


ODD = {
    "no list": {"return Patched(patched, originals)": "return None"},
    "words that are none": {"return Patched(patched, originals)": "return Patched(['x'] * len(words), originals)"},
    "too few": {"return Patched(patched, originals)": "return Patched(patched[1:], originals)"},
    "other words": {"return Patched(patched, originals)": "return Patched([0x13] * len(words), {})"},
    "originals of its own": {
        "return Patched(patched, originals)": "return Patched(patched, {each: 0x13 for each in originals})"},
    "patches what needs none": {
        "return Patched(patched, originals)":
        "return Patched([EBREAK] * len(words), dict(enumerate(words)))"},
    "an index beyond": {
        "return Patched(patched, originals)": "return Patched(patched, originals | {-1: 5, 1 << 70: 5})"},
}


@pytest.mark.parametrize("name", ODD)
def test_patches_that_make_no_sense(name: str) -> None:
    for check in judge(1, changed(1, ODD[name]), names=("deprivilege",)).checks:
        assert check.status.value == "fail", check
        assert check.points == 0


def test_states_that_make_no_sense() -> None:
    for state in ("state.gprs", "5", "replace(state, mode=7)", "replace(state, gprs=[])", "replace(state, csrs={})",
                  "replace(state, pc=-1)"):
        check = one(judge(1, changed(1, {"user = box.run(word, state)": f"user = box.run(word, {state})"}),
                          names=("honest-machines",)))
        assert check.status.value == "crash", check
        assert "ValueError" in check.message


def test_our_hart_keeps_the_theorem() -> None:
    """What is sensitive in S-mode, or would be in U-mode, traps in U-mode: no instruction and no CSR is left out."""
    experiment = Experiment()
    cases = [(row, None, False) for row in PLAIN_ROWS]
    cases += [(row, csr.number, writes) for row in CSR_ROWS for csr in guests_csrs() for writes in (True, False)
              if writes or row.name not in ("csrrw", "csrrwi")]
    sensitive = 0
    for row, csr, writes in cases:
        in_user, in_supervisor = (experiment.classify(row, csr, writes, mode) for mode in (USER, SUPERVISOR))
        assert in_user not in (CONTROL, BEHAVIOUR)
        if in_supervisor in (CONTROL, BEHAVIOUR):
            sensitive += 1
            assert in_user == TRAPS, row.name
    assert sensitive > 100


@pytest.mark.parametrize("name", HOLES)
def test_each_hole_is_one(name: str) -> None:
    """It does not trap in user mode, and does not do there what it does for a supervisor."""
    custom, = customs(Random(name), (name,))
    box = BlackBox([custom])
    csrs = dict.fromkeys(SHOWN, 0) | {0x100: 2, 0x140: 6}
    for gprs in ([0] * 32, [0, *([0x8000_0000] * 31)]):
        outcomes = [box.run(custom.word(7, 5), State(mode, 0x8000_0000, gprs, each))
                    for mode in (USER, SUPERVISOR) for each in (csrs, dict.fromkeys(SHOWN, 0))]
        assert {each.cause for each in outcomes} == {None}
        changes = {(tuple(each.state.gprs), each.state.pc, each.state.mode - mode, each.state.csrs == before)
                   for each, mode, before in zip(outcomes, (USER, USER, SUPERVISOR, SUPERVISOR),
                                                 (csrs, dict.fromkeys(SHOWN, 0)) * 2, strict=True)}
        assert len(changes) > 1


@pytest.mark.parametrize("name", DECOYS)
def test_each_decoy_is_none(name: str) -> None:
    """It traps in user mode, or does the same in both modes and leaves the supervisor's state alone."""
    custom, = customs(Random(name), (name,))
    box = BlackBox([custom])
    gprs = [0, *range(0x8000_0001, 0x8000_0020)]
    csrs = dict.fromkeys(SHOWN, 6)
    user, supervisor = (box.run(custom.word(7, 5), State(mode, 0x8000_0000, gprs, csrs)) for mode in (USER, SUPERVISOR))
    if user.cause is None:
        assert (user.state.gprs, user.state.pc) == (supervisor.state.gprs, supervisor.state.pc)
        assert user.state.csrs == supervisor.state.csrs == csrs


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_version_differs(name: str) -> None:
    right, broken = versions.Right(), versions.VERSIONS[name]()
    assert isinstance(broken, versions.Right)
    cases = [(Instruction(each), None) for each in ("wfi", "sfence.vma", "ecall")]
    cases += [(Instruction("csrrs"), csr) for csr in (0x100, 0x300, 0xC01)]
    assert [right.classify(*case, mode) for case in cases for mode in (USER, SUPERVISOR)] != [
        broken.classify(*case, mode) for case in cases for mode in (USER, SUPERVISOR)]
