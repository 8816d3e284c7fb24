"""`hartvisor migrate` and `hartvisor receive`, as two processes over loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]
TIMEOUT = 90


def environment(folder: Path, side: str) -> dict[str, str]:
    """A state folder of its own for each side."""
    return os.environ | {"XDG_STATE_HOME": str(folder / side)}


class Receiver:
    """A `hartvisor receive` on a free port. port: which."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen([*COMMAND, "receive", ":0", *options], env=environment(folder, "target"),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        self.port = int(self.process.stderr.readline().rsplit(b":", 1)[1])

    def finish(self, typed: bytes = b"") -> tuple[int, bytes, bytes]:
        """Type, and wait: status, console, messages."""
        out, err = self.process.communicate(typed, timeout=TIMEOUT)
        return self.process.returncode, out, err


def migrate(folder: Path, *arguments: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the source's side."""
    return subprocess.run([*COMMAND, "migrate", *arguments], env=environment(folder, "source"), input=typed,
                          capture_output=True, timeout=TIMEOUT, check=False)


@pytest.mark.parametrize("options", [(), ("--postcopy",)])
def test_a_shell_goes_on_elsewhere(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What was typed here was answered here, what is typed there is answered there."""
    receiver = Receiver(tmp_path, "--technique", "two-stage")
    report = tmp_path / "report.json"
    done = migrate(tmp_path, "kernel", f"tcp://127.0.0.1:{receiver.port}", "--at", "3M", "--technique", "shadow",
                   "--json", str(report), *options, typed=b"echo here\n")
    status, out, err = receiver.finish(b"echo elsewhere\npoweroff\n")
    assert (done.returncode, status) == (0, 0), (done.stderr, err)
    assert b"here" in done.stdout
    assert b"elsewhere" not in done.stdout
    assert b"elsewhere" in out
    assert b"two-stage: " in err
    result = json.loads(report.read_text())
    assert result["end"] == "moved"
    assert (result["left"] > 0) == bool(options)
    assert b"stood still for" in done.stderr


def test_a_snapshot_can_be_moved(tmp_path: Path) -> None:
    """--from: the VM is a kept state."""
    store = str(tmp_path / "store.db")
    subprocess.run([*COMMAND, "snapshot", "save", "here", "kernel", "--at", "1M", "--store", store], check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    receiver = Receiver(tmp_path)
    done = migrate(tmp_path, "here", f"tcp://127.0.0.1:{receiver.port}", "--from", "--store", store)
    status, out, _ = receiver.finish(b"echo moved\npoweroff\n")
    assert (done.returncode, status) == (0, 0)
    assert b"moved" in out


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: apt-get install openssl")
def test_tls_takes_certificates_of_both(tmp_path: Path) -> None:
    """With them it moves; a source without is turned away, and goes on."""
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=tmp_path)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca",
            "-days", "2")
    (tmp_path / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for side in ("source", "target"):
        openssl(*f"req -newkey rsa:2048 -nodes -keyout {side}.key -out {side}.csr -subj /CN={side}".split())
        openssl(*f"x509 -req -in {side}.csr -CA ca.pem -CAkey ca.key -out {side}.pem -days 2 -extfile san".split())

    def tls(side: str) -> list[str]:
        return ["--tls-cert", str(tmp_path / f"{side}.pem"), "--tls-key", str(tmp_path / f"{side}.key"), "--tls-ca",
                str(tmp_path / "ca.pem")]

    receiver = Receiver(tmp_path, *tls("target"))
    address = f"tcp://127.0.0.1:{receiver.port}"
    plain = migrate(tmp_path, "kernel", address, "--at", "1M", typed=b"poweroff\n")
    assert plain.returncode == 1
    assert b"the VM stays" in plain.stderr
    done = migrate(tmp_path, "kernel", address, "--at", "1M", *tls("source"))
    status, out, err = receiver.finish(b"echo sealed\npoweroff\n")
    assert (done.returncode, status) == (0, 0), (done.stderr, err)
    assert b"sealed" in out
    assert b"turned away" in err


def test_a_simulated_link_gives_the_same_figures_every_time(tmp_path: Path) -> None:
    """In virtual time: a slower link takes longer, a worse one loses packets."""
    results = []
    for link in ("bandwidth=10M,latency=2,loss=0.02", "bandwidth=10M,latency=2,loss=0.02", "bandwidth=1M"):
        done = migrate(tmp_path, "kernel", "--simulate", link, "--append", "workload=2", "--at", "2M", "--technique",
                       "two-stage", "--json", str(tmp_path / "x"))
        assert done.returncode == 0, done.stderr
        results.append(json.loads((tmp_path / "x").read_text()))
    assert results[0] == results[1]
    assert results[2]["seconds"] > results[0]["seconds"]
    assert results[0]["lost_packets"] > 0 == results[2]["lost_packets"]


@pytest.mark.parametrize(("arguments", "message"), [
    (("kernel",), b"give the target"),
    (("kernel", "localhost"), b"an address is tcp://HOST:PORT"),
    (("kernel", "tcp://127.0.0.1:1"), b"is `hartvisor receive` listening there?"),
    (("kernel", "--simulate", "speed=1"), b"'speed=1' is none of"),
    (("resume", "abc", "--owner", "source"), b"no migration 'abc' is noted"),
    (("resume", "abc", "--owner", "me"), b"source or target"),
    (("kernel", "tcp://127.0.0.1:1", "--tls-cert", "x"), b"--tls-ca"),
])
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: bytes) -> None:
    """Status 2."""
    done = migrate(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_stranger_is_one_line(tmp_path: Path) -> None:
    """Something that is no migration connects."""
    import socket

    receiver = Receiver(tmp_path)
    with socket.create_connection(("127.0.0.1", receiver.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        status, _, err = receiver.finish()
    assert (status, err.count(b"\n")) == (2, 1)
    assert b"no VM came" in err
