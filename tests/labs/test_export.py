"""Results in others' formats: each as its schema says, and the schemas take what the vendors themselves show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from lxml import etree

from hartvisor.labs import api
from hartvisor.labs.export import EXPORTERS
from hartvisor.labs.judge.verdict import CheckResult, Divergence, LabResult, Status
from tests.labs import vendors

SCHEMAS = Path(api.__file__).parent / "schema"


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))


def xsd(name: str = "junit") -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(SCHEMAS / f"{name}.xsd")))


def result_with(*statuses: Status, output: str = "") -> LabResult:
    """A result with a check of each state."""
    found = Divergence(12, 0x8020_0000, "guest.s:7: sret", "sstatus.SPP", "0x1", "0x0")
    checks = [CheckResult(f"check-{number}", "task" if number % 2 else "other", "is so",
                          "band" if number == 1 else "check", status, 2.5 if status is Status.PASS else 0.0, 4,
                          "words <&>", found if status is Status.FAIL else None, None, {"exits": 7 + number}, output)
              for number, status in enumerate(statuses)]
    return LabResult(2, "traps", "Traps", 5, "0" * 32, "f" * 32, ("limits",), tuple(checks))


ALL = result_with(*Status, output="\x00\x1b[31m]]> ü \ufffe &")
GOOD = result_with(Status.PASS, Status.PASS)
NONE = result_with()


@pytest.mark.parametrize("result", [ALL, GOOD, NONE], ids=["every state", "all passed", "no checks"])
@pytest.mark.parametrize("name", ["gradescope", "prairielearn", "github-classroom"])
def test_json_is_as_its_schema_says(name: str, result: LabResult) -> None:
    jsonschema.validate(json.loads(EXPORTERS[name](result)), schema(name))


@pytest.mark.parametrize("result", [ALL, GOOD, NONE], ids=["every state", "all passed", "no checks"])
def test_autolab_reads_the_last_line(result: LabResult) -> None:
    jsonschema.validate(json.loads(EXPORTERS["autolab"](result).splitlines()[-1]), schema("autolab"))


@pytest.mark.parametrize("result", [ALL, GOOD, NONE], ids=["every state", "all passed", "no checks"])
@pytest.mark.parametrize("name", ["junit", "junit-common"])
def test_junit_is_as_ant_and_as_others_have_it(name: str, result: LabResult) -> None:
    xsd(name).assertValid(etree.fromstring(EXPORTERS["junit"](result).encode()))


@pytest.mark.parametrize("name", ["gradescope", "prairielearn", "github-classroom"])
def test_schemas_take_the_vendors_examples(name: str) -> None:
    for example in getattr(vendors, name.replace("-", "_").upper()):
        jsonschema.validate(example, schema(name))


def test_schemas_take_autolabs_and_ants_examples() -> None:
    for line in vendors.AUTOLAB:
        jsonschema.validate(json.loads(line), schema("autolab"))
    for text in vendors.JUNIT:
        xsd().assertValid(etree.fromstring(text))
    for text in (*vendors.JUNIT, *vendors.JUNIT_COMMON):
        xsd("junit-common").assertValid(etree.fromstring(text))


@pytest.mark.parametrize(("name", "wrong"), [
    ("gradescope", {"output": "no score anywhere"}),
    ("gradescope", {"tests": []}),
    ("gradescope", {"tests": [{"name": "no score"}]}),
    ("gradescope", {"score": 1, "tests": [{"status": "pass"}]}),
    ("gradescope", {"score": 1, "visibility": "sometimes"}),
    ("prairielearn", {"score": 100}),
    ("prairielearn", {"message": "no score"}),
    ("prairielearn", {"score": 1, "tests": [{"name": "a", "points": 1, "max_points": 1}, {"name": "b"}]}),
    ("autolab", {"scores": [10]}),
    ("github-classroom", {"version": 4, "status": "pass", "tests": []}),
    ("github-classroom", {"version": 3, "status": "passed", "tests": []}),
    ("github-classroom", {"version": 3, "status": "pass", "max_score": 1}),
])
def test_schemas_refuse_what_is_wrong(name: str, wrong: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema(name))


@pytest.mark.parametrize("wrong", [
    "<testsuites><testcase name='a'/></testsuites>", "<testsuite/>", "<testsuite name='a' tests='many'/>",
    "<testsuite name='a'><testcase classname='no name'/></testsuite>",
    "<testsuite name='a'><testcase name='b'><broken/></testcase></testsuite>"])
def test_junits_schemas_refuse_what_is_wrong(wrong: str) -> None:
    assert not xsd().validate(etree.fromstring(wrong))
    assert not xsd("junit-common").validate(etree.fromstring(wrong))


def test_a_runner_of_classrooms_says_its_version() -> None:
    """The reporter does without, and so does the schema; a newer reporter may not."""
    assert json.loads(EXPORTERS["github-classroom"](ALL))["version"] == 3


def test_the_points_are_the_results() -> None:
    assert json.loads(EXPORTERS["gradescope"](GOOD))["score"] == 5
    assert json.loads(EXPORTERS["prairielearn"](GOOD))["score"] == 0.625
    assert sum(json.loads(EXPORTERS["autolab"](GOOD).splitlines()[-1])["scores"].values()) == 5
    classroom = json.loads(EXPORTERS["github-classroom"](GOOD))
    assert (sum(test["score"] for test in classroom["tests"]), classroom["max_score"]) == (5, 8)


def test_a_failure_says_where() -> None:
    for name, export in EXPORTERS.items():
        assert "first divergence: step 12" in export(ALL), name


def test_a_harness_error_costs_no_attempt() -> None:
    data = json.loads(EXPORTERS["prairielearn"](ALL))
    assert data["gradable"] is False
    assert "could not be graded" in data["format_errors"][0]


def test_equal_results_make_equal_files() -> None:
    for export in EXPORTERS.values():
        assert export(ALL) == export(LabResult.from_json(ALL.as_json()))
