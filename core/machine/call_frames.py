"""Call frame information: how a function's caller is found from any of its instructions (DWARF 4, section 6.4).

A compiler writes it into .debug_frame, or .eh_frame; the parsing is pyelftools'. Of a damaged section as much is used
as could be read before the damage.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any, Final, NamedTuple

from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile

from .loader import ELF_MAGIC

MOST_BYTES: Final = 1 << 20
"""Larger sections are left alone: reading one takes seconds, and kernels of that size keep frame pointers."""

SIGNAL_FRAME: Final = b"S"
N_GPRS: Final = 32
"""An augmentation with S, or a return address in none of the GPRs, tells that what is unwound is no call but a trap:
the address found is that of an instruction not yet executed. (In .debug_frame assemblers leave augmentations out.)"""


CSR_COLUMN: Final = 4096
"""What a CSR's number is above itself among DWARF's register numbers (ELF psABI, "DWARF Register Numbers")."""


class FrameRule(NamedTuple):
    """How to get from a function's frame to its caller's. The CFA, which is the caller's sp, is register + offset.

    saved: the offset from the CFA at which a register's value lies in memory, by DWARF's register number: 0 to 31 are
    x0 to x31. moved: the register that its value is in. lost: those whose values are gone. return_column: the one that
    holds the return address. is_trap: it is not one of a function that was called, but of a trap's handler.
    """

    register: int
    offset: int
    saved: dict[int, int]
    moved: dict[int, int]
    lost: frozenset[int]
    return_column: int
    is_trap: bool


class CallFrames:
    """The call frame information in an ELF file, read when it is first asked for. file: its bytes."""

    def __init__(self, file: bytes) -> None:
        self._file = file
        self._rules: dict[int, FrameRule | None] = {}

    def find(self, address: int) -> FrameRule | None:
        """The rule for the instruction at `address`; None where there is none, or none that can be followed."""
        if address not in self._rules:
            self._rules[address] = None
            with suppress(Exception):  # pyelftools raises whatever its parsing stumbles over
                self._rules[address] = self._find(address)
        return self._rules[address]

    def _find(self, address: int) -> FrameRule | None:
        starts, entries = self._entries
        at = bisect_right(starts, address) - 1
        if at < 0 or address >= starts[at] + entries[at].header["address_range"]:
            return None
        entry = entries[at]
        row = None
        for each in entry.get_decoded().table:
            if each["pc"] > address:
                break
            row = each
        if row is None or row["cfa"].expr is not None:
            return None
        saved, moved, lost = {}, {}, set()
        for register, rule in row.items():
            if register in ("pc", "cfa") or rule.type == "SAME_VALUE":
                continue
            if rule.type == "OFFSET":
                saved[register] = rule.arg
            elif rule.type == "REGISTER":
                moved[register] = rule.arg
            else:
                lost.add(register)
        column = entry.cie.header["return_address_register"]
        is_trap = column >= N_GPRS or SIGNAL_FRAME in entry.cie.header["augmentation"]
        return FrameRule(row["cfa"].reg, row["cfa"].offset, saved, moved, frozenset(lost), column, is_trap)

    @cached_property
    def _entries(self) -> tuple[list[int], list[Any]]:
        """The functions' first addresses, ascending, and their entries."""
        found = []
        if self._file.startswith(ELF_MAGIC):
            with suppress(Exception):
                for entry in _read(self._file):
                    found.append((entry.header["initial_location"], entry))
        found.sort(key=lambda each: each[0])
        return [start for start, _ in found], [entry for _, entry in found]


def _read(file: bytes) -> Iterator[FDE]:
    dwarf = ELFFile(io.BytesIO(file)).get_dwarf_info()
    for section, entries in ((dwarf.debug_frame_sec, dwarf.CFI_entries), (dwarf.eh_frame_sec, dwarf.EH_CFI_entries)):
        if section is not None and section.size <= MOST_BYTES:
            yield from (entry for entry in entries() if isinstance(entry, FDE))
