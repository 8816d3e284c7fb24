"""The other end of the control socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ...errors import ConfigError

PATIENCE: Final = 30.0
"""Seconds that an answer may take: a round of the hypervisor, and what it is asked for."""


class ControlClient:
    """A connection to the hypervisor that listens at `path`. Raises ConfigError where there is none. about: what it
    said of itself."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self._read = bytearray()
        try:
            self.socket.connect(os.fspath(path))
            self.about: dict[str, Any] = self._message()["hartvisor"]
        except (OSError, KeyError) as error:
            self.socket.close()
            why = error.strerror if isinstance(error, OSError) else "it is no control socket of Hartvisor's"
            raise ConfigError(f"{path}: no hypervisor answers ({why}); `hartvisor up FILE.toml` starts one") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._read:
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError as error:
                raise ConfigError(f"the hypervisor has not answered for {PATIENCE:g} seconds") from error
            if not data:
                raise ConfigError("the hypervisor has hung up")
            self._read += data
        line, _, rest = self._read.partition(b"\n")
        self._read = bytearray(rest)
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise ConfigError("what answers at the socket does not speak JSON") from error
        return message

    def ask(self, command: str, **arguments: Any) -> Any:
        """What the command returns. Raises ConfigError for what it says is wrong."""
        request = json.dumps({"execute": command, "arguments": arguments}).encode()
        try:
            self.socket.sendall(request + b"\n")
        except OSError as error:
            raise ConfigError(f"the hypervisor has hung up: {error.strerror}") from error
        answer = self._message()
        if "error" in answer:
            raise ConfigError(str(answer["error"].get("desc", answer["error"])))
        return answer.get("return")

    def take_rest(self) -> bytes:
        """What has come behind the last answer, on a connection that is raw now."""
        rest = bytes(self._read)
        self._read.clear()
        return rest
