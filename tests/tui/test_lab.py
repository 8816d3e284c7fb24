"""`hartvisor lab`: a student's way from start to submission, and what an instructor does."""

from __future__ import annotations

import asyncio
import json
import threading
import zipfile
from pathlib import Path

import pytest

from hartvisor.labs.catalog import PACKAGES
from hartvisor.tui.app.app import HartvisorApp
from hartvisor.tui.app.script import settle
from hartvisor.tui.cli import main
from hartvisor.tui.commands.lab_watch import watch


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main(["lab", *(str(argument) for argument in arguments)])
    told = capsys.readouterr()
    return status, told.out, told.err


def opened_at(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, int]:
    """Step and pc at which a command's TUI stands when it has opened."""
    stood: list[tuple[int, int]] = []

    async def look(app: HartvisorApp) -> None:
        async with app.run_test():
            await settle(app)
            inspector = app.inspection.inspector
            stood.append((inspector.step, inspector.vm.hart.pc))

    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver")
    monkeypatch.setattr(HartvisorApp, "run", lambda app: asyncio.run(look(app)))
    assert main(list(arguments)) == 0
    return stood[0]


def test_the_way_of_a_student(capsys, tmp_path, monkeypatch) -> None:
    """Start, fail a check, look at it, put it right, pass it, hand it in."""
    folder = tmp_path / "lab02"
    assert run(capsys, "start", 2, "--to", folder)[0] == 0
    status, out, _ = run(capsys, "test", "--folder", folder, "--check", "supervisor-guests")
    assert status == 1
    assert "handle_illegal is not written yet (answer.py:" in out
    assert "0 of 12 points" in out

    answer = tmp_path / "answer"
    assert run(capsys, "answer", 2, "--to", answer)[0] == 0
    right = (answer / "answer.py").read_text()
    wrong = right.replace('{"w": operand, "s": old | operand', '{"w": operand, "s": operand')
    assert wrong != right
    (folder / "answer.py").write_text(wrong)
    status, out, _ = run(capsys, "test", "--folder", folder, "--check", "supervisor-guests")
    assert status == 1
    assert "first divergence: step " in out and "hartvisor lab replay supervisor-guests" in out

    status, out, _ = run(capsys, "replay", "--folder", folder)
    assert status == 0
    assert "the state before the instruction is right" in out and "not 0x" in out
    recording = json.loads((folder / "result.json").read_text())["checks"][0]["replay"]
    assert main(["replay", recording, "--verify", "--quiet"]) == 0
    capsys.readouterr()
    found = json.loads((folder / "result.json").read_text())["checks"][0]["first_divergence"]
    assert f"hartvisor tui {recording} --goto {found['step']}" in out
    assert opened_at(monkeypatch, "lab", "replay", "--tui", "--folder", str(folder)) == (found["step"], found["pc"])

    (folder / "answer.py").write_text(right)
    status, out, _ = run(capsys, "test", 2, "--folder", folder, "--check", "supervisor-guests")
    assert status == 0
    assert "12 of 12 points" in out

    packed = tmp_path / "mine.zip"
    assert run(capsys, "submit", "--folder", folder, "--out", packed)[0] == 0
    assert sorted(zipfile.ZipFile(packed).namelist()) == ["answer.py", "lab.toml", "predictions.toml", "tests.py"]


def test_list(capsys) -> None:
    status, out, _ = run(capsys, "list", "--json", "-")
    assert status == 0
    assert [lab["number"] for lab in json.loads(out)["labs"]] == list(PACKAGES)


def test_starter_and_answer(capsys) -> None:
    assert run(capsys, "test", 0, "--starter", "--check", "encode")[0] == 1
    status, out, _ = run(capsys, "test", 0, "--answer", "--check", "encode", "--seed", 4, "--json", "-")
    assert status == 0
    result = json.loads(out)
    assert (result["seed"], result["points"], result["checks"][0]["status"]) == (4, 10, "pass")


def test_what_students_get_has_no_answers(capsys, tmp_path) -> None:
    course = tmp_path / "course"
    assert run(capsys, "handout", "--out", course)[0] == 0
    names = {path.relative_to(course).as_posix() for path in course.rglob("*") if path.is_file()}
    assert "README.md" in names and "lab00-decode/handout.md" in names
    assert not any("answers" in name for name in names)
    for path in course.rglob("answer.py"):
        assert "raise NotImplementedError" in path.read_text()


@pytest.mark.parametrize(("arguments", "said"), [
    (("start", 77, "--to", "x"), "no lab 77"),
    (("test", "--answer"), "need the lab's number"),
    (("test", 0, "--answer", "--starter"), "one of them at a time"),
    (("test", 0, "--answer", "--check", "nosuch"), "no check nosuch"),
])
def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert said in err and err.count("\n") == 1


def test_nothing_is_overwritten(capsys, tmp_path) -> None:
    (tmp_path / "answer.py").write_text("my work")
    assert run(capsys, "start", 0, "--to", tmp_path)[0] == 2
    assert (tmp_path / "answer.py").read_text() == "my work"


def test_nothing_was_tested_yet(capsys, tmp_path) -> None:
    run(capsys, "start", 0, "--to", tmp_path / "l")
    status, _, err = run(capsys, "replay", "--folder", tmp_path / "l")
    assert (status, "nothing was tested yet" in err) == (2, True)


def test_watch_runs_again_when_a_file_is_saved(tmp_path: Path) -> None:
    (tmp_path / "answer.py").write_text("1")
    runs = []
    again = threading.Event()

    def work() -> None:
        runs.append((tmp_path / "answer.py").read_text())
        if len(runs) == 1:
            (tmp_path / "answer.py").write_text("22")
        else:
            again.set()

    watch(tmp_path, work, again.is_set)
    assert runs == ["1", "22"]


def test_a_collector_gets_its_format(capsys, tmp_path) -> None:
    """Whatever was handed in; nothing at all is a result too."""
    (tmp_path / "nothing").mkdir()
    out = tmp_path / "results.json"
    assert run(capsys, "grade", 0, tmp_path / "nothing", "--format", "gradescope", "--out", out)[0] == 0
    assert json.loads(out.read_text())["score"] == 0
    status, told, _ = run(capsys, "grade", 0, tmp_path / "nothing")
    (tmp_path / "result.json").write_text(told)
    status, told, _ = run(capsys, "export", "autolab", tmp_path / "result.json")
    assert status == 0
    assert json.loads(told.splitlines()[-1])["scoreboard"][-1] == 0
    assert run(capsys, "export", "fax", tmp_path / "result.json")[0] == 2
