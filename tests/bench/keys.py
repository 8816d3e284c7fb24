"""How long the terminal UI takes from a key to the paint that it causes, while guests run flat out.

    python -m tests.bench.keys [--keys N] [--vms N] [--technique T] [--size COLSxROWS] [--json FILE]

`hartvisor tui` runs on a pseudo-terminal with that many VMs in the trap storm, all of them running. A key brings up
another panel, digit after digit; the clock stops when the bytes are here that bring the panel's title and something in
it to the screen, as a terminal emulator (pyte) finds out afterwards. Between keys lies a pause of random length, so
that no key waits for a frame more often than a person's would. Milliseconds of wall time: median, 95th percentile,
worst.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import queue
import random
import struct
import sys
import threading
import time
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
    """The UI in a child, and what a terminal shows of it. came: when the bytes came that were shown last."""

    def __init__(self, arguments: list[str], columns: int, rows: int) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(columns), LINES=str(rows))
            os.execv(sys.executable, [sys.executable, "-m", "hartvisor.tui.cli", "tui", *arguments])
        ioctl(self._file, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.came = 0.0
        self._arrived: queue.Queue[tuple[float, bytes]] = queue.Queue()
        # A thread of its own notes when bytes come, while the emulator is still busy with others.
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        with suppress(OSError):     # the child has ended
            while data := os.read(self._file, 1 << 16):
                self._arrived.put((time.perf_counter(), data))

    def read(self, patience: float) -> bool:
        """Show the next bytes; False if none came in so many seconds."""
        try:
            self.came, data = self._arrived.get(timeout=patience)
        except queue.Empty:
            return False
        self._stream.feed(data)
        return True

    def until(self, wanted: str) -> None:
        """Wait until some text is on the screen, and rows below it that are not empty. Raises TimeoutError."""
        end = time.perf_counter() + PATIENCE
        while not self.shows(wanted):
            if time.perf_counter() > end:
                raise TimeoutError(f"no {wanted!r} on the screen:\n" + "\n".join(self.screen.display))
            self.read(0.05)

    def shows(self, wanted: str) -> bool:
        """Whether some text is on the screen, and rows below it that are not empty."""
        rows = self.screen.display
        at = next((index for index, row in enumerate(rows) if wanted in row), None)
        return at is not None and any(row.strip(" │┃").strip() for row in rows[at + 1 : at + 3])

    def quiet(self, seconds: float) -> None:
        """Let so much time pass; the terminal shows all the while."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def press(self, key: str) -> None:
        """Type."""
        os.write(self._file, key.encode())

    def close(self) -> None:
        """Leave the UI, and wait for its end."""
        self.press("q")
        end = time.perf_counter() + PATIENCE
        while time.perf_counter() < end and os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            self.read(0.05)
        os.close(self._file)


def measure(keys: int, vms: int, technique: str, size: tuple[int, int], seed: int) -> dict[str, Any]:
    """The milliseconds, and what they are of."""
    rng = random.Random(seed)
    sys.setswitchinterval(0.0005)
    terminal = Terminal(["trapstorm"] * vms + ["--append", STORM, "--no-tour", "--technique", technique,
                                               "--memory", "32M"], *size)
    try:
        terminal.until("trapstorm")
        terminal.quiet(1.0)
        for letter in ":run\r":
            terminal.press(letter)
            terminal.quiet(0.02)
        terminal.until("running")
        terminal.quiet(1.0)
        times: list[float] = []
        for _ in range(keys):
            key = rng.choice([each for each, title in PANELS.items() if not terminal.shows(title)])
            began = time.perf_counter()
            terminal.press(key)
            terminal.until(PANELS[key])
            times.append(1000 * (terminal.came - began))
            terminal.quiet(rng.random() * PAUSE)
    finally:
        terminal.close()
    return {"vms": vms, "technique": technique, "size": f"{size[0]}x{size[1]}", "keys": keys,
            "median_ms": round(median(times), 1), "p95_ms": round(quantiles(times, n=20)[-1], 1),
            "worst_ms": round(max(times), 1)}


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--vms", type=int, default=2)
    parser.add_argument("--technique", default="two-stage")
    parser.add_argument("--size", default="80x24", help="pyte does not keep up with much larger ones")
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
