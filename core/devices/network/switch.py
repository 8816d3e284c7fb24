"""A learning switch (IEEE 802.1D, "Filtering Database"): it remembers behind which port an address was seen, sends a
frame there alone, and to all other ports while it does not know.

Times are virtual, in microseconds. A port is the far end of a card's wire; what it takes in waits until somebody who
knows everybody's clock hands it on, so the switch itself has no clock and no order of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from ..device import State
from .capture import Capture

AGEING: Final = 300_000_000
"""Microseconds after which an address that was not seen is forgotten (802.1D's default)."""

MAX_ADDRESSES: Final = 4096
"""Addresses remembered; beyond that, the one that was not seen for longest goes."""

GROUP: Final = 1  # bit of an address's first byte: not one card's


class Sent(NamedTuple):
    """A frame that a port has taken in. clock: its sender's, in steps."""

    clock: int
    frame: bytes


@dataclass(slots=True)
class Counters:
    """What went through a port, as its card sees it: sent to the switch, received from it, and dropped on the way to
    it."""

    sent_frames: int = 0
    sent_bytes: int = 0
    received_frames: int = 0
    received_bytes: int = 0
    dropped: int = 0


def _no_clock() -> int:
    return 0


class SwitchPort:
    """One port. A peer for a wire. clock: its card's machine's, in steps. number: its place in the switch."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.clock: Callable[[], int] = _no_clock
        self.counters = Counters()
        self._sent: list[Sent] = []

    def answer(self, frame: bytes) -> tuple[()]:
        """Take in; nothing comes back before it has been handed on."""
        self._sent.append(Sent(self.clock(), frame))
        return ()

    def take(self) -> list[Sent]:
        """What has been taken in since the last call, in order."""
        sent, self._sent = self._sent, []
        return sent

    def save(self) -> State:
        """A port keeps nothing from one round to the next."""
        return {}

    def restore(self, state: State) -> None:
        """There is nothing."""

    def close(self) -> None:
        """Nothing was lent."""


class Switch:
    """The switch. capture: where each frame that comes in is written down, if anywhere. ports: by number."""

    def __init__(self, capture: Capture | None = None) -> None:
        self.capture = capture
        self.ports: list[SwitchPort] = []
        self._seen: dict[bytes, tuple[int, int]] = {}  # address to port and time, the one seen last at the end

    def add_port(self) -> SwitchPort:
        """Another port."""
        port = SwitchPort(len(self.ports))
        self.ports.append(port)
        return port

    @property
    def addresses(self) -> dict[str, int]:
        """The port behind which each address was seen last."""
        return {address.hex(":"): port for address, (port, _) in self._seen.items()}

    def forward(self, number: int, frame: bytes, time: int) -> list[SwitchPort]:
        """A frame comes in by port `number`: where it is to go."""
        counters = self.ports[number].counters
        counters.sent_frames += 1
        counters.sent_bytes += len(frame)
        if self.capture is not None:
            self.capture.write(time, frame)
        target, source = frame[:6], frame[6:12]
        if not source[0] & GROUP:
            self._seen.pop(source, None)
            self._seen[source] = number, time
            if len(self._seen) > MAX_ADDRESSES:
                del self._seen[next(iter(self._seen))]
        known = self._seen.get(target)
        if known is not None and time - known[1] > AGEING:
            del self._seen[target]
            known = None
        if known is None:
            return [port for port in self.ports if port.number != number]
        return [self.ports[known[0]]] if known[0] != number else []

    def close(self) -> None:
        """End the capture."""
        if self.capture is not None:
            self.capture.close()
