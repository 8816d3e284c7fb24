"""Grading many submissions at once, by Dask: on processes of its own, or on a scheduler that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...core.errors import ConfigError
from ..api import run_submission
from ..catalog import find_lab, version_of
from ..judge.verdict import LabResult
from ..submission import Submission
from .found import Found
from .kept import Kept

RETRIES = 1
"""Workers may be lost; a submission that loses one this many times more is left for the next run."""


@dataclass(frozen=True)
class Graded:
    """A student's result. result: None where no worker came back with one. is_new: graded in this run."""

    found: Found
    result: LabResult | None
    is_new: bool


def grade(number: int, texts: Mapping[str, str], seed: int) -> dict[str, Any]:
    """What a worker does: plain data in, plain data out."""
    return run_submission(find_lab(number), Submission(texts), seed).as_json()


@contextmanager
def open_client(address: str | None, workers: int) -> Iterator[Any]:
    """A Dask client. address: of a scheduler; None: a local cluster of so many processes. Raises ConfigError."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ConfigError("grade-class needs Dask: pip install 'hartvisor[class]'") from None
    if address is None:
        with LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None,
                          silence_logs=50) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"--scheduler {address}: {error}") from None
    try:
        theirs = set(client.run(version_of, number=0).values()) if client.scheduler_info()["workers"] else set()
        if theirs - {version_of(0)}:
            raise ConfigError(f"--scheduler {address}: its workers have another version of the labs than this one")
        yield client
    finally:
        client.close()


def grade_class(number: int, submissions: Sequence[Found], seed: int, kept: Kept, client: Callable[[], Any],
                on_graded: Callable[[Graded], None]) -> list[Graded]:
    """Grade what has not been; equal submissions once. client: opens a context with a Dask client, if one is needed.
    on_graded: told of each student as the result is there."""
    waiting: dict[str, list[Found]] = {}
    done: dict[str, Graded] = {}

    def tell(found: Found, result: LabResult | None, is_new: bool) -> None:
        done[found.student] = Graded(found, result, is_new)
        on_graded(done[found.student])

    for found in submissions:
        key = found.key(number, seed)
        result = kept.load(key)
        if result is not None:
            tell(found, result, False)
        else:
            waiting.setdefault(key, []).append(found)
    if waiting:
        with client() as dask:
            _run(dask, number, seed, waiting, kept, tell)
    return [done[found.student] for found in submissions]


def _run(dask: Any, number: int, seed: int, waiting: Mapping[str, list[Found]], kept: Kept,
         tell: Callable[[Found, LabResult | None, bool], None]) -> None:
    from distributed import as_completed

    futures = {dask.submit(grade, number, dict(group[0].submission.texts), seed, key=f"hartvisor-{key}",
                           retries=RETRIES, pure=True): key for key, group in waiting.items()}
    for future in as_completed(futures):
        key = futures[future]
        result = LabResult.from_json(future.result()) if future.status == "finished" else None
        if result is not None:
            kept.save(key, result)
        for found in waiting[key]:
            tell(found, result, True)
        future.release()
