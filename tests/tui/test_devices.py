"""`--drive`, `--netdev` and `--share`: what they take, what they refuse, and a guest whose peers live outside."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hartvisor.core.devices.virtio.net import VirtioNet
from hartvisor.core.errors import OptionError
from hartvisor.tui.cli import main
from hartvisor.tui.devices import open_devices


@pytest.mark.parametrize(("arguments", "reason"), [
    (["--netdev", "nat"], "give echo, user, socket,listen=[HOST]:PORT"),
    (["--netdev", "user,port=7"], "give echo, user"),
    (["--netdev", "user,forward=80"], "user,forward=80: forward 80 is not of the form [HOST:]PORT-[GUEST:]PORT"),
    (["--netdev", "user,forward=70000-80"], "forward 70000-80 is not"),
    (["--netdev", "user,forward=80-70000"], "forward 80-70000 is not"),
    (["--netdev", "user,forward-udp=203.0.113.1:7000-80"], "203.0.113.1:7000: the port cannot be had"),
    (["--netdev", "echo,port=7"], "give echo"),
    (["--netdev", "socket"], "give echo"),
    (["--netdev", "socket,listen=:1,connect=:2"], "give echo"),
    (["--netdev", "socket,listen"], "'listen' is not of the form KEY=VALUE"),
    (["--netdev", "socket,listen=99999"], "99999 is not of the form HOST:PORT"),
    (["--netdev", "socket,listen=:70000"], ":70000 is not of the form HOST:PORT"),
    (["--netdev", "socket,listen=203.0.113.1:7000"], "203.0.113.1:7000: "),
    (["--netdev", "socket,connect=127.0.0.1:1"], "127.0.0.1:1: Connection refused"),
    (["--netdev", "echo,mac=52:54"], "mac=52:54 is no card's address"),
    (["--netdev", "echo,mac=01:00:00:00:00:00"], "is no card's address"),
    (["--netdev", "echo,pcap=/nowhere/x.pcap"], "/nowhere/x.pcap: No such file"),
    (["--share", "/nowhere"], "/nowhere: No such file or directory; a folder to share"),
    (["--share", ".,rw"], "'rw' is neither tag=NAME nor ro"),
    (["--share", ".,tag="], "a tag is a word"),
    (["--device", "gpu"], "give rng[,seed=TEXT], balloon,size=SIZE or console,file=FILE"),
    (["--device", "balloon"], "give rng"),
    (["--device", "rng,seed="], "give rng"),
    (["--device", "balloon,size=much"], "size much: a size is a number"),
    (["--device", "console,file=/nowhere/x"], "No such file or directory"),
    (["--netdev", "echo"] * 9, "9 devices by --drive, --netdev, --share and --device: there are 8 slots"),
], ids=lambda value: value if isinstance(value, str) else " ".join(value)[:30])
def test_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str) -> None:
    assert main(["run", "hello", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hartvisor: ") and reason in line


def mac(netdev: str, index: int = 0) -> str:
    with open_devices(None, ["echo"] * index + [netdev], None) as devices:
        card = devices[index]
        assert isinstance(card, VirtioNet)
        return card.mac.hex(":")


def test_each_card_has_an_address_of_its_own() -> None:
    assert mac("echo,mac=52:54:00:AB:0:1") == "52:54:00:ab:00:01"
    with socket.create_server(("127.0.0.1", 0)) as server:
        connected = mac(f"socket,connect=127.0.0.1:{server.getsockname()[1]}")
    found = {mac("echo"), mac("echo", 1), connected, mac("socket,udp=:9,localaddr=:0"), "52:54:00:12:34:56"}
    assert len(found) == 5


def test_what_was_opened_before_a_mistake_is_closed(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for _ in range(2):
        with pytest.raises(OptionError), open_devices(None, [f"socket,listen=:{port}", "nothing"], None):
            pass


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`hartvisor run` with a card that listens, and its port."""
    command = [sys.executable, "-m", "hartvisor.tui.cli", "run", *arguments, "--netdev", "socket,listen=:0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            found = re.search(rb"listening on 127\.0\.0\.1:(\d+)", process.stderr.readline())
            assert found is not None
            yield process, int(found[1])
        finally:
            process.kill()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_guest_that_may_yet_get_frames_sleeps_on_and_leaves_the_processor_alone() -> None:
    with running("sleep") as (process, port), socket.create_connection(("127.0.0.1", port)) as there:
        assert process.stderr is not None
        assert b"a peer has connected" in process.stderr.readline()
        before = cpu_seconds(process.pid)
        time.sleep(0.7)
        assert process.poll() is None
        assert cpu_seconds(process.pid) - before < 0.2
        there.sendall(b"\xff" * 8)
        assert b"announced a frame of 4294967295 bytes" in process.stderr.readline()
        assert process.poll() is None


def test_without_its_peer_a_guest_asleep_is_asleep_for_good() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-m", "hartvisor.tui.cli", "run", "sleep",
                   "--netdev", f"socket,connect=127.0.0.1:{server.getsockname()[1]}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            server.accept()[0].close()
            _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"the peer has gone; the guest goes on without it" in told
    assert b"asleep: no timer armed and no input" in told


def test_a_flooded_guest_runs_to_its_budget() -> None:
    with running("spin", "--budget", "5M") as (process, port), \
            socket.create_connection(("127.0.0.1", port)) as there:
        there.settimeout(0.2)
        frame = (60).to_bytes(4, "big") + bytes(60)
        while process.poll() is None:
            with suppress(OSError):
                there.sendall(frame * 1000)
        assert process.wait(30) == 0
