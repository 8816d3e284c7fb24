"""The benchmarks work; what they measure is not tested here."""

import json
import subprocess
import sys

from tests.linux.support import require_debian

from .linux import contestants, grouped


def test_the_exit_benchmark_reports_every_storm():
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.exits", "--count", "500", "--rounds", "1", "--json", "-"],
        capture_output=True, text=True, timeout=60, check=True)
    rows = json.loads(done.stdout)["exits"]
    assert {row["technique"] for row in rows} == {"deprivileged", "shadow", "two-stage"}
    assert all(row["ratio"] > 0 for row in rows)


def test_the_linux_benchmark_sums_what_was_reflected():
    exits = {"sbi": 2, "reflected load-page-fault": 3, "reflected breakpoint": 4}
    assert grouped(exits) == {"sbi": 2, "reflected": 7}


def test_the_linux_benchmark_knows_every_technique():
    require_debian()
    names = [each.name for each in contestants()]
    assert names[:5] == ["OpenSBI", "bare", "two-stage", "shadow", "deprivileged"]
    assert [each.name for each in contestants(["shadow"])] == ["shadow"]
