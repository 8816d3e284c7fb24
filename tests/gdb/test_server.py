"""The socket: one debugger at a time, who may come, go and come again, and may send anything."""

from __future__ import annotations

import socket

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.gdb.packets import PACKET_SIZE, encode
from hartvisor.core.vmm.gdb.server import Debugger
from tests.vmm.support import start

from .client import PATIENCE, Client, debugger_of, target_of

FOREVER = "1: addi t0, t0, 1\nj 1b"


def waiting(lines: list[str] | None = None) -> Debugger:
    """A guest that never ends, which waits for a debugger."""
    return debugger_of(target_of(start(FOREVER, "two-stage")), lines)


def test_packets_are_acknowledged_until_nobody_wants_it() -> None:
    client = Client(waiting())
    client.send(encode(b"?"))
    assert client.receive() == b"+" + encode(b"T05thread:1;")
    client.send(b"-")
    assert client.receive() == encode(b"T05thread:1;"), "sent again"
    client.send(b"$?#00")
    assert client.receive() == b"-"
    client.send(encode(b"QStartNoAckMode"))
    assert client.receive() == b"+" + encode(b"OK")
    client.send(b"+" + encode(b"?"))
    assert client.receive() == encode(b"T05thread:1;")
    client.send(b"$?#00")
    assert client.receive() == b""


def test_halves_and_garbage() -> None:
    client = Client(waiting())
    packet = encode(b"qAttached")
    client.send(b"\xff\0hello\r\n" + packet[:5])
    assert client.receive() == b""
    client.send(packet[5:])
    assert client.receive() == b"+" + encode(b"1")
    client.send(b"$" + b"x" * (PACKET_SIZE * 2))
    client.debugger.wait(0)
    assert set(client.receive()) <= set(b"-")
    client.receive()
    assert client.ask("qC") == b"QC1"


def test_ctrl_c_stops_a_guest_that_runs() -> None:
    client = Client(waiting())
    client.send(encode(b"c"))
    assert client.debugger.is_running
    assert client.debugger.run(1000) is None
    client.send(b"\x03")
    assert not client.debugger.is_running
    assert client.reply() == b"T02thread:1;"
    steps = client.debugger._stub.target.steps
    assert steps == 1000
    client.send(b"\x03")
    assert client.ask("qC") == b"QC1", "a guest that stands still cannot be stopped"


def test_a_second_debugger_is_refused_with_a_clear_line() -> None:
    lines: list[str] = []
    client = Client(waiting(lines))
    with socket.create_connection(("127.0.0.1", client.debugger.port), timeout=PATIENCE) as second:
        client.debugger.wait(PATIENCE)
        refusal = second.recv(1000)
        assert b"another debugger is connected; it must detach first" in refusal
        assert second.recv(1000) == b""
    assert lines[-1].startswith("refused GDB at 127.0.0.1:")
    assert client.ask("qC") == b"QC1"


def test_detached_the_guest_goes_on_and_another_may_come() -> None:
    lines: list[str] = []
    client = Client(waiting(lines))
    debugger = client.debugger
    client.ask("Z0,80200000,4")
    assert client.ask("D") == b"OK"
    assert lines[-1] == "GDB has detached; the guest goes on"
    assert debugger.is_running
    assert debugger.run(1000) is None
    other = Client(debugger)
    assert not debugger.is_running
    assert debugger._stub.target.subject.breakpoints == frozenset()
    assert other.ask("?") == b"T05thread:1;"


def test_a_debugger_that_vanishes_leaves_the_guest_as_it_is() -> None:
    lines: list[str] = []
    client = Client(waiting(lines))
    debugger = client.debugger
    client.close()
    assert not debugger.is_running
    assert "waits for another" in lines[-1]
    again = Client(debugger)
    again.send(encode(b"c"))
    again.close()
    assert debugger.is_running
    assert lines[-1] == "GDB is gone; the guest goes on"


@pytest.mark.parametrize("packet", ["k", "vKill;1"])
def test_killed_it_is_over(packet: str) -> None:
    client = Client(waiting())
    client.send(encode(packet.encode()))
    assert client.debugger.is_killed
    assert not client.debugger.is_running


def test_a_guest_that_need_not_wait_runs_until_a_debugger_comes() -> None:
    lines: list[str] = []
    debugger = debugger_of(target_of(start(FOREVER, "bare")), lines, is_waiting=False)
    assert lines == [f"listening for GDB on {debugger.address}: target remote {debugger.address}"]
    assert debugger.is_running
    debugger.run(500)
    client = Client(debugger)
    assert not debugger.is_running
    assert client.ask("p20") != b""


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    taken = waiting().port
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{taken}: "):
        Debugger(target_of(start(FOREVER, "bare")), "127.0.0.1", taken, is_waiting=True, tell=lambda line: None)
