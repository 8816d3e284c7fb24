"""Peers outside, over sockets, in the two formats of QEMU's `-netdev socket`: QEMU itself may be at the other end.

    TCP    each frame behind its length in four bytes, big-endian
    UDP    each frame a datagram

The world at the other end owes us nothing: it may go, stall, flood, or send what is no frame. All of that is told in a
line, and none of it stops the guest. Source: QEMU net/socket.c; its limit of a frame is 4096 + 65536 bytes.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ...errors import ConfigError
from ..device import State
from ..virtio.net import MAX_FRAME, MIN_FRAME

Address = tuple[str, int]
Say = Callable[[str], None]

LENGTH_BYTES: Final = 4
MAX_LENGTH: Final = 4096 + (64 << 10)
CHUNK: Final = 64 << 10
#: Bytes that wait for a peer that does not read; frames beyond are lost, as on a wire.
MAX_WAITING: Final = 1 << 20
PATIENCE: Final = 5.0  # seconds for a connection to be made


def show(address: Address) -> str:
    """An address as options have it."""
    return f"{address[0]}:{address[1]}"


class StreamPeer:
    """A peer at the other end of a TCP connection.

    say: told what the user should know, a line each. is_live: whether it may yet send.
    """

    def __init__(self, say: Say, listener: socket.socket | None, connection: socket.socket | None) -> None:
        self._say = say
        self._listener = listener
        self._connection: socket.socket | None = None
        self._in = bytearray()
        self._out = bytearray()
        self._frames: deque[bytes] = deque()
        self._has_lost = False
        if connection is not None:
            self._begin(connection)

    @classmethod
    def listen(cls, address: Address, say: Say) -> StreamPeer:
        """One that waits for a connection, and after its end for the next. Raises ConfigError."""
        try:
            listener = socket.create_server(address, backlog=1)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"{show(address)}: {_reason(error)}") from error
        listener.setblocking(False)
        say(f"listening on {show(listener.getsockname()[:2])}")
        return cls(say, listener, None)

    @classmethod
    def connect(cls, address: Address, say: Say) -> StreamPeer:
        """One that we connect to, now. Raises ConfigError."""
        try:
            connection = socket.create_connection(address, PATIENCE)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"{show(address)}: {_reason(error)}") from error
        return cls(say, None, connection)

    @property
    def is_live(self) -> bool:
        """Until a connection that we made has ended, and all that came over it is taken."""
        return self._connection is not None or self._listener is not None or bool(self._frames)

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connection = connection
        self._in.clear()
        self._out.clear()
        self._has_lost = False

    def _end(self, why: str) -> None:
        assert self._connection is not None
        self._connection.close()
        self._connection = None
        self._say(f"{why}; {'waiting for another' if self._listener is not None else 'the guest goes on without it'}")

    # --- to the peer

    def answer(self, frame: bytes) -> tuple[()]:
        """Send a frame, as far as the peer reads; what it answers comes in its own time."""
        if self._connection is not None:
            if len(self._out) < MAX_WAITING:
                self._out += len(frame).to_bytes(LENGTH_BYTES, "big") + frame
            elif not self._has_lost:
                self._has_lost = True
                self._say("the peer does not read; frames to it are lost")
            self._flush()
        return ()

    def _flush(self) -> None:
        while self._out and self._connection is not None:
            try:
                del self._out[: self._connection.send(self._out[:CHUNK])]
            except BlockingIOError:
                return
            except OSError as error:
                self._end(f"the peer has gone: {error.strerror}")

    # --- from the peer

    def take_in(self, limit: int) -> list[bytes]:
        """The frames that have come."""
        if self._connection is None:
            self._accept()
        self._flush()
        while self._connection is not None and len(self._frames) < limit:
            try:
                data = self._connection.recv(CHUNK)
            except BlockingIOError:
                break
            except OSError as error:
                self._end(f"the peer has gone: {error.strerror}")
                break
            if not data:
                self._end("the peer has gone")
                break
            self._in += data
            self._split()
        return [self._frames.popleft() for _ in range(min(limit, len(self._frames)))]

    def _accept(self) -> None:
        if self._listener is not None:
            with suppress(OSError):  # there is none, or it has gone again
                connection, address = self._listener.accept()
                self._begin(connection)
                self._say(f"a peer has connected from {show(address[:2])}")

    def _split(self) -> None:
        """Whole frames out of the bytes that came. What says it is longer than any ends the connection: there is no way
        to find the next frame behind it."""
        while len(self._in) >= LENGTH_BYTES:
            length = int.from_bytes(self._in[:LENGTH_BYTES], "big")
            if length > MAX_LENGTH:
                self._end(f"the peer announced a frame of {length} bytes, where {MAX_LENGTH} is the most")
                return
            if len(self._in) < LENGTH_BYTES + length:
                return
            frame = bytes(self._in[LENGTH_BYTES : LENGTH_BYTES + length])
            del self._in[: LENGTH_BYTES + length]
            if MIN_FRAME <= length <= MAX_FRAME:
                self._frames.append(frame)

    def waits_on(self) -> tuple[list[int], list[int]]:
        """The connection; without one, who may connect."""
        source = self._connection or self._listener
        return [source.fileno()] if source else [], [source.fileno()] if source and self._out else []

    # --- the peer's own

    def save(self) -> State:
        """It is outside."""
        return {}

    def restore(self, state: State) -> None:
        """It is outside."""

    def close(self) -> None:
        """Hang up."""
        for each in (self._connection, self._listener):
            if each is not None:
                each.close()
        self._connection = self._listener = None


class DatagramPeer:
    """A peer that gets and sends frames as UDP datagrams: from `local` to `remote`; others are not listened to.

    Raises ConfigError.
    """

    is_live = True

    def __init__(self, local: Address, remote: Address) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind(local)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"{show(local)}: {_reason(error)}") from error
        try:
            self._remote = socket.gethostbyname(remote[0]), remote[1]
        except OSError as error:
            raise ConfigError(f"{show(remote)}: {_reason(error)}") from error
        self._socket.setblocking(False)

    def answer(self, frame: bytes) -> tuple[()]:
        """Send a frame; a datagram that cannot be sent is lost, as any may be."""
        with suppress(OSError):
            self._socket.sendto(frame, self._remote)
        return ()

    def take_in(self, limit: int) -> list[bytes]:
        """The frames that have come."""
        frames: list[bytes] = []
        for _ in range(limit):
            try:
                frame, source = self._socket.recvfrom(MAX_LENGTH)
            except BlockingIOError:
                break
            except OSError:
                continue  # what we sent before met nobody
            if source == self._remote and MIN_FRAME <= len(frame) <= MAX_FRAME:
                frames.append(frame)
        return frames

    def waits_on(self) -> tuple[list[int], list[int]]:
        """The socket."""
        return [self._socket.fileno()], []

    def save(self) -> State:
        """It is outside."""
        return {}

    def restore(self, state: State) -> None:
        """It is outside."""

    def close(self) -> None:
        """No more frames."""
        self._socket.close()


def _reason(error: Exception) -> str:
    """What went wrong, in words; a port or a name that cannot be is no OSError with words of its own."""
    return getattr(error, "strerror", None) or str(error)
