"""The app without a terminal, driven by a script: for pictures in documents, and for tests.

    press e e 3             keys, by Textual's names, one after the other; each waits until all is still
    type ls                 text, then Enter, into what has the keyboard
    command until sfence    as behind `:`
    wait                    until every VM that moves has come to rest, or sleeps
    size 80x24              another size of the screen
    theme textual-light
    screenshot FILE.svg     a picture of now
    # a comment
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from textual import events

from ...core.errors import OptionError
from .app import HartvisorApp
from .commands import run_command
from .keys import KEYS, NAMES

SIZE: Final = re.compile(r"(\d{2,3})x(\d{2,3})")
PATIENCE: Final = 60.0
"""Seconds that a `wait` waits; a guest that runs for ever is then looked at as it is."""

QUIET_ROUNDS: Final = 4
"""How often in a row all must be still: a key goes from app to screen to widget, and what it causes back."""

VERBS: Final = ("press", "type", "command", "wait", "size", "theme", "screenshot")


class Line(NamedTuple):
    """One line of a script. number: of the line, from 1."""

    number: int
    verb: str
    rest: str


def parse_size(text: str, what: str) -> tuple[int, int]:
    """Columns and rows in "80x24". Raises OptionError."""
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise OptionError(f"{what} {text}: columns and rows are needed, such as 80x24")
    return int(match[1]), int(match[2])


def read_script(path: Path) -> list[Line]:
    """The lines of a script. Raises OptionError, which names the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--script {path}: {getattr(error, 'strerror', None) or 'no text file'}") from None
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        verb, _, rest = line.strip().partition(" ")
        if not verb or verb.startswith("#"):
            continue
        if verb not in VERBS:
            raise OptionError(f"{path}:{number}: {verb}: a line begins with {', '.join(VERBS)}")
        if verb == "size":
            parse_size(rest, f"{path}:{number}: size")
        lines.append(Line(number, verb, rest.strip()))
    return lines


async def play(app: HartvisorApp, lines: Sequence[Line], size: tuple[int, int], screenshot: Path | None = None) -> None:
    """Play a script, and take a picture at its end. Raises OptionError where a picture cannot be written."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(app)
        for line in lines:
            await _do(app, pilot, line)
            await settle(app)
        if screenshot is not None:
            save_screenshot(app, screenshot)


async def _do(app: HartvisorApp, pilot: Any, line: Line) -> None:
    if line.verb == "press":
        for key in line.rest.split():
            await press(app, key)
    elif line.verb == "type":
        for letter in line.rest:
            await press(app, letter)
        await press(app, "enter")
    elif line.verb == "command":
        run_command(app, line.rest)
    elif line.verb == "wait":
        await settle(app, is_patient=True)
    elif line.verb == "size":
        await pilot.resize_terminal(*parse_size(line.rest, "size"))
    elif line.verb == "theme":
        run_command(app, f"theme {line.rest}")
    else:
        save_screenshot(app, Path(line.rest))


async def press(app: HartvisorApp, *keys: str) -> None:
    """Keys that come in a heap, by Textual's names or as characters, and all that follows from them."""
    for key in keys:
        name = KEYS.get(key, key)
        app.post_message(events.Key(name, key if len(key) == 1 else NAMES.get(name)))
    await settle(app)


async def settle(app: HartvisorApp, *, is_patient: bool = False) -> None:
    """Wait until the engine has nothing more to do, and all is on the screen. is_patient: also for VMs that run."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    quiet = 0
    while quiet < QUIET_ROUNDS and loop.time() < deadline and not (app._exit or app._exception):
        await _drain(app)
        is_still = app.engine.is_still(ignores_running=not is_patient) and not _is_unpainted(app)
        quiet = quiet + 1 if is_still else 0
        if not quiet:
            await asyncio.sleep(0.002)


def _is_unpainted(app: HartvisorApp) -> bool:
    """Whether the screen has yet to lay out or to paint something, or somebody waits for that; Textual has no public
    word for it."""
    screen = app.screen
    return bool(screen._layout_required or screen._repaint_required or screen._dirty_widgets
                or screen._callbacks)


async def _drain(app: HartvisorApp) -> None:
    """Wait until every widget has handled the messages that it has by now."""
    left = asyncio.Event()
    waiting = 1

    def handled() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            left.set()

    for node in (app, app.screen, *(each for each in app.screen.walk_children() if each.message_queue_size)):
        waiting += node.call_later(handled)
    handled()
    with suppress(TimeoutError):
        await asyncio.wait_for(left.wait(), 1.0)


def save_screenshot(app: HartvisorApp, path: Path) -> None:
    """A picture of the screen, as SVG. Raises OptionError where it cannot be written."""
    try:
        path.write_text(app.export_screenshot(title="hartvisor"), encoding="utf-8")
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from None
