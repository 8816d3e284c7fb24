"""Dataclasses as JSON and back, for what leaves the process: snapshots, recordings, migration.

Values are written by their fields' names, bytes as {"hex": ...}, dicts with numbers for keys as {"numbers": ...}. What
comes back is checked against the fields' types, so that a foreign or damaged text ends in one clear line instead of a
guest with a string in its program counter.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import HartvisorError

T = TypeVar("T")


class DamagedError(HartvisorError):
    """What was read back is not what such a file, or stream, holds."""


def dumps(value: Any) -> bytes:
    """A value's JSON, the same for equal values."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":")).encode()


def loads(kind: type[T], data: bytes) -> T:
    """The value of type `kind` that `dumps` wrote. Raises DamagedError."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{kind.__name__}: not the JSON it should be ({error})") from None
    return from_plain(kind, plain, kind.__name__)  # type: ignore[no-any-return]


def to_plain(value: Any) -> Any:
    """A value in terms of what JSON has."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes | bytearray):
        return {"hex": value.hex()}
    if isinstance(value, Mapping):
        if any(isinstance(key, int) for key in value):
            return {"numbers": [[key, to_plain(each)] for key, each in sorted(value.items())]}
        return {key: to_plain(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    return value


def from_plain(kind: Any, plain: Any, where: str) -> Any:
    """A value of type `kind`. where: what to call it in an error. Raises DamagedError."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _from_union(kind, plain, where)
    if is_dataclass(kind):
        return _from_object(kind, plain, where)
    if origin in (tuple, list, frozenset):
        return _from_sequence(kind, origin, plain, where)
    if origin is dict:
        return _from_dict(kind, plain, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        _check(isinstance(plain, str) and plain in kind.__members__, kind, plain, where)
        return kind[plain]
    if kind is bytes:
        return _from_hex(plain, where)
    if kind is float:
        _check(isinstance(plain, int | float) and not isinstance(plain, bool), kind, plain, where)
        return float(plain)
    if kind is None or kind is type(None):
        _check(plain is None, type(None), plain, where)
        return None
    _check(type(plain) is kind, kind, plain, where)
    return plain


def _check(is_right: bool, kind: Any, plain: Any, where: str) -> None:
    if not is_right:
        name = getattr(kind, "__name__", str(kind))
        raise DamagedError(f"{where}: {str(plain)[:40]!r} is no {name}")


def _from_union(kind: Any, plain: Any, where: str) -> Any:
    for choice in get_args(kind):
        try:
            return from_plain(choice, plain, where)
        except DamagedError:
            continue
    raise DamagedError(f"{where}: {str(plain)[:40]!r} is none of {kind}")


def _from_object(kind: Any, plain: Any, where: str) -> Any:
    _check(isinstance(plain, dict), kind, plain, where)
    hints = get_type_hints(kind)
    names = {field.name for field in fields(kind)}
    if plain.keys() != names:
        raise DamagedError(f"{where}: has {', '.join(sorted(plain.keys() ^ names))} in only one of the two: this text, "
                           f"and a {kind.__name__} of this version")
    try:
        return kind(**{name: from_plain(hints[name], plain[name], f"{where}.{name}") for name in names})
    except ValueError as error:
        raise DamagedError(f"{where}: {error}") from None


def _from_sequence(kind: Any, origin: Any, plain: Any, where: str) -> Any:
    _check(isinstance(plain, list), kind, plain, where)
    kinds = get_args(kind)
    if origin is tuple and not (len(kinds) == 2 and kinds[1] is Ellipsis):
        if len(kinds) != len(plain):
            raise DamagedError(f"{where}: {len(plain)} parts, not {len(kinds)}")
    else:
        kinds = (kinds[0],) * len(plain)
    return origin(from_plain(each, part, f"{where}[{index}]")
                  for index, (each, part) in enumerate(zip(kinds, plain, strict=True)))


def _from_dict(kind: Any, plain: Any, where: str) -> Any:
    key_kind, value_kind = get_args(kind)
    _check(isinstance(plain, dict), kind, plain, where)
    if key_kind is not int:
        return {key: from_plain(value_kind, each, f"{where}[{key!r}]") for key, each in plain.items()}
    pairs = plain.get("numbers", [] if not plain else None)
    is_pairs = isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and type(pair[0]) is int for pair in pairs)
    _check(is_pairs, kind, plain, where)
    return {key: from_plain(value_kind, each, f"{where}[{key}]") for key, each in pairs}


def _from_hex(plain: Any, where: str) -> bytes:
    text = plain.get("hex") if isinstance(plain, dict) and len(plain) == 1 else None
    try:
        return bytes.fromhex(text if isinstance(text, str) else "?")
    except ValueError:
        raise DamagedError(f"{where}: {str(plain)[:40]!r} is no bytes") from None
