"""A socket that one debugger at a time may connect to."""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ...errors import ConfigError
from .packets import Decoder, Kind, encode
from .stub import Detached, Killed, Stub
from .target import Halt, Target

LOOPBACK: Final = "127.0.0.1"
_CHUNK: Final = 1 << 16
_REFUSAL: Final = b"E.hartvisor: another debugger is connected; it must detach first"


class Debugger:
    """Whoever is connected, and the guest that runs as they wish.

    target: what is debugged. host, port: where to listen; port 0 takes any. is_waiting: the guest does not begin before
    a debugger lets it. tell: called with each line that the user should see. Raises ConfigError where it cannot listen.

    is_killed: the debugger had the guest ended.
    """

    def __init__(self, target: Target, host: str, port: int, *, is_waiting: bool, tell: Callable[[str], None]) -> None:
        self._stub = Stub(target, self._send)
        self._stub.is_running = not is_waiting
        self._tell = tell
        self._client: socket.socket | None = None
        self._decoder = Decoder()
        self._packets: deque[bytes] = deque()
        self._last_sent = b""
        self.is_killed = False
        try:
            self._listener = socket.create_server((host, port), family=_family(host))
        except OSError as error:
            # create_server adds the address to some messages and not to others.
            why = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror)
            raise ConfigError(f"cannot listen on {host}:{port}: {why}") from error
        name, self.port = self._listener.getsockname()[:2]
        self.address = f"{name}:{self.port}"
        tell(f"{'waiting for' if is_waiting else 'listening for'} GDB on {self.address}: target remote {self.address}")

    @property
    def is_connected(self) -> bool:
        """Whether there is a debugger."""
        return self._client is not None

    @property
    def is_running(self) -> bool:
        """Whether the guest is to go on: a debugger said so, or there is none to say otherwise."""
        return self._stub.is_running and not self.is_killed

    def close(self) -> None:
        """Hang up."""
        self._listener.close()
        if self._client is not None:
            self._client.close()
            self._client = None

    # --- the guest

    def run(self, budget: int) -> Halt | None:
        """Let the guest run for `budget` steps, as the debugger wishes; why it went no further, if it did not."""
        halt, reply = self._stub.run(budget)
        if reply is not None and self._client is not None:
            self._send(reply)
        elif reply is not None:
            self._stub.is_running = True    # there is nobody to stop for
        return halt

    def interrupt(self) -> None:
        """The guest cannot go on by itself."""
        self._send(self._stub.interrupt())

    def end(self) -> None:
        """The guest may not go on: its run was to have this length."""
        self._send(self._stub.end())

    # --- the socket

    def wait(self, timeout: float | None, others: Sequence[int] = ()) -> bool:
        """Do what the debugger asks within `timeout` seconds (None: until something comes), or until something can be
        read from one of the descriptors `others`: whether it can."""
        self._work()
        watched: list[int | socket.socket] = [self._listener, *others]
        if self._client is not None:
            watched.append(self._client)
        ready = select.select(watched, [], [], timeout)[0]
        if self._listener in ready:
            self._accept()
        if self._client is not None and self._client in ready:
            self._receive(self._client)
        self._work()
        return any(descriptor in ready for descriptor in others)

    def _accept(self) -> None:
        try:
            client, place = self._listener.accept()
        except OSError:
            return
        name = f"{place[0]}:{place[1]}"
        if self._client is not None:
            self._tell(f"refused GDB at {name}: another debugger is connected")
            with client:
                try:
                    client.sendall(encode(_REFUSAL) + b"\n")
                except OSError:
                    return
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        self._decoder = Decoder()
        self._packets.clear()
        self._stub.needs_ack = True
        self._stub.is_running = False
        self._tell(f"GDB at {name} connected; the guest stands still")

    def _receive(self, client: socket.socket) -> None:
        try:
            data = client.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        for kind, packet in self._decoder.feed(data):
            needs_ack = self._stub.needs_ack
            if kind is Kind.PACKET:
                if needs_ack:
                    self._send_raw(b"+")
                self._packets.append(packet)
                self._work()
            elif kind is Kind.BROKEN and needs_ack:
                self._send_raw(b"-")
            elif kind is Kind.RESEND and needs_ack:
                self._send_raw(self._last_sent)
            elif kind is Kind.INTERRUPT and self._stub.is_running:
                self._send(self._stub.interrupt())

    def _work(self) -> None:
        """Answer what waits, as long as the guest stands still."""
        while self._packets and not self._stub.is_running and not self.is_killed:
            try:
                reply = self._stub.answer(self._packets.popleft())
            except Killed:
                self.is_killed = True
                self._hang_up()
            except Detached:
                self._tell("GDB has detached; the guest goes on")
                self._hang_up()
            else:
                if reply is not None:
                    self._send(reply)

    def _lost(self) -> None:
        """The debugger went away without a word: a guest that stands still waits for the next."""
        is_running = self._stub.is_running
        self._hang_up()
        self._stub.is_running = is_running
        self._tell("GDB is gone; the guest " + ("goes on" if is_running else f"waits for another on {self.address}"))

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._packets.clear()
        self._stub.leave()
        self._stub.is_running = True

    def _send(self, reply: bytes) -> None:
        self._last_sent = encode(reply)
        self._send_raw(self._last_sent)

    def _send_raw(self, data: bytes) -> None:
        if self._client is None:
            return
        try:
            self._client.sendall(data)
        except OSError:
            self._lost()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
