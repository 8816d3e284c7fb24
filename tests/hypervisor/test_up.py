"""`hartvisor up` and what commands it: the examples that ship, each as a user would run it, and what goes wrong."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.vmm.hypervisor.scheduler import jain_index

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def own_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for each test, with a short name: a socket's path has little room."""
    with tempfile.TemporaryDirectory(prefix="hv-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


def hartvisor(*arguments: str | Path, typed: str = "", status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*COMMAND, *map(str, arguments)], input=typed, capture_output=True, text=True, timeout=1200,
                          check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def up(path: Path, *options: str, status: int = 0) -> dict[str, Any]:
    """Its result; one thread and many give the same."""
    results = []
    for name, extra in (("one", ()), ("parallel", ("--parallel",))):
        result = path.parent / f"{name}.json"
        hartvisor("up", path, *options, *extra, "--json", result, "--quiet", status=status)
        results.append(json.loads(result.read_text()))
    assert results[0] == results[1]
    return results[0]  # type: ignore[no-any-return]


def example(name: str, folder: Path) -> Path:
    shutil.copy(EXAMPLES / f"{name}.toml", folder)
    return folder / f"{name}.toml"


def write(folder: Path, text: str) -> Path:
    (folder / "lab.toml").write_text(text)
    return folder / "lab.toml"


def by_name(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {vm["name"]: vm for vm in result["vms"]}


def test_example_shares(tmp_path: Path) -> None:
    vms = by_name(up(example("shares", tmp_path), "--budget", "100M"))
    used = {name: vm["used"] for name, vm in vms.items()}
    assert jain_index([used["three"] / 3, used["two"] / 2, used["one"]]) >= 0.999
    assert 9_900_000 <= used["reserved"] <= 11_000_000
    assert used["limited"] <= 20_000_000 + 2_000_000
    assert sum(used.values()) == 100_000_000


def test_example_memory(tmp_path: Path) -> None:
    result = up(example("memory", tmp_path), status=1)
    vms = by_name(result)
    assert [vms[f"tern{number}"]["state"] for number in range(1, 7)] == ["off"] * 6
    assert len({vm["digest"] for vm in vms.values()}) == 1
    assert "16 MiB are not promised to others" in result["refused"]["greedy"]
    assert result["frames"]["free"] == result["frames"]["total"]
    assert sum(vm["pages"]["shared"] for vm in vms.values()) > 0


def test_example_order(tmp_path: Path) -> None:
    path = example("order", tmp_path)
    done = hartvisor("up", path)
    lines = done.stdout.splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("client| "))
    assert any("type help" in line for line in lines[:first] if line.startswith("server| "))
    assert any(line == "client| client came second" for line in lines)
    assert "client" in done.stderr


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    done = hartvisor("up", write(tmp_path, '[[vm]]\nname = "x"\nimage = "kernel"\nshares = -1\n'), status=2)
    assert done.stderr == f'hartvisor: {tmp_path}/lab.toml:4: vm "x": shares: -1: give 1 to 1000000\n'
    assert "no hypervisor runs" in hartvisor("ps", status=2).stderr
    assert "no hypervisor answers" in hartvisor("ps", "--name", "nobody", status=2).stderr


PLAN = """
[machine]
memory = "64M"
[[vm]]
name = "a"
image = "kernel"
memory = "16M"
balloon = "0"
[[vm]]
name = "b"
image = "spin"
memory = "16M"
limit = 5
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    path = write(tmp_path, PLAN)
    process = subprocess.Popen([*COMMAND, "up", str(path), "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    socket = Path(os.environ["XDG_RUNTIME_DIR"]) / "hartvisor" / "lab.sock"
    deadline = time.monotonic() + 60
    while not socket.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()


def states() -> dict[str, str]:
    return {vm["name"]: vm["state"] for vm in json.loads(hartvisor("ps", "--json", "-").stdout)["vms"]}


def eventually(what: str, *command: str, typed: str = "") -> str:
    """Ask until the answer has it; `typed` is for the first that is heard."""
    deadline = time.monotonic() + 120
    text = ""
    while time.monotonic() < deadline:
        done = subprocess.run([*COMMAND, *command], input=typed, capture_output=True, text=True, check=False)
        text = done.stdout + done.stderr
        if done.returncode == 0 and what in done.stdout:
            return done.stdout
        if done.returncode == 0:
            typed = ""
        time.sleep(0.2)
    raise AssertionError(f"no {what!r} in {text!r}")


def test_a_running_hypervisor_is_commanded(running: subprocess.Popen[str], tmp_path: Path) -> None:
    store = tmp_path / "snapshots.db"
    eventually("type help", "console", "a")
    eventually("\none two", "console", "a", typed="echo one two\n")
    assert "sh" in hartvisor("guest", "ps", "a").stdout
    hartvisor("pause", "b")
    assert states()["b"] == "paused"
    hartvisor("resume", "b")
    assert states()["b"] != "paused"
    assert "spin" not in hartvisor("ps").stderr
    assert 'hartvisor_vm_steps_total{vm="a"}' in hartvisor("metrics").stdout
    assert "b" in hartvisor("top", "--times", "1", "--interval", "0.2").stdout
    assert "holds no disks" in hartvisor("snapshot", "save", "x", "--vm", "a", "--store", store, status=2).stderr
    hartvisor("snapshot", "save", "x", "--vm", "b", "--store", store)
    assert "x" in hartvisor("snapshot", "list", "--store", store).stdout
    hartvisor("balloon", "a", "1M")
    assert "give it one in the plan" in hartvisor("balloon", "b", "1M", status=2).stderr
    assert "there are a, b" in hartvisor("stop", "c", status=2).stderr
    hartvisor("stop", "b")
    assert states()["b"] == "stopped"
    hartvisor("down")
    output, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "a| $ echo one two" in output


def test_sigterm_is_a_clean_end_and_kill_leaves_nothing_that_hinders(running: subprocess.Popen[str],
                                                                    tmp_path: Path) -> None:
    second = hartvisor("up", tmp_path / "lab.toml", "--wait", status=2)
    assert "another hypervisor of this name runs" in second.stderr
    hartvisor("up", tmp_path / "lab.toml", "--budget", "1M", "--quiet")  # a short run has a name beside it
    running.kill()
    running.wait()
    hartvisor("up", tmp_path / "lab.toml", "--budget", "1M", "--quiet")
    process = subprocess.Popen([*COMMAND, "up", str(tmp_path / "lab.toml"), "--wait", "--quiet"])
    eventually("type help", "console", "a")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not (Path(os.environ["XDG_RUNTIME_DIR"]) / "hartvisor" / "lab.sock").exists()


def test_a_hypervisor_in_the_background(tmp_path: Path) -> None:
    path = write(tmp_path, PLAN)
    assert "lab: 2 VMs" in hartvisor("up", path, "--detach").stdout
    eventually("type help", "console", "a")
    assert "another hypervisor of this name runs" in hartvisor("up", path, "--detach", status=2).stderr
    hartvisor("down")
    assert "leave --json" in hartvisor("up", path, "-d", "--budget", "5", status=2).stderr
    bad = write(tmp_path, PLAN + "shares = 0\n")
    assert ":14: " in hartvisor("up", bad, "-d", status=2).stderr


DISKS = """
[machine]
memory = "64M"
[[vm]]
name = "one"
image = "hello"
memory = "8M"
disks = [{ file = "one.overlay", base = "base.img" }]
[[vm]]
name = "two"
image = "hello"
memory = "8M"
disks = ["TWO"]
"""


@pytest.mark.parametrize(("second", "complaint"), [
    ("one.overlay", "in use by another machine"), ("none.img", "No such file"), ("lost.overlay", "No such file"),
])
def test_a_disk_that_cannot_be_had_costs_its_vm_alone(tmp_path: Path, second: str, complaint: str) -> None:
    from hartvisor.core.devices.virtio.overlay import create_overlay

    (tmp_path / "base.img").write_bytes(bytes(1 << 20))
    (tmp_path / "gone.img").write_bytes(bytes(1 << 20))
    create_overlay(tmp_path / "lost.overlay", tmp_path / "gone.img")
    (tmp_path / "gone.img").unlink()
    path = write(tmp_path, DISKS.replace("TWO", second))
    done = hartvisor("up", path, status=1)
    assert f'{path}:9: vm "two": two is refused: ' in done.stderr
    assert complaint in done.stderr
    assert "one| hello" in done.stdout.lower()
    assert (tmp_path / "base.img").read_bytes() == bytes(1 << 20)
    assert (tmp_path / "one.overlay").exists()


def test_a_second_process_finds_the_disk_locked_and_free_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "base.img").write_bytes(bytes(1 << 20))
    path = write(tmp_path, DISKS.replace("hello", "sleep").replace("TWO", "base.img"))
    path.write_text(path.read_text().split("[[vm]]\nname = \"two\"")[0])
    first = subprocess.Popen([*COMMAND, "up", str(path), "--wait", "--quiet"])
    deadline = time.monotonic() + 60
    while not (tmp_path / "one.overlay").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    done = hartvisor("up", path, "--name", "other", status=1)
    assert "in use by another machine" in done.stderr
    first.kill()
    first.wait()
    assert "refused" not in hartvisor("up", path, "--name", "other", "--budget", "1M").stderr


HOG = """
    li s1, 0x80300000
    li s2, 1200
    li t2, 0x1000
touch:
    sd s1, 0(s1)
    add s1, s1, t2
    addi s2, s2, -1
    bnez s2, touch
    li s1, 0x80300000
    li s2, 1200
    j touch
"""


def test_a_full_disk_under_the_swap_file_costs_one_vm(tmp_path: Path) -> None:
    """The host lets no file grow beyond 256 KiB."""
    (tmp_path / "hog.s").write_text(HOG)
    hartvisor("asm", tmp_path / "hog.s", "-o", tmp_path / "hog.elf")
    path = write(tmp_path, """
[machine]
memory = "8M"
swap = "24M"
quantum = 500
sharing = false
[[vm]]
name = "well"
image = "spin"
memory = "8M"
[[vm]]
name = "hog"
count = 2
image = "hog.elf"
memory = "8M"
""")
    command = [*COMMAND, "up", str(path), "--budget", "100k", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18,) * 2))
    assert done.returncode == 1, done.stderr
    vms = by_name(json.loads(done.stdout))
    failed = [vm for vm in vms.values() if vm["state"] == "failed"]
    assert failed
    assert "the swap file: File too large" in failed[0]["detail"]
    assert vms["well"]["state"] == "running"
    assert not list(Path(tempfile.gettempdir()).glob("hartvisor-swap-*"))
