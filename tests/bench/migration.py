"""How long a Linux VM stands still when it moves, between two processes over loopback, under memory load.

    python -m tests.bench.migration [--rounds N] [--technique T] [--json FILE]

Debian boots to its shell and fills files in RAM over and over; from there it is moved N times. Prints the median, the
least and the most of the milliseconds that it stood still, and what a round of pre-copy had to send. Needs `hartvisor
images fetch debian`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

LOAD = b"mkdir -p /t; mount -t tmpfs t /t; while :; do dd if=/dev/zero of=/t/x bs=64k count=64 2>/dev/null; done\n"
BOOTED = "900M"
COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]


def move(folder: Path, store: Path, number: int) -> dict[str, object]:
    """One migration's report."""
    environment = os.environ | {"XDG_STATE_HOME": str(folder / f"state{number}")}
    receiver = subprocess.Popen([*COMMAND, "receive", ":0", "--budget", "20M"], env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert receiver.stderr is not None
    port = int(receiver.stderr.readline().rsplit(b":", 1)[1])
    report = folder / f"report{number}.json"
    subprocess.run([*COMMAND, "migrate", "loaded", f"tcp://127.0.0.1:{port}", "--from", "--store", str(store), "--json",
                    str(report)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=True)
    receiver.communicate()
    if receiver.returncode:
        raise SystemExit(f"the target ended with status {receiver.returncode}")
    result: dict[str, object] = json.loads(report.read_text())
    return result


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--technique", default="two-stage")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = folder / "store.db"
        subprocess.run([*COMMAND, "snapshot", "save", "loaded", "debian", "--at", BOOTED, "--technique",
                        options.technique, "--store", str(store)], input=LOAD, check=True, capture_output=True)
        reports = [move(folder, store, number) for number in range(options.rounds)]
    pauses = sorted(float(str(report["downtime_ms"])) for report in reports)
    rounds = [each for report in reports for each in report["rounds"]]  # type: ignore[attr-defined]
    later = [each["pages"] for each in rounds if each["number"] > 1]
    result = {
        "technique": options.technique, "migrations": options.rounds, "downtime_ms_median": median(pauses),
        "downtime_ms_least": pauses[0], "downtime_ms_most": pauses[-1],
        "rounds_median": median(len(report["rounds"]) for report in reports),  # type: ignore[arg-type]
        "pages_in_later_rounds_median": median(later) if later else 0}
    for key, value in result.items():
        print(f"{key:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
