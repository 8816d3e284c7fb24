"""The engine of an app whose VMs run in another process: it asks that process to look, to pause, resume and type."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from textual.message import Message

from ....core.errors import HartvisorError
from ....core.vmm.control.client import ControlClient
from ..collecting import Collector
from ..engine import FRAME_SECONDS, Action
from ..messages import Frame, Told
from .server import COMMAND
from .wire import pack, unpack

LOOK_ONLY: Final = ("this VM shares a machine with others, in another process: it can be looked at, paused and typed "
                    "to. To step it, and to go back in time, open its image, a recording or a snapshot")


class AttachedEngine:
    """As Engine, as far as that goes. client: the connection, which is the engine's from here on."""

    def __init__(self, client: ControlClient, post: Callable[[Message], Any]) -> None:
        self.names: tuple[str, ...] = tuple(vm["name"] for vm in client.ask("query-vms"))
        self._client = client
        self._post = post
        self._requests: deque[Callable[[], None]] = deque()
        self._has_news = threading.Event()
        self._is_painted = threading.Event()
        self._is_painted.set()
        self._is_stopping = self._is_busy = self._is_lost = False
        self._wanted: Mapping[str, Collector] = {}
        self._current = 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and hang up; the VMs go on."""
        self._is_stopping = True
        self._has_news.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._client.close()

    def name_of(self, index: int) -> str:
        """A VM's name."""
        return self.names[index]

    def learn_words(self, give: Callable[[list[str]], None]) -> None:
        """Symbols are known there, not here."""

    # --- what can be asked for

    def do(self, action: Action) -> None:
        """No action can be sent to another process."""
        self._post(Told(LOOK_ONLY, "warning"))

    def look(self, wanted: Mapping[str, Collector], often: Collection[str] | None = None) -> None:
        """From now on this is what the panels want to see; every frame has all of it."""
        self._put(lambda: self._want(wanted))

    def painted(self) -> None:
        """The last frame is on the screen."""
        self._is_painted.set()

    def give_way(self) -> None:
        """The guests run in another process: nobody is in the way."""

    def is_still(self, *, ignores_running: bool = True) -> bool:
        """Whether nothing waits to be done or shown."""
        return self._is_lost or (not self._requests and not self._is_busy and self._is_painted.is_set())

    def select(self, index: int) -> None:
        """Look at another VM."""
        self._put(lambda: self._select(index))

    def turn(self, by: int) -> None:
        """Look at the next VM, or the one before."""
        self._put(lambda: self._select(self._current + by))

    def toggle(self) -> None:
        """Pause the VM looked at, or let it go on."""
        self._put(lambda: self._toggle(self._current))

    def toggle_at(self, index: int) -> None:
        """The same for any VM."""
        self._put(lambda: self._toggle(index))

    def pause(self) -> None:
        """Pause the VM looked at."""
        self._put(lambda: self._ask("pause", vm=self.names[self._current]))

    def go_all(self) -> None:
        """Let all VMs go on."""
        self._put(lambda: self._all("resume"))

    def pause_all(self) -> None:
        """Pause all VMs."""
        self._put(lambda: self._all("pause"))

    def type_to(self, index: int, data: bytes, *, is_answer: bool = False) -> None:
        """The user, or (is_answer) the user's terminal, types to a VM's console."""
        self._put(lambda: self._ask("console-write", vm=self.names[index], text=data.decode("utf-8", "replace")))

    def _put(self, request: Callable[[], None]) -> None:
        self._requests.append(request)
        self._has_news.set()

    # --- the thread

    def _run(self) -> None:
        patience: float | None = 0.0
        while not self._is_stopping:
            self._has_news.wait(patience)
            self._is_busy = bool(self._requests)
            self._has_news.clear()
            while self._requests and not self._is_stopping:
                self._requests.popleft()()
            began = time.monotonic()
            if self._wanted and self._is_painted.is_set() and not self._is_lost:
                self._show()
            # No more than half of the time is spent on looking: the hypervisor stands still meanwhile.
            patience = None if self._is_lost else max(FRAME_SECONDS, 2 * (time.monotonic() - began))
            self._is_busy = False

    def _ask(self, command: str, **arguments: Any) -> Any:
        """What it returns; None, and the user told, where it is refused."""
        try:
            return self._client.ask(command, **arguments)
        except HartvisorError as error:
            self._lose(str(error))
            return None

    def _lose(self, why: str) -> None:
        """It was refused; or there is nobody any more, and then that is said once."""
        if "hung up" in why or "has not answered" in why:
            if self._is_lost:
                return
            self._is_lost = True
        self._post(Told(why, "error"))

    def _all(self, command: str) -> None:
        for vm in self._ask("query-vms") or ():
            if vm["state"] in ("running", "asleep", "paused"):
                self._ask(command, vm=vm["name"])

    def _toggle(self, index: int) -> None:
        name = self.names[index]
        states = {vm["name"]: vm["state"] for vm in self._ask("query-vms") or ()}
        if name in states:
            self._ask("resume" if states[name] == "paused" else "pause", vm=name)

    def _select(self, index: int) -> None:
        self._current = index % len(self.names)

    def _want(self, wanted: Mapping[str, Collector]) -> None:
        self._wanted = wanted

    def _show(self) -> None:
        try:
            found = self._client.ask(COMMAND, current=self._current, wanted=pack(dict(self._wanted)))
            views = unpack(found["views"])
        except HartvisorError as error:
            self._lose(str(error))
            self._wanted = {}
            return
        self.names, self._current = tuple(found["vms"]), found["current"]
        self._is_painted.clear()
        self._post(Frame(views, found["failures"]))


