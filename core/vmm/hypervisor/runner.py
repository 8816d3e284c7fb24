"""What runs the VMs of a round: one thread after the other's work, or a thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """A thread for each job, as many at a time as the host has processors; harts run outside the interpreter's lock."""

    def __init__(self, count: int | None = None) -> None:
        self._pool = ThreadPoolExecutor(count or max(os.cpu_count() or 1, 2), thread_name_prefix="hartvisor-vm")

    def run(self, jobs: Sequence[Job]) -> None:
        """Side by side."""
        for done in [self._pool.submit(job) for job in jobs]:
            done.result()

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()
