"""Panel 0: the lab that a student works on, its checks, and where each failed; run again when a file is saved."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from ....core.errors import HartvisorError
from ....core.vmm.inspector import Inspection
from ....labs.api import CheckResult, CheckView, LabFolder, open_lab, run_checks
from ....labs.jail.process import Cancelled
from ....labs.judge.verdict import Status
from ..collecting import Collector
from ..widgets.lines import LinesView
from .base import Panel

WATCH_SECONDS: Final = 0.5
"""Between two looks at whether a file of the student's was saved."""

MARKS: Final[Mapping[Status, tuple[str, str]]] = {
    Status.PASS: ("✓ pass", "$text-success"), Status.FAIL: ("✗ fail", "$text-error"),
    Status.FUEL: ("∅ fuel", "$text-warning"), Status.TIMEOUT: ("⧖ time", "$text-warning"),
    Status.CRASH: ("! crash", "$text-error"), Status.HARNESS_ERROR: ("? ours", "$text-warning"),
    Status.NONDETERMINISTIC: ("≠ twice", "$text-warning")}
"""How each state looks: a sign, a word, a colour."""


@dataclass(frozen=True)
class LabBoard:
    """What the panel shows. folder: None where no lab is open, and then `why`. results: by check. current: the check
    that runs, "" if none does."""

    folder: LabFolder | None
    why: str = ""
    results: tuple[tuple[str, CheckResult], ...] = ()
    current: str = ""


def collect(inspection: Inspection) -> None:
    """Nothing of a VM's: checks run elsewhere."""


def render(board: LabBoard) -> tuple[list[Content], list[str | None]]:
    """The lines, and for each the check that it is about."""
    if board.folder is None:
        hint = "hartvisor lab start 2 makes a lab's folder; hartvisor tui --lab FOLDER opens it here"
        return [Content.assemble(("no lab is open: ", "bold"), board.why), Content(hint)], [None, None]
    lab, results = board.folder.lab, dict(board.results)
    points = sum(result.points for result in results.values())
    lines = [Content.assemble((f"Lab {lab.number}  {lab.title}", "bold $accent"),
                              f"   {points:g} of {lab.points} points   seed {board.folder.seed}")]
    about: list[str | None] = [None]
    for task in lab.tasks:
        lines.append(Content.assemble((task.title, "bold"), (f"   {task.points} points", "$text-muted")))
        about.append(None)
        for check in lab.checks:
            if check.task == task.name:
                lines.append(_check_line(check, results.get(check.name), check.name == board.current))
                about.append(check.name)
    return lines, about


def _check_line(check: CheckView, result: CheckResult | None, is_running: bool) -> Content:
    if is_running:
        mark = ("… runs", "bold $text-accent")
    elif result is None:
        mark = ("· open", "$text-muted")
    else:
        mark = MARKS[result.status]
    earned = f"{result.points:g}" if result is not None else "-"
    replay = ("  ⏎ see where", "$text-accent") if result is not None and result.replay else ""
    return Content.assemble("  ", (f"{mark[0]:<8}", mark[1]), f"{earned:>4}/{check.points:<3} ", check.title, replay)


def detail(result: CheckResult | None) -> Content:
    """What there is to say of a check, below the list."""
    if result is None:
        return Content("")
    parts: list[str | tuple[str, str]] = [(result.message or result.status.value, MARKS[result.status][1])]
    if result.first_divergence is not None:
        parts.append(f"\n{result.first_divergence}")
    if result.metrics:
        parts.append(("\n" + "  ".join(f"{name} {value:,}" for name, value in result.metrics.items()), "$text-muted"))
    if result.output:
        parts.append(("\n" + result.output.splitlines()[-1], "$text-muted"))
    return Content.assemble(*parts)


class LabPanel(Panel):
    """Tasks and checks, a line each."""

    ID: ClassVar[str] = "lab"
    KEY: ClassVar[str] = "0"
    TITLE: ClassVar[str] = "Lab"
    HELP: ClassVar[str] = """\
The checks of the lab in the folder that `--lab FOLDER` names, or in this one. They run when a file in it is saved; `a`
runs them at once. **Enter** on a check that failed opens its recording as another VM, and goes to the first
instruction where it went wrong: the state there is the last that was right. `Tab` goes back to the other VM."""
    DEFAULT_CSS = """
    LabPanel > Static { height: 5; border-top: solid $foreground 30%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "run", "Run the checks")]

    @dataclass
    class Checked(Message):
        """A check began (result is None), or has ended."""

        run: int
        name: str
        result: CheckResult | None

    @dataclass
    class Ended(Message):
        """All checks have run, or cannot."""

        run: int
        why: str

    def __init__(self) -> None:
        super().__init__()
        self.board = LabBoard(None, "")
        self._about: list[str | None] = []
        self._saved: dict[Path, int] = {}
        self._run = 0
        self._cancel = threading.Event()

    def compose(self) -> ComposeResult:
        """A list, and more about the line under the cursor."""
        yield LinesView()
        yield Static()

    def on_mount(self) -> None:
        """Open the folder, and watch it."""
        super().on_mount()
        try:
            self.board = LabBoard(open_lab(self.glass.lab_folder))
        except HartvisorError as error:
            self.board = LabBoard(None, str(error))
            return
        self._saved = self._times()
        self.set_interval(WATCH_SECONDS, self._watch)

    def on_unmount(self) -> None:
        """Checks that run are no longer wanted."""
        self._cancel.set()

    # --- running

    def _times(self) -> dict[Path, int]:
        """When each of the student's files was saved."""
        folder = self.board.folder
        if folder is None:
            return {}
        try:
            return {path: path.stat().st_mtime_ns for path in folder.path.iterdir() if path.suffix in (".py", ".toml")}
        except OSError:
            return {}

    def _watch(self) -> None:
        times = self._times()
        if times != self._saved:
            self._saved = times
            self.action_run()

    def action_run(self) -> None:
        """Run the checks from the first; those that are under way are let go."""
        folder = self.board.folder
        if folder is None:
            return
        self._cancel.set()
        self._cancel = threading.Event()
        self._run += 1
        self.board = LabBoard(folder)
        self._paint()
        threading.Thread(target=self._check, args=(folder, self._run, self._cancel), daemon=True).start()

    def _check(self, folder: LabFolder, run: int, cancel: threading.Event) -> None:
        """In a thread of its own; the student's code is in a jailed child of this process."""
        why = ""
        try:
            run_checks(folder.path, on_begin=lambda check: self._tell(run, check.name, None),
                       on_check=lambda result: self._tell(run, result.name, result), is_cancelled=cancel.is_set)
        except Cancelled:
            return
        except HartvisorError as error:
            why = str(error)
        if not cancel.is_set():
            self.post_message(self.Ended(run, why))

    def _tell(self, run: int, name: str, result: CheckResult | None) -> None:
        self.post_message(self.Checked(run, name, result))

    @on(Checked)
    def checked(self, event: Checked) -> None:
        """A check began, or has ended."""
        event.stop()
        if event.run != self._run:
            return
        results = self.board.results
        if event.result is not None:
            results = (*results, (event.name, event.result))
        self.board = LabBoard(self.board.folder, "", results, event.name if event.result is None else "")
        self._paint()

    @on(Ended)
    def ended(self, event: Ended) -> None:
        """All have run."""
        event.stop()
        if event.run == self._run and event.why:
            self.app.notify(event.why, severity="error", markup=False)

    # --- showing

    def collector(self) -> Collector:
        """Nothing of a VM's."""
        return collect

    def show(self, view: Any) -> None:
        """Paint what is known."""
        self._paint()

    def _paint(self) -> None:
        lines, self._about = render(self.board)
        self.query_one(LinesView).set_lines(lines)
        self._paint_detail()

    def _result(self) -> CheckResult | None:
        cursor = self.query_one(LinesView).cursor
        name = self._about[cursor] if cursor < len(self._about) else None
        return dict(self.board.results).get(name) if name is not None else None

    def _paint_detail(self) -> None:
        self.query_one(Static).update(detail(self._result()))

    @on(LinesView.Moved)
    def moved(self, event: LinesView.Moved) -> None:
        """More about another line."""
        event.stop()
        self._paint_detail()

    @on(LinesView.Chosen)
    def chosen(self, event: LinesView.Chosen) -> None:
        """Open the recording of a check that failed."""
        event.stop()
        result = self._result()
        if result is None or result.replay is None:
            self.app.notify("this check has left no recording", severity="warning")
            return
        step = result.first_divergence.step if result.first_divergence is not None else 0
        self.glass.open_recording(Path(result.replay), step)


