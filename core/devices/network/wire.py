"""The wire between a card and its peer.

A frame from the guest reaches the peer at once, during the guest's store. A frame to the guest never comes by itself:
it is handed over by the run loop, between two steps, through core/machine/network.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ..device import State
from .capture import Capture


class Peer(Protocol):
    """What is at a wire's far end.

    It is given whole Ethernet frames without their checksum, and may answer; what it answers is on its way for a time
    that the network sets, so a peer that depends on nothing but its frames makes runs that can be repeated.
    """

    def answer(self, frame: bytes) -> Sequence[bytes]:
        """The guest sends a frame; the frames that this makes the peer send, in their order."""

    def save(self) -> State:
        """What its answers depend on; nothing for a peer outside."""

    def restore(self, state: State) -> None:
        """Become the saved peer."""

    def close(self) -> None:
        """Let go of what the host lent."""


@runtime_checkable
class OutsidePeer(Peer, Protocol):
    """A peer that lives outside and in real time: it may send whenever it likes."""

    @property
    def is_live(self) -> bool:
        """Whether it may yet send."""

    def take_in(self, limit: int) -> list[bytes]:
        """The frames that have come, `limit` of them at most; what else there is waits. Never blocks."""

    def waits_on(self) -> tuple[list[int], list[int]]:
        """Descriptors: those to be read, and those that have to become writable, for `take_in` to be of use."""


class Wire:
    """A card's backend. peer: who is at the far end. capture: where what passes is written down, if anywhere.

    post, clock, is_past: the network's: called with each frame that the peer answers; gives the time in microseconds;
    whether the guest does what it has done before, in which the outside has no part.
    """

    def __init__(self, peer: Peer, capture: Capture | None = None) -> None:
        self.peer = peer
        self.capture = capture
        self.post: Callable[[bytes], None] = _drop
        self.clock: Callable[[], int] = _no_time
        self.is_past: Callable[[], bool] = _never

    def send(self, frame: bytes) -> None:
        """The guest sends."""
        self.note(frame)
        if isinstance(self.peer, OutsidePeer) and self.is_past():
            return
        for answer in self.peer.answer(frame):
            self.post(answer)

    def note(self, frame: bytes) -> None:
        """A frame passes, in one direction or the other."""
        if self.capture is not None and not self.is_past():
            self.capture.write(self.clock(), frame)

    def close(self) -> None:
        """Let the peer go, and end the capture."""
        self.peer.close()
        if self.capture is not None:
            self.capture.close()


def _drop(frame: bytes) -> None:
    """The post of a wire that is in no network."""


def _no_time() -> int:
    """The clock of such a wire."""
    return 0


def _never() -> bool:
    """Such a wire has no past."""
    return False
