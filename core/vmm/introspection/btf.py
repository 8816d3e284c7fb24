"""Structures by name from BTF, the type information that Linux carries in its own image.

Source: Documentation/bpf/btf.rst of Linux. A header, then a section of types (each 12 bytes and what its kind adds),
then one of names. Types have numbers, from 1, in their order.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

MAGIC: Final = b"\x9f\xeb\x01\x00\x18\x00\x00\x00"
"""Magic, version 1, no flags, and the header's length."""

HEADER: Final = struct.Struct("<HBBIIIII")
TYPE: Final = struct.Struct("<III")
MEMBER: Final = struct.Struct("<III")

INT, ARRAY, STRUCT, UNION, ENUM, FUNC_PROTO, VAR, DATASEC, DECL_TAG, ENUM64 = 1, 3, 4, 5, 6, 13, 14, 15, 17, 19
EXTRA: Final = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
"""Bytes behind a type's head, by kind;"""
EXTRA_EACH: Final = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}
"""and for each of its parts."""


class Place(NamedTuple):
    """Where a member lies. offset: bytes from the structure's start. type_id: what it is."""

    offset: int
    type_id: int


class Btf:
    """The BTF that begins at `start` of `data`. Raises ValueError where it is damaged."""

    def __init__(self, data: bytes, start: int) -> None:
        if data[start : start + len(MAGIC)] != MAGIC:
            raise ValueError("no BTF")
        _, _, _, length, types, types_length, names, names_length = HEADER.unpack_from(data, start)
        self._types = data[start + length + types : start + length + types + types_length]
        self._names = data[start + length + names : start + length + names + names_length]
        if len(self._names) < names_length:
            raise ValueError("the BTF is cut short")
        self._offsets = [0]
        self._structs: dict[bytes, int] = {}
        self._index()

    def _index(self) -> None:
        at, end = 0, len(self._types)
        while at < end:
            name, info, _ = TYPE.unpack_from(self._types, at)
            kind, count = info >> 24 & 31, info & 0xFFFF
            if kind == STRUCT and name:
                self._structs.setdefault(self._name(name), len(self._offsets))
            self._offsets.append(at)
            at += TYPE.size + EXTRA.get(kind, 0) + EXTRA_EACH.get(kind, 0) * count

    def _name(self, offset: int) -> bytes:
        return self._names[offset : self._names.index(b"\0", offset)]

    def member(self, structure: str, name: str) -> Place:
        """Where a structure has its member, in anonymous parts of it too. Raises KeyError."""
        type_id = self._structs[structure.encode()]
        found = self._find(type_id, name.encode())
        if found is None:
            raise KeyError(f"{structure}.{name}")
        return found

    def _find(self, type_id: int, wanted: bytes) -> Place | None:
        at = self._offsets[type_id]
        _, info, _ = TYPE.unpack_from(self._types, at)
        if info >> 24 & 31 not in (STRUCT, UNION):
            return None
        is_bitfield = info >> 31
        for index in range(info & 0xFFFF):
            name, member, bits = MEMBER.unpack_from(self._types, at + TYPE.size + index * MEMBER.size)
            offset = (bits & 0xFFFFFF if is_bitfield else bits) // 8
            if name and self._name(name) == wanted:
                return Place(offset, member)
            inner = None if name else self._find(member, wanted)
            if inner is not None:
                return Place(offset + inner.offset, inner.type_id)
        return None
