"""What runs the VMs of a round: one thread after the other's work, or a thread each."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Protocol

Job = Callable[[], None]


class Runner(Protocol):
    """Runs jobs that have nothing to do with each other."""

    def run(self, jobs: Sequence[Job]) -> None:
        """Return when all are done."""

    def close(self) -> None:
        """No more will come."""


class OneThread:
    """One job after the other, in the caller's thread."""

    def run(self, jobs: Sequence[Job]) -> None:
        """In order."""
        for job in jobs:
            job()

    def close(self) -> None:
        """Nothing was started."""


class Threads:
    """As many threads as the host has processors, the caller's among them, so that the host need not find room for one
    more than it has; harts run outside the interpreter's lock. Rounds are short, so threads are woken by a lock each,
    which takes about half as long as an executor's futures do.

    count: threads, at least 1; None: one for each processor, but two at least.
    """

    def __init__(self, count: int | None = None) -> None:
        helpers = (count or max(os.cpu_count() or 1, 2)) - 1
        self._left: deque[tuple[int, Job]] = deque()            # with its number in the round
        self._failed: list[tuple[int, BaseException]] = []
        self._is_closed = False
        self._starts = [threading.Semaphore(0) for _ in range(helpers)]
        self._done = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._help, args=(start,), name=f"hartvisor-vm-{number}", daemon=True)
                         for number, start in enumerate(self._starts)]
        for thread in self._threads:
            thread.start()

    def run(self, jobs: Sequence[Job]) -> None:
        """Side by side: who is done with one takes the next. Where some fail, the others are done all the same, and
        then the failure of the first of them in order is raised, whichever came first."""
        self._left.extend(enumerate(jobs))
        helping = self._starts[: max(len(jobs) - 1, 0)]
        for start in helping:
            start.release()
        try:
            self._work_off()
        finally:
            for _ in helping:
                self._done.acquire()
        if self._failed:
            failed, self._failed = self._failed, []
            raise min(failed, key=itemgetter(0))[1]

    def close(self) -> None:
        """Let the threads end."""
        self._is_closed = True
        for start in self._starts:
            start.release()
        for thread in self._threads:
            thread.join()

    def _help(self, start: threading.Semaphore) -> None:
        while True:
            start.acquire()
            if self._is_closed:
                return
            self._work_off()
            self._done.release()

    def _work_off(self) -> None:
        """Do jobs until none is left; what they raise is kept."""
        with suppress(IndexError):
            while True:
                number, job = self._left.popleft()
                try:
                    job()
                except BaseException as error:
                    self._failed.append((number, error))
