"""Structures and arrays by name from an ELF file's DWARF."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

from elftools.elf.elffile import ELFFile


class Structure(NamedTuple):
    """A structure: its size, and the offset of each member, in bytes."""

    size: int
    members: dict[str, int]


class Dwarf:
    """What the file's compilation units declare. Raises KeyError for what is not there."""

    def __init__(self, data: bytes) -> None:
        self._structures: dict[str, Structure] = {}
        self._counts: dict[str, int] = {}
        elf = ELFFile(io.BytesIO(data))
        if elf.has_dwarf_info():
            for unit in elf.get_dwarf_info().iter_CUs():
                for die in unit.get_top_DIE().iter_children():
                    self._note(die)

    def _note(self, die: Any) -> None:
        name = die.attributes.get("DW_AT_name")
        if name is None:
            return
        text = name.value.decode(errors="replace")
        if die.tag == "DW_TAG_structure_type" and "DW_AT_byte_size" in die.attributes:
            members = {child.attributes["DW_AT_name"].value.decode(errors="replace"):
                       child.attributes["DW_AT_data_member_location"].value
                       for child in die.iter_children() if "DW_AT_data_member_location" in child.attributes}
            self._structures.setdefault(text, Structure(die.attributes["DW_AT_byte_size"].value, members))
        elif die.tag == "DW_TAG_variable" and "DW_AT_type" in die.attributes:
            kind = die.get_DIE_from_attribute("DW_AT_type")
            if kind.tag == "DW_TAG_array_type":
                for child in kind.iter_children():
                    count = child.attributes.get("DW_AT_count")
                    last = child.attributes.get("DW_AT_upper_bound")
                    if count is not None or last is not None:
                        self._counts.setdefault(text, count.value if count is not None else last.value + 1)

    def structure(self, name: str) -> Structure:
        """A structure by its tag."""
        return self._structures[name]

    def count(self, array: str) -> int:
        """How many elements a variable that is an array has."""
        return self._counts[array]
