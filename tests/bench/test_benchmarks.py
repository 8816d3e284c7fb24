"""The benchmarks work; what they measure is not tested here."""

import io
import json
import subprocess
import sys

from rich.console import Console

from hartvisor.tui.commands.bench import print_workloads
from tests.linux.support import require_debian

from ..oracles import require_oracle
from .linux import contestants, grouped

CLI = [sys.executable, "-m", "hartvisor.tui.cli", "bench"]


def bench(*arguments):
    done = subprocess.run([*CLI, "--quick", "--runs", "1", "--json", "-", *arguments], capture_output=True, text=True,
                          timeout=120, check=True)
    return json.loads(done.stdout)


def test_every_workload_checks_its_result_here_and_on_qemu():
    require_oracle("qemu-system-riscv64")
    rows = bench("--peer", "qemu")["workloads"]
    assert {"integer", "dhrystone", "memory", "float", "sv39", "two-stage", "traps"} <= {row["name"] for row in rows}
    for row in rows:
        assert row["instructions"] > 0 and row["mips"] > 0 and row["ratio"] > 0 and row["peer_seconds"] > 0


def test_a_chosen_workload_counts_the_same_each_time():
    one, other = bench("traps")["workloads"], bench("traps")["workloads"]
    assert [row["name"] for row in one] == ["traps"]
    assert one[0]["instructions"] == other[0]["instructions"]


def test_exits_and_scale_are_measured():
    result = bench("--exits", "--scale")
    assert {(row["exit"], row["technique"]) for row in result["exits"]} >= {("MMIO load", "two-stage"),
                                                                           ("CSR write", "deprivileged")}
    assert all(row["ratio"] > 0 for row in result["exits"])
    assert set(result["scale"]) == {"vms", "memory", "parallel"}
    *pairs, middle = result["scale"]["parallel"]
    assert middle["pair"] == "median" and len(pairs) == 5
    for key in ("speedup", "ceiling"):
        assert middle[key] == sorted(row[key] for row in pairs)[2] > 0


def test_the_whole_table_fits_a_terminal_of_80_columns():
    peers = {name: {"seconds": 22.18} for name in ("qemu 7.2.22", "qemu 7.2.22 -icount", "qemu 10.0.13")}
    row = {"name": "two-stage-wide", "instructions": 1_828_200_000, "seconds": 14.467, "mips": 1431.2,
           "misses_per_thousand": 788.42, "peers": peers, "ratio": 12.34}
    console = Console(width=80, record=True, file=io.StringIO())
    print_workloads(console, [row])
    text = console.export_text()
    for cell in ("two-stage-wide", "1,828.2", "14.467", "1431.2", "788.42", "22.180", "12.34"):
        assert cell in text
    assert "…" not in text


def test_a_workload_that_is_not_there_is_a_mistake():
    done = subprocess.run([*CLI, "sv93"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "sv39" in done.stderr and len(done.stderr.splitlines()) == 1


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
