"""Submissions that mean harm: none passes, none hangs past its limits, and the next one is graded as if nothing had
been."""

from __future__ import annotations

import os
import time

import pytest

from hartvisor.labs.catalog import PACKAGES, find_lab
from hartvisor.labs.submission import Submission
from tests.labs.hostile import HOOKED, LOADING, planted
from tests.labs.support import changed, children, judge, one, with_answer


@pytest.fixture(scope="module", autouse=True)
def _walls() -> None:
    """A fork bomb is not let loose where the kernel does not hold it."""
    held = judge(0, with_answer(0, ""), names=("sign-extend",)).jail
    if "seccomp" not in held:
        pytest.skip(f"this kernel gives no seccomp: the jail has {', '.join(held)}")


SIGN_EXTEND = '    sign = 1 << bits - 1\n    return (value & 2 * sign - 1 ^ sign) - sign\n'
MOST_SECONDS = 60
"""CPU limits are a few seconds; the rest is for a busy host."""


@pytest.mark.parametrize("name", LOADING)
def test_what_strikes_when_loaded(name: str) -> None:
    text, states = LOADING[name]
    before, started = children(), time.monotonic()
    result = judge(0, with_answer(0, text), names=("sign-extend",))
    check = one(result)
    assert check.status.value in states, check
    assert check.points == 0
    assert time.monotonic() - started < MOST_SECONDS
    assert children() == before, "it left processes behind"


@pytest.mark.parametrize("name", ["closes every descriptor", "reads its own requests", "sends garbage"])
def test_the_line_is_in_reach_whatever_the_judge_has_open(name: str) -> None:
    """The child's ends of the line had the parent's numbers once: beyond 64, these three got away as "not written"."""
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(80)]
    try:
        test_what_strikes_when_loaded(name)
    finally:
        for descriptor in taken:
            os.close(descriptor)


@pytest.mark.parametrize("name", HOOKED)
def test_what_strikes_when_asked(name: str) -> None:
    text, states = HOOKED[name]
    result = judge(0, changed(0, {SIGN_EXTEND: "    " + text + "\n"}), names=("sign-extend", "decode-registers"))
    check = one(result)
    assert check.status.value in states, check
    assert check.points == 0


@pytest.mark.parametrize("number", PACKAGES)
@pytest.mark.parametrize("name", ["exits with status 0", "patches json", "answers before it is asked", "is empty"])
def test_no_lab_gives_points_for_it(number: int, name: str) -> None:
    """The whole lab: only what was foreseen may count, for that is in no Python."""
    texts = {"answer.py": LOADING[name][0], "tests.py": LOADING[name][0]}
    result = judge(number, Submission(texts))
    assert result.points == 0, [check for check in result.checks if check.points]
    assert {check.status.value for check in result.checks} <= {"fail", "crash", "timeout"}
    assert result.max == find_lab(number).points


@pytest.mark.parametrize("number", PACKAGES)
def test_no_lab_gives_points_for_what_strikes_when_asked(number: int) -> None:
    """In the lab's first function, which its first check needs; the rest is right. `python -m tests.labs.hostility`
    tries all of them, on all checks."""
    name = find_lab(number).checks[0].name
    for hostile in ("exits when asked", "answers with its own class"):
        check = one(judge(number, planted(number, HOOKED[hostile][0]), names=(name,)))
        assert check.points == 0, check
        assert check.status.value in ("crash", "fail"), check


def test_the_next_submission_is_none_the_worse() -> None:
    for name in ("fork bomb", "writes a file", "kills its parent"):
        judge(0, with_answer(0, LOADING[name][0]), names=("sign-extend",))
    assert one(judge(0, changed(0, {}), names=("sign-extend",))).status.value == "pass"


def test_the_same_submission_has_the_same_score() -> None:
    """Clocks stand, hashes are fixed, chance is seeded: what is left to differ between two runs is found."""
    text = "import random, time\n    return int(random.random() * 1000) + int(time.time() * 1e6) + hash('tern') % 7"
    results = [judge(0, changed(0, {SIGN_EXTEND: "    " + text + "\n"}), names=("sign-extend",)) for _ in range(3)]
    assert results[0] == results[1] == results[2]
    assert one(results[0]).status.value == "fail"


def test_what_it_prints_is_kept_and_cut() -> None:
    flood = changed(0, {SIGN_EXTEND: "    print('tern' * 50000)\n" + SIGN_EXTEND})
    check = one(judge(0, flood, names=("sign-extend",)))
    assert check.status.value == "pass"
    assert check.output.startswith("terntern")
    assert len(check.output) == 1 << 14
