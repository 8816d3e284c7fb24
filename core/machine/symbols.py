"""Symbols by address: of an ELF image, or of a map such as Linux's System.map and /proc/kallsyms."""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path
from typing import Any

from ..errors import ImageError
from .loader import ELF_MAGIC, Image, parse_image, read_file

_MAP_LINE = re.compile(rb"([0-9a-f]{8,16}) ([a-zA-Z]) ([^\s]+)(?:\t\[\w+\])?\s*")
CODE_TYPES = b"tTwW"
"""Of `nm`: code, and weak symbols."""

NAMELESS = ("$", ".L")
"""So begin symbols that name nothing: mapping symbols (ELF psABI, "Mapping Symbol"), and a compiler's local labels."""

MAX_OFFSET = 1 << 20
"""In a map, which does not say where code ends, an address so far behind a symbol belongs to none."""


class Symbols:
    """Names of code. names: by address. ranges: [start, end) of the code they name."""

    def __init__(self, names: dict[int, str], ranges: list[tuple[int, int]]) -> None:
        self._ranges = sorted(ranges)
        self._starts = [start for start, _ in self._ranges]
        self._addresses = sorted(address for address in names if self._range(address) is not None)
        self._names = [names[address] for address in self._addresses]

    def __bool__(self) -> bool:
        return bool(self._names)

    def find(self, address: int) -> tuple[str, int] | None:
        """The symbol that an address of code belongs to, and the offset into it, in bytes; None where there is none."""
        at = bisect_right(self._addresses, address) - 1
        inside = self._range(address)
        if at < 0 or inside is None or self._addresses[at] < inside[0]:
            return None
        return self._names[at], address - self._addresses[at]

    def describe(self, address: int) -> str:
        """The address as "name+0x10"; empty where no symbol is known."""
        found = self.find(address)
        if found is None:
            return ""
        return f"{found[0]}+{found[1]:#x}" if found[1] else found[0]

    def as_json(self) -> dict[str, Any]:
        """Plain data, for `symbols_from_json`."""
        return {"addresses": self._addresses, "names": self._names, "ranges": self._ranges}

    def _range(self, address: int) -> tuple[int, int] | None:
        at = bisect_right(self._starts, address) - 1
        return self._ranges[at] if at >= 0 and address < self._ranges[at][1] else None


def symbols_of(image: Image) -> Symbols:
    """An image's; none for one that is no ELF file. Raises ImageError for a damaged symbol table."""
    names: dict[int, str] = {}
    for name in sorted(image.symbols, key=lambda name: (len(name), name), reverse=True):  # the shortest wins
        if not name.startswith(NAMELESS):
            names[image.symbols[name]] = name
    code = image.code_ranges if names else ()
    return Symbols(names, [(part.address, part.address + len(part.data)) for part in code])


def read_symbols_file(path: Path) -> Symbols:
    """Those of an ELF file, or a map: lines of address, type and name, among others that say something else.

    Raises ImageError where the file has no symbols.
    """
    data = read_file(path)
    is_elf = data.startswith(ELF_MAGIC)
    found = symbols_of(parse_image(data, str(path))) if is_elf else _map_symbols(data)
    if not found:
        raise ImageError(f"{path}: no symbols of code; give an ELF file with symbols, or a map such as System.map or a "
                         "copy of /proc/kallsyms")
    return found


def symbols_from_json(data: dict[str, Any]) -> Symbols:
    """What `as_json` was made of."""
    if not data:
        return Symbols({}, [])
    return Symbols(dict(zip(data["addresses"], data["names"], strict=True)),
                   [(start, end) for start, end in data["ranges"]])


def _map_symbols(data: bytes) -> Symbols:
    names: dict[int, str] = {}
    for line in data.splitlines():
        match = _MAP_LINE.fullmatch(line.strip())
        if match is not None and match[2] in CODE_TYPES and int(match[1], 16):
            names.setdefault(int(match[1], 16), match[3].decode("utf-8", "replace"))
    ranges: list[tuple[int, int]] = []
    for address in sorted(names):
        end = min(address + MAX_OFFSET, 1 << 64)
        if ranges and address <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], end)
        else:
            ranges.append((address, end))
    return Symbols(names, ranges)
