"""Grading a class as an instructor does, with what may come in between. `python -m tests.labs.class_run [COUNT] [LAB]
[FOLDER]`: a synthetic class, by two workers: in one go; killed half-way and resumed; killed half-way and resumed on a
scheduler and two workers that were started apart, over TCP on loopback. The tables must be equal, and what was kept
before a kill must not be graded again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.labs.class_of import make_class

PATIENCE = 4 * 3600.0


def grade(number: int, folder: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """`hartvisor grade-class`, in a session of its own."""
    command = [sys.executable, "-m", "hartvisor.tui.cli", "grade-class", str(number), str(folder), "--out", str(out),
               *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            start_new_session=True)


def stamps(out: Path) -> dict[str, int]:
    """When each result that lies beside a report was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.with_suffix(".results").glob("[!.]*.json")}


def dask(*arguments: str) -> subprocess.Popen[bytes]:
    """One of Dask's commands."""
    return subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            start_new_session=True)


@contextmanager
def scheduler(folder: Path, workers: int) -> Iterator[str]:
    """The address of a scheduler on loopback with so many workers, all started apart."""
    file = folder / "scheduler.json"
    processes = [dask("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                      "--scheduler-file", str(file))]
    try:
        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        for number in range(workers):
            processes.append(dask(
                "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--host", "127.0.0.1",
                "--no-dashboard", "--local-directory", str(folder / f"worker{number}")))
        time.sleep(0.5)
        yield json.loads(file.read_text())["address"]
    finally:
        for process in reversed(processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill_and_resume(number: int, folder: Path, out: Path, half: int, *options: str) -> tuple[int, str]:
    """Grade until `half` results are there, kill it with all its processes, and run it again: how many results there
    were by then, and what the second run told. Asserts that it wrote none of these again."""
    first = grade(number, folder, out, *options)
    deadline = time.monotonic() + PATIENCE
    while len(stamps(out)) < half and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = stamps(out)
    assert before, "it was killed before there was anything"
    second = grade(number, folder, out, *options)
    told, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0
    after = stamps(out)
    assert {name: after[name] for name in before} == before, "what was kept was graded again"
    return len(before), told


def main(count: int, number: int, folder: Path) -> int:
    """The exit status: 1 where tables differ."""
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", flush=True)

    students = folder / "class"
    make_class(count, students, number)
    tell(f"{count} submissions to lab {number}")
    outs = [folder / name / "report.html" for name in ("once", "resumed", "scheduler")]
    for out in outs:
        out.parent.mkdir()
    run = grade(number, students, outs[0], "--workers", "2")
    told, _ = run.communicate(timeout=PATIENCE)
    tell(f"in one go, two workers: {told.strip().partition(';')[0]}")
    kept, told = kill_and_resume(number, students, outs[1], count // 2, "--workers", "2")
    tell(f"killed with {kept} results, resumed: {told.strip().partition(';')[0]}")
    with scheduler(folder, 2) as address:
        kept, told = kill_and_resume(number, students, outs[2], count // 2, "--scheduler", address)
    tell(f"on {address}, two workers, killed with {kept} results, resumed: {told.strip().partition(';')[0]}")
    tables = {out.with_suffix(".csv").read_text(encoding="utf-8") for out in outs}
    points = [line.split(",")[1] for line in outs[0].with_suffix(".csv").read_text().splitlines()[1:]]
    tell(f"the three tables are {'equal' if len(tables) == 1 else 'NOT equal'}; {len(set(points))} different scores")
    return 0 if len(tables) == 1 else 1


if __name__ == "__main__":
    words = sys.argv[1:]
    counted, of_lab = int(words[0]) if words else 200, int(words[1]) if len(words) > 1 else 0
    with tempfile.TemporaryDirectory() as place:
        sys.exit(main(counted, of_lab, Path(words[2]) if len(words) > 2 else Path(place)))
