"""Labs for programs: frozen views, results check by check, and a way to stop."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.labs import api
from hartvisor.labs.api import open_lab, run_checks, start_lab
from hartvisor.labs.catalog import answer, find_lab, version_of
from hartvisor.labs.jail.process import Cancelled
from hartvisor.labs.submission import Submission

SCHEMA = json.loads((Path(api.__file__).parent / "schema" / "result.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A student's folder of lab 0, untouched."""
    return start_lab(0, tmp_path / "mine").path


def fill_in(folder: Path) -> None:
    for name, text in answer(find_lab(0), 0).texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_checks_are_told_as_they_begin_and_end(folder: Path) -> None:
    told: list[str] = []
    result = run_checks(folder, names=("sign-extend", "encode"), on_begin=lambda check: told.append(f"? {check.name}"),
                        on_check=lambda check: told.append(f"{check.status} {check.name}"))
    assert told == ["? sign-extend", "fail sign-extend", "? encode", "fail encode"]
    assert [check.name for check in result.checks] == ["sign-extend", "encode"]


def test_a_run_can_be_cancelled(folder: Path) -> None:
    """While the student's code is in an endless loop, too."""
    (folder / "answer.py").write_text("def sign_extend(value, bits):\n    while True: pass\n", encoding="utf-8")
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 12

    with pytest.raises(Cancelled):
        run_checks(folder, is_cancelled=is_cancelled)


def test_a_failure_has_a_recording_and_the_step_to_go_to(folder: Path) -> None:
    fill_in(folder)
    path = folder / "answer.py"
    path.write_text(path.read_text().replace('"B": 13, "U"', '"U"'), encoding="utf-8")
    check = run_checks(folder, names=("decode-jumps",)).checks[0]
    assert check.first_divergence is not None and check.replay is not None
    assert Path(check.replay).is_file()
    assert Path(check.replay).parent == open_lab(folder).replays


def test_results_are_as_the_schema_says(folder: Path) -> None:
    fill_in(folder)
    jsonschema.validate(run_checks(folder).as_json(), SCHEMA)
    (folder / "answer.py").write_text("import os\nos._exit(0)", encoding="utf-8")
    jsonschema.validate(run_checks(folder).as_json(), SCHEMA)


def test_the_folders_seed_is_the_default(folder: Path) -> None:
    (folder / "lab.toml").write_text("lab = 0\nseed = 7\n", encoding="utf-8")
    assert run_checks(folder, names=("sign-extend",)).seed == 7
    assert run_checks(folder, 8, names=("sign-extend",)).seed == 8


def test_the_hash_is_of_names_and_texts() -> None:
    one, other = Submission({"answer.py": "a", "tests.py": "b"}), Submission({"answer.py": "ab", "tests.py": ""})
    assert one.digest != other.digest
    assert one.digest == Submission({"tests.py": "b", "answer.py": "a"}).digest
    assert len(version_of(0)) == 32 and version_of(0) != version_of(2)


@pytest.mark.parametrize(("text", "said"), [
    ("lab = 99\n", "no lab 99"), ("lab = two\n", "lab.toml"), ("lab = 'x'\n", "whole numbers"), ("", "whole numbers")])
def test_a_folder_that_is_no_labs(folder: Path, text: str, said: str) -> None:
    (folder / "lab.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        open_lab(folder)


def test_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lab start"):
        open_lab(tmp_path)


def test_a_check_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match="has no check nosuch; it has sign-extend"):
        run_checks(folder, names=("nosuch",))


def test_files_that_are_no_text_are_no_exception(folder: Path) -> None:
    (folder / "answer.py").write_bytes(b"\xff\xfe\x00")
    (folder / "predictions.toml").write_bytes(b"= = =")
    assert run_checks(folder).points == 0
