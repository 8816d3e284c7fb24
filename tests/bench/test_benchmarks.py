"""The benchmarks work; what they measure is not tested here."""

import json
import subprocess
import sys


def test_the_exit_benchmark_reports_every_storm():
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.exits", "--count", "500", "--rounds", "1", "--json", "-"],
        capture_output=True, text=True, timeout=60, check=True)
    rows = json.loads(done.stdout)["exits"]
    assert {row["technique"] for row in rows} == {"deprivileged", "shadow", "two-stage"}
    assert all(row["ratio"] > 0 for row in rows)
