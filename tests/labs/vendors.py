"""Results as the vendors' own documentation and tests show them, for our schemas to accept."""

from __future__ import annotations

from typing import Any, Final

GRADESCOPE: Final[tuple[dict[str, Any], ...]] = (
    # gradescope-autograders.readthedocs.io, Autograder Specifications, Output Format; without the comments there
    {"score": 44.0, "execution_time": 136, "output": "Text relevant to the entire submission",
     "output_format": "simple_format", "test_output_format": "text", "test_name_format": "text",
     "visibility": "after_due_date", "stdout_visibility": "visible", "extra_data": {},
     "tests": [{"score": 2.0, "max_score": 2.0, "status": "passed", "name": "Your name here", "name_format": "text",
                "number": "1.1",
                "output": "Giant multiline string that will be placed in a <pre> tag and collapsed by default",
                "output_format": "text", "tags": ["tag1", "tag2", "tag3"], "visibility": "visible", "extra_data": {}}],
     "leaderboard": [{"name": "Accuracy", "value": .926}, {"name": "Time", "value": 15.1, "order": "asc"},
                     {"name": "Stars", "value": "*****"}]},
    # the same, Test case status: a test without a score informs
    {"tests": [{"name": "Compilation check", "status": "passed"}, {"name": "Style check", "status": "failed"},
               {"name": "Test 3", "score": 5, "max_score": 10, "status": "passed"}]},
)
PRAIRIELEARN: Final[tuple[dict[str, Any], ...]] = (
    # PrairieLearn/PrairieLearn, docs/externalGrading.md, Grading results; then what it says in words
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
    # autolab/Autolab, docs/lab.md (Guide for Lab Authors), Writing Autograders; and the driver of its Hello Lab
    '{ "scores": { "Prob1": 10, "Prob2": 5 } }',
    '{ "scores": { "Prob1": 10, "Prob2": 5 }, "scoreboard": [10, 5, 15] }',
    '{"scores": {"Correctness": 100}}',
    # docs/features/scoreboards.md, Scoreboard Entries; docs/features/formatted-feedback.md, Default Feedback
    '{ "scores": { "autograded": 97 }, "scoreboard": [97, 128] }',
    '{ "scores": { "Correctness": 20, "TA/Design/Readability": 40 } }',
)
GITHUB_CLASSROOM: Final[tuple[dict[str, Any], ...]] = (
    # classroom-resources/autograding-grading-reporter, __tests__/aggregate-results.test.js
    {"version": 1, "status": "pass", "max_score": 2, "tests": [
        {"name": "Test 1", "status": "pass", "message": None, "line_no": None, "execution_time": "0ms", "score": 1},
        {"name": "Test 2", "status": "fail", "message": "Expected output not matched", "line_no": 10,
         "execution_time": "5ms", "score": 0}]},
    {"version": 2, "status": "fail", "max_score": 3.3, "tests": [
        {"name": "Test 3", "status": "pass", "message": None, "line_no": None, "execution_time": "0ms"},
        {"name": "Test 4", "status": "fail", "message": "Expected output not matched", "line_no": 10,
         "execution_time": "5ms"}]},
    # the same, __tests__/main.test.js
    {"tests": [{"name": "Test 1", "status": "pass", "message": None}]},
    {"tests": [{"name": "Test 1", "status": "error", "message": "Test failed to execute."}]},
    # classroom-resources/autograding-python-grader, version 3: the beginnings of results.json in test/
    # example-partial-fail, example-has-stdout-and-tasks, example-with-config, example-lasagna-function-import-error
    {"version": 3, "status": "fail", "tests": [
        {"name": "ExamplePartialFail > hello", "status": "fail", "test_code": 'self.assertEqual(hello(), "Goodbye")',
         "message": "AssertionError: 'Hello, World!' != 'Goodbye'\n- Hello, World!\n+ Goodbye", "task_id": 0},
        {"name": "ExamplePartialFail > abc", "status": "pass", "task_id": 0,
         "test_code": 'self.assertEqual(hello(), "Hello, World!")'}]},
    {"version": 3, "status": "fail", "tests": [
        {"name": "ExampleHasStdoutAndTasks > hello", "status": "fail", "task_id": 1, "output": "Hello, World!",
         "message": "AssertionError: None != 'Hello, World!'",
         "test_code": 'self.assertEqual(hello(), "Hello, World!")'}]},
    {"version": 3, "status": "pass", "tests": [
        {"filename": "test/example-with-config/example_with_config_test.py", "line_no": 7, "task_id": 0,
         "name": "ExampleWithConfig > hello", "status": "pass", "output": "User output is captured!",
         "test_code": 'self.assertEqual(hello(), "Hello, World!")'}]},
    {"version": 3, "status": "error", "tests": [],
     "message": "ImportError: \n\nMISSING FUNCTION --> In your 'lasagna.py' file, we can not find or import the "
                "function named 'bake_time_remaining()'. \nDid you misname or forget to define it?"},
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
JUNIT_COMMON: Final[tuple[str, ...]] = (
    # testmoapp/junitxml, examples/junit-basic.xml and examples/junit-complete.xml, without their comments
    """<testsuites time="15.682687"><testsuite name="Tests.Registration" time="6.605871">
        <testcase name="testCase1" classname="Tests.Registration" time="2.113871" />
        <testcase name="testCase2" classname="Tests.Registration" time="1.051" />
        <testcase name="testCase3" classname="Tests.Registration" time="3.441" /></testsuite>
        <testsuite name="Tests.Authentication" time="9.076816">
        <testsuite name="Tests.Authentication.Login" time="4.356">
        <testcase name="testCase4" classname="Tests.Authentication.Login" time="2.244" />
        <testcase name="testCase5" classname="Tests.Authentication.Login" time="0.781" />
        <testcase name="testCase6" classname="Tests.Authentication.Login" time="1.331" /></testsuite>
        <testcase name="testCase7" classname="Tests.Authentication" time="2.508" />
        <testcase name="testCase8" classname="Tests.Authentication" time="1.230816" />
        <testcase name="testCase9" classname="Tests.Authentication" time="0.982">
        <failure message="Assertion error message" type="AssertionError"></failure></testcase>
        </testsuite></testsuites>""",
    """<testsuites name="Test run" tests="8" failures="1" errors="1" skipped="1"
        assertions="20" time="16.082687" timestamp="2021-04-02T15:48:23">
        <testsuite name="Tests.Registration" tests="8" failures="1" errors="1" skipped="1"
        assertions="20" time="16.082687" timestamp="2021-04-02T15:48:23" file="tests/registration.code">
        <properties><property name="version" value="1.774" /><property name="commit" value="ef7bebf" />
        <property name="config">
            Config line #1
            Config line #2</property></properties>
        <system-out>Data written to standard out.</system-out>
        <system-err>Data written to standard error.</system-err>
        <testcase name="testCase1" classname="Tests.Registration" assertions="2"
            time="2.436" file="tests/registration.code" line="24" />
        <testcase name="testCase4" classname="Tests.Registration" assertions="0"
            time="0" file="tests/registration.code" line="164"><skipped message="Test was skipped." /></testcase>
        <testcase name="testCase5" classname="Tests.Registration" assertions="2"
            time="2.902412" file="tests/registration.code" line="202">
            <failure message="Expected value did not match." type="AssertionError"></failure></testcase>
        <testcase name="testCase6" classname="Tests.Registration" assertions="0"
            time="3.819" file="tests/registration.code" line="235">
            <error message="Division by zero." type="ArithmeticError"></error></testcase>
        <testcase name="testCase7" classname="Tests.Registration" assertions="3"
            time="2.944" file="tests/registration.code" line="287">
            <system-out>Data written to standard out.</system-out>
            <system-err>Data written to standard error.</system-err></testcase>
        <testcase name="testCase8" classname="Tests.Registration" assertions="4"
            time="1.625275" file="tests/registration.code" line="302">
            <properties><property name="priority" value="high" />
            <property name="attachment" value="screenshots/dashboard.png" />
            <property name="description">
                This text describes the purpose of this test case.</property></properties></testcase>
        </testsuite></testsuites>""",
)
