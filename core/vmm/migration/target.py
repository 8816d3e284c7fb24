"""The side that a VM comes to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from ...errors import HartvisorError
from ..digest import MemoryDigest, digest
from ..plain import DamagedError, dumps, loads
from ..recipe import Recipe
from ..state import VmState
from ..vm import Vm
from .postcopy import Absent
from .records import TARGET, Phase, Record, Records, make_durable, put_pages
from .source import End
from .wire import VERSION, Cut, Hello, Kind, Link, pack


@dataclass
class Arrival:
    """What came. end: MOVED: the VM is here and may run; STAYED: it is not; UNDECIDED: it stands still here, saved.

    absent: the pages that are yet to come, where it was moved by post-copy.
    """

    end: End
    why: str = ""
    vm: Vm | None = None
    recipe: Recipe | None = None
    migration: str = ""
    absent: Absent | None = None


class Target:
    """Takes one VM in from a link. records: where to note how far it has come. output: for its console. technique: to
    run it under another than it had. peer: the source's address, for people."""

    def __init__(self, link: Link, records: Records, output: Callable[[bytes], None], technique: str | None = None,
                 peer: str = "") -> None:
        self._link = link
        self._records = records
        self._output = output
        self._technique = technique
        self._peer = peer

    def receive(self) -> Arrival:
        """Take the VM in. Nothing that the other side sends raises anything."""
        arrival = Arrival(End.STAYED)
        try:
            hello, vm = self._greet()
        except (Cut, HartvisorError) as error:
            return Arrival(End.STAYED, str(error))
        arrival.migration = hello.migration
        journal = self._records.open_journal(hello.migration, TARGET)
        try:
            self._take_in(hello, vm, journal, arrival)
            make_durable(journal)
            self._note(hello, vm, Phase.UNDECIDED)
            self._link.send(Kind.READY)
        except (Cut, HartvisorError) as error:
            arrival.why = str(error)
            if isinstance(error, HartvisorError):
                self._refuse(str(error))
            if self._records.find(hello.migration, TARGET) is None:
                journal.close()
                self._records.forget(hello.migration, TARGET)
            else:
                arrival.end = End.UNDECIDED
            return arrival
        finally:
            journal.close()
        self._wait_for_release(hello, vm, arrival)
        return arrival

    def _greet(self) -> tuple[Hello, Vm]:
        kind, body = self._link.receive()
        if kind is not Kind.HELLO:
            raise Cut(f"the source began with {kind.name}")
        try:
            hello = loads(Hello, body)
            if hello.version != VERSION:
                raise DamagedError(f"the source speaks version {hello.version}, this side {VERSION}")
            if not hello.migration.isalnum():
                raise DamagedError("the migration has no proper name")
            if self._records.find(hello.migration, TARGET) is not None:
                raise DamagedError(f"migration {hello.migration} has been here before")
            recipe = hello.recipe.under(self._technique or hello.recipe.technique)
            vm = recipe.blank(self._output)
        except HartvisorError as error:
            self._refuse(str(error))
            raise
        self._link.send(Kind.WELCOME)
        return hello, vm

    def _refuse(self, why: str) -> None:
        with suppress(Cut):
            self._link.send(Kind.REFUSED, why.encode())

    def _take_in(self, hello: Hello, vm: Vm, journal: BinaryIO, arrival: Arrival) -> None:
        """Pages, round by round, and the state; what comes is kept as it came. Raises Cut or DamagedError."""
        journal.write(pack(Kind.HELLO, dumps(hello)))
        missing: list[int] = []
        measured = vm.memory_digest = MemoryDigest(vm)
        while True:
            kind, body = self._link.receive()
            if kind is Kind.PAGES:
                put_pages(vm, body)
                journal.write(pack(kind, body))
            elif kind is Kind.ROUND:
                make_durable(journal)
                measured.update()
                self._link.send(Kind.ROUND)
            elif kind is Kind.MISSING:
                missing = [int.from_bytes(body[at : at + 8], "little") for at in range(0, len(body), 8)]
            elif kind is Kind.STATE:
                state = loads(VmState, body)
                journal.write(pack(kind, body))
                if hello.is_postcopy:
                    arrival.absent = Absent(vm, missing, self._link)
                try:
                    vm.restore(state)
                except (ValueError, KeyError) as error:
                    raise DamagedError(f"the state does not fit the VM: {error}") from None
            elif kind is Kind.DIGEST:
                if not hello.is_postcopy and digest(vm).encode() != body:
                    raise DamagedError("the VM that came is not the one that left: their digests differ")
                arrival.vm, arrival.recipe = vm, hello.recipe.under(str(vm.config.technique))
                return
            else:
                raise Cut(f"the source said {kind.name} in the midst of the pages")

    def _wait_for_release(self, hello: Hello, vm: Vm, arrival: Arrival) -> None:
        """Ready, and paused until the source has given the VM up."""
        try:
            for wanted, answer in ((Kind.COMMIT, Kind.COMMITTED), (Kind.RELEASE, None)):
                kind, _ = self._link.receive()
                if kind is not wanted:
                    raise Cut(f"the source said {kind.name} where it was to say {wanted.name}")
                if answer is not None:
                    self._link.send(answer)
            # If this note is lost with the host, the VM is lost with it, but for what was saved: still one owner.
            self._note(hello, vm, Phase.OWNED, is_durable=False)
            if not hello.is_postcopy:
                self._link.send(Kind.DONE)
        except (Cut, HartvisorError) as error:
            record = self._records.find(hello.migration, TARGET)
            if record is None or record.phase is not Phase.OWNED:
                arrival.end, arrival.why = End.UNDECIDED, f"cut during the commit ({error})"
                return
        arrival.end = End.MOVED

    def _note(self, hello: Hello, vm: Vm, phase: Phase, *, is_durable: bool = True) -> None:
        note = Record(hello.migration, TARGET, phase, hello.recipe.name, vm.steps, self._peer)
        self._records.note(note, is_durable=is_durable)
