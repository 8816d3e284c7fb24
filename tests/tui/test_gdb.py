"""`--gdb`: where it listens, what it refuses, and a console that is the user's all the while."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.overlay import open_disk
from hartvisor.core.devices.virtio.storage import MemoryDisk
from hartvisor.core.vmm.gdb.packets import encode
from hartvisor.core.vmm.timeline import past_of
from hartvisor.tui.cli import main
from hartvisor.tui.debugging import LOOPBACK, Listen, parse_gdb
from tests.vmm.support import start

from .test_run import COMMAND, Terminal


@pytest.mark.parametrize(("text", "listen"), [
    (":1234", Listen(LOOPBACK, 1234, True)), (":0,nowait", Listen(LOOPBACK, 0, False)),
    ("192.0.2.1:9", Listen("192.0.2.1", 9, True)), ("[::1]:1234", Listen("::1", 1234, True)),
])
def test_where_it_listens(text: str, listen: Listen) -> None:
    assert parse_gdb(text) == listen


@pytest.mark.parametrize("command", [["run", "hello"], ["machine", "--bios", "none", "--kernel", "nothing"]])
@pytest.mark.parametrize("place", ["1234", ":", ":x", ":65536", ":-1", ":1234,later", "host"])
def test_a_place_that_is_none_is_one_line(
    command: list[str], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--gdb", place]) == 2
    assert capsys.readouterr().err == (f"hartvisor: --gdb {place}: give it as :PORT or HOST:PORT, such as :1234, and "
                                       "no more behind it than ,nowait\n")


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["run", "hello", "--gdb", f":{port}"]) == 2
    assert capsys.readouterr().err == f"hartvisor: --gdb: cannot listen on {LOOPBACK}:{port}: Address already in use\n"


def test_it_goes_with_neither_recording_nor_trace(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "hello", "--gdb", ":0", "--record", "x"]) == 2
    assert capsys.readouterr().err.startswith("hartvisor: --gdb: a run under GDB")


def test_what_a_guest_writes_to_the_host_cannot_be_taken_back(tmp_path: Path) -> None:
    """A disk in memory goes back with the guest, and one that is only read stays as it is."""
    paths = [tmp_path / name for name in ("read.img", "written.img")]
    for path in paths:
        path.write_bytes(bytes(4096))
    for disk, has_past in ((MemoryDisk(4096), True), (open_disk(paths[0], is_read_only=True), True),
                           (open_disk(paths[1]), False)):
        vm = start("j .", "shadow", devices=[VirtioBlock(disk)])
        assert (past_of(vm) is not None) == has_past
        disk.close()


def test_nobody_need_come() -> None:
    done = subprocess.run([*COMMAND, "run", "hello", "--gdb", ":0,nowait", "--quiet"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    assert re.fullmatch(r"hartvisor: listening for GDB on 127\.0\.0\.1:\d+: target remote 127\.0\.0\.1:\d+\n",
                        done.stderr)
    assert "hello" in done.stdout.lower()


def test_the_terminal_is_the_guests_while_gdb_comes_and_goes() -> None:
    terminal = Terminal("run", "kernel", "--gdb", ":0", "--quiet")
    try:
        terminal.wait_for(b"target remote ")
        terminal.wait_for(b"\r\n")
        port = int(re.search(rb"target remote 127\.0\.0\.1:(\d+)", terminal.seen)[1])
        with socket.create_connection((LOOPBACK, port), timeout=30) as gdb:
            gdb.sendall(encode(b"vCont;c"))
            terminal.wait_for(b"$ ")
            terminal.type(b"echo one two | wc\r")
            terminal.wait_for(b"1 2 8")
            gdb.sendall(b"\x03")
            assert b"T02thread:1;" in gdb.recv(1000) + gdb.recv(1000)
            terminal.type(b"echo three | wc\r")
            gdb.sendall(b"+" + encode(b"D"))
            terminal.wait_for(b"GDB has detached; the guest goes on\r\n")
        terminal.wait_for(b"1 1 6")
        terminal.type(b"\x01x")
        assert terminal.end() == 0
    finally:
        terminal.close()
