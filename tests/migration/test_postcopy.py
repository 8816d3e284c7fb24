"""Post-copy: the guest runs before its memory is there, and stands still while the link is cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.migration.postcopy import Absent, PageServer
from hartvisor.core.vmm.migration.records import Records
from hartvisor.core.vmm.migration.source import End, Source
from hartvisor.core.vmm.migration.target import Arrival, Target
from hartvisor.core.vmm.migration.wire import Cut, Kind, Link, SocketLink

from .support import ignore, kernel

IMPATIENCE = 1.0
"""Seconds to wait for the other side here, where cuts are many."""


class Links:
    """Connections between the two sides, one after the other; each side takes its end of the next."""

    def __init__(self) -> None:
        self.made = 0
        self._waiting: dict[str, list[socket.socket]] = {"source": [], "target": []}
        self._links: list[SocketLink] = []
        self._lock = threading.Lock()

    def connect(self, side: str) -> SocketLink:
        """The next connection's end."""
        with self._lock:
            if not self._waiting[side]:
                self.made += 1
                for end in (*self._waiting["source"], *self._waiting["target"]):
                    end.close()  # the other side has not come for it in time
                self._waiting["source"], self._waiting["target"] = ([end] for end in socket.socketpair())
            link = SocketLink(self._waiting[side].pop(0), IMPATIENCE)
            self._links.append(link)
            return link

    def close(self) -> None:
        """Hang up all of them."""
        for link in self._links:
            link.close()
        for ends in self._waiting.values():
            for end in ends:
                end.close()


class Failing:
    """A link that is cut after so many frames from the source."""

    def __init__(self, link: SocketLink, frames: int) -> None:
        self._link = link
        self._frames = frames
        self.sent = 0

    def send(self, kind: Kind, body: bytes = b"") -> None:
        """One frame, if there are any left."""
        if self._frames == 0:
            self._link.close()
        self._frames -= 1
        self._link.send(kind, body)

    def receive(self) -> tuple[Kind, bytes]:
        """The next frame."""
        return self._link.receive()

    def is_ready(self) -> bool:
        """Whether something has come."""
        return self._link.is_ready()

    def close(self) -> None:
        """Hang up."""
        self._link.close()


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage"])
def test_its_memory_follows_and_cuts_only_make_it_wait(tmp_path: Path, technique: str,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut after a few pages, again and again: the guest waits for the source to come back, and goes on as it would."""
    monkeypatch.setattr("hartvisor.core.vmm.migration.postcopy.BATCH", 8)
    vm, recipe = kernel(technique)
    vm.run(500_000)
    links = Links()
    arrivals: list[Arrival] = []
    ends = links.connect("source"), links.connect("target")
    thread = threading.Thread(
        target=lambda: arrivals.append(Target(ends[1], Records(tmp_path / "target"), ignore).receive()))
    thread.start()
    source = Source(vm, recipe, ends[0], Records(tmp_path / "source"), "m1", is_postcopy=True)
    result = source.migrate()
    thread.join()
    arrival = arrivals[0]
    assert (result.end, arrival.end) == (End.MOVED, End.MOVED), (result, arrival)
    assert result.left > 50
    moved, absent = arrival.vm, arrival.absent
    assert moved is not None
    assert absent is not None
    assert absent.left > 50

    has_all = threading.Event()

    def come_back() -> Link:
        if has_all.is_set():
            raise Cut("the target has everything, and its word for it was cut off")
        link = links.connect("source")
        return Failing(link, 3)

    def wait() -> Link:
        while True:
            link = links.connect("target")
            with suppress(Cut):
                assert link.receive() == (Kind.AGAIN, b"m1")
                return link
            link.close()

    absent.reconnect = wait
    server = PageServer(vm, source.later, Failing(ends[0], 2), "m1", come_back)

    def serve() -> None:
        with suppress(Cut):
            server.serve()

    served = threading.Thread(target=serve)
    served.start()
    while absent.left:
        moved.run(10_000)
        absent.take_in()
    has_all.set()
    served.join()
    assert links.made > 3
    moved.run(100_000)
    vm.run(moved.steps - vm.steps)
    assert digest(moved) == digest(vm)
    links.close()


def test_a_bare_machine_cannot_wait_for_its_memory() -> None:
    """Its guest has the machine's own frames."""
    vm, _ = kernel("bare")
    here, there = socket.socketpair()
    with pytest.raises(ConfigError, match="post-copy needs a technique that gives frames on demand"):
        Absent(vm, [], SocketLink(here))
    here.close()
    there.close()
