"""Debian under glass: its console, its virtqueues and what went through them, now and in the past."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.vmm.inspector import Inspection, Inspector, keeping
from hartvisor.core.vmm.views.console import view_console
from hartvisor.core.vmm.views.interrupts import view_interrupts
from hartvisor.core.vmm.views.rings import view_virtio
from hartvisor.core.vmm.views.traffic import view_disks, view_network
from hartvisor.core.vmm.views.uart import view_uart
from hartvisor.tui.app.opening import Wish, open_all
from hartvisor.tui.app.widgets.terminal import Terminal
from hartvisor.tui.devices import open_devices

from .support import require_debian

SLICE, MOST = 20_000_000, 3_000_000_000
TYPED = (b"ifconfig eth0 10.0.2.15\nping -c 2 10.0.2.2\n"
         b"dd if=/dev/vda of=/dev/null bs=4k count=16 2>/dev/null; echo read\n")


def run_until(inspector: Inspector, condition: Callable[[], bool]) -> None:
    while not condition():
        inspector.run_slice(inspector.step + SLICE)
        assert inspector.step < MOST, inspector.output.upto(inspector.step)[-500:]


@pytest.mark.parametrize("technique", ["two-stage", "shadow"])
def test_devices_console_and_past(technique: str, tmp_path: Path) -> None:
    require_debian()
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    with open_devices((f"{disk},ro",), ("echo",), None) as devices:
        inspection = open_all(Wish(names=("debian",), techniques=(technique,), store=tmp_path / "s.db"), devices)
        check(inspection)
        inspection.close()


def check(inspection: Inspection) -> None:
    inspector = inspection.inspector
    run_until(inspector, lambda: b"~ # " in inspector.output.upto(inspector.step))
    prompt = keeping.tree_of(inspector).save("prompt")
    inspector.vm.inputs.push(CONSOLE, TYPED)
    run_until(inspector, lambda: b"\r\nread" in inspector.output.upto(inspector.step))

    view = view_virtio(inspection)
    assert [slot.kind for slot in view.slots] == ["block", "net"]
    (requests,) = view.queues
    assert requests.is_ready and requests.used == requests.taken == requests.available >= 1 and requests.done
    receive, transmit = view_virtio(inspection, 1).queues
    assert receive.n_waiting > 100 and all(not chain.fault for chain in receive.waiting)
    assert all(part.is_writable for chain in receive.waiting for part in chain.parts)
    assert receive.used >= 3 and transmit.used >= 3

    (disk,) = view_disks(inspection).disks
    assert disk.reads >= 2 and disk.read_bytes >= 64 << 10 and disk.failures == 0
    (card,) = view_network(inspection).cards
    texts = [frame.text for frame in card.log]
    assert any(text.startswith("ARP who has 10.0.2.2?") for text in texts)
    assert [text.split()[2] for text in texts if text.startswith("ICMP echo re")] == ["request", "reply"] * 2
    assert card.received >= 3 and card.lost == 0
    interrupts = view_interrupts(inspection)
    assert {row.number: row.enabled for row in interrupts.sources} == {1: (True,), 2: (True,), 10: (True,)}

    terminal = Terminal()
    terminal.feed(view_console(inspection).data)
    shown = "\n".join(line.plain for line in terminal.screen_lines())
    assert "2 packets transmitted, 2 packets received, 0% packet loss" in shown
    typed = b"".join(line.data for line in view_uart(inspection).log if not line.is_written)
    assert typed == TYPED
    list(keeping.restore(inspector, prompt.number))
    assert view_network(inspection).cards[0].log == ()
    assert b"PING" not in view_console(inspection).data
    assert view_disks(inspection).disks[0].reads < disk.reads
    assert partial(view_virtio, chosen=1)(inspection).queues[1].used < transmit.used
