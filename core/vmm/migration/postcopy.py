"""Post-copy: the guest runs at the target before its memory is there; a page is fetched when it is first touched.

Meanwhile the source pushes the rest. If the link is cut the guest stands still until the two have found each other
again; nothing more is promised, for its memory is on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from ...errors import ConfigError
from ..guest_memory import IdentityMemory
from ..vm import Vm
from .wire import BATCH, Cut, Kind, Link, pack_pages, unpack_pages


class Absent:
    """At the target: the pages of RAM that have yet to come.

    reconnect: waits for the source to come back after a cut, and gives the new link; None: a cut is the end.
    Raises ConfigError for a technique that gives the guest frames of the machine's own (bare).
    """

    def __init__(self, vm: Vm, gfns: list[int], link: Link) -> None:
        if isinstance(vm.ram, IdentityMemory):
            raise ConfigError("post-copy needs a technique that gives frames on demand, not bare")
        self.reconnect: Callable[[], Link] | None = None
        self._vm = vm
        self._link = link
        self._left = set(gfns)
        vm.ram.fetch_absent(self._left, self._fetch)

    @property
    def left(self) -> int:
        """How many pages have yet to come."""
        return len(self._left)

    def _fetch(self, gfn: int) -> None:
        """The guest, or the VMM, touches an absent page: bring it here. Raises Cut if it can never come."""
        while gfn in self._left:
            try:
                self._link.send(Kind.WANT, gfn.to_bytes(8, "little"))
                while gfn in self._left:
                    self._take_frame()
            except Cut:
                self._find_source()

    def take_in(self) -> None:
        """Take what the source has pushed meanwhile; when all is here, say so. Raises Cut if it can never come."""
        try:
            while self._left and self._link.is_ready():
                self._take_frame()
        except Cut:
            self._find_source()

    def _take_frame(self) -> None:
        kind, body = self._link.receive()
        if kind is not Kind.PAGES:
            raise Cut(f"the source said {kind.name} where it was to send pages")
        for index, gfn, data in unpack_pages(body):
            # One that was both asked for and pushed comes twice, and the guest may have stored to it in between.
            if index == 0 and gfn in self._left:
                self._vm.ram.write_page(gfn, data)
        if not self._left:
            self._link.send(Kind.DONE)

    def _find_source(self) -> None:
        """Pause until the source is back, and tell it what is missing. Raises Cut."""
        while True:
            self._link.close()
            if self.reconnect is None:
                raise Cut("the link was cut, and pages of the guest's memory are at the source only")
            self._link = self.reconnect()
            with suppress(Cut):
                self._link.send(Kind.MISSING, b"".join(gfn.to_bytes(8, "little") for gfn in sorted(self._left)))
                if not self._left:
                    self._link.send(Kind.DONE)
                return


class PageServer:
    """At the source, after the guest has left: sends its pages, those first that are asked for.

    reconnect: finds the target again after a cut, and gives the new link.
    """

    def __init__(self, vm: Vm, gfns: list[int], link: Link, migration: str, reconnect: Callable[[], Link]) -> None:
        self._vm = vm
        self._left = dict.fromkeys(gfns)
        self._link = link
        self._migration = migration
        self._reconnect = reconnect

    def serve(self) -> None:
        """Until the target has everything. Raises Cut where it cannot be found again."""
        while True:
            try:
                if self._step():
                    return
            except Cut:
                self._find_target()

    @property
    def left(self) -> int:
        """How many pages have not been sent."""
        return len(self._left)

    def _find_target(self) -> None:
        """Raises Cut where it does not come back."""
        while True:
            self._link.close()
            self._link = self._reconnect()
            with suppress(Cut):
                self._link.send(Kind.AGAIN, self._migration.encode())
                return

    def _step(self) -> bool:
        """Answer, or else push some pages; whether the target has said that it has everything."""
        if not self._left or self._link.is_ready():
            kind, body = self._link.receive()
            if kind is Kind.DONE:
                return True
            if kind is Kind.WANT:
                self._send([int.from_bytes(body, "little")])
            elif kind is Kind.MISSING:
                self._left = dict.fromkeys(int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body), 8))
            else:
                raise Cut(f"the target said {kind.name}")
            return False
        self._send(list(self._left)[:BATCH])
        return False

    def _send(self, gfns: list[int]) -> None:
        ram = self._vm.ram
        self._link.send(Kind.PAGES, pack_pages([(0, gfn, ram.read_page(gfn)) for gfn in gfns]))
        for gfn in gfns:
            self._left.pop(gfn, None)
