"""Panel -: predict mode. What comes next is hidden everywhere until the user has guessed; nobody is graded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from ....core.vmm.exits import label
from ....core.vmm.inspector import Inspection, Moves, moves
from ....core.vmm.views.predict import (
    FAULT,
    NO_EXIT,
    Asked,
    PredictView,
    guessed_address,
    guessed_pc,
    guessed_reason,
    same_page,
    view_predict,
)
from ..collecting import Collector
from ..widgets.lines import LinesView
from ..widgets.reasons import LOOKS, look_of
from .base import Panel, Place
from .card_lines import wrap

PC, EXIT, TRANSLATION = 0, 1, 2
LETTERS: Final = {look.letter: int(reason) for reason, look in LOOKS.items()}
MUTED, STRONG, RIGHT, WRONG = "$foreground-muted", "bold", "bold $text-success", "bold $text-error"

QUESTIONS: Final = (
    "Where will the guest go on, when it has taken this step?",
    "Will this step exit to the hypervisor, and for which reason?",
    "Where do the guest's own tables lead this {access} of GVA {gva:#x}, or does it fault?")
HINTS: Final = ("an address, a symbol, or +4", "no, or a reason: csr, sbi, shadow-fill, … or its letter",
                "a guest physical address, or fault")


@dataclass(frozen=True)
class Guess:
    """What was typed, and what it means. asked: the position."""

    kind: int
    text: str
    value: int
    asked: Asked


@dataclass
class Score:
    """Of this session. asked, right: by kind of question."""

    asked: list[int] = field(default_factory=lambda: [0, 0, 0])
    right: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, kind: int, is_right: bool) -> None:
        """One more."""
        self.asked[kind] += 1
        self.right[kind] += is_right

    @property
    def text(self) -> str:
        """For the panel's edge."""
        names = ("pc", "exit", "translation")
        return " · ".join(f"{name} {self.right[kind]}/{self.asked[kind]}" for kind, name in enumerate(names))


def question_lines(view: PredictView, kind: int, width: int) -> list[Content]:
    """The instruction, and what is asked of it."""
    code = view.code
    lines = [Content.assemble((f"{code.pc:x}  {code.bits:>8}  ", MUTED), (code.text, STRONG), ("  " + code.symbol,
                                                                                         "$text-secondary")),
             Content.styled(f"in {view.mode}-mode, under {view.technique}, at step {view.step:,}", MUTED), Content("")]
    text = QUESTIONS[kind].format(access=view.access, gva=view.gva)
    return lines + [Content.styled(line, STRONG) for line in wrap(text, width)]


def answer_lines(guess: Guess, view: PredictView, is_right: bool, width: int) -> list[Content]:
    """What is so, and what was guessed."""
    guessed = f"not {guess.text}: " if guess.text else ""
    verdict = Content.styled("✓ right: " if is_right else f"✗ {guessed}", RIGHT if is_right else WRONG)
    if guess.kind == PC:
        text = f"pc is {view.code.pc:#x}" + (f", {view.code.symbol}" if view.code.symbol else "")
        return [verdict + Content.styled(text, STRONG)]
    if guess.kind == TRANSLATION:
        leads = f"it leads to GPA {view.leads:#x}" if view.leads is not None else f"it faults, for {view.fault}"
        return [verdict + Content.styled(leads, STRONG), *_why(width)]
    if not view.happened:
        return [verdict + Content.styled("no exit", STRONG)]
    parts = [Content.styled(f"{look_of(reason).letter} {label(reason)}", f"bold {look_of(reason).style}")
             for reason in view.happened]
    return [verdict + Content(", then ").join(parts), *_why(width)]


def _why(width: int) -> list[Content]:
    text = "E and panel 1 tell why, panel 3 shows the walk; Enter asks on"
    return [Content.styled(line, MUTED) for line in wrap(text, width)]


def is_right(guess: Guess, view: PredictView) -> bool:
    """Of a guess, once what it is about has happened."""
    if guess.kind == PC:
        return view.code.pc == guess.value
    if guess.kind == TRANSLATION:
        return view.leads is None if guess.value == FAULT else (
            view.leads is not None and same_page(guess.value, view.leads))
    return not view.happened if guess.value == NO_EXIT else guess.value in view.happened


class Sheet(LinesView, inherit_bindings=False):
    """Lines that leave Enter to the panel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
    ]


class PredictPanel(Panel):
    """Question, answer, score. is_on: whether it asks."""

    DEFAULT_CSS = """
    PredictPanel {
        & > Sheet { height: 1fr; }
        & > Input { dock: bottom; border: none; height: 1; padding: 0; display: none; background: $boost; }
        & > Input:focus { border: none; }
        &.-asking > Input { display: block; }
    }
    """
    ID: ClassVar[str] = "predict"
    KEY: ClassVar[str] = "-"
    TITLE: ClassVar[str] = "Predict"
    TABS: ClassVar[tuple[str, ...]] = ("next pc", "exit", "translation")
    HELP: ClassVar[str] = """
Guess before you look. While a guess is open, the card, the page walk and the code keep the answer to themselves.

- Enter begins, and afterwards asks on; `[` and `]` choose what is asked
- the guess is typed into the line at the bottom: Enter takes it, and for **next pc** and **exit** takes the step
- an empty line gives up, and shows; escape leaves the line, and a second time ends it

The score is for this session, and for you alone.
"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask", "Ask", show=False),
        Binding("backspace", "end", "End", show=False),
        Binding("escape", "leave", "Leave", show=False),
    ]

    @dataclass
    class Taken(Message):
        """A guess has been understood."""

        guess: Guess

    def __init__(self) -> None:
        super().__init__()
        self.is_on = False
        self.score = Score()
        self._asked: Asked | None = None
        self._guess: Guess | None = None     # taken, and not answered yet
        self._answer: list[Content] = []
        self._question: list[Content] = []

    def compose(self) -> ComposeResult:
        """What is asked, and the line to answer in."""
        yield Sheet(has_cursor=False)
        yield Input(select_on_focus=False)

    def on_mount(self) -> None:
        """At first it asks nothing."""
        super().on_mount()
        self.set_subtitle(self.score.text)

    def collector(self) -> Collector:
        """The instruction, and what happened since the question."""
        return partial(view_predict, asked=self._asked)

    def fit(self) -> None:
        """Lines are broken elsewhere."""
        self.call_after_refresh(self.repaint)

    # --- painting

    def show(self, view: Any) -> None:
        """The guest has moved: what was guessed is answered; or without a guess, another question is open."""
        assert isinstance(view, PredictView)
        if self._guess is not None and not view.is_running and (
                self._guess.kind == TRANSLATION or view.step != self._guess.asked.step or view.over):
            self._reveal(self._guess, view)
        elif self.is_on and self._guess is None and not self._answer and self._asked != _position(view):
            self._asked = _position(view)
        self.repaint()

    def _reveal(self, guess: Guess, view: PredictView) -> None:
        right = is_right(guess, view)
        self.score.add(guess.kind, right)
        self._guess = None
        self._answer = [*self._question, Content(""), *answer_lines(guess, view, right, self._width)]
        self._set_open(False)

    @property
    def _width(self) -> int:
        return max(20, self.query_one(Sheet).outer_size.width - 1)

    def repaint(self, *_: object) -> None:
        """The question, or the answer."""
        view = self.view
        if not isinstance(view, PredictView) or not self.is_mounted:
            return
        self.set_subtitle(self.score.text)
        lines: list[Content] = []
        if not self.is_on:
            lines = [Content.styled(line, MUTED) for line in wrap(
                "Enter begins: what comes next is then hidden in all panels until you have guessed it.", self._width)]
        elif self._answer:
            hint = Content.styled("Enter asks the next question; backspace ends it", MUTED)
            lines = [*self._answer, Content(""), hint]
        elif view.over:
            lines = [Content.styled(f"there is nothing to predict: the guest is {view.over}", MUTED)]
        elif not view.is_running:
            lines = question_lines(view, self.tab, self._width)
        self.query_one(Sheet).set_lines(lines)

    def watch_tab(self) -> None:
        """Another kind of question."""
        self.retitle()
        if self.is_mounted:
            self.query_one(Input).placeholder = HINTS[self.tab]
            self._answer = []
            if self.is_on:
                self._set_open(True)
            self.repaint()

    def _set_open(self, is_open: bool) -> None:
        """Whether there is something to guess, which all panels keep to themselves."""
        self.glass.predicting = is_open
        self.set_class(is_open, "-asking")
        line, lines = self.query_one(Input), self.query_one(Sheet)
        line.value, line.placeholder = "", HINTS[self.tab]
        if self.glass.main.focused_panel is self:
            self.call_after_refresh((line if is_open else lines).focus)

    # --- asking

    def action_ask(self) -> None:
        """Begin, or ask on."""
        view = self.view
        if not isinstance(view, PredictView) or view.over or view.is_running:
            return
        is_after_translation = self.is_on and bool(self._answer) and self.tab == TRANSLATION
        self.is_on = True
        self._answer = []
        self._asked = _position(view)
        self._set_open(True)
        self.repaint()
        if is_after_translation:
            self.act(lambda inspection: moves.step(inspection.inspector))
        self.refresh_view()

    def action_end(self) -> None:
        """Ask no more."""
        self.is_on = False
        self._answer = []
        self._set_open(False)
        self.repaint()

    def action_leave(self) -> None:
        """Out of the line; there, out of the mode; and there it is the pause that it is everywhere."""
        if self.query_one(Input).has_focus:
            self.query_one(Sheet).focus()
        elif self.is_on:
            self.action_end()
        else:
            self.glass.engine.pause()

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        """A guess, or none."""
        event.stop()
        view = self.view
        if not isinstance(view, PredictView) or self._guess is not None:
            return
        kind, text, asked = self.tab, event.value.strip(), _position(view)
        self._asked = asked
        self._question = question_lines(view, kind, self._width)
        self.refresh_view()

        def take(inspection: Inspection) -> Moves | None:
            inspector = inspection.inspector
            value = FAULT - 1 if not text else (guessed_pc(inspector, text) if kind == PC else
                                                guessed_reason(text, LETTERS) if kind == EXIT else
                                                guessed_address(text))
            self.post_message(self.Taken(Guess(kind, text, value, asked)))
            return None if kind == TRANSLATION else moves.step(inspector)

        self.act(take)

    @on(Taken)
    def taken(self, event: Taken) -> None:
        """It can be answered by the next view, or by this one."""
        event.stop()
        self._guess = event.guess
        if isinstance(self.view, PredictView):
            self.show(self.view)

    def at_cursor(self) -> Place | None:
        """The instruction, while that is what is seen."""
        if isinstance(self.view, PredictView) and not self._answer:
            return Place("gva", self.view.code.pc, 4, self.view.code.symbol)
        return None


def _position(view: PredictView) -> Asked:
    return Asked(view.step, view.exit, view.vcpu)


