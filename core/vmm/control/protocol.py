"""Requests and answers, one JSON object a line, in the manner of QEMU's QMP:

    <- {"hartvisor": {"version": ..., "name": ...}}
    -> {"execute": "pause", "arguments": {"vm": "web"}, "id": 1}
    <- {"return": {}, "id": 1}
    -> {"execute": "fly"}
    <- {"error": {"class": "CommandNotFound", "desc": "no command 'fly'; there are ..."}}

A line that is no request is answered by an error, and the connection goes on.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from ...errors import HartvisorError

MAX_LINE: Final = 64 << 10
"""Bytes of a request."""

Arguments = Mapping[str, Any]
Handler = Callable[["Request"], Any]


class BadRequest(HartvisorError):
    """A request that cannot be done as it is. kind: QMP's class of the error."""

    def __init__(self, text: str, kind: str = "GenericError") -> None:
        super().__init__(text)
        self.kind = kind


class Request:
    """One request: its arguments are asked for by name and type; what is not asked for must not be there."""

    def __init__(self, name: str, arguments: Arguments) -> None:
        self.name = name
        self._arguments = arguments
        self._known: set[str] = set()

    def _get(self, name: str, kind: type[Any], default: Any, wanted: str) -> Any:
        self._known.add(name)
        value = self._arguments.get(name, default)
        if value is None:
            raise BadRequest(f"{self.name}: argument {name!r} is missing: {wanted}")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BadRequest(f"{self.name}: argument {name!r} is {json.dumps(value)}: give {wanted}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A string."""
        return str(self._get(name, str, default, "a string"))

    def number(self, name: str, default: int | None = None, least: int = 0) -> int:
        """A whole number."""
        value = int(self._get(name, int, default, f"a whole number, {least} or more"))
        if value < least:
            raise BadRequest(f"{self.name}: argument {name!r} is {value}: give {least} or more")
        return value

    def done(self) -> None:
        """All that may be there has been asked for."""
        unknown = sorted(self._arguments.keys() - self._known)
        if unknown:
            raise BadRequest(f"{self.name}: no argument {unknown[0]!r}; there are "
                             f"{', '.join(sorted(self._known)) or 'none'}")


def encode(message: Mapping[str, Any]) -> bytes:
    """A line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> tuple[Request, Mapping[str, Any]]:
    """A request, and what of it is returned with the answer. Raises BadRequest."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("execute"), str):
        raise BadRequest('a request is an object with "execute", such as {"execute": "query-vms"}')
    unknown = message.keys() - {"execute", "arguments", "id"}
    arguments = message.get("arguments", {})
    if unknown or not isinstance(arguments, dict):
        raise BadRequest('a request has "execute", "arguments" (an object) and "id", and nothing else')
    return Request(message["execute"], arguments), {"id": message["id"]} if "id" in message else {}


def answer(line: bytes, handlers: Mapping[str, Handler]) -> tuple[dict[str, Any], Any]:
    """The answer to one line, and what the handler returned (None where it was not asked)."""
    rest: Mapping[str, Any] = {}
    try:
        request, rest = decode(line)
        handler = handlers.get(request.name)
        if handler is None:
            close = difflib.get_close_matches(request.name, handlers, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(handlers))}"
            raise BadRequest(f"no command {request.name!r}; {hint}", "CommandNotFound")
        value = handler(request)
    except BadRequest as error:
        return {"error": {"class": error.kind, "desc": str(error)}, **rest}, None
    except HartvisorError as error:
        return {"error": {"class": "GenericError", "desc": str(error)}, **rest}, None
    return {"return": value.first if isinstance(value, Attached) else value, **rest}, value


class Attached:
    """What a handler returns to make its connection a raw one, such as a console's. first: the last JSON answer.
    feed: called with the bytes that come. pump: gives those to send. detach: called when the connection is gone."""

    def __init__(self, first: Any, feed: Callable[[bytes], None], pump: Callable[[], bytes]) -> None:
        self.first = first
        self.feed = feed
        self.pump = pump
