"""How long the terminal UI takes from a key to the paint that it causes, while guests run flat out.

    python -m tests.bench.keys [--keys N] [--vms N] [--technique T] [--size COLSxROWS] [--json FILE]

`hartvisor tui` runs on a pseudo-terminal with that many VMs in the trap storm, all of them running. A key brings up
another panel, digit after digit, with pauses of random length between, so that no key waits for a frame more often than
a person's would. What comes is kept with its time; a terminal emulator (pyte), which is slower than any terminal, reads
it afterwards and finds the bytes that brought the panel's title and something in it to the screen. Keys of panels that
were to be seen already when they were pressed do not count. Milliseconds of wall time: median, 95th percentile, worst.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pty
import queue
import random
import struct
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from statistics import median, quantiles
from termios import TIOCSWINSZ
from typing import Any

import pyte

PANELS = {"4": "4 Registers", "5": "5 Code", "3": "3 Page walk", "8": "8 Devices", "9": "9 Memory", "6": "6 VMs"}
"""Keys, and what is then in the border of the panel."""

PATIENCE = 30.0
PAUSE = 0.15
STORM = "count=1000000000"


class Terminal:
    """The UI in a child, and what a terminal shows of it."""

    def __init__(self, arguments: list[str], columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES=str(rows))
            os.execv(sys.executable, [sys.executable, "-m", "hartvisor.tui.cli", "tui", *arguments])
        ioctl(self._file, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._arrived: queue.Queue[tuple[float, bytes]] = queue.Queue()
        # A thread of its own notes when bytes come, while the emulator is still busy with others.
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        with suppress(OSError):     # the child has ended
            while data := os.read(self._file, 1 << 16):
                self._arrived.put((time.perf_counter(), data))

    def show(self, data: bytes) -> None:
        """Interpret some bytes."""
        self._stream.feed(data)

    def take(self) -> list[tuple[float, bytes]]:
        """All that came and is not shown yet: when, and what."""
        taken = []
        with suppress(queue.Empty):
            while True:
                taken.append(self._arrived.get_nowait())
        return taken

    def until(self, wanted: str) -> None:
        """Wait until some text is on the screen, and rows below it that are not empty. Raises TimeoutError."""
        end = time.perf_counter() + PATIENCE
        while not self.shows(wanted):
            if time.perf_counter() > end:
                raise TimeoutError(f"no {wanted!r} on the screen:\n" + "\n".join(self.screen.display))
            with suppress(queue.Empty):
                self.show(self._arrived.get(timeout=0.05)[1])

    def shows(self, wanted: str) -> bool:
        """Whether some text is on the screen, and rows below it that are not empty."""
        rows = self.screen.display
        at = next((index for index, row in enumerate(rows) if wanted in row), None)
        return at is not None and any(row.strip(" │┃").strip() for row in rows[at + 1 : at + 3])

    def press(self, key: str) -> float:
        """Type; when it was."""
        now = time.perf_counter()
        os.write(self._file, key.encode())
        return now

    def end(self) -> None:
        """Leave the UI, and wait for its end; what it has sent can still be taken."""
        self.press("q")
        end = time.perf_counter() + PATIENCE
        while time.perf_counter() < end and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            time.sleep(0.05)


def measure(keys: int, vms: int, technique: str, size: tuple[int, int], seed: int) -> dict[str, Any]:
    """The milliseconds, and what they are of."""
    rng = random.Random(seed)
    terminal = Terminal(["trapstorm"] * vms + ["--append", STORM, "--no-tour", "--technique", technique,
                                               "--memory", "32M"], *size)
    presses = []
    try:
        terminal.until("trapstorm")
        time.sleep(1.0)
        for letter in ":run\r":
            terminal.press(letter)
            time.sleep(0.1)
        terminal.until("running")
        time.sleep(1.0)
        last = ""
        for _ in range(keys):
            last = rng.choice([each for each in PANELS if each != last])
            presses.append((terminal.press(last), last))
            time.sleep(PAUSE + rng.random() * PAUSE)
    finally:
        terminal.end()
    times = find_paints(terminal, presses)
    return {"vms": vms, "technique": technique, "size": f"{size[0]}x{size[1]}", "keys": len(times),
            "median_ms": round(median(times), 1), "p95_ms": round(quantiles(times, n=20)[-1], 1),
            "worst_ms": round(max(times), 1)}


def find_paints(terminal: Terminal, presses: list[tuple[float, str]]) -> list[float]:
    """Milliseconds from each key to its paint. presses: when, and which key. Raises TimeoutError where a panel was not
    painted before the next key."""
    times = []
    came = deque(terminal.take())
    for number, (pressed, key) in enumerate(presses):
        while came and came[0][0] < pressed:
            terminal.show(came.popleft()[1])
        if terminal.shows(PANELS[key]):
            continue
        following = presses[number + 1][0] if number + 1 < len(presses) else math.inf
        at = pressed
        while not terminal.shows(PANELS[key]):
            if not came or came[0][0] >= following:
                raise TimeoutError(f"key {key}, number {number + 1}, was not painted before the next")
            at, data = came.popleft()
            terminal.show(data)
        times.append(1000 * (at - pressed))
        if sys.stderr.isatty():
            print(f"\rkeys: {number + 1} of {len(presses)} looked up", end="", file=sys.stderr)
    return times


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--vms", type=int, default=2)
    parser.add_argument("--technique", default="two-stage")
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    columns, rows = (int(part) for part in options.size.split("x"))
    result = measure(options.keys, options.vms, options.technique, (columns, rows), options.seed)
    print(" ".join(f"{name}={value}" for name, value in result.items()))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
