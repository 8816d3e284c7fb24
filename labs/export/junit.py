"""JUnit XML, as CI servers read it.

Source: the schema for Apache Ant's JUnit and JUnitReport tasks (windyroad/JUnit-Schema), whose elements and attributes
labs/schema/junit.xsd describes in our own words; junit-common.xsd has what other tools read and write, after
testmoapp/junitxml. Times are 0: what a check takes says nothing, and would make two
reports of one result differ.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ..judge.verdict import LabResult, Status
from .words import explain

NEVER = "1970-01-01T00:00:00"
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to say; students print them."""


def to_junit(result: LabResult, when: str = NEVER) -> str:
    """One suite. when: the moment it was graded, ISO 8601 without a zone."""
    failures = [check for check in result.checks if check.status is Status.FAIL]
    errors = [check for check in result.checks if check.status not in (Status.PASS, Status.FAIL)]
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", {
        "package": "hartvisor.labs", "id": "0", "name": f"lab{result.lab:02d}", "timestamp": when,
        "hostname": "localhost", "tests": str(len(result.checks)), "failures": str(len(failures)),
        "errors": str(len(errors)), "time": "0"})
    properties = ElementTree.SubElement(suite, "properties")
    for name in ("seed", "submission", "version", "points", "max"):
        ElementTree.SubElement(properties, "property", {"name": name, "value": str(getattr(result, name))})
    for check in result.checks:
        case = ElementTree.SubElement(suite, "testcase", {
            "name": check.name, "classname": f"lab{result.lab:02d}.{check.task}", "time": "0"})
        if check.status is not Status.PASS:
            kind = "failure" if check.status is Status.FAIL else "error"
            wrong = ElementTree.SubElement(case, kind, {"type": check.status.value, "message": _clean(check.message)})
            wrong.text = _clean(explain(check))
    ElementTree.SubElement(suite, "system-out").text = _clean("\n".join(
        f"{check.points:g}/{check.max} {check.name}" for check in result.checks))
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
