"""The app: it holds the engine and the main screen, and passes on what is not a panel's own business."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar, Final

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.message_pump import MessagePump
from textual.reactive import reactive
from textual.screen import Screen

from ...core.errors import HartvisorError
from ...core.vmm.control.client import ControlClient
from ...core.vmm.inspector import Inspection
from .actions import Actions
from .attached.engine import AttachedEngine
from .commands import COMMANDS, run_command
from .engine import Engine
from .messages import Frame, Rested, Told
from .screens.main import MainScreen
from .screens.prompt import Prompt
from .type_ahead import TypeAhead
from .widgets.console import Console

SWITCH_SECONDS: Final = 0.001
"""How long guests' thread goes on when the screen's wants its turn; Python's usual five times as much is felt."""

SWEEP_SECONDS: Final = 2.0
"""Between two runs of the garbage collector; by itself it runs when somebody waits for a key's paint."""

REST_SECONDS: Final = 1.0
"""It runs only so long after the last key; but after SWEEPS_PUT_OFF it runs all the same."""

SWEEPS_PUT_OFF: Final = 30


class HartvisorApp(Actions, App[None]):
    """The glass hypervisor.

    vms: the VMs to run, or a connection to the hypervisor that runs them. engine: runs them, or has them run, and looks
    at them. predicting: what comes next is hidden until the user has guessed.
    keymap: the user's keys, by the ids in keys.py. has_tour: whether to begin with the guided tour. lab_folder: where
    a lab may be that the user works on. first_step: of the VM looked at, to go to at once; only where they run here.
    """

    TITLE = "hartvisor"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        # Textual's own, but after what has the keyboard: a console wants these, too.
        Binding("ctrl+q", "quit", "Quit", show=False),
        Binding("ctrl+p", "command_palette", "Palette", show=False),
    ]
    CSS: ClassVar[str] = """
    Toast { max-width: 90; }
    """

    predicting: reactive[bool] = reactive(False)

    def __init__(self, vms: Inspection | ControlClient, *, keymap: Mapping[str, str] | None = None,
                 has_tour: bool = False, lab_folder: Path = Path(), first_step: int | None = None) -> None:
        super().__init__()
        self.lab_folder = lab_folder
        self.engine: Engine | AttachedEngine = (
            Engine(vms, self.post_message) if isinstance(vms, Inspection) else
            AttachedEngine(vms, self.post_message))
        self.main = MainScreen()
        self._keys = dict(keymap or {})
        self._has_tour = has_tour
        self._last_key, self._put_off = 0.0, 0
        self._typed = TypeAhead(self, self._send_key)
        self._first_step = first_step

    def get_css_variables(self) -> dict[str, str]:
        """Textual's; but of `auto 60%`, which its muted texts are, styles within a text forget the 60%."""
        variables = super().get_css_variables()
        background, foreground = Color.parse(variables["background"]), Color.parse(variables["foreground"])
        if background.ansi is None and foreground.ansi is None:
            variables["text-muted"] = background.blend(foreground, 0.6).hex6
            variables["text-disabled"] = background.blend(foreground, 0.38).hex6
        return variables

    @property
    def inspection(self) -> Inspection:
        """The VMs, which are the engine's thread's; for tests. Only where they run here."""
        assert isinstance(self.engine, Engine)
        return self.engine.inspection

    def on_mount(self) -> None:
        """Begin."""
        self.set_keymap(self._keys)
        self.push_screen(self.main)
        self.engine.start()
        if self._first_step is not None:
            self.go_to_step(self._first_step)
        if self._has_tour:
            self.call_after_refresh(self.start_tour)

    def on_ready(self) -> None:
        """What is there now stays to the end: the garbage collector, which looked through all of it for 80 ms at a
        time, need not look at it again; and it is told when. Nobody waits for a screen that is none."""
        if self.is_headless:
            return
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.collect()
        gc.freeze()
        gc.disable()
        self.set_interval(SWEEP_SECONDS, self._sweep)

    async def on_event(self, event: events.Event) -> None:
        """Keys one after the other."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
        elif event.is_forwarded:    # it comes back from what has the keyboard, which has not used it
            await super().on_event(event)
            if self.screen is self.main:
                await self.main.paint()
            await self._typed.go_on()
        else:
            await self._typed.take(event)

    async def _send_key(self, key: events.Key) -> MessagePump | None:
        """To what has the keyboard. Keys of the user's, but for what is typed to a guest, are answered before guests
        run on."""
        self._last_key = time.monotonic()
        if not isinstance(self.focused, Console):
            self.engine.give_way()
        target = self.focused or self.screen
        await super().on_event(key)
        return target if key.is_forwarded else None

    def on_unmount(self) -> None:
        """The guests end with the screen."""
        self.engine.stop()
        if not self.is_headless:
            gc.unfreeze()
            gc.enable()

    def _sweep(self) -> None:
        """Collect garbage, while nobody looks."""
        self._put_off += 1
        if time.monotonic() - self._last_key > REST_SECONDS or self._put_off > SWEEPS_PUT_OFF:
            self._put_off = 0
            gc.collect()

    # --- what the engine says

    @on(Frame)
    def frame_came(self, event: Frame) -> None:
        """Views are the main screen's."""
        self.main.post_message(Frame(event.views, event.failures))

    @on(Told)
    def told(self, event: Told) -> None:
        """A line for the user."""
        severity = event.severity if event.severity in ("information", "warning", "error") else "information"
        self.notify(event.text, severity=severity, markup=False)  # type: ignore[arg-type]

    @on(Rested)
    def rested(self, event: Rested) -> None:
        """A VM stands: say so where it is for a reason that the user has not asked for."""
        if event.halt is not None and event.halt.reason in ("ENDED", "GUEST_FAULT", "END", "PARTED", "REFUSED"):
            name = self.engine.name_of(event.index)
            is_bad = event.halt.reason in ("GUEST_FAULT", "PARTED")
            self.notify(f"{name}: {event.halt.detail}", severity="error" if is_bad else "information", markup=False,
                        timeout=10)

    def tell(self, text: str, severity: str = "information") -> None:
        """A line for the user, from any thread."""
        self.post_message(Told(text, severity))

    # --- what the user types

    @on(Prompt.Answered)
    def prompt_answered(self, event: Prompt.Answered) -> None:
        """Do what the line at the bottom says."""
        try:
            if event.purpose == "command":
                run_command(self, event.text)
            else:
                self.answer(event.purpose, event.text)
        except HartvisorError as error:
            self.tell(str(error), "error")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: Textual's own, and ours."""
        yield from super().get_system_commands(screen)
        for command in COMMANDS:
            yield SystemCommand(command.usage, command.about, lambda command=command: self.start_command(command))
