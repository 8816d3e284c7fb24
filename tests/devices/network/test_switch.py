"""The learning switch: where frames go, what it remembers and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.devices.network.capture import FILE_HEADER, FRAME_HEADER, Capture
from hartvisor.core.devices.network.switch import AGEING, MAX_ADDRESSES, Switch

BROADCAST = b"\xff" * 6


def mac(number: int) -> bytes:
    return b"\x52\x54\x00" + number.to_bytes(3, "big")


def frame(source: bytes, target: bytes, payload: bytes = b"x" * 46) -> bytes:
    return target + source + b"\x08\x00" + payload


@pytest.fixture
def switch() -> Switch:
    switch = Switch()
    for _ in range(4):
        switch.add_port()
    return switch


def ways(switch: Switch, port: int, source: bytes, target: bytes, time: int = 0) -> list[int]:
    return [to.number for to in switch.forward(port, frame(source, target), time)]


def test_what_is_unknown_goes_everywhere_but_back(switch: Switch) -> None:
    assert ways(switch, 1, mac(1), mac(2)) == [0, 2, 3]
    assert ways(switch, 2, mac(2), BROADCAST) == [0, 1, 3]


def test_what_was_seen_goes_there_alone(switch: Switch) -> None:
    ways(switch, 2, mac(2), BROADCAST)
    assert ways(switch, 1, mac(1), mac(2)) == [2]
    assert ways(switch, 2, mac(2), mac(1)) == [1]
    assert switch.addresses == {"52:54:00:00:00:02": 2, "52:54:00:00:00:01": 1}


def test_a_frame_for_its_own_side_goes_nowhere(switch: Switch) -> None:
    ways(switch, 1, mac(1), BROADCAST)
    assert ways(switch, 1, mac(9), mac(1)) == []


def test_an_address_that_moves_is_found_at_its_new_port(switch: Switch) -> None:
    ways(switch, 1, mac(1), BROADCAST)
    ways(switch, 3, mac(1), BROADCAST)
    assert ways(switch, 0, mac(0), mac(1)) == [3]


def test_an_address_ages(switch: Switch) -> None:
    ways(switch, 1, mac(1), BROADCAST, 5)
    assert ways(switch, 0, mac(0), mac(1), 5 + AGEING) == [1]
    assert ways(switch, 0, mac(0), mac(1), 6 + AGEING) == [1, 2, 3]


def test_group_addresses_are_not_learnt(switch: Switch) -> None:
    ways(switch, 1, BROADCAST, mac(2))
    assert switch.addresses == {}


def test_the_memory_has_a_limit(switch: Switch) -> None:
    for number in range(MAX_ADDRESSES + 10):
        ways(switch, 1, mac(number), BROADCAST, number)
    assert len(switch.addresses) == MAX_ADDRESSES
    assert ways(switch, 0, mac(1 << 20), mac(0)) == [1, 2, 3]


def test_ports_count_and_the_capture_has_each_frame_once(tmp_path: Path) -> None:
    switch = Switch(Capture(tmp_path / "lan.pcap"))
    ports = [switch.add_port() for _ in range(3)]
    sent = frame(mac(1), BROADCAST)
    switch.forward(1, sent, 1_234_567)
    switch.close()
    assert (ports[1].counters.sent_frames, ports[1].counters.sent_bytes) == (1, len(sent))
    data = (tmp_path / "lan.pcap").read_bytes()
    seconds, rest, length, _ = FRAME_HEADER.unpack_from(data, FILE_HEADER.size)
    assert (seconds, rest, length) == (1, 234_567, len(sent))
    assert data[FILE_HEADER.size + FRAME_HEADER.size :] == sent


def test_a_port_keeps_what_it_takes_in_with_its_senders_clock() -> None:
    port = Switch().add_port()
    port.clock = iter((7, 9)).__next__
    assert port.answer(b"one") == ()
    port.answer(b"two")
    assert [tuple(sent) for sent in port.take()] == [(7, b"one"), (9, b"two")]
    assert port.take() == []
