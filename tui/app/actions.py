"""What the keys do that work everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ...core.errors import OptionError
from ...core.isa.csrs import BY_NUMBER
from ...core.isa.registers import ABI
from ...core.vmm.exits import ExitReason
from ...core.vmm.inspector import Inspection, Inspector, Moves, back, exit_moves, moves
from ...core.vmm.inspector.insert import run_inserted
from ...core.vmm.inspector.names import resolve
from ...core.vmm.inspector.stops import Watched, Watchpoint
from .commands import COMMANDS, Command, run_command, travel
from .opening import open_recording
from .panels.base import Panel, Place
from .panels.card import CardPanel
from .panels.snapshots import SnapshotsPanel
from .screens.help import HelpScreen
from .screens.prompt import Prompt
from .screens.tour import TourScreen

if TYPE_CHECKING:
    from textual.app import App

    from .attached.engine import AttachedEngine
    from .engine import Engine
    from .screens.main import MainScreen

    Base = App[None]
else:
    Base = object

TRANSLATION: Final = (ExitReason.SHADOW_FILL, ExitReason.GSTAGE_FILL)
"""Exits for want of a translation."""

MOVES: Final[dict[str, Callable[[Inspector], Moves]]] = {
    "step": moves.step, "over": moves.over, "finish": moves.finish, "reverse_step": back.reverse_step,
    "reverse_over": back.reverse_over, "reverse_finish": back.reverse_finish, "reverse_go_on": back.reverse_go_on,
    "next_exit": exit_moves.next_exit, "previous_exit": exit_moves.previous_exit,
    "next_translation": lambda inspector: exit_moves.next_exit(
        inspector, TRANSLATION),
}


class Actions(Base):
    """Mixed into the app."""

    engine: Engine | AttachedEngine
    main: MainScreen

    @property
    def panel(self) -> Panel:
        """The one that the keyboard is in."""
        return self.main.focused_panel

    # --- moves

    def action_move(self, name: str) -> None:
        """A move of the VM looked at."""
        self.engine.do(lambda inspection: MOVES[name](inspection.inspector))

    def action_first_exit(self) -> None:
        """To the first translation exit there is; the tour begins there. On the bare machine there is none."""
        self.engine.do(_first_translation)

    def action_go_on(self) -> None:
        """Run on, or pause."""
        self.engine.toggle()

    def action_pause(self) -> None:
        """Pause."""
        self.engine.pause()

    def action_next_vm(self, by: int) -> None:
        """Look at another VM."""
        self.engine.turn(by)

    def action_micro_step(self) -> None:
        """The next stage of an exit's handling, on the card."""
        card = self.main.panels[CardPanel.ID]
        assert isinstance(card, CardPanel)
        self.main.focus_panel(CardPanel.ID)
        card.micro_step()

    # --- at the cursor

    def action_breakpoint(self) -> None:
        """At the cursor, if it is on code; else at pc."""
        place = self.panel.at_cursor()

        def do(inspection: Inspection) -> None:
            inspector = inspection.inspector
            address = place.number if place is not None and place.kind == "gva" else inspector.vcpu.hart.pc
            is_set = inspector.toggle_breakpoint(address)
            name = inspector.symbols.describe(address) or f"{address:#x}"
            self.tell(f"breakpoint at {name} {'set' if is_set else 'taken away'}")

        self.engine.do(do)

    def action_watchpoint(self) -> None:
        """On what the cursor is on."""
        place = self._place()
        if place is None:
            return

        def do(inspection: Inspection) -> None:
            wanted = watchpoint_at(inspection.inspector, place)
            is_set = inspection.inspector.toggle_watchpoint(wanted)
            self.tell(f"watchpoint on {wanted.name} {'set' if is_set else 'taken away'}")

        self.engine.do(do)

    def action_writer(self) -> None:
        """Back to who last wrote what the cursor is on."""
        place = self._place()
        if place is not None:
            self.engine.do(lambda inspection: back.last_writer(
                inspection.inspector, watchpoint_at(inspection.inspector, place)))

    def _place(self) -> Place | None:
        place = self.panel.at_cursor()
        if place is None:
            self.tell("put the cursor on a register, a CSR, memory or a page-table entry first", "warning")
        return place

    def action_snapshot(self) -> None:
        """Keep this moment."""
        snapshots = self.main.panels[SnapshotsPanel.ID]
        assert isinstance(snapshots, SnapshotsPanel)
        snapshots.take()

    # --- asking

    def action_ask(self, purpose: str) -> None:
        """Open the prompt."""
        self.main.ask(purpose, [command.usage for command in COMMANDS] if purpose == "command" else [])
        if purpose == "goto":
            # Which names there are depends on the program that runs, which the guest's own thread has to look up.
            def give(words: list[str]) -> None:
                self.call_later(self.suggest, purpose, words)

            self.engine.learn_words(give)

    def suggest(self, purpose: str, words: list[str]) -> None:
        """Words for the prompt, if it still asks for that."""
        prompt = self.main.query_one(Prompt)
        if prompt.purpose == purpose:
            prompt.suggest(words)

    def answer(self, purpose: str, text: str) -> None:
        """What was typed into the prompt. Raises OptionError."""
        if purpose == "goto":
            self.goto(text)
        elif purpose == "search":
            self.panel.search(text)
        elif purpose in ("value", "name", "stored"):
            self.panel.give(text)
        elif purpose == "assemble":
            self.engine.do(lambda inspection: run_inserted(inspection.inspector, text))

    def goto(self, text: str) -> None:
        """`#step` and `!exit` travel; an address is shown by the panel that the keyboard is in, else in the code.
        Raises OptionError."""
        move = travel(text)
        if move is not None:
            self.engine.do(move)
            return
        panel = self.panel

        def do(inspection: Inspection) -> None:
            address = resolve(inspection.inspector, text)
            self.call_later(self._show_address, panel, address)

        self.engine.do(do)

    def _show_address(self, panel: Panel, address: int) -> None:
        if not panel.goto(address):
            self.main.focus_panel("code")
            self.main.panels["code"].goto(address)

    def start_command(self, command: Command) -> None:
        """From the palette: at once, or with the prompt open for what it takes."""
        if command.takes:
            self.main.ask("command", [], command.name + " ")
        else:
            run_command(self, command.name)  # type: ignore[arg-type]

    def go_to_step(self, step: int) -> None:
        """The VM looked at, to a step of it."""
        self.engine.do(lambda inspection: moves.goto(inspection.inspector, step))

    def open_recording(self, path: Path, step: int) -> None:
        """A recording as one more VM, at a step of it."""

        def do(inspection: Inspection) -> Moves:
            inspector = open_recording(path)
            inspection.add(inspector)
            return moves.goto(inspector, step)

        self.engine.do(do)

    # --- screens

    def action_help(self) -> None:
        """Help for the panel, and all keys."""
        self.push_screen(HelpScreen(self.panel.TITLE, self.panel.HELP))

    def start_tour(self) -> None:
        """The guided tour."""
        self.push_screen(TourScreen())

    def tell(self, text: str, severity: str = "information") -> None:
        """A line for the user, from any thread."""
        raise NotImplementedError


def _first_translation(inspection: Inspection) -> Moves | None:
    inspector = inspection.inspector
    if inspector.log is None:
        return None
    first = inspector.log.find(0, TRANSLATION)
    if first is not None:
        return exit_moves.goto_exit(inspector, first)
    return exit_moves.next_exit(inspector, TRANSLATION)


def watchpoint_at(inspector: Inspector, place: Place) -> Watchpoint:
    """A watchpoint on what a cursor is on. Raises OptionError where that is no RAM."""
    if place.kind == "gpr":
        return Watchpoint(Watched.GPR, place.number, name=place.name or ABI[place.number], vcpu=inspector.vcpu_index)
    if place.kind == "csr":
        name = place.name or BY_NUMBER[place.number].name
        return Watchpoint(Watched.CSR, place.number, name=name, vcpu=inspector.vcpu_index)
    if place.kind == "gva":
        gpa = inspector.target.translate(inspector.vcpu_index, place.number)
        if gpa is None:
            raise OptionError(f"{place.number:#x}: the guest's tables lead nowhere from there")
        return Watchpoint(Watched.MEMORY, gpa, place.size, place.name or f"{place.number:#x}")
    kind = Watched.PTE if place.kind == "pte" else Watched.MEMORY
    return Watchpoint(kind, place.number, place.size, place.name or f"gpa {place.number:#x}")

