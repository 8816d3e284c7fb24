"""Results as the vendors' own documentation shows them, for our schemas to accept."""

from __future__ import annotations

from typing import Any, Final

GRADESCOPE: Final[tuple[dict[str, Any], ...]] = (
    # Autograder Specifications, Output Format; the comments there are left out
    {"score": 44.0, "execution_time": 136, "output": "Text relevant to the entire submission",
     "output_format": "simple_format", "test_output_format": "text", "test_name_format": "text",
     "visibility": "after_due_date", "stdout_visibility": "visible", "extra_data": {},
     "tests": [{"score": 2.0, "max_score": 2.0, "status": "passed", "name": "Your name here", "name_format": "text",
                "number": "1.1", "output": "Giant multiline string that will be placed in a <pre> tag",
                "output_format": "text", "tags": ["tag1", "tag2", "tag3"], "visibility": "visible", "extra_data": {}}],
     "leaderboard": [{"name": "Accuracy", "value": .926}, {"name": "Time", "value": 15.1, "order": "asc"},
                     {"name": "Stars", "value": "*****"}]},
    {"tests": [{"score": 1}, {"score": 0.5, "max_score": 1}]},
)
PRAIRIELEARN: Final[tuple[dict[str, Any], ...]] = (
    # External Grading, Grading results
    {"gradable": True, "score": 0.25, "message": "Tests completed successfully.",
     "output": "Running tests...\nTest 1 passed\nTest 2 failed!\n...",
     "images": [{"label": "First Image", "url": "data:image/png;base64,..."},
                {"label": "Second Image", "url": "data:image/jpeg;base64,..."}],
     "tests": [{"name": "Test 1", "description": "Tests that a thing does a thing.", "points": 1, "max_points": 1,
                "message": "No errors!", "output": "Running test...\nYour output matched the expected output!"},
               {"name": "Test 2", "description": "Like Test 1, but harder, you'll probably fail it.", "points": 0,
                "max_points": 3, "message": "Make sure that your code is doing the thing correctly.",
                "output": "Running test...\nYour output did not match the expected output.",
                "images": [{"label": "First Image", "url": "data:image/gif;base64,..."},
                           {"label": "First Image", "url": "data:image/png;base64,..."}]}]},
    {"gradable": False, "format_errors": ["a syntax error"]},
    {"score": 1.0, "images": ["data:image/png;base64,..."]},
)
AUTOLAB: Final[tuple[str, ...]] = (
    # Guide for Lab Authors, Writing Autograders; and the driver of its Hello Lab
    '{ "scores": { "Prob1": 10, "Prob2": 5 } }',
    '{ "scores": { "Prob1": 10, "Prob2": 5 }, "scoreboard": [10, 5, 15] }',
    '{"scores": {"Correctness": 100}}',
)
GITHUB_CLASSROOM: Final[tuple[dict[str, Any], ...]] = (
    # autograding-grading-reporter, __tests__/aggregate-results.test.js
    {"version": 1, "status": "pass", "max_score": 2, "tests": [
        {"name": "Test 1", "status": "pass", "message": None, "line_no": None, "execution_time": "0ms", "score": 1},
        {"name": "Test 2", "status": "fail", "message": "Expected output not matched", "line_no": 10,
         "execution_time": "5ms", "score": 0}]},
    {"version": 2, "status": "fail", "max_score": 3.3, "tests": [
        {"name": "Test 3", "status": "pass", "message": None, "line_no": None, "execution_time": "0ms"},
        {"name": "Test 4", "status": "fail", "message": "Expected output not matched", "line_no": 10,
         "execution_time": "5ms"}]},
)
JUNIT: Final[tuple[str, ...]] = (
    # the shape that Ant's junit and junitreport tasks write
    """<testsuite errors="0" failures="1" hostname="host" name="tests.StringTest" tests="2" time="0.12"
        timestamp="2011-08-11T12:30:00"><properties><property name="java.vm.version" value="11"/></properties>
        <testcase classname="tests.StringTest" name="a" time="0.01"/>
        <testcase classname="tests.StringTest" name="b" time="0.1">
        <failure message="expected" type="junit.framework.AssertionFailedError">at b</failure></testcase>
        <system-out/><system-err/></testsuite>""",
    """<testsuites><testsuite package="tests" id="0" errors="1" failures="0" hostname="host" name="T" tests="1"
        time="0" timestamp="2011-08-11T12:30:00"><properties/><testcase classname="tests.T" name="c" time="0">
        <error type="java.lang.Error"/></testcase><system-out>text</system-out>
        <system-err/></testsuite></testsuites>""",
)
