"""The control socket: requests, and clients that are mad, slow, many or gone."""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.control.client import ControlClient
from hartvisor.core.vmm.control.commands import Commands
from hartvisor.core.vmm.control.protocol import MAX_LINE
from hartvisor.core.vmm.control.server import MAX_CLIENTS, MAX_WAITING, ControlServer
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.hypervisor.console_log import ConsoleLog
from hartvisor.core.vmm.hypervisor.hypervisor import Hypervisor
from hartvisor.core.vmm.recipe import Recipe
from hartvisor.core.vmm.store import Store
from hartvisor.guest import image

from .support import BUSY, add, machine

GREETING = {"hartvisor": {"version": "0", "name": "test"}}


class Stand:
    """A hypervisor with two VMs and its socket, polled by the test."""

    def __init__(self, folder: Path) -> None:
        self.hypervisor: Hypervisor = machine()
        self.consoles = {name: ConsoleLog() for name in ("kernel", "busy", "late")}
        add(self.hypervisor, "kernel", load_image(image("kernel")), memory=16 << 20,
            output=self.consoles["kernel"].write)
        add(self.hypervisor, "busy", BUSY)
        self.hypervisor.refused["greedy"] = "asks for too much"
        self.commands = Commands(self.hypervisor, self.consoles, {}, self.recipe)
        self.path = folder / "test.sock"
        self.server = ControlServer(self.path, self.commands.handlers, GREETING, self.commands.page)
        self.hypervisor.run(2_000_000)

    def recipe(self, name: str) -> Recipe:
        return Recipe.of("kernel", self.hypervisor.find(name).config.vm, image("kernel"))

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(str(self.path))
        client.settimeout(5)
        return client

    def talk(self, client: socket.socket, data: bytes, messages: int) -> list[dict[str, Any]]:
        """Send, and take so many messages."""
        client.sendall(data)
        got = b""
        deadline = time.monotonic() + 5
        client.settimeout(0.01)
        while got.count(b"\n") < messages and time.monotonic() < deadline:
            self.server.poll(0.01)
            try:
                part = client.recv(1 << 16)
            except TimeoutError:
                continue
            if not part:
                break
            got += part
        return [json.loads(line) for line in got.splitlines()]

    def ask(self, command: str, **arguments: Any) -> Any:
        """One request on a connection of its own; what it returned, or its error's text."""
        with self.connect() as client:
            request = json.dumps({"execute": command, "arguments": arguments, "id": 7}).encode() + b"\n"
            greeting, answer = self.talk(client, request, 2)
        self.server.poll()
        assert greeting == GREETING
        assert answer["id"] == 7
        return answer["return"] if "return" in answer else answer["error"]["desc"]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.server.close()
    assert not made.path.exists()


def test_only_its_user_can_open_the_socket(stand: Stand) -> None:
    assert stat.S_IMODE(stand.path.stat().st_mode) == 0o600


def test_vms_are_listed(stand: Stand) -> None:
    kernel, busy, refused, late = stand.ask("query-vms")
    assert (kernel["name"], kernel["state"], kernel["technique"]) == ("kernel", "asleep", "two-stage")
    assert (busy["name"], busy["state"], busy["used"] > 1_000_000) == ("busy", "running", True)
    assert (refused["state"], refused["detail"]) == ("refused", "asks for too much")
    assert (late["name"], late["state"]) == ("late", "waiting")
    machine_ = stand.ask("query-machine")
    assert machine_["clock"] == 2_000_000
    assert {command["name"] for command in stand.ask("query-commands")} >= {"pause", "metrics", "quit"}


def test_vms_are_paused_resumed_and_stopped(stand: Stand) -> None:
    assert stand.ask("pause", vm="busy") == {"state": "paused"}
    stand.hypervisor.run(1_000_000)
    used = stand.hypervisor.find("busy").used
    stand.ask("resume", vm="busy")
    stand.hypervisor.run(1_000_000)
    assert stand.hypervisor.find("busy").used > used
    assert stand.ask("stop", vm="busy") == {"state": "stopped"}
    assert "busy is stopped" in stand.ask("pause", vm="busy")


def test_a_console_is_typed_to_and_read(stand: Stand) -> None:
    first = stand.ask("console-read", vm="kernel")
    assert "a small teaching kernel" in first["text"]
    stand.ask("console-write", vm="kernel", text="echo one two\n")
    stand.hypervisor.run(5_000_000)
    assert "\none two" in stand.ask("console-read", vm="kernel", offset=first["offset"])["text"].replace("\r", "")


def test_an_attached_console_is_raw(stand: Stand) -> None:
    with stand.connect() as client:
        stand.talk(client, b'{"execute": "console", "arguments": {"vm": "kernel", "history": 10}}\necho abc\n', 2)
        got = b""
        for _ in range(20):
            stand.hypervisor.run(1_000_000)
            stand.server.poll(0.01)
            try:
                got += client.recv(4096)
            except TimeoutError:
                continue
        assert b"\nabc" in got.replace(b"\r", b"")


def test_a_vm_is_kept_as_a_snapshot_and_goes_on_alone(stand: Stand, tmp_path: Path) -> None:
    store = tmp_path / "snapshots.db"
    kernel = stand.hypervisor.find("kernel")
    kernel.ram.reclaim(1 << 20)
    kept = stand.ask("snapshot", vm="kernel", name="before", store=str(store))
    assert (kept["steps"], kept["digest"]) == (kernel.vm.steps, kernel.digest())
    vm, _ = Store(store).restore("before", lambda data: None)
    assert digest(vm) == kept["digest"]
    stand.hypervisor.run(1_000_000)
    vm.run(kernel.vm.steps - vm.steps)
    assert digest(vm) == kernel.digest()


def test_processes_are_read_from_outside(stand: Stand) -> None:
    assert [process["name"] for process in stand.ask("guest-ps", vm="kernel")] == ["init", "sh"]
    assert "neither a kernel with symbols" in stand.ask("guest-ps", vm="busy")


def test_metrics_by_request_and_by_http(stand: Stand) -> None:
    text = stand.ask("metrics")
    assert 'hartvisor_vm_used_steps_total{vm="busy"} ' in text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) > 15
    for line in text.splitlines():
        assert line.startswith("# ") or float(line.rsplit(" ", 1)[1]) >= 0
    with stand.connect() as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(5):
            stand.server.poll(0.01)
        got = b""
        while part := client.recv(1 << 16):
            got += part
            stand.server.poll(0.01)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert body.decode() == text


@pytest.mark.parametrize(("line", "complaint"), [
    (b"\xff\xfe\x00garbage", "not JSON"), (b"[" * 30_000, "not JSON"), (b"[]", "a request is an object"),
    (b'{"execute": 5}', "a request is an object"), (b'{"execute": "fly"}', "no command 'fly'"),
    (b'{"execute": "puase"}', "did you mean pause?"), (b'{"execute": "stop", "x": 1}', "and nothing else"),
    (b'{"execute": "stop", "arguments": []}', "arguments"), (b'{"execute": "stop"}', "'vm' is missing"),
    (b'{"execute": "stop", "arguments": {"vm": 3}}', "give a string"),
    (b'{"execute": "stop", "arguments": {"vm": "nobody"}}', "there are kernel, busy"),
    (b'{"execute": "stop", "arguments": {"vm": "greedy"}}', "it was not admitted, asks for too much"),
    (b'{"execute": "stop", "arguments": {"vm": "busy", "now": 1}}', "no argument 'now'"),
    (b'{"execute": "balloon", "arguments": {"vm": "busy", "size": 4096}}', "has no balloon"),
    (b'{"execute": "balloon", "arguments": {"vm": "busy", "size": -1}}', "give 0 or more"),
    (b'{"execute": "console-read", "arguments": {"vm": "busy", "offset": true}}', "give a whole number"),
])
def test_what_is_wrong_is_said_and_the_connection_goes_on(stand: Stand, line: bytes, complaint: str) -> None:
    with stand.connect() as client:
        _, error, after = stand.talk(client, line + b'\n{"execute": "qmp_capabilities"}\n', 3)
    assert complaint in error["error"]["desc"]
    assert after == {"return": {}}
    assert not stand.hypervisor.find("busy").is_over


def test_half_a_request_waits_for_its_other_half(stand: Stand) -> None:
    with stand.connect() as client:
        stand.talk(client, b'{"execute": "query', 1)
        [answer] = stand.talk(client, b'-machine"}\n', 1)
        assert answer["return"]["clock"] == 2_000_000
        stand.talk(client, b'{"execute": ', 0)
    stand.server.poll()
    assert stand.ask("query-machine")


def test_a_line_without_end_costs_the_connection(stand: Stand) -> None:
    with stand.connect() as client:
        _, error = stand.talk(client, b"x" * (MAX_LINE + 1), 2)
        assert str(MAX_LINE) in error["error"]["desc"]
        for _ in range(3):
            stand.server.poll(0.01)
        assert client.recv(10) == b""


def test_a_thousand_quick_connections(stand: Stand) -> None:
    for number in range(1000):
        client = stand.connect()
        if number % 3 == 1:
            client.sendall(b'{"execute": "query-vms"}\n')
        client.close()
        if number % 10 == 0:
            stand.server.poll()
    for _ in range(20):
        stand.server.poll()
    assert stand.ask("query-machine")["clock"] == 2_000_000


def test_too_many_at_once_are_told(stand: Stand) -> None:
    clients = []
    for _ in range(MAX_CLIENTS):
        clients.append(stand.connect())
        stand.server.poll()
    time.sleep(0.03)
    with stand.connect() as late:
        [refusal] = stand.talk(late, b"", 1)
        assert f"{MAX_CLIENTS} connections" in refusal["error"]["desc"]
    for client in clients:
        client.close()
    for _ in range(3):
        stand.server.poll()
    assert stand.ask("query-machine")


def test_a_slow_reader_costs_itself_its_connection(stand: Stand) -> None:
    request = b'{"execute": "metrics"}\n'
    with stand.connect() as client:
        client.setblocking(False)
        sent = 0
        for _ in range(10 * MAX_WAITING // 4096):
            try:
                client.sendall(request * 20)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                sent += 1
            stand.server.poll()
        with pytest.raises(OSError):
            for _ in range(100):
                client.setblocking(True)
                client.sendall(request)
    assert stand.ask("query-machine")["clock"] == 2_000_000


def test_a_client_that_vanishes_in_the_midst_of_its_answer(stand: Stand) -> None:
    for _ in range(50):
        client = stand.connect()
        client.sendall(b'{"execute": "metrics"}\n' * 20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        stand.server.poll()
    assert stand.ask("query-machine")


def test_a_second_hypervisor_of_the_name_is_refused_and_a_dead_ones_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    first = ControlServer(path, {}, GREETING, lambda path: (404, ""))
    with pytest.raises(ConfigError, match="another hypervisor of this name runs"):
        ControlServer(path, {}, GREETING, lambda path: (404, ""))
    first.close()
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    ControlServer(path, {}, GREETING, lambda path: (404, "")).close()
    with pytest.raises(ConfigError, match="at most 107 bytes"):
        ControlServer(tmp_path / ("x" * 120), {}, GREETING, lambda path: (404, ""))
    with pytest.raises(ConfigError, match="No such file"):
        ControlServer(tmp_path / "none" / "x.sock", {}, GREETING, lambda path: (404, ""))


def test_a_client_without_a_hypervisor_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no hypervisor answers"):
        ControlClient(tmp_path / "none.sock")
