"""What runs the VMs of a round: one thread after the other's work, or a thread each."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
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
    more than it has; harts run outside the interpreter's lock.

    count: threads, at least 1; None: one for each processor, but two at least.
    """

    def __init__(self, count: int | None = None) -> None:
        self._helpers = (count or max(os.cpu_count() or 1, 2)) - 1
        self._pool = ThreadPoolExecutor(max(self._helpers, 1), thread_name_prefix="hartvisor-vm")

    def run(self, jobs: Sequence[Job]) -> None:
        """Side by side: who is done with one takes the next. Where some fail, the others are done all the same, and
        then the first failure is raised."""
        left = deque(jobs)
        failed: list[BaseException] = []
        helping = [self._pool.submit(_work_off, left, failed) for _ in range(min(self._helpers, len(jobs) - 1))]
        try:
            _work_off(left, failed)
        finally:
            wait(helping)
        if failed:
            raise failed[0]

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()


def _work_off(left: deque[Job], failed: list[BaseException]) -> None:
    """Do jobs until none is left; what they raise is kept."""
    with suppress(IndexError):
        while True:
            job = left.popleft()
            try:
                job()
            except BaseException as error:
                failed.append(error)
