"""Panel 0: a lab's tasks and checks; they run when a file is saved, and a failed one opens where it went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from hartvisor.labs.api import open_lab, start_lab
from hartvisor.labs.catalog import find_lab
from hartvisor.labs.judge.verdict import CheckResult, Divergence, Status
from hartvisor.tui.app.panels.lab import LabBoard, LabPanel, detail, render

from .support import NARROW, WIDE, Desk, glass

PATIENCE = 90.0


async def until(desk: Desk, is_so: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE / 0.05)):
        await desk.settle()
        if is_so():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it does not come")


def lab_panel(desk: Desk) -> LabPanel:
    panel = desk.app.main.panels["lab"]
    assert isinstance(panel, LabPanel)
    return panel


def test_without_a_lab_it_says_how_to_get_one(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("0")
        text = "\n".join(desk.screen_text())
        assert "no lab is open" in text and "hartvisor lab start" in text

    glass(test, lab_folder=tmp_path)


def test_checks_run_when_a_file_is_saved(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    start_lab(0, folder)

    async def test(desk: Desk) -> None:
        panel = lab_panel(desk)
        await desk.press("0")
        assert all(check.title[:20] in "\n".join(desk.screen_text()) for check in find_lab(0).checks[:2])
        answer = folder / "answer.py"
        answer.write_text(answer.read_text(encoding="utf-8") + "\n# saved\n", encoding="utf-8")
        await until(desk, lambda: len(panel.board.results) == len(find_lab(0).checks))
        assert not panel.board.current
        text = "\n".join(desk.screen_text())
        assert "✗ fail" in text or "! crash" in text

    glass(test, size=WIDE, lab_folder=folder)


def test_a_failed_check_opens_where_it_went_wrong(tmp_path: Path) -> None:
    """The recording is another VM, at the step of the divergence."""
    folder = tmp_path / "lab"
    start_lab(0, folder)
    from .test_opening import hartvisor
    done = hartvisor("run", "kernel", "--memory", "32M", "--technique", "shadow", "--record", "run.hvr", "--quiet",
                     folder=tmp_path, data=b"poweroff\n")
    assert done.returncode == 0
    check = find_lab(0).checks[0]
    failed = CheckResult(check.name, check.task, check.title, check.kind, Status.FAIL, 0.0, check.points,
                         "the guest went another way",
                         Divergence(1234, 0x80200000, "guest.s:3: csrw", "sscratch", "1", "2"),
                         str(tmp_path / "run.hvr"))

    async def test(desk: Desk) -> None:
        panel = lab_panel(desk)
        await desk.press("0")
        panel.post_message(LabPanel.Checked(0, check.name, failed))
        await desk.settle()
        assert "see where" in "\n".join(desk.screen_text())
        await desk.press("home", "down", "down")
        assert "sscratch is 1, not 2" in "\n".join(desk.screen_text())
        await desk.press("enter")
        assert (desk.app.inspection.current, desk.inspector.name, desk.inspector.step) == (1, "run", 1234)
        await desk.press("S")
        assert desk.inspector.step == 1233
        await desk.press("shift+tab")
        assert desk.app.inspection.current == 0

    glass(test, size=NARROW, lab_folder=folder)


def test_every_state_has_a_sign_and_a_word(tmp_path: Path) -> None:
    opened = open_lab(start_lab(0, tmp_path / "lab").path)
    check = opened.lab.checks[0]
    for status in Status:
        result = CheckResult(check.name, check.task, check.title, check.kind, status, 0.0, check.points, "why",
                             metrics={"exits": 12})
        lines, about = render(LabBoard(opened, results=((check.name, result),)))
        assert len(lines) == len(about)
        assert not lines[about.index(check.name)].plain.strip()[0].isalnum()
        assert "exits 12" in detail(result).plain
