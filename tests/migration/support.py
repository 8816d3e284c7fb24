"""Two sides in one process, and a link between them that can be cut at any byte."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.migration.records import Records
from hartvisor.core.vmm.migration.resume import revive as revive_vm
from hartvisor.core.vmm.migration.rounds import Policy
from hartvisor.core.vmm.migration.source import Result, Source
from hartvisor.core.vmm.migration.target import Arrival, Target
from hartvisor.core.vmm.migration.wire import SocketLink
from hartvisor.core.vmm.recipe import Recipe
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

PATIENCE = 20.0
CHUNK = 4096


def ignore(data: bytes) -> None:
    """The guest's output."""


def kernel(technique: str = "shadow", append: str = "workload=1", memory: int = 32 << 20) -> tuple[Vm, Recipe]:
    """tern at work."""
    config = VmConfig(technique=technique, memory=memory, append=append)
    recipe = Recipe.of("kernel", config, image("kernel"))
    return recipe.start(ignore), recipe


@dataclass
class Wire:
    """A connection by way of a relay, which passes so many bytes in each direction and then cuts it; -1: all.

    flipped: the place of a byte to the target in which to flip a bit. passed: bytes so far, to target and to source.
    """

    limits: tuple[int, int] = (-1, -1)
    flipped: int = -1
    passed: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        source, near = socket.socketpair()
        far, target = socket.socketpair()
        self.source, self.target = SocketLink(source, PATIENCE), SocketLink(target, PATIENCE)
        self._ends = (near, far)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._relay, args=(0, near, far)),
                         threading.Thread(target=self._relay, args=(1, far, near))]
        for thread in self._threads:
            thread.start()

    def _relay(self, way: int, come: socket.socket, go: socket.socket) -> None:
        limit = self.limits[way]
        try:
            while data := come.recv(CHUNK):
                left = len(data) if limit < 0 else limit - self.passed[way]
                at = self.flipped - self.passed[way]
                if way == 0 and 0 <= at < len(data):
                    data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
                go.sendall(data[:left])
                self.passed[way] += min(left, len(data))
                if left < len(data):
                    break
        except OSError:
            pass
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Both ends hang up."""
        self.source.close()
        self.target.close()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()


@dataclass
class Outcome:
    """What a migration came to on both sides."""

    result: Result
    arrival: Arrival
    vm: Vm
    records: tuple[Records, Records]
    passed: tuple[int, int]


def migrate(folder: Path, vm: Vm, recipe: Recipe, *, wire: Wire | None = None, technique: str | None = None,
            policy: Policy | None = None) -> Outcome:
    """Move a VM over a wire, each side with a folder of its own."""
    wire = wire or Wire()
    records = Records(folder / "source"), Records(folder / "target")
    arrivals: list[Arrival] = []

    def take() -> None:
        arrivals.append(Target(wire.target, records[1], ignore, technique).receive())
        wire.target.close()

    thread = threading.Thread(target=take)
    thread.start()
    result = Source(vm, recipe, wire.source, records[0], "m1", policy=policy).migrate()
    wire.source.close()
    thread.join()
    wire.close()
    return Outcome(result, arrivals[0], vm, records, (wire.passed[0], wire.passed[1]))


def revive(records: Records, side: str) -> Vm:
    """A saved VM, as `migrate resume` makes it."""
    return revive_vm(records, "m1", side, ignore)[0]


def future(vm: Vm, steps: int = 200_000) -> str:
    """The digest so many steps on."""
    vm.run(steps)
    return digest(vm)
