"""The app under test: a guest, a screen of some size, and a pilot that waits until all is still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from textual.pilot import Pilot

from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.vmm.inspector import Inspection, Inspector
from hartvisor.tui.app.app import HartvisorApp
from hartvisor.tui.app.messages import Frame
from hartvisor.tui.app.opening import Wish, open_all
from hartvisor.tui.app.panels.base import Panel
from hartvisor.tui.app.script import press, settle
from hartvisor.tui.app.widgets.console import Console
from hartvisor.tui.devices import open_devices

NARROW, MEDIUM, WIDE = (80, 24), (130, 44), (200, 60)
SIZES = (NARROW, MEDIUM, WIDE)
DARK, LIGHT = "textual-dark", "textual-light"
T = TypeVar("T")


class Desk:
    """A pilot at the app."""

    def __init__(self, app: HartvisorApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def inspector(self) -> Inspector:
        """The VM looked at."""
        return self.app.inspection.inspector

    @property
    def panel(self) -> Panel:
        """The panel that has the keyboard."""
        return self.app.main.focused_panel

    async def press(self, *keys: str) -> None:
        """Keys, each until all is still."""
        for key in keys:
            await press(self.app, key)

    async def ui(self, *keys: str) -> None:
        """Keys for the app: in a console, each behind ctrl+a."""
        for key in keys:
            if isinstance(self.app.focused, Console):
                await press(self.app, "ctrl+a")
            await press(self.app, key)

    async def type(self, text: str) -> None:
        """A line of text, and Enter."""
        await self.press(*text, "enter")

    async def settle(self, *, is_patient: bool = False) -> None:
        """Until all is still."""
        await settle(self.app, is_patient=is_patient)

    def screen_text(self) -> list[str]:
        """What is on the screen, row by row."""
        width, _ = self.app.size
        return ["".join(segment.text for segment in strip)[:width].rstrip()
                for strip in self.app.screen._compositor.render_strips()]

    def notices(self) -> list[str]:
        """The notifications that were made."""
        return [notice.message for notice in self.app._notifications]


def glass(test: Callable[[Desk], Awaitable[T]], *names: str, technique: str | tuple[str, ...] = "shadow",
          size: tuple[int, int] = NARROW, theme: str = DARK, memory: str = "32M", append: str | None = "workload=1",
          keymap: dict[str, str] | None = None, has_tour: bool = False, lab_folder: Path = Path("absent"),
          inspection: Inspection | None = None, drives: Sequence[str] = (), netdevs: Sequence[str] = (),
          **wishes: Any) -> T:
    """Run a test with the app open on these guests (tern, if none is named), or on an inspection. A view that fails
    fails the test.

    drives, netdevs: what --drive and --netdev take, for the first VM.
    """
    techniques = (technique,) if isinstance(technique, str) else technique
    wish = replace(Wish(names=names or ("kernel",), techniques=techniques, memory=memory, append=append,
                        store=Path("absent.db")), **wishes)

    async def run(devices: Sequence[VirtioDevice]) -> T:
        app = HartvisorApp(inspection or open_all(wish, devices), keymap=keymap, has_tour=has_tour,
                           lab_folder=lab_folder)
        app.theme = theme
        heard: list[Any] = []
        async with app.run_test(size=size, notifications=True, message_hook=heard.append) as pilot:
            desk = Desk(app, pilot)
            await desk.settle()
            result = await test(desk)
            await desk.settle()
        failures = {name: why for message in heard if isinstance(message, Frame)
                    for name, why in message.failures.items()}
        assert not failures, failures
        return result

    with open_devices(drives, netdevs, None) as devices:
        return asyncio.run(run(devices))
