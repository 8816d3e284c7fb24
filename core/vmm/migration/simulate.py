"""Migration over a link that is not there, in the guest's own time: the same rounds and rules as over a real one,
and the same figures every time, so that a course can study them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

from ...machine.device_tree import DEFAULT_TIMEBASE
from ..plain import dumps
from ..vm import Vm
from .rounds import Policy, Round, Rounds
from .wire import FRAME, pack_pages

SEGMENT: Final = 1448
"""Bytes of payload in a packet: Ethernet's 1500, less IP and TCP with timestamps."""

MESSAGES: Final = 4
"""Of the commit, each of which takes the link's latency."""


@dataclass
class SimulatedLink:
    """bandwidth: bytes a second. latency: seconds one way. loss: the part of the packets that is lost and sent again.

    A lost packet costs its time on the link once more, and the last ones a round trip.
    """

    bandwidth: float
    latency: float = 0.0
    loss: float = 0.0
    seed: int = 1
    sent: int = 0
    lost: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def carry(self, length: int) -> float:
        """The seconds that it takes to get so many bytes across."""
        packets = -(-length // SEGMENT)
        again = sum(self._tries() for _ in range(packets))
        self.sent += length
        self.lost += again
        return (length + again * SEGMENT) / self.bandwidth + self.latency + (2 * self.latency if again else 0.0)

    def _tries(self) -> int:
        count = 0
        while self.loss and self._random.random() < self.loss:
            count += 1
        return count


@dataclass(frozen=True)
class Simulated:
    """What a migration would have been like. seconds: in all. downtime: of them, with the guest paused."""

    rounds: list[Round]
    seconds: float
    downtime: float
    bytes: int
    lost: int


def simulate(vm: Vm, link: SimulatedLink, policy: Policy | None = None) -> Simulated:
    """Run the rounds of a migration, the guest going on meanwhile as long as each takes. The VM stays where it is."""
    rounds = Rounds(vm, policy or Policy())
    elapsed = 0.0
    while not rounds.is_ripe:
        count, before, seconds = rounds.left, link.sent, 0.0
        while pages := rounds.batch():
            took = link.carry(len(pack_pages(pages)) + FRAME.size)
            seconds += took
            _run(vm, took * (1 - rounds.throttle))
        elapsed += seconds
        rounds.end(count, link.sent - before, seconds)
    rest = rounds.rest()
    paged = vm.paged
    body = pack_pages([(index, number, paged[index].read_page(number)) for index, number in rest])
    downtime = link.carry(len(body) + len(dumps(vm.save()))) + MESSAGES * link.latency
    return Simulated(rounds.history, elapsed + downtime, downtime, link.sent, link.lost)


def _run(vm: Vm, seconds: float) -> None:
    """Let the guest go on for so long, of its own time."""
    vm.run(int(seconds * DEFAULT_TIMEBASE) * vm.config.steps_per_tick * vm.config.vcpus)
