"""Keys one after the other: each has done what it does before the next goes to what has the keyboard then.

Textual hands every key to what has the keyboard when it comes; from there it comes back, unless it was used, and only
then is looked up among the bindings. Of keys that come in a heap, from a fast typist or a script, those behind a `:`
would never reach the prompt that it opens.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

LOST: Final = 1.0
"""Seconds after which a key that has not come back is not waited for: what had the keyboard may be gone."""


class TypeAhead:
    """The keys that have come and are not done with. send: hands one to what has the keyboard, and returns that, or
    None if the key is done with already. app: does so in its own task."""

    def __init__(self, app: App[None], send: Callable[[events.Key], Awaitable[MessagePump | None]]) -> None:
        self._app = app
        self._send = send
        self._waiting: deque[events.Key] = deque()
        self._sent: events.Key | None = None
        self._sent_at = 0.0

    async def take(self, key: events.Key) -> None:
        """A key has come."""
        self._waiting.append(key)
        if self._sent is None or time.monotonic() - self._sent_at > LOST:
            await self.go_on()

    async def go_on(self) -> None:
        """The key that was on its way has done what it does: send those that wait, up to one that is on its way."""
        self._sent = None
        while self._waiting and self._sent is None:
            key = self._waiting.popleft()
            self._sent, self._sent_at = key, time.monotonic()
            target = await self._send(key)
            if target is None:
                self._sent = None
            else:
                self._follow(key, target)

    def _follow(self, key: events.Key, node: MessagePump) -> None:
        """Go behind a key through all that it passes: who uses it, stops it, and it will not come back."""

        def passed() -> None:
            if key is not self._sent:
                return
            if key._stop_propagation or node._parent is None:
                self._app.call_later(self.go_on)
            elif node._parent is not self._app:
                self._follow(key, node._parent)

        if not node.call_later(passed):
            self._app.call_later(self.go_on)
