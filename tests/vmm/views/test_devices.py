"""Devices as they are: interrupts on their way, rings as they lie in RAM, registers that nobody reads, and logs that
end where the VM stands."""

from __future__ import annotations

from functools import partial

import pytest

from hartvisor.core.devices.network.echo_host import EchoHost
from hartvisor.core.devices.network.wire import Wire
from hartvisor.core.devices.uart16550 import FCR, IER, IIR, LCR, LSR, MCR, RBR, Uart16550
from hartvisor.core.devices.virtio.balloon import VirtioBalloon
from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.net import VirtioNet
from hartvisor.core.devices.virtio.storage import MemoryDisk
from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.inspector import Inspection, Inspector, keeping
from hartvisor.core.vmm.views.interrupts import InterruptsView, view_interrupts
from hartvisor.core.vmm.views.rings import VirtioView, view_virtio
from hartvisor.core.vmm.views.traffic import describe_frame, view_disks, view_network
from hartvisor.core.vmm.views.uart import UartView, traffic, view_uart
from hartvisor.guest import image
from tests.devices.virtio.driver import EVENT_IDX, EVERYTHING, Driver

from ..test_virtio import DRIVE, READ
from .support import HYPERVISED, TECHNIQUES, do, inspect, look, run, tern

MAC = bytes.fromhex("525400123456")


def disk() -> VirtioBlock:
    return VirtioBlock(MemoryDisk(64 << 10))


def driver_of(inspector: Inspector, slot: int = 0) -> Driver:
    """A driver in Python, on a slot of a VM that stands still."""
    return Driver(inspector.vm.board.virtio[slot], inspector.vm.ram, 0x8040_0000)


# --- interrupts


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_an_interrupt_is_followed_from_its_line_to_the_hart(technique: str) -> None:
    """A disk's, before it is asked for, pending, claimed, and completed."""
    inspector = inspect(DRIVE + READ.removeprefix(DRIVE), technique, devices=[disk()])

    def at() -> InterruptsView:
        view: InterruptsView = look(inspector, view_interrupts)
        return view

    states = []
    while len(states) < 4:
        view = at()
        source = next(row for row in view.sources if row.number == 1)
        line = next(row for row in view.vcpus[0].lines if row.name == "SEI")
        state = (source.level, source.is_pending, source.is_claimed, view.vcpus[0].external, line.pending)
        if not states or states[-1] != state:
            states.append(state)
        assert source.device == "virtio 0 block"
        assert (line.hvip is None) == (technique in ("bare", "deprivileged"))
        if line.hvip is not None:
            assert line.hvip == line.pending
        assert inspector.step < 400
        run(inspector, 1)
    assert states == [
        (False, False, False, False, False), (True, True, False, True, True), (True, False, True, False, False),
        (False, False, True, False, False)]
    run(inspector, 20)
    view = at()
    assert not any(row.is_claimed or row.is_pending for row in view.sources)
    assert next(row for row in view.sources if row.number == 1).enabled == (True,)


@pytest.mark.parametrize("technique", HYPERVISED)
def test_timers_and_what_is_taken_next(technique: str) -> None:
    inspector = inspect(load_image(image("ticks")), technique)
    seen = set()
    for _ in range(4000):
        run(inspector, 97)
        vcpu = view_interrupts(Inspection([inspector])).vcpus[0]
        if vcpu.timer:
            seen.add("timer")
        if vcpu.is_asleep:
            seen.add("asleep")
        if inspector.vm.is_off:
            break
    assert seen == {"timer", "asleep"}


def test_what_is_taken_next_is_named() -> None:
    inspector = inspect("li t0, 2\n csrs sip, t0\n csrs sie, t0\n csrs sstatus, t0\n nop\n j .", "two-stage")
    taken = []
    for _ in range(6):
        taken.append(look(inspector, view_interrupts).vcpus[0].taken_next)
        run(inspector, 1)
    assert taken[:4] == [None, None, None, None] and "SSI" in taken


def test_every_vcpu_has_its_column() -> None:
    inspector = tern("two-stage", append="", vcpus=3)
    run(inspector, 3_000_000)
    view: InterruptsView = look(inspector, view_interrupts)
    assert [vcpu.index for vcpu in view.vcpus] == [0, 1, 2]
    assert all(len(row.enabled) == 3 for row in view.sources)
    assert [row.device for row in view.sources] == ["UART"]


# --- rings


def rings(inspector: Inspector, chosen: int = 0) -> VirtioView:
    view: VirtioView = look(inspector, partial(view_virtio, chosen=chosen))
    return view


def test_a_chain_is_seen_waiting_and_used() -> None:
    inspector = inspect("j .", "two-stage", devices=[disk()])
    driver = driver_of(inspector)
    driver.start(EVERYTHING, (16,))
    view = rings(inspector)
    slot = view.slots[0]
    assert (slot.kind, slot.status[-1], slot.n_ready, slot.n_queues) == ("block", "DRIVER_OK", 1, 1)
    assert "FLUSH" in slot.accepted and "VERSION_1" in slot.accepted and ("sectors", "128") in slot.facts
    header, data, status = driver.allocate(16), driver.allocate(1024), driver.allocate(1)
    driver.memory.write(header, (0).to_bytes(8, "little") + (3).to_bytes(8, "little"))
    head = driver.rings[0].add([(header, 16, False), (data, 1024, True), (status, 1, True)])
    queue = rings(inspector).queues[0]
    assert (queue.available, queue.taken, queue.used, queue.n_waiting, queue.n_in_flight) == (1, 0, 0, 1, 0)
    (chain,) = queue.waiting
    assert (chain.head, chain.about, chain.fault) == (head, "read 2 sectors from 3", "")
    assert [(part.gpa, part.length, part.is_writable) for part in chain.parts] == [
        (header, 16, False), (data, 1024, True), (status, 1, True)]
    driver.kick()
    queue = rings(inspector).queues[0]
    assert (queue.taken, queue.used, queue.n_waiting) == (1, 1, 0)
    assert queue.done == ((head, 1025),)
    assert rings(inspector).slots[0].interrupts == ("used buffers",)


def test_indirect_chains_and_the_event_index() -> None:
    inspector = inspect("j .", "shadow", devices=[disk()])
    driver = driver_of(inspector)
    assert driver.start(EVERYTHING, (8,)) & EVENT_IDX
    table, header = driver.allocate(32), driver.allocate(16)
    status = driver.allocate(1)
    driver.memory.write(header, (4).to_bytes(16, "little"))
    driver.rings[0].add([(header, 16, False), (status, 1, True)], table=table)
    queue = rings(inspector).queues[0]
    assert queue.waiting[0].is_indirect and queue.waiting[0].about == "flush"
    assert queue.wants_interrupt is True
    driver.rings[0].set_used_event(7)
    assert rings(inspector).queues[0].wants_interrupt is False


@pytest.mark.parametrize("spoil", ["head", "next", "loop", "gpa", "indirect", "idx"])
def test_nonsense_in_a_ring_is_shown_and_changes_nothing(spoil: str) -> None:
    inspector = inspect("j .", "deprivileged", devices=[disk()])
    driver = driver_of(inspector)
    driver.start(EVERYTHING, (8,))
    ring = driver.rings[0]
    if spoil == "head":
        ring.offer(200)
    elif spoil == "next":
        ring.describe(ring.descriptors, 0, 0x8040_0000, 16, 1, 99)
        ring.offer(0)
    elif spoil == "loop":
        ring.describe(ring.descriptors, 0, 0x8040_0000, 16, 1, 0)
        ring.offer(0)
    elif spoil == "gpa":
        ring.describe(ring.descriptors, 0, (1 << 64) - 8, 16, 0)
        ring.offer(0)
    elif spoil == "indirect":
        ring.describe(ring.descriptors, 0, 0x10, 32, 4)
        ring.offer(0)
    else:
        ring.put16(ring.driver + 2, 0x1234)
    queue = rings(inspector).queues[0]
    if spoil == "idx":
        assert queue.n_waiting == 0x1234
    else:
        assert queue.waiting[0].fault
    driver.kick()
    assert "NEEDS_RESET" in rings(inspector).slots[0].status
    assert rings(inspector).slots[0].complaint


def test_every_kind_of_device_is_named() -> None:
    inspector = inspect("j .", "bare", devices=[VirtioNet(), VirtioBalloon(), disk()])
    view = rings(inspector, chosen=5)
    assert [slot.kind for slot in view.slots] == ["net", "balloon", "block"]
    assert view.chosen == 2 and [queue.name for queue in view.queues] == ["requests"]
    assert not view.queues[0].is_ready and view.queues[0].wants_interrupt is None
    assert [queue.name for queue in rings(inspector, 1).queues] == ["inflate", "deflate", "statistics"]
    assert rings(inspect("j .", "bare")).slots == ()


# --- UART


def test_registers_are_what_reading_them_would_give() -> None:
    """Whatever the state, `look` is what the loads then say; and it has taken nothing."""
    inspector = inspect("j .", "two-stage")
    uart: Uart16550 = inspector.vm.board.uart
    for prepare in (lambda: None, lambda: inspector.vm.console.type(b"abc"), lambda: uart.store(FCR, 1, 0xC1),
                    lambda: uart.store(IER, 1, 0x0F), lambda: uart.store(0, 1, ord("x")),
                    lambda: uart.store(MCR, 1, 0x1F), lambda: [uart.store(0, 1, each) for each in range(20)]):
        prepare()
        view: UartView = look(inspector, view_uart)
        found = {row.name: row.value for row in view.registers}
        saved = uart.save()
        loads = {"IER": uart.load(IER, 1), "IIR": uart.load(IIR, 1), "LCR": uart.load(LCR, 1),
                 "MCR": uart.load(MCR, 1), "LSR": uart.load(LSR, 1)}
        uart.restore(saved)
        assert {name: found[name] for name in loads} == loads
        assert found["FCR"] == saved["fcr"] and found["DLL"] == 12
    assert view.waiting == 3
    text = {row.name: row.text for row in view.registers}
    assert "FIFOs on" in text["FCR"] and "loopback" in text["MCR"] and "19,200 baud" in text["DLL"]
    assert [uart.load(RBR, 1) for _ in range(17)] == [*range(16), 0], "of twenty that were looped back, all that fit"


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_console_log_is_in_both_directions_and_ends_now(technique: str) -> None:
    inspector = tern(technique, append="")
    run(inspector, 2_000_000)
    before: UartView = look(inspector, view_uart)
    assert b"".join(line.data for line in before.log) == inspector.output.upto(inspector.step)
    inspector.vm.inputs.push(CONSOLE, b"echo hi\n")
    run(inspector, 1_000_000)
    after: UartView = look(inspector, view_uart)
    assert b"".join(line.data for line in after.log if not line.is_written) == b"echo hi\n"
    assert any(line.data == b"hi\n" for line in after.log if line.is_written)
    assert all(one.step <= one.last <= other.step for one, other in zip(after.log, after.log[1:], strict=False))
    assert inspector.timeline is not None
    inspector.timeline.goto(2_000_000)
    assert look(inspector, view_uart).log == before.log
    inspector.timeline.goto(3_000_000)
    assert look(inspector, view_uart).log == after.log, "what is past is not noted twice"
    inspector.timeline.goto(2_500_000)
    inspector.vm.inputs.push(CONSOLE, b"x")
    run(inspector, 1)
    assert len(look(inspector, view_uart).log) <= len(after.log)


def test_bytes_are_put_together_by_line_and_direction() -> None:
    pieces = [(1, True, b"a"), (2, True, b"b"), (3, True, b"\n"), (5, True, b"c"), (6, False, b"x"), (7, True, b"d"),
              (9, True, b"e\nf" + b"g" * 100)]
    lines = traffic(pieces)  # type: ignore[arg-type]
    assert [(line.step, line.last, line.is_written, line.data) for line in lines[:6]] == [
        (1, 3, True, b"ab\n"), (5, 5, True, b"c"), (6, 6, False, b"x"), (7, 9, True, b"de\n"),
        (9, 9, True, b"f" + b"g" * 47), (9, 9, True, b"g" * 48)]


# --- disks and networks


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_disk_requests_are_logged_with_their_step(technique: str) -> None:
    inspector = inspect(READ, technique, devices=[disk()])
    run(inspector, 400)
    (row,) = look(inspector, view_disks).disks
    assert (row.name, row.reads, row.read_bytes, row.writes, row.memory_pages) == ("vda", 1, 512, 0, 0)
    (request,) = row.log
    assert (request.text, request.status) == ("read 1 sector from 1", "ok")
    assert inspector.timeline is not None
    inspector.timeline.goto(request.step)
    assert look(inspector, view_disks).disks[0].log == ()
    inspector.timeline.goto(request.step + 1)
    assert look(inspector, view_disks).disks[0].log == row.log
    inspector.timeline.goto(400)
    assert look(inspector, view_disks).disks == (row,)


def test_failures_are_counted() -> None:
    inspector = inspect("j .", "two-stage", devices=[disk()])
    driver = driver_of(inspector)
    driver.start(EVERYTHING, (16,))
    header, data, status = driver.allocate(16), driver.allocate(512), driver.allocate(1)
    for kind, sector in ((1, 5), (0, 1 << 40), (99, 0)):
        driver.memory.write(header, kind.to_bytes(8, "little") + sector.to_bytes(8, "little"))
        driver.rings[0].add([(header, 16, False), (data, 512, kind != 1), (status, 1, True)])
        driver.kick()
        driver.rings[0].take()
    run(inspector, 1)
    (row,) = look(inspector, view_disks).disks
    assert [(each.text, each.status) for each in row.log] == [
        ("write 1 sector to 5", "ok"), (f"read 1 sector from {1 << 40:,}", "I/O error"), ("type 99", "not supported")]
    assert (row.reads, row.writes, row.written_bytes, row.failures, row.memory_pages) == (0, 1, 512, 2, 1)


def test_frames_are_logged_in_both_directions() -> None:
    inspector = inspect("1: addi t0, t0, 1\n j 1b", "two-stage", devices=[VirtioNet(Wire(EchoHost()), MAC)])
    driver = driver_of(inspector)
    driver.start(EVERYTHING & ~EVENT_IDX, (16, 16))
    for _ in range(2):
        driver.rings[0].add([(driver.allocate(2048), 2048, True)])
    driver.kick(0)
    arp = (b"\xff" * 6 + MAC + b"\x08\x06" + bytes.fromhex("0001080006040001") + MAC + bytes((10, 0, 2, 15))
           + bytes(6) + bytes((10, 0, 2, 2)))
    buffer = driver.allocate(100)
    driver.memory.write(buffer, bytes(12) + arp)
    driver.rings[1].add([(buffer, 12 + len(arp), False)])
    driver.kick(1)
    run(inspector, 50_000)
    (card,) = look(inspector, view_network).cards
    assert (card.mac, card.is_up, card.sent, card.received, card.lost) == ("52:54:00:12:34:56", True, 1, 1, 0)
    assert [(line.is_sent, line.text) for line in card.log] == [
        (True, "ARP who has 10.0.2.2? tell 10.0.2.15"), (False, "ARP 10.0.2.2 is here")]
    assert card.log[1].step > card.log[0].step


def test_frames_in_words() -> None:
    head = MAC + MAC + b"\x08\x00"

    def ip(protocol: int, payload: bytes) -> bytes:
        header = bytes((0x45, 0)) + (20 + len(payload)).to_bytes(2, "big") + bytes(4) + bytes((64, protocol, 0, 0))
        return head + header + bytes((10, 0, 2, 15, 10, 0, 2, 2)) + payload

    assert describe_frame(ip(1, bytes((8, 0, 0, 0, 0, 1, 0, 7)))) == (
        "ICMP echo request 10.0.2.15 → 10.0.2.2 sequence 7")
    udp = bytes.fromhex("0044004300100000") + bytes(8)
    assert describe_frame(ip(17, udp)) == "UDP 10.0.2.15:68 → 10.0.2.2:67 8 bytes"
    tcp = bytes.fromhex("80000007" + "00000000" * 2 + "5002ffff00000000")
    assert describe_frame(ip(6, tcp)) == "TCP 10.0.2.15:32768 → 10.0.2.2:7 SYN 0 bytes"
    assert describe_frame(MAC + MAC + b"\x86\xdd" + bytes(40)) == "IPv6 to 52:54:00:12:34:56"
    for length in range(80):
        describe_frame(ip(6, tcp)[:length])


def test_logs_go_with_the_history_that_is_taken_up() -> None:
    inspector = tern("shadow", append="")
    run(inspector, 2_000_000)
    tree = keeping.tree_of(inspector)
    start = tree.save()
    inspector.vm.inputs.push(CONSOLE, b"echo one\n")
    run(inspector, 500_000)
    one = tree.save()
    log = look(inspector, view_uart).log
    do(keeping.restore(inspector, start.number))
    inspector.vm.inputs.push(CONSOLE, b"echo two\n")
    run(inspector, 500_000)
    assert any(b"two" in line.data for line in look(inspector, view_uart).log)
    do(keeping.restore(inspector, one.number))
    assert look(inspector, view_uart).log == log


def test_without_an_inspector_nobody_observes() -> None:
    inspector = inspect("j .", "two-stage", devices=[disk(), VirtioNet()])
    inspector.close()
    block, net = (slot.device for slot in inspector.vm.board.virtio[:2])
    assert isinstance(block, VirtioBlock) and isinstance(net, VirtioNet)
    assert (inspector.vm.console.observer, block.observer, net.observer) == (None, None, None)
