"""A VM of a running hypervisor moves to a `hartvisor receive`; the others run on, and what cannot move stays."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.errors import HartvisorError
from hartvisor.core.vmm.control.client import ControlClient
from hartvisor.tui.plan.sockets import find_socket

from .test_up import COMMAND, hartvisor, own_sockets

__all__ = ["own_sockets"]

PLAN = """
[machine]
memory = "112M"
[[vm]]
name = "shell"
image = "kernel"
memory = "32M"
[[vm]]
name = "beside"
image = "spin"
memory = "8M"
[[vm]]
name = "storing"
image = "{storing}"
memory = "16M"
[[vm]]
name = "bound"
image = "kernel"
memory = "16M"
balloon = "auto"
"""

STORING = """
    li s1, 0x80300000
again:
    li s2, 512
    mv s3, s1
touch:
    sd s2, 0(s3)
    li t2, 0x1000
    add s3, s3, t2
    addi s2, s2, -1
    bnez s2, touch
    j again
"""


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "storing.s").write_text(STORING)
    hartvisor("asm", tmp_path / "storing.s", "-o", tmp_path / "storing.elf")
    (tmp_path / "lab.toml").write_text(PLAN.format(storing=tmp_path / "storing.elf"))
    process = subprocess.Popen([*COMMAND, "up", str(tmp_path / "lab.toml"), "--wait"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        eventually(lambda: "beside" in states())
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `receive`, and its address."""
    process = subprocess.Popen([*COMMAND, "receive", "127.0.0.1:0", "--records", str(tmp_path / "there")], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    yield process, "tcp://" + process.stderr.readline().split()[-1]
    process.kill()
    process.communicate()


def ask(command: str, **arguments: object) -> Any:
    with ControlClient(find_socket(None, None)) as client:
        return client.ask(command, **arguments)


def states() -> dict[str, str]:
    return {vm["name"]: vm["state"] for vm in ask("query-vms")}


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(HartvisorError):
            if is_so():
                return
        time.sleep(0.1)
    raise AssertionError("it never was")


def migrate(tmp_path: Path, vm: str, address: str, *options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    return hartvisor("migrate", vm, address, "--running", "--records", tmp_path / "here", *options, status=status)


def test_a_vm_leaves_and_goes_on_there(up: subprocess.Popen[str], target: tuple[subprocess.Popen[str], str],
                                       tmp_path: Path) -> None:
    there, address = target
    eventually(lambda: "type help" in ask("console-read", vm="shell")["text"])
    moved = json.loads(migrate(tmp_path, "shell", address, "--json", "-").stdout)
    assert moved["end"] == "moved"
    assert moved["rounds"] and moved["bytes"] > 4096
    assert states()["shell"] == "stopped"
    assert states()["beside"] == states()["storing"] == "running"
    assert ask("query-vms")[0]["detail"].startswith("moved to 127.0.0.1")
    assert there.stdin is not None
    there.stdin.write("echo gone and well\nhalt\n")
    there.stdin.close()
    there.stdin = None
    assert "gone and well" in there.communicate(timeout=60)[0]
    assert "stopped" in migrate(tmp_path, "shell", address, status=2).stderr


def test_one_that_stores_faster_than_the_link_is_slowed_down_and_leaves(
        up: subprocess.Popen[str], target: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    moved = json.loads(migrate(tmp_path, "storing", target[1], "--downtime", "0", "--rounds", "4", "--json",
                               "-").stdout)
    assert moved["end"] == "moved"
    assert len(moved["rounds"]) == 4
    assert moved["rounds"][-1]["throttle"] > 0
    assert states()["beside"] == "running"


def test_what_cannot_move_stays_and_runs_on(up: subprocess.Popen[str], tmp_path: Path) -> None:
    for vm, address, wanted in (
            ("nobody", "tcp://127.0.0.1:1", "no VM 'nobody'"), ("bound", "tcp://127.0.0.1:1", "balloon"),
            ("beside", "tcp://127.0.0.1:1", "is `hartvisor receive` listening"), ("beside", "nowhere", "HOST:PORT")):
        with pytest.raises(HartvisorError, match=wanted):
            ask("migrate", vm=vm, to=address, records=str(tmp_path))
    refused = migrate(tmp_path, "beside", "tcp://127.0.0.1:1", status=2).stderr
    assert "is `hartvisor receive` listening" in refused and len(refused.splitlines()) == 1, refused
    assert "leave" in migrate(tmp_path, "beside", "tcp://127.0.0.1:1", "--postcopy", status=2).stderr
    assert states()["beside"] == "running"


def test_a_target_that_dies_on_the_way_costs_nothing(
        up: subprocess.Popen[str], target: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    there, address = target
    leaving = subprocess.Popen([*COMMAND, "migrate", "storing", address, "--running", "--downtime", "0", "--rounds",
                                "1000", "--records", str(tmp_path / "here")], text=True, stderr=subprocess.PIPE)
    eventually(lambda: ask("query-migrate")["state"] == "active")
    there.kill()
    assert leaving.communicate(timeout=60)[1].count("the VM stays") == 1
    assert leaving.returncode == 1
    assert states()["storing"] == "running"
