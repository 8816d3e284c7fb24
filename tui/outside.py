"""The world outside a running guest: who may send it frames, in real time."""

from __future__ import annotations

import select
from collections.abc import Sequence

from ..core.devices.network.wire import OutsidePeer
from ..core.machine.inputs import Inputs
from ..core.machine.network import Network, source


class Outside:
    """The peers of a network that live outside. They are asked between two stretches of the run, and what they sent
    enters the machine at the step between them, through the log of inputs."""

    def __init__(self, network: Network, inputs: Inputs) -> None:
        self._network = network
        self._inputs = inputs
        self._peers = {slot: wire.peer for slot, wire in network.wires.items() if isinstance(wire.peer, OutsidePeer)}

    @property
    def is_live(self) -> bool:
        """Whether any may yet send."""
        return any(peer.is_live for peer in self._peers.values())

    def wait(self, timeout: float, descriptors: Sequence[int] = ()) -> bool:
        """Until a peer has sent something, one of `descriptors` can be read, or `timeout` seconds are over; whether
        frames came."""
        reading, writing = self.waits_on()
        select.select([*descriptors, *reading], writing, [], timeout)
        return self.bring()

    def waits_on(self) -> tuple[list[int], list[int]]:
        """Descriptors: those that can be read when a peer whose card has room has sent something, and those that have
        to become writable."""
        reading: list[int] = []
        writing: list[int] = []
        for slot, peer in self._peers.items():
            to_read, to_write = peer.waits_on()
            reading += to_read if self._network.room(slot) else []
            writing += to_write
        return reading, writing

    def bring(self) -> bool:
        """Hand over what has come, as far as the cards have room; whether anything has."""
        have_come = False
        for slot, peer in self._peers.items():
            for frame in peer.take_in(self._network.room(slot)):
                self._inputs.push(source(slot), frame)
                have_come = True
        return have_come
