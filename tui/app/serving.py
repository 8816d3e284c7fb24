"""The app in a browser, by textual-serve: a page for each guest, and a process of its own for each page."""

from __future__ import annotations

import sys
from typing import Final

from ...core.errors import OptionError

LOOPBACK: Final = "127.0.0.1"
MAX_PORT: Final = 65535


def serve(command: str, host: str, port: int) -> None:
    """Serve `command`, a shell's line, until Ctrl-C. Raises OptionError where one cannot listen."""
    if not 0 < port <= MAX_PORT:
        raise OptionError(f"--port {port}: a number from 1 to {MAX_PORT} is needed")
    from textual_serve.server import Server  # aiohttp is slow to import, and few need it

    if host != LOOPBACK:
        print(f"hartvisor: whoever reaches {host} gets a guest of their own, and this computer's CPU", file=sys.stderr)
    try:
        Server(command, host=host, port=port, title="hartvisor").serve()
    except OSError as error:
        raise OptionError(f"--serve: {host}:{port}: {error.strerror}") from None
