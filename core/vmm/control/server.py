"""The control socket: whoever may open it commands the hypervisor. It is looked at between rounds, by the one thread
that may touch VMs, and never waited for: a client that is slow, silent or mad costs itself its connection.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...errors import ConfigError
from .protocol import MAX_LINE, Attached, Handler, answer, encode

MAX_CLIENTS: Final = 64
MAX_WAITING: Final = 1 << 20
"""Bytes that may wait for a client to read them."""

CHUNK: Final = 1 << 16
HTTP_METHOD: Final = b"GET "
GREETING_DELAY: Final = 0.02
"""Seconds: a scraper speaks HTTP at once and must hear nothing before; all others wait to be greeted."""

MAX_PATH: Final = 107
"""Bytes of a Unix socket's path (sockaddr_un.sun_path, less its end)."""

Page = Callable[[str], tuple[int, str]]
"""What an HTTP GET of a path gives: status and text."""


class SocketTaken(ConfigError):
    """Another hypervisor listens there."""


class ControlServer:
    """Listens at `path`. handlers: by command. greeting: what each client is told first. page: for HTTP clients.

    Raises ConfigError where it cannot: another hypervisor listens there, or the folder does not exist.
    """

    def __init__(self, path: Path, handlers: Mapping[str, Handler], greeting: Mapping[str, Any], page: Page) -> None:
        self.path = path
        self._handlers = handlers
        self._greeting = greeting
        self._page = page
        self._clients: set[Client] = set()
        self._socket = listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)

    def fileno(self) -> int:
        """A descriptor that can be read when `poll` has something to do."""
        return self._selector.fileno()

    def poll(self, timeout: float = 0.0) -> bool:
        """Do what clients ask for; wait for it up to so many seconds. Whether anything was asked."""
        for each in list(self._clients):
            self._turn(each, each.pump)
        if any(not each.is_greeted for each in self._clients):
            timeout = min(timeout, GREETING_DELAY)
        was_asked = False
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._socket:
                self._accept()
            else:
                client: Client = key.data
                if events & selectors.EVENT_READ:
                    was_asked = True
                    self._turn(client, client.receive)
                if client in self._clients and events & selectors.EVENT_WRITE:
                    self._turn(client, client.send)
        return was_asked

    def _turn(self, client: Client, work: Callable[[], None]) -> None:
        """Some work for one client, after which it may be gone, or want to be written to."""
        try:
            work()
            client.send()
        except OSError:
            client.is_gone = True
        if client.is_gone:
            self._selector.unregister(client.socket)
            self._clients.discard(client)
            client.socket.close()
        else:
            self._selector.modify(client.socket, client.events, client)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.setblocking(False)
                client = Client(connection, self._handlers, self._page, self._greeting)
                if len(self._clients) >= MAX_CLIENTS:
                    with suppress(OSError):
                        connection.send(encode({"error": {
                            "class": "GenericError", "desc": f"{MAX_CLIENTS} connections are open: close one"}}))
                    connection.close()
                    continue
                self._clients.add(client)
                self._selector.register(connection, client.events, client)

    def close(self) -> None:
        """Hang up on everybody; the socket's file goes."""
        for client in self._clients:
            with suppress(OSError):
                client.send()
            client.socket.close()
        self._clients.clear()
        self._selector.close()
        self._socket.close()
        self.path.unlink(missing_ok=True)


def listen(path: Path) -> socket.socket:
    """A socket at `path` that only its user can open; one that is left of a process that is no more is replaced."""
    if len(os.fsencode(path)) > MAX_PATH:
        raise ConfigError(f"{path}: a socket's path has at most {MAX_PATH} bytes; choose another with --socket")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _is_alive(path):
            path.unlink()
        mask = os.umask(0o177)  # 0600 from the start
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SocketTaken(f"{path}: another hypervisor of this name runs; `hartvisor down` ends it, --name gives "
                              "this one another") from error
        raise ConfigError(f"{path}: {error.strerror}") from error
    return listener


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


class Client:
    """One connection. is_gone: it is to be closed. is_greeted: it has been told who listens, or speaks HTTP."""

    def __init__(self, connection: socket.socket, handlers: Mapping[str, Handler], page: Page,
                 greeting: Mapping[str, Any]) -> None:
        self.socket = connection
        self.is_gone = False
        self.is_greeted = False
        self._greeting = greeting
        self._since = time.monotonic()
        self._handlers = handlers
        self._page = page
        self._read = bytearray()
        self._unsent = bytearray()
        self._attached: Attached | None = None
        self._is_ending = False

    @property
    def events(self) -> int:
        """What to wait for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message when the client will have it."""
        self._put(encode(message))

    def _put(self, data: bytes) -> None:
        self._unsent += data
        if len(self._unsent) > MAX_WAITING:
            self.is_gone = True  # it does not read

    def pump(self) -> None:
        """What an attached client is to see, or one that has said nothing yet."""
        if not self.is_greeted and time.monotonic() - self._since >= GREETING_DELAY:
            self._greet()
        if self._attached is not None and len(self._unsent) < MAX_WAITING // 2:
            self._put(self._attached.pump())

    def _greet(self) -> None:
        self.is_greeted = True
        self.say(self._greeting)

    def receive(self) -> None:
        """The client has sent something, or hung up."""
        try:
            data = self.socket.recv(CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.is_gone = True
            return
        if self._attached is not None:
            self._attached.feed(data)
            return
        self._read += data
        if self._read.startswith(HTTP_METHOD):
            self.is_greeted = True
            self._serve_page()
            return
        if not self.is_greeted:
            self._greet()
        while b"\n" in self._read and self._attached is None:
            line, _, rest = self._read.partition(b"\n")
            self._read = bytearray(rest)
            if line.strip():
                self._serve(bytes(line))
        if len(self._read) > MAX_LINE:
            self.say({"error": {"class": "GenericError", "desc": f"a request has at most {MAX_LINE} bytes"}})
            self._read.clear()
            self._is_ending = True

    def _serve(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            self.say({"error": {"class": "GenericError", "desc": f"a request has at most {MAX_LINE} bytes"}})
            return
        message, value = answer(line, self._handlers)
        self.say(message)
        if isinstance(value, Attached):
            self._attached = value
            if self._read:
                value.feed(bytes(self._read))
                self._read.clear()

    def _serve_page(self) -> None:
        """HTTP, as far as a scraper needs it."""
        if b"\r\n\r\n" not in self._read:
            self.is_gone = len(self._read) > MAX_LINE
            return
        words = bytes(self._read).split(b"\r\n", 1)[0].split()
        status, text = self._page(words[1].decode(errors="replace") if len(words) > 1 else "")
        reason = {200: "OK", 404: "Not Found"}.get(status, "Error")
        body = text.encode()
        self._read.clear()
        self._put(f"HTTP/1.0 {status} {reason}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._is_ending = True

    def send(self) -> None:
        """As much as the client will have."""
        while self._unsent:
            try:
                done = self.socket.send(self._unsent[:CHUNK])
            except BlockingIOError:
                return
            del self._unsent[:done]
        if self._is_ending:
            self.is_gone = True
