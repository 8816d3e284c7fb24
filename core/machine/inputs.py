"""Everything that reaches a guest from outside, in one log, each entry stamped with the step at which it came.

Some of it comes by itself, between two runs (typed keys, frames): it is pushed. The rest is asked for in the midst of
one (a pipe's next bytes): it is pulled. A guest that starts where the log starts, and gets the same at the same steps,
does the same; so the log and a place to start from are a whole run, to be had again as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import HartvisorError


@dataclass(frozen=True)
class Event:
    """One input. step: the guest's clock when it came. source: where from, such as "console". data: what.

    is_pulled: the guest asked for it.
    """

    step: int
    source: str
    data: bytes
    is_pulled: bool = False


class Parted(HartvisorError):
    """A replay is not the run that was recorded: `step` is where it was seen."""

    def __init__(self, step: int, why: str) -> None:
        super().__init__(f"the replay parted from the recording at step {step:,}: {why}")
        self.step = step


class Inputs:
    """The inputs of one guest. clock: its steps.

    is_kept: whether the log is kept; else an entry is forgotten as soon as the guest has it.
    events: the log. position: how many of them the guest has; the others are its future, which it had before it was
    taken back, or which a recording holds.
    is_closed: nothing comes but what the log has: it is a recording's.
    may_be_silent: a pull may find nothing yet, as it may where a guest has peers in real time; the log says nothing of
    such. is_past: the guest does what it has done before, and what it sends to the outside has been sent.
    observer: called with each event that is new. before_push: called before one comes that the guest did not ask for.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.is_kept = False
        self.is_closed = False
        self.may_be_silent = False
        self.is_past = False
        self.events: list[Event] = []
        self.position = 0
        self.observer: Callable[[Event], None] | None = None
        self.before_push: Callable[[], None] | None = None
        self._clock = clock
        self._sinks: dict[str, Callable[[bytes], None]] = {}

    def connect(self, source: str, sink: Callable[[bytes], None]) -> None:
        """What comes from `source` goes to `sink`."""
        self._sinks[source] = sink

    @property
    def sources(self) -> frozenset[str]:
        """Those that are connected."""
        return frozenset(self._sinks)

    def push(self, source: str, data: bytes) -> None:
        """New input, between two runs. What the log held of the future is then another guest's, and dropped."""
        if not data or self.is_closed:
            return
        if self.before_push is not None:
            self.before_push()
        self.forget_future()
        self._add(Event(self._clock(), source, data))
        self._sinks[source](data)

    def pulling(self, source: str, ask: Callable[[], bytes | None]) -> Callable[[], bytes | None]:
        """`ask`, with the log in between: what it once answered is not asked again. It may answer None where there is
        nothing yet (`may_be_silent`). Raises Parted."""

        def answer() -> bytes | None:
            step = self._clock()
            if self.position < len(self.events):
                event = self.events[self.position]
                if self.may_be_silent and event.step > step:
                    return None
                if (event.step, event.source, event.is_pulled) != (step, source, True):
                    raise Parted(step, f"the guest asks for input from {source}; in the recording, the next is from "
                                       f"{event.source} at step {event.step:,}")
                self.position += 1
                return event.data
            if self.is_closed and self.may_be_silent:
                return None
            if self.is_closed:
                raise Parted(step, f"the guest asks for input from {source} that the recording has not")
            data = ask()
            if data is not None:
                self._add(Event(step, source, data, is_pulled=True))
            return data

        return answer

    def _add(self, event: Event) -> None:
        if self.observer is not None:
            self.observer(event)
        if self.is_kept:
            self.events.append(event)
            self.position += 1

    def forget_future(self) -> None:
        """Drop what the guest has not had yet."""
        del self.events[self.position:]

    def next_push(self) -> Event | None:
        """The next of the log's events that has to be given to the guest."""
        ahead = (self.events[index] for index in range(self.position, len(self.events)))
        return next((event for event in ahead if not event.is_pulled), None)

    def give(self, event: Event) -> None:
        """The guest has reached the step of `next_push`. Raises Parted where it has not pulled what came before."""
        if self.events[self.position] is not event:
            missed = self.events[self.position]
            raise Parted(self._clock(), f"the guest has not asked for the input from {missed.source} that it got at "
                                        f"step {missed.step:,}")
        self.position += 1
        if event.source not in self._sinks:
            raise Parted(self._clock(), f"the recording has input from {event.source}, which this guest has not")
        self._sinks[event.source](event.data)
