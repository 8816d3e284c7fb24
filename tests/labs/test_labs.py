"""What every lab must be: complete, won by its reference answer under any seed, and not by doing nothing.

`python -m tests.labs.seeds 20` looks at twenty seeds.
"""

from __future__ import annotations

import pytest

from hartvisor.labs.api import LabResult, open_lab, run_submission, start_lab
from hartvisor.labs.catalog import PACKAGES, answer, find_lab, prediction_file, starter
from hartvisor.labs.judge.verdict import Status
from hartvisor.labs.lab import KINDS
from tests.labs.support import judge

NUMBERS = list(PACKAGES)


@pytest.mark.parametrize("number", NUMBERS)
def test_has_all_that_a_lab_has(number: int) -> None:
    lab = find_lab(number)
    kinds = [check.kind for check in lab.checks]
    assert set(kinds) == set(KINDS)
    assert kinds.count("prediction") == len(lab.questions) == 2
    assert lab.points == 100
    assert {check.task for check in lab.checks} == {task.name for task in lab.tasks}
    assert len({check.name for check in lab.checks}) == len(lab.checks)
    handout = (lab.folder / "handout.md").read_text(encoding="utf-8")
    assert "**Reading:**" in handout
    assert "## Tasks" in handout and "## Hints" in handout and "```text" in handout


@pytest.mark.parametrize("seed", [12345])
@pytest.mark.parametrize("number", NUMBERS)
def test_reference_answer_has_all_points(number: int, seed: int) -> None:
    result = run_submission(find_lab(number), answer(find_lab(number), seed), seed)
    assert [(check.name, check.message) for check in result.checks if check.status is not Status.PASS] == []
    assert result.points == result.max


@pytest.mark.parametrize("number", NUMBERS)
def test_untouched_starter_has_none(number: int) -> None:
    result = judge(number, starter(find_lab(number), 0))
    assert [(check.name, check.points) for check in result.checks if check.points] == []
    assert {check.status for check in result.checks} == {Status.FAIL}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_result_comes_back_from_its_json(number: int) -> None:
    result = judge(number, starter(find_lab(number), 0), names=(find_lab(number).checks[0].name,))
    assert LabResult.from_json(result.as_json()) == result


@pytest.mark.parametrize("number", NUMBERS)
def test_a_seed_changes_the_questions(number: int) -> None:
    lab = find_lab(number)
    assert prediction_file(lab, 1) != prediction_file(lab, 2)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_folder_is_started_and_opened(number: int, tmp_path) -> None:
    opened = start_lab(number, tmp_path / "mine", seed=3)
    assert opened == open_lab(tmp_path / "mine")
    assert opened.seed == 3
    assert opened.lab.number == number
    assert sorted(path.name for path in opened.path.iterdir()) == [
        "answer.py", "handout.md", "lab.toml", "predictions.toml", "tests.py"]
