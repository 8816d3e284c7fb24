"""Addresses, sockets, TLS and simulated links, as options have them."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Final

from ..core.errors import ConfigError, OptionError
from ..core.vmm.migration.simulate import SimulatedLink

LOOPBACK: Final = "127.0.0.1"
MIGRATE_SCHEME: Final = "tcp://"
MAX_PORT: Final = 65535
MIGRATE_PATIENCE: Final = 30.0
"""Seconds that one side of a migration waits for the other."""

_SCALES: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def parse_address(text: str, scheme: str = "") -> tuple[str, int]:
    """HOST:PORT, behind a scheme; without a host, this machine alone. Raises OptionError."""
    host, colon, port = text.removeprefix(scheme).rpartition(":")
    if not text.startswith(scheme) or not colon or not port.isdecimal() or int(port) > MAX_PORT:
        raise OptionError(f"{text}: an address is {scheme}HOST:PORT, such as {scheme}{LOOPBACK}:4444")
    return host.strip("[]") or LOOPBACK, int(port)


def listen(where: tuple[str, int]) -> socket.socket:
    """A listening socket. Raises ConfigError."""
    try:
        return socket.create_server(where, family=socket.AF_INET6 if ":" in where[0] else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"{where[0]}:{where[1]}: cannot listen there: {error.strerror}") from None


def connect(where: tuple[str, int], context: ssl.SSLContext | None, patience: float) -> socket.socket:
    """A connection, with TLS if there is a context. Raises ConfigError."""
    connection: socket.socket | None = None
    try:
        connection = socket.create_connection(where, timeout=patience)
        return context.wrap_socket(connection, server_hostname=where[0]) if context is not None else connection
    except OSError as error:
        if connection is not None:
            connection.close()
        why = error.strerror or str(error)
        raise ConfigError(f"{where[0]}:{where[1]}: {why}; is `hartvisor receive` listening there?") from None


def tls_context(cert: Path | None, key: Path | None, ca: Path | None, *, is_server: bool) -> ssl.SSLContext | None:
    """TLS in which both sides show a certificate; None without any. Raises OptionError."""
    if cert is None and key is None and ca is None:
        return None
    if cert is None or ca is None:
        raise OptionError("TLS takes --tls-cert (with its key) and --tls-ca: each side proves itself to the other")
    purpose = ssl.Purpose.CLIENT_AUTH if is_server else ssl.Purpose.SERVER_AUTH
    try:
        context = ssl.create_default_context(purpose, cafile=str(ca))
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise OptionError(f"--tls-cert {cert}: {error.strerror or error}") from None
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def parse_link(text: str) -> SimulatedLink:
    """bandwidth=10M,latency=2,loss=0.01,seed=1: bytes a second, milliseconds, a part of one. Raises OptionError."""
    option = f"--simulate {text}"
    values: dict[str, float] = {}
    for word in text.split(","):
        match = re.fullmatch(r"(bandwidth|latency|loss|seed)=(\d+(?:\.\d+)?)([kMG]?)", word)
        if match is None:
            raise OptionError(f"{option}: {word!r} is none of bandwidth=BYTES, latency=MS, loss=PART, seed=N")
        values[match[1]] = float(match[2]) * _SCALES[match[3]]
    if not values.get("bandwidth") or values.get("loss", 0.0) >= 1:
        raise OptionError(f"{option}: a link needs a bandwidth, such as bandwidth=10M, and loses less than all")
    return SimulatedLink(values["bandwidth"], values.get("latency", 0.0) / 1000, values.get("loss", 0.0),
                         int(values.get("seed", 1)))
