"""Source lines and inlined calls by address, from an ELF file's debug data (DWARF 2 to 5).

The parsing is pyelftools', one compilation unit at a time, when it is first asked for. Of damaged data nothing is
known, and that is all: no method raises.
"""

from __future__ import annotations

import io
import posixpath
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeVar

from elftools.elf.elffile import ELFFile

from .loader import ELF_MAGIC

MOST_BYTES: Final = 64 << 20
"""Larger sections of debug data are left alone: even an index of their units takes seconds."""

MOST_ENTRIES: Final = 200_000
"""A unit that claims to have more debugging information entries is damaged, or leads round in circles."""

ADDRESS_FORMS: Final = ("DW_FORM_addr", "DW_FORM_addrx", "DW_FORM_addrx1", "DW_FORM_addrx2", "DW_FORM_addrx3",
                        "DW_FORM_addrx4", "DW_FORM_GNU_addr_index")
"""Forms of an address; DW_AT_high_pc in any other is a size."""

T = TypeVar("T")


class SourceLine(NamedTuple):
    """A line, from 1, of a source file; its path as the compiler wrote it, without . and .. in it."""

    path: str
    line: int


class Inlined(NamedTuple):
    """A function whose code was put into its caller's. call: the line that calls it, 0 if it is not known."""

    name: str
    call: SourceLine


class _Unit:
    """A compilation unit. rows: (address, line), ascending; None ends a sequence."""

    def __init__(self, dwarf: Any, unit: Any) -> None:
        self._dwarf = dwarf
        self._unit = unit

    @cached_property
    def files(self) -> list[str]:
        """Paths by the file numbers that line programs use."""
        program = self._dwarf.line_program_for_CU(self._unit)
        if program is None:
            return []
        header = program.header
        top = self._unit.get_top_DIE().attributes
        base = _text(top["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in top else ""
        folders = [_text(folder) for folder in header["include_directory"]]
        if header["version"] < 5:
            folders = [base, *folders]
        files = [] if header["version"] >= 5 else [""]
        for entry in header["file_entry"]:
            folder = folders[entry.dir_index] if entry.dir_index < len(folders) else ""
            files.append(posixpath.normpath(posixpath.join(base, folder, _text(entry.name))))
        return files

    @cached_property
    def rows(self) -> list[tuple[int, SourceLine | None]]:
        """Where each line's code begins, by address; None where code ends, and where it was made of no line."""
        program = self._dwarf.line_program_for_CU(self._unit)
        if program is None:
            return []
        found: list[tuple[int, SourceLine | None]] = []
        files = self.files
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            is_known = not state.end_sequence and state.line and state.file < len(files)
            found.append((state.address, SourceLine(files[state.file], state.line) if is_known else None))
        # Where sequences meet, the end of one is the beginning of another; of lines at one address the last counts.
        found.sort(key=lambda row: (row[0], row[1] is not None))
        return found

    @cached_property
    def starts(self) -> list[int]:
        """The addresses of `rows`."""
        return [address for address, _ in self.rows]

    @cached_property
    def inlines(self) -> list[tuple[int, int, int, Inlined]]:
        """(start, end, depth, call) of every inlined function's code."""
        found: list[tuple[int, int, int, Inlined]] = []
        for count, (depth, entry) in enumerate(_entries(self._unit.get_top_DIE(), 0)):
            if count > MOST_ENTRIES:
                return []
            if entry.tag != "DW_TAG_inlined_subroutine":
                continue
            attributes = entry.attributes
            number = attributes["DW_AT_call_file"].value if "DW_AT_call_file" in attributes else 0
            line = attributes["DW_AT_call_line"].value if "DW_AT_call_line" in attributes else 0
            path = self.files[number] if number < len(self.files) else ""
            name = _name(entry)
            found += [(start, end, depth, Inlined(name, SourceLine(path, line)))
                      for start, end in ranges_of(self._dwarf, self._unit, entry)]
        return found


class DebugData:
    """The debug data in an ELF file. file: its bytes; of what is no ELF file, nothing is known."""

    def __init__(self, file: bytes) -> None:
        self._file = file
        self._lines: dict[str, dict[int, int]] = {}

    def find(self, address: int) -> SourceLine | None:
        """The line that the instruction at `address` was made of; None where it is not known."""
        return self._guarded(lambda: self._find(address), None)

    def find_near(self, address: int) -> SourceLine | None:
        """As `find`; of an instruction that was made of no line, that of the last before it that was, in the same
        unit."""
        return self._guarded(lambda: self._find(address, is_near=True), None)

    def lines_of(self, path: str) -> dict[int, int]:
        """The lowest address of each line of a file that has code. path: as the compiler wrote it."""
        if path not in self._lines:
            self._lines[path] = self._guarded(lambda: self._lines_of(path), {})
        return self._lines[path]

    def inlined(self, address: int) -> tuple[Inlined, ...]:
        """The functions whose inlined code holds `address`, innermost first."""
        return self._guarded(lambda: self._inlined(address), ())

    def addresses(self, path: str, line: int) -> tuple[int, ...]:
        """Where code begins that was made of a line, or, if it has none, of the next that has. path: the end of the
        file's."""
        return self._guarded(lambda: self._addresses(path, line), ())

    def files(self) -> tuple[str, ...]:
        """The paths of all source files that are named, without order."""
        return self._guarded(lambda: tuple({file for unit in self._units for file in unit.files if file}), ())

    @staticmethod
    def _guarded(look: Callable[[], T], otherwise: T) -> T:
        with suppress(Exception):  # pyelftools raises whatever its parsing stumbles over
            return look()
        return otherwise

    def _find(self, address: int, *, is_near: bool = False) -> SourceLine | None:
        unit = self._unit_of(address)
        if unit is None:
            return None
        at = bisect_right(unit.starts, address) - 1
        while is_near and at > 0 and unit.rows[at][1] is None:
            at -= 1
        return unit.rows[at][1] if at >= 0 else None

    def _lines_of(self, path: str) -> dict[int, int]:
        found: dict[int, int] = {}
        for unit in self._units:
            if path in unit.files:
                for address, row in unit.rows:
                    if row is not None and row.path == path:
                        found[row.line] = min(address, found.get(row.line, address))
        return found

    def _inlined(self, address: int) -> tuple[Inlined, ...]:
        unit = self._unit_of(address)
        if unit is None:
            return ()
        around = [(depth, call) for start, end, depth, call in unit.inlines if start <= address < end]
        return tuple(call for _, call in sorted(around, key=lambda each: -each[0]))

    def _addresses(self, path: str, line: int) -> tuple[int, ...]:
        wanted = posixpath.normpath(path)
        found: dict[int, list[int]] = {}
        for unit in self._units:
            if not any(is_end_of(wanted, file) for file in unit.files):
                continue
            before: SourceLine | None = None
            for address, row in unit.rows:
                if row is not None and row.line >= line and row != before and is_end_of(wanted, row.path):
                    found.setdefault(row.line, []).append(address)
                before = row
        return tuple(sorted(set(found[min(found)]))) if found else ()

    def _unit_of(self, address: int) -> _Unit | None:
        starts, ends, units = self._index
        at = bisect_right(starts, address) - 1
        return units[at] if at >= 0 and address < ends[at] else None

    @cached_property
    def _dwarf(self) -> Any:
        if not self._file.startswith(ELF_MAGIC):
            return None
        elf = ELFFile(io.BytesIO(self._file))
        dwarf = elf.get_dwarf_info() if elf.has_dwarf_info() else None
        sections = (dwarf.debug_info_sec, dwarf.debug_line_sec) if dwarf is not None else (None,)
        return None if any(each is None or each.size > MOST_BYTES for each in sections) else dwarf

    @cached_property
    def _units(self) -> list[_Unit]:
        dwarf = self._dwarf
        return [] if dwarf is None else [_Unit(dwarf, unit) for unit in dwarf.iter_CUs()]

    @cached_property
    def _index(self) -> tuple[list[int], list[int], list[_Unit]]:
        """By address: where the code of units begins, where it ends, and whose it is."""
        found = []
        for unit in self._units:
            with suppress(Exception):
                for start, end in ranges_of(self._dwarf, unit._unit, unit._unit.get_top_DIE()):
                    found.append((start, end, unit))
        found.sort(key=lambda each: each[:2])
        return [start for start, _, _ in found], [end for _, end, _ in found], [unit for _, _, unit in found]


def is_end_of(end: str, path: str) -> bool:
    """Whether a path ends in these components."""
    return path == end or path.endswith("/" + end.lstrip("/"))


def ranges_of(dwarf: Any, unit: Any, entry: Any) -> list[tuple[int, int]]:
    """[start, end) of the code of a debugging information entry."""
    attributes = entry.attributes
    low = attributes["DW_AT_low_pc"].value if "DW_AT_low_pc" in attributes else None
    if "DW_AT_high_pc" in attributes and low is not None:
        high = attributes["DW_AT_high_pc"]
        return [(low, high.value if high.form in ADDRESS_FORMS else low + high.value)]
    if "DW_AT_ranges" not in attributes:
        return []
    top = unit.get_top_DIE().attributes
    base = top["DW_AT_low_pc"].value if "DW_AT_low_pc" in top else 0
    found = []
    for each in dwarf.range_lists().get_range_list_at_offset(attributes["DW_AT_ranges"].value, unit):
        if hasattr(each, "base_address"):
            base = each.base_address
            continue
        shift = 0 if getattr(each, "is_absolute", False) else base
        found.append((each.begin_offset + shift, each.end_offset + shift))
    return [(start, end) for start, end in found if start < end]


def _entries(entry: Any, depth: int) -> Iterator[tuple[int, Any]]:
    """An entry and all below it, each with its depth."""
    waiting = [(depth, iter((entry,)))]
    while waiting:
        level, entries = waiting[-1]
        each = next(entries, None)
        if each is None:
            waiting.pop()
            continue
        yield level, each
        if each.has_children:
            waiting.append((level + 1, each.iter_children()))


def _name(entry: Any) -> str:
    """A function's name, which an entry for its code has by reference."""
    for _ in range(8):
        if "DW_AT_name" in entry.attributes:
            return _text(entry.attributes["DW_AT_name"].value)
        link = next((name for name in ("DW_AT_abstract_origin", "DW_AT_specification") if name in entry.attributes), "")
        if not link:
            break
        entry = entry.get_DIE_from_attribute(link)
    return "?"


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
