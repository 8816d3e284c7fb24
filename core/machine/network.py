"""The one door by which frames come into a machine, whoever sent them and whatever runs behind it.

A frame is on its way until the clock, the steps of all harts together, shows the step at which it is due; the run loop
ends a stretch there, as it would at the end of a budget, and hands it to the card before the next step. What a peer
answers is due a latency after the frame it answers, in every run. What comes from outside is pushed through the log of
inputs between two runs, and is due at once: the log, stamped with steps, is all that it takes to have the run again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import Final, NamedTuple

from ..devices.device import State, bytes_of, int_of
from ..devices.network.wire import Wire
from ..devices.virtio.net import VirtioNet
from .inputs import Inputs

NEVER: Final = (1 << 64) - 1

LATENCY_TICKS: Final = 1000
"""100 microseconds: about what a switched network takes. Part of what a run computes: never change it lightly."""

MAX_COMING: Final = 1024
"""Frames that may be on their way to one card, whatever its guest provokes; those beyond are lost, as in a switch."""

TICKS_PER_MICROSECOND: Final = 10


class Arrival(NamedTuple):
    """A frame on its way. due: the step; number: how many were sent before it, which orders those due at the same."""

    due: int
    number: int
    slot: int
    frame: bytes

    def pack(self) -> bytes:
        """For a snapshot."""
        numbers = (self.due, self.number, self.slot, len(self.frame))
        return b"".join(number.to_bytes(8, "little") for number in numbers) + self.frame


def _nothing() -> None:
    """An on_change that does not care."""


def source(slot: int) -> str:
    """What the log of inputs calls the far end of the wire of the card in a slot."""
    return f"net{slot}"


class Network:
    """The wires of a machine's cards, by virtio slot.

    clock: gives the steps of all harts together. steps_per_tick: how many of them make a tick of time. inputs: the log
    through which frames from outside come.

    next: the step at which the first frame on its way is due, NEVER for none. on_change: called when it has come
    nearer.
    """

    def __init__(self, clock: Callable[[], int], steps_per_tick: int, inputs: Inputs) -> None:
        self.next = NEVER
        self.on_change: Callable[[], None] = _nothing
        self.wires: dict[int, Wire] = {}
        self._cards: dict[int, VirtioNet] = {}
        self._inputs = inputs
        self._clock = clock
        self._steps_per_microsecond = steps_per_tick * TICKS_PER_MICROSECOND
        self._latency = steps_per_tick * LATENCY_TICKS
        self._coming: list[Arrival] = []
        self._counts: Counter[int] = Counter()  # of them, by slot
        self._sent = 0

    def connect(self, slot: int, card: VirtioNet) -> None:
        """The card in the slot is one of this network's, if a wire is plugged into it."""
        wire = card.backend
        if isinstance(wire, Wire):
            self.wires[slot] = wire
            self._cards[slot] = card
            wire.post = lambda frame: self._answer(slot, frame)
            wire.is_past = lambda: self._inputs.is_past
            self._inputs.connect(source(slot), partial(self._bring, slot))
            wire.clock = lambda: self._clock() // self._steps_per_microsecond

    def _bring(self, slot: int, frame: bytes) -> None:
        """A frame has come from outside for the card in the slot."""
        self.post(slot, frame, self._clock())

    def _answer(self, slot: int, frame: bytes) -> None:
        """The peer answers."""
        self.post(slot, frame, self._clock() + self._latency)

    def post(self, slot: int, frame: bytes, due: int) -> bool:
        """A frame sets out for the card in the slot, where it is due at a step that is yet to come. Whether there was
        room for it."""
        if self._counts[slot] >= MAX_COMING:
            self._cards[slot].lost += 1
            return False
        self._counts[slot] += 1
        heappush(self._coming, Arrival(due, self._sent, slot, frame))
        self._sent += 1
        if due < self.next:
            self.next = due
            self.on_change()
        return True

    def room(self, slot: int) -> int:
        """How many frames may be pushed now for none of them to be lost."""
        return max(0, self._cards[slot].room - self._counts[slot])

    def wait(self, step: int) -> int:
        """How many steps after `step` the first is due; NEVER for none."""
        return NEVER if self.next == NEVER else self.next - step

    def deliver(self, step: int) -> None:
        """The clock shows `step`: hand over what is due."""
        while self.next <= step:
            arrival = heappop(self._coming)
            self._counts[arrival.slot] -= 1
            self.next = self._coming[0].due if self._coming else NEVER
            self.wires[arrival.slot].note(arrival.frame)
            self._cards[arrival.slot].receive(arrival.frame)

    # --- snapshots

    def save(self) -> State:
        """What is on its way, and what the peers keep; nothing for a machine without wires."""
        if not self.wires:
            return {}
        state: State = {"sent": self._sent, "coming": b"".join(arrival.pack() for arrival in sorted(self._coming))}
        for slot, wire in self.wires.items():
            state |= {f"peer{slot}.{name}": value for name, value in wire.peer.save().items()}
        return state

    def restore(self, state: State) -> None:
        """Become the saved network; it has the same wires."""
        if not self.wires:
            return
        self._sent = int_of(state, "sent")
        self._coming = list(_unpack(bytes_of(state, "coming")))
        self._counts = Counter(arrival.slot for arrival in self._coming)
        self.next = self._coming[0].due if self._coming else NEVER
        for slot, wire in self.wires.items():
            prefix = f"peer{slot}."
            wire.peer.restore({name.removeprefix(prefix): value for name, value in state.items()
                               if name.startswith(prefix)})


def _unpack(data: bytes) -> list[Arrival]:
    arrivals = []
    while data:
        due, number, slot, length = (int.from_bytes(data[at : at + 8], "little") for at in range(0, 32, 8))
        arrivals.append(Arrival(due, number, slot, data[32 : 32 + length]))
        data = data[32 + length :]
    return arrivals
