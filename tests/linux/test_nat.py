"""Debian on the host's networks, by NAT: DHCP, a service on the host's loopback, a forwarded port; and again from a
recording, when nobody is there any more."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.devices.network.test_nat import free_port
from tests.hypervisor.test_up import COMMAND, example

from .support import answers, hartvisor, require_debian

PAGE = b"found on the host's loopback\n"

LEASE = rb"""printf '#!/bin/sh\n[ $1 = bound ] && ifconfig $interface $ip netmask $subnet\n' >lease
chmod +x lease
ifconfig eth0 up; udhcpc -q -n -i eth0 -s ./lease
"""


@pytest.fixture
def service() -> Iterator[int]:
    """An HTTP server on the host's loopback: its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    require_debian()
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_what_came_from_outside_comes_again_from_a_recording(service: int, tmp_path: Path) -> None:
    typed = LEASE + b"wget -q -O - http://10.0.2.2:%d/\npoweroff -f\n" % service
    run = hartvisor("run", "debian", "--technique", "two-stage", "--netdev", "user", "--record", str(tmp_path / "run"),
                    "--json", str(tmp_path / "run.json"), typed=typed)
    assert run.status == 0, run.err
    said = answers(run.out)
    assert any(b"lease of 10.0.2.15 obtained from 10.0.2.2" in line for line in said), run.out
    assert PAGE.strip() in run.out
    again = hartvisor("replay", str(tmp_path / "run"), "--technique", "shadow", "--json", str(tmp_path / "again.json"))
    assert again.status == 0, again.err
    assert PAGE.strip() in again.out
    results = [json.loads((tmp_path / name).read_text()) for name in ("run.json", "again.json")]
    assert results[0]["digest"] == results[1]["digest"]
    assert results[0]["steps"] == results[1]["steps"]


def test_the_example_serves_through_a_forwarded_port(tmp_path: Path) -> None:
    require_debian()
    port, path = free_port(), example("nat", tmp_path)
    path.write_text(path.read_text().replace("8080", str(port)))
    command = [*COMMAND, "up", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert any(line == f"web| port {port} leads here\n" for line in running.stdout)
            page, end = b"", time.monotonic() + 20
            while not page and time.monotonic() < end:
                with suppress(OSError):
                    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read()
            assert page == b"served by a VM\n"
        finally:
            running.send_signal(signal.SIGTERM)
            _, told = running.communicate(timeout=20)
    assert running.returncode == 0, told
