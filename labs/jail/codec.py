"""Values on the line between parent and child, as JSON: nothing that is read there can run code.

    None, bool, int, float, str     themselves
    list, tuple                     a JSON array; it arrives as a list
    bytes                           {"$": "bytes", "hex": "..."}
    dict                            {"$": "dict", "items": [[key, value], ...]}
    a class of the kit's            {"$": its name, "fields": [...]}
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

MAX_DEPTH: Final = 12
"""Values nest no deeper: what does is no value of any lab's."""

_KINDS: Final[dict[str, type[Any]]] = {}


class BadValue(Exception):
    """Something that cannot go over the line, or did not come over it whole."""


def travels(cls: type[_T]) -> type[_T]:
    """Class decorator: instances of this dataclass may go over the line, field by field."""
    _KINDS[cls.__name__] = cls
    return cls


def changes(cls: type[_T]) -> type[_T]:
    """Class decorator, as `travels`: what the called side changes in an argument of this class, the caller sees."""
    cls.TRAVELS_BACK = True  # type: ignore[attr-defined]
    return travels(cls)


def pack(value: object, depth: int = 0) -> Any:
    """The value as what json.dumps takes. Raises BadValue."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)  # an enum's member is its number
    if isinstance(value, (float, str)):
        return value
    if depth >= MAX_DEPTH:
        raise BadValue(f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, (list, tuple)):
        return [pack(each, depth + 1) for each in value]
    if isinstance(value, (bytes, bytearray)):
        return {"$": "bytes", "hex": value.hex()}
    if isinstance(value, dict):
        return {"$": "dict", "items": [[pack(key, depth + 1), pack(each, depth + 1)] for key, each in value.items()]}
    name = type(value).__name__
    if _KINDS.get(name) is type(value):
        fields = [pack(getattr(value, field.name), depth + 1) for field in dataclasses.fields(value)]  # type: ignore[arg-type]
        return {"$": name, "fields": fields}
    raise BadValue(f"a {name}, which is none of the values that the lab knows")


def unpack(value: Any, depth: int = 0) -> Any:
    """The value that was packed. Raises BadValue."""
    if not isinstance(value, (list, dict)):
        return value
    if depth >= MAX_DEPTH:
        raise BadValue(f"a value nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        return [unpack(each, depth + 1) for each in value]
    try:
        name = value["$"]
        if name == "bytes":
            return bytes.fromhex(value["hex"])
        if name == "dict":
            return {unpack(key, depth + 1): unpack(each, depth + 1) for key, each in value["items"]}
        return _KINDS[name](*(unpack(each, depth + 1) for each in value["fields"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadValue(f"a damaged value ({type(error).__name__})") from None


def dump(message: dict[str, Any]) -> bytes:
    """One message, as bytes. Raises BadValue for NaN and infinity, which JSON has not."""
    try:
        return json.dumps(message, allow_nan=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    except ValueError as error:
        raise BadValue(str(error)) from None


def parse(data: bytes) -> dict[str, Any]:
    """The message in `data`. Raises BadValue for whatever is none, however it was made."""
    try:
        message = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        raise BadValue("no message") from None
    if not isinstance(message, dict):
        raise BadValue("no message")
    return message


def travels_back(value: object) -> bool:
    """Whether changes made to this argument are the caller's too."""
    return getattr(type(value), "TRAVELS_BACK", False)


def changed_arguments(arguments: list[Any], before: list[Any]) -> list[Any]:
    """Of each argument that travels back and is not what it was, its present state; None for the others."""
    after = [pack(each) if travels_back(each) else None for each in arguments]
    return [new if new != old else None for new, old in zip(after, before, strict=True)]


def apply_changes(arguments: tuple[Any, ...] | list[Any], changed: Any) -> None:
    """Make the arguments what the other side made of them. Raises BadValue."""
    if not isinstance(changed, list) or len(changed) != len(arguments):
        raise BadValue("no list of what became of the arguments")
    for argument, packed in zip(arguments, changed, strict=True):
        if packed is None:
            continue
        new = unpack(packed)
        if type(new) is not type(argument) or not travels_back(argument):
            raise BadValue(f"a {type(new).__name__} in a {type(argument).__name__}'s place")
        for field in dataclasses.fields(argument):
            setattr(argument, field.name, getattr(new, field.name))
