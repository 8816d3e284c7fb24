"""A pytest plugin: checks as plain tests, with points, on a student's code in its jail.

    pytest -p hartvisor.labs.pytest_points --submission FOLDER --points-json result.json checks/

In a test file, with `points` imported from here:

    @points(5, task="extend")
    def test_minus_one(student):
        assert student.call("sign_extend", 0xFFF, 12) == -1

`student` is a process of the test's own (`labs.judge.session.Session`). The result is JSON as `hartvisor lab test`
writes it, which `hartvisor lab export` turns into other formats. A test passes or fails; it has all its points or none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from .jail import codec
from .jail.confine import Limits
from .jail.process import Setup
from .judge.session import Live, Log, Session, Stopped
from .judge.verdict import CheckResult, LabResult, Status
from .submission import Submission

KIT: Final = "hartvisor.labs.kit."
_Test = TypeVar("_Test", bound=Callable[..., Any])


def points(most: int, *, task: str = "", title: str = "", cpu: int = 5) -> Callable[[_Test], _Test]:
    """A test's points. task: the part of the lab that it belongs to. title: one line; else the docstring's first. cpu:
    seconds that the student's code may take."""
    def mark(test: _Test) -> _Test:
        said = title or (test.__doc__ or test.__name__.removeprefix("test_").replace("_", " ")).splitlines()[0]
        marked: _Test = pytest.mark.points(most, task=task, title=said, cpu=cpu)(test)
        return marked
    return mark


def pytest_addoption(parser: pytest.Parser) -> None:
    """--submission, --points-json, --kit."""
    group = parser.getgroup("hartvisor labs")
    group.addoption("--submission", metavar="FOLDER", type=Path, help="The student's folder, with answer.py in it.")
    group.addoption("--points-json", metavar="FILE", type=Path, help="Where the result goes.")
    group.addoption("--kit", metavar="NAMES", default="remote", help="Modules of labs/kit that the code may import.")


def pytest_configure(config: pytest.Config) -> None:
    """The marker, and a place for results."""
    config.addinivalue_line("markers", "points(most, task, title, cpu): what a test is worth")
    config.stash[_RESULTS] = {}


_RESULTS: Final = pytest.StashKey[dict[str, CheckResult]]()
_STATUS: Final = pytest.StashKey[Status]()


@pytest.fixture
def student(request: pytest.FixtureRequest) -> Iterator[Session]:
    """The student's code, in a jail of the test's own."""
    folder = request.config.getoption("--submission")
    if folder is None:
        pytest.fail("--submission FOLDER says whose code is tested", pytrace=False)
    marker = request.node.get_closest_marker("points")
    limits = Limits(cpu=marker.kwargs["cpu"] if marker is not None else 5)
    kit = [KIT + name for name in request.config.getoption("--kit").split(",")]
    line = Live(Setup(kit=kit, limits=limits), codec.dump({"load": Submission.read(folder).modules}), Log(), 2)
    try:
        yield Session(line)
    finally:
        line.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """What stopped a student's code is the check's state."""
    try:
        return (yield)
    except Stopped as stopped:
        item.stash[_STATUS] = stopped.status
        pytest.fail(stopped.message, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]
                              ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each test with points, once its own part has run, or could not."""
    report = yield
    marker = item.get_closest_marker("points")
    if marker is not None and (report.when == "call" or (report.when == "setup" and not report.passed)):
        status = Status.PASS if report.passed else item.stash.get(_STATUS, Status.FAIL)
        if report.when == "setup" and not report.passed:
            status = Status.HARNESS_ERROR
        most = marker.args[0]
        message = "" if report.passed else str(getattr(report.longrepr, "reprcrash", None) or report.longrepr)
        item.config.stash[_RESULTS][item.nodeid] = CheckResult(
            item.nodeid.rpartition("::")[2], marker.kwargs["task"], marker.kwargs["title"], "check", status,
            float(most) if report.passed else 0.0, most, message.strip()[:500])
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the result."""
    path, folder = session.config.getoption("--points-json"), session.config.getoption("--submission")
    if path is None or folder is None:
        return
    checks = tuple(session.config.stash[_RESULTS].values())
    result = LabResult(0, "pytest", "Checks by pytest", 0, Submission.read(folder).digest, "0" * 32, (), checks)
    path.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
