"""TCP's echo service (RFC 862): whatever arrives on a connection is sent back, and the end is answered by the end.

The wire loses nothing and keeps the order, so nothing here needs a timer: a segment that the guest did lose (a ring
without buffers) shows as its third repeated acknowledgement, and then everything is sent again from there (RFC 5681).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from .packets import ACK, FIN, PSH, RST, SYN, Segment

MAX_PAYLOAD: Final = 1460  # Ethernet's 1500 without the headers of IP and TCP
MIN_PAYLOAD: Final = 48  # less would be a way to have a byte a frame
DEFAULT_PAYLOAD: Final = 536  # where the peer names none (RFC 9293, 3.7.1)
WINDOW: Final = 0xFFFF
MAX_CONNECTIONS: Final = 64
REPEATS: Final = 3
#: Distance between the initial sequence numbers of two connections.
NUMBERS: Final = 0x0010_0001

U32 = 0xFFFF_FFFF


@dataclass
class Connection:
    """One connection, from our side.

    expected: the sequence number that comes next. acknowledged: the first of ours that the guest has not acknowledged.
    sent: the first that was not sent. window: bytes that the guest takes beyond `acknowledged`. data: the bytes to be
    echoed, from `acknowledged` on. repeats: how often the guest acknowledged the same. is_ending: the guest has sent
    its last byte. is_over: it knows that we have too. was_full: we last told it of a window too small for a segment.
    """

    expected: int
    acknowledged: int
    sent: int
    window: int
    max_payload: int
    data: bytes = b""
    repeats: int = 0
    is_ending: bool = False
    is_over: bool = False
    was_full: bool = False

    @property
    def in_flight(self) -> int:
        """Sequence numbers sent, and not acknowledged."""
        return self.sent - self.acknowledged & U32

    @property
    def room(self) -> int:
        """Our window."""
        return WINDOW - len(self.data)


Key = tuple[str, int, int]
"""The guest's address in hex and port, and our port."""


class TcpEcho:
    """All connections of one host."""

    def __init__(self) -> None:
        self._connections: dict[Key, Connection] = {}
        self._opened = 0

    def receive(self, address: bytes, segment: Segment, *, is_served: bool) -> Iterator[Segment]:
        """What a segment from the guest at `address` is answered by. is_served: whether its port is one that echoes."""
        key = address.hex(), segment.source, segment.target
        connection = self._connections.get(key)
        if segment.flags & RST:
            self._connections.pop(key, None)
        elif segment.flags & SYN and connection is None and is_served and len(self._connections) < MAX_CONNECTIONS:
            yield self._open(key, segment)
        elif connection is None:
            yield _refuse(segment)
        elif segment.flags & SYN and segment.sequence + 1 & U32 == connection.expected:
            yield _reply(segment, connection, connection.acknowledged, SYN | ACK, max_payload=MAX_PAYLOAD)
        elif segment.flags & SYN:
            yield _reply(segment, connection, connection.sent, ACK)  # a challenge: who has forgotten us resets
        else:
            yield from self._continue(key, connection, segment)

    def _open(self, key: Key, segment: Segment) -> Segment:
        self._opened += 1
        number = self._opened * NUMBERS & U32
        most = max(MIN_PAYLOAD, min(segment.max_payload or DEFAULT_PAYLOAD, MAX_PAYLOAD))
        connection = Connection(segment.sequence + 1 & U32, number, number + 1 & U32, segment.window, most)
        self._connections[key] = connection
        return _reply(segment, connection, number, SYN | ACK, max_payload=MAX_PAYLOAD)

    def _continue(self, key: Key, connection: Connection, segment: Segment) -> Iterator[Segment]:
        if segment.flags & ACK:
            self._acknowledge(connection, segment)
        is_news = bool(segment.payload) or bool(segment.flags & FIN)
        if is_news and segment.sequence == connection.expected and not connection.is_ending:
            taken = segment.payload[: connection.room]
            connection.data += taken
            connection.expected = connection.expected + len(taken) & U32
            if segment.flags & FIN and len(taken) == len(segment.payload):
                connection.expected = connection.expected + 1 & U32
                connection.is_ending = True
        answers = list(_send(connection, segment))
        if not answers and (is_news or (connection.was_full and connection.room >= connection.max_payload)):
            answers = [_reply(segment, connection, connection.sent, ACK)]
        connection.was_full = connection.room < connection.max_payload
        yield from answers
        if connection.is_over:
            del self._connections[key]

    @staticmethod
    def _acknowledge(connection: Connection, segment: Segment) -> None:
        done = segment.acknowledgement - connection.acknowledged & U32
        if done > connection.in_flight:
            return  # of something never sent
        is_repeated = not done and connection.in_flight and not segment.payload and segment.window == connection.window
        connection.window = segment.window
        connection.repeats = connection.repeats + 1 if is_repeated else 0
        connection.is_over = connection.is_ending and done > len(connection.data)  # the end has a number, too
        connection.data = connection.data[done:]
        connection.acknowledged = segment.acknowledgement
        if connection.repeats == REPEATS:
            connection.sent = connection.acknowledged

    def save(self) -> bytes:
        """Every connection, as JSON."""
        saved = [(key, {**asdict(each), "data": each.data.hex()}) for key, each in sorted(self._connections.items())]
        return json.dumps([self._opened, saved]).encode()

    def restore(self, saved: bytes) -> None:
        """Go on with the saved connections."""
        self._opened, entries = json.loads(saved)
        self._connections = {
            (address, theirs, ours): Connection(**{**values, "data": bytes.fromhex(values["data"])})
            for (address, theirs, ours), values in entries}


def _send(connection: Connection, segment: Segment) -> Iterator[Segment]:
    """As much of the data as the guest's window takes, and the end behind the last of it."""
    while not connection.is_over and (at := connection.in_flight) <= len(connection.data):
        piece = connection.data[at : min(at + connection.max_payload, max(connection.window, at))]
        if piece:
            flags = ACK | PSH if at + len(piece) == len(connection.data) else ACK
        elif connection.is_ending and at == len(connection.data):
            flags = ACK | FIN
        else:
            return
        yield _reply(segment, connection, connection.sent, flags, piece)
        connection.sent = connection.sent + (len(piece) or 1) & U32


def _reply(to: Segment, connection: Connection, sequence: int, flags: int, payload: bytes = b"",
           max_payload: int = 0) -> Segment:
    return Segment(to.target, to.source, sequence, connection.expected, flags, connection.room, payload, max_payload)


def _refuse(segment: Segment) -> Segment:
    """The reset that answers a segment for no connection (RFC 9293, 3.5.2)."""
    if segment.flags & ACK:
        return Segment(segment.target, segment.source, segment.acknowledgement, 0, RST, 0)
    length = len(segment.payload) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
    return Segment(segment.target, segment.source, 0, segment.sequence + length & U32, RST | ACK, 0)
