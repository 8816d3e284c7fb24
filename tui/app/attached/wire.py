"""Collectors and views as text, between two processes of one user: the socket is open to nobody else.

They are pickled by name; what is read may name nothing but what looking needs, so that a line gone wrong, or of another
program, is refused and does nothing.
"""

from __future__ import annotations

import base64
import io
import pickle
import zlib
from typing import Any, Final

from ....core.errors import ConfigError

OWN: Final = __name__.split(".tui.")[0]
FOLDERS: Final = tuple(f"{OWN}.{folder}." for folder in ("core.vmm", "core.isa", "core.machine", "core.devices",
                                                         "tui.app.panels"))
"""What may be named of our own: views, the functions that make them, and the enums and rows that are in them."""

OTHERS: Final = frozenset({
    ("functools", "partial"), ("builtins", "frozenset"), ("builtins", "set"), ("builtins", "bytearray"),
    ("builtins", "range"), ("builtins", "slice"), ("collections", "OrderedDict"), ("collections", "Counter"),
    ("pathlib", "PosixPath"), ("fractions", "Fraction")})
"""Of Python's."""

MOST: Final = 64 << 20
"""Bytes that anything here unpacks to, at most."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a pickle names."""
        if (module, name) in OTHERS or module.startswith(FOLDERS):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place here")


def pack(value: Any) -> str:
    """A value as text. Raises ConfigError for what cannot be sent."""
    try:
        return base64.b64encode(zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), 1)).decode()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"cannot be sent: {error}") from None


def unpack(text: str) -> Any:
    """What `pack` made text of. Raises ConfigError for anything else."""
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(base64.b64decode(text, validate=True), MOST)
        return _Reader(io.BytesIO(data)).load()
    except Exception as error:  # a pickle that is none can raise anything
        raise ConfigError(f"not what a terminal UI of this version sends: {error}") from None
