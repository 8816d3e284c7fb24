"""The side that a VM leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from ..digest import digest
from ..plain import DamagedError, dumps
from ..recipe import Recipe
from ..stop import StopReason
from ..vm import Vm
from .records import SOURCE, Phase, Record, Records
from .rounds import Policy, Round, Rounds
from .wire import BATCH, VERSION, Cut, Hello, Kind, Link, Page, pack_pages

FIRST_SLICE: Final = 100_000
SLICE_SECONDS: Final = 0.004
"""How long the guest runs between two looks at the link."""

NAP: Final = 0.001


class End(Enum):
    """Where the VM is, after a migration."""

    MOVED = "moved"          # at the target, and runs there
    STAYED = "stayed"        # here, and goes on
    UNDECIDED = "undecided"  # it stands still on both sides, and is saved; a person names the owner


@dataclass
class Result:
    """What came of it. why: in words, where it did not move. downtime: seconds that the guest stood still.

    rounds: of pre-copy. bytes: sent in all. left: pages sent after the state, by post-copy.
    """

    end: End
    why: str = ""
    downtime: float = 0.0
    rounds: list[Round] = field(default_factory=list)
    bytes: int = 0
    left: int = 0


class Driver(Protocol):
    """Lets the guest run while its pages are sent."""

    def run_slice(self, throttle: float) -> None:
        """For a few milliseconds; then let it rest: for `throttle` of its time, slices and rests together."""


class Alone:
    """Drives a VM that has a machine of its own."""

    def __init__(self, vm: Vm) -> None:
        self._vm = vm
        self._slice = FIRST_SLICE
        self._is_over = False

    def run_slice(self, throttle: float) -> None:
        """As many steps as take SLICE_SECONDS here."""
        if self._is_over:
            time.sleep(NAP)
            return
        before = time.perf_counter()
        stop = self._vm.run(self._slice)
        took = max(time.perf_counter() - before, 1e-6)
        self._slice = max(1_000, min(int(self._slice * SLICE_SECONDS / took), self._slice * 2))
        self._is_over = stop.reason is not StopReason.BUDGET
        time.sleep(took * throttle / (1 - throttle))


class Source:
    """Moves one VM over a link.

    migration: its name, as no other's. records: where to note how far it has come. is_postcopy: RAM goes after the
    state (PageServer). peer: the target's address, for people. drive: who lets the guest run meanwhile. on_round: told
    of each round that is over. on_pages: told, on the way, of the round's number and how many of its pages have gone,
    of how many.
    """

    def __init__(self, vm: Vm, recipe: Recipe, link: Link, records: Records, migration: str, *,
                 policy: Policy | None = None, is_postcopy: bool = False, peer: str = "", drive: Driver | None = None,
                 on_round: Callable[[Round], None] | None = None,
                 on_pages: Callable[[int, int, int], None] | None = None) -> None:
        self.vm = vm
        self._link = link
        self._records = records
        self._hello = Hello(VERSION, migration, recipe, is_postcopy)
        self._peer = peer
        self._policy = policy or Policy()
        self._on_round = on_round
        self._on_pages = on_pages
        self._drive = drive or Alone(vm)
        self._later: list[int] = []

    def migrate(self) -> Result:
        """Move the VM. However it ends, the guest is where the result says, and nowhere else."""
        result = Result(End.STAYED)
        try:
            self._greet()
            rounds = Rounds(self.vm, self._policy)
            result.rounds = rounds.history
            self._copy(rounds)
            paused = time.perf_counter()
            self._hand_over(rounds, result)
        except (Cut, DamagedError) as error:
            result.why, result.bytes = str(error), self._link.sent
            return result
        self._commit(result)
        result.downtime, result.bytes = time.perf_counter() - paused, self._link.sent
        if result.end is End.MOVED:
            self._note(Phase.GIVEN)
        return result

    @property
    def later(self) -> list[int]:
        """The pages of RAM that post-copy has yet to send, after the guest has moved."""
        return self._later

    # --- before

    def _greet(self) -> None:
        self._link.send(Kind.HELLO, dumps(self._hello))
        self._expect(Kind.WELCOME)

    def _expect(self, kind: Kind) -> bytes:
        """The next frame, which must be of this kind; pages that are asked for are sent meanwhile. Raises Cut."""
        found, body = self._link.receive()
        while found is Kind.WANT and self._hello.is_postcopy:
            gfn = int.from_bytes(body, "little")
            self._send_pages([(0, gfn, self.vm.ram.read_page(gfn))])
            found, body = self._link.receive()
        if found is Kind.REFUSED:
            raise Cut(f"the target refused: {body.decode(errors='replace')}")
        if found is not kind:
            raise Cut(f"the target said {found.name} where it was to say {kind.name}")
        return body

    def _copy(self, rounds: Rounds) -> None:
        """Round after round, while the guest runs."""
        if self._hello.is_postcopy:
            return
        with ThreadPoolExecutor(1) as sender:
            while not rounds.is_ripe:
                before, sent, count = time.perf_counter(), self._link.sent, rounds.left
                while pages := rounds.batch():
                    self._run_while(sender.submit(self._send_pages, pages), rounds.throttle)
                    if self._on_pages is not None:
                        self._on_pages(len(rounds.history) + 1, count - rounds.left, count)
                self._run_while(sender.submit(self._end_round), rounds.throttle)
                digest(self.vm)     # most of it now, so that little is left for the pause
                done = rounds.end(count, self._link.sent - sent, time.perf_counter() - before)
                if self._on_round is not None:
                    self._on_round(done)

    def _end_round(self) -> None:
        """Until the target has put everything in place, and on its disk."""
        self._link.send(Kind.ROUND)
        self._expect(Kind.ROUND)

    def _send_pages(self, pages: list[Page]) -> None:
        self._link.send(Kind.PAGES, pack_pages(pages))

    def _run_while(self, sending: Future[None], throttle: float) -> None:
        """Let the guest go on until the frame is sent."""
        while True:
            self._drive.run_slice(throttle)
            if sending.done():
                sending.result()
                return

    # --- the pause

    def _hand_over(self, rounds: Rounds, result: Result) -> None:
        """The guest stands still: send the rest and its state, until the target is ready."""
        rest = rounds.rest()
        paged = self.vm.paged
        if self._hello.is_postcopy:
            self._later = [number for index, number in rest if index == 0]
            rest = [(index, number) for index, number in rest if index != 0]
            result.left = len(self._later)
            self._link.send(Kind.MISSING, b"".join(number.to_bytes(8, "little") for number in self._later))
        for start in range(0, len(rest), BATCH):
            self._send_pages([(index, number, paged[index].read_page(number))
                              for index, number in rest[start : start + BATCH]])
        self._link.send(Kind.STATE, dumps(self.vm.save()))
        self._link.send(Kind.DIGEST, digest(self.vm).encode())
        self._expect(Kind.READY)

    def _commit(self, result: Result) -> None:
        """From the first byte of COMMIT on, the VM is no longer ours to go on with, unless a person says so.

        Nothing is written down while all goes well: a source that is killed here has no VM to go on with.
        """
        try:
            self._link.send(Kind.COMMIT)
            self._expect(Kind.COMMITTED)
        except (Cut, DamagedError) as error:
            self._leave(result, Phase.UNDECIDED, f"cut during the commit ({error})")
            return
        try:
            self._link.send(Kind.RELEASE)
            if not self._hello.is_postcopy:
                self._expect(Kind.DONE)
        except (Cut, DamagedError) as error:
            self._leave(result, Phase.GIVEN, f"cut as the VM was released to the target ({error})")
            return
        result.end = End.MOVED

    def _leave(self, result: Result, phase: Phase, why: str) -> None:
        """Stand still, and be saved."""
        self._records.save(self.vm, self._hello, SOURCE)
        self._note(phase)
        result.end, result.why = End.UNDECIDED, why

    def _note(self, phase: Phase) -> None:
        self._records.note(Record(self._hello.migration, SOURCE, phase, self._hello.recipe.name, self.vm.steps,
                                  self._peer))
