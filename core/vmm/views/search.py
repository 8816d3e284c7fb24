"""Looking for bytes in a guest's RAM, in slices: forwards or backwards, once around."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final

from ...errors import OptionError
from ...isa.paging import PAGE_SHIFT, PAGE_SIZE
from ..csr_file import SATP
from ..walker import LOAD, walk
from .address_space import Run, address_space

if TYPE_CHECKING:
    from ..inspector import Inspector

SLICE: Final = 4 << 20
"""Bytes that are looked at before others have their turn: a few milliseconds."""

CHUNK: Final = 1 << 16
MOST: Final = 256
"""Bytes of a pattern."""

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2}\s*)+")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F_]+")

Search = Generator[None, None, int | None]
"""Yields between slices; its value is the address, None if it is nowhere."""


def parse_pattern(text: str) -> bytes:
    """The bytes that a user asks for: `0x80200000`, a 64-bit number; `de ad be ef`, bytes; `"text"`, or any other text.
    Raises OptionError."""
    text = text.strip()
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    if quoted:
        pattern = text[1:-1].encode()
    elif _NUMBER.fullmatch(text):
        number = int(text, 16)
        if number >> 64:
            raise OptionError(f"{text}: a number to search for has 64 bits at most")
        pattern = number.to_bytes(8, "little")
    elif _HEX.fullmatch(text):
        pattern = bytes.fromhex(text)
    else:
        pattern = text.encode()
    if not 0 < len(pattern) <= MOST:
        raise OptionError(f"nothing to search for: 1 to {MOST} bytes, such as 0x80200000, de ad be ef or \"text\"")
    return pattern


def search(inspector: Inspector, pattern: bytes, start: int, *, backwards: bool = False,
           is_physical: bool = False) -> Search:
    """The first place behind `start`, or the last before it, where the pattern begins; around the end of memory if need
    be, `start` itself at last."""
    looked = 0
    for first, end in _around(start, backwards):
        for base, data in _chunks(inspector, first, end, len(pattern) - 1, backwards, is_physical):
            found = _find(data, pattern, base, first, end, backwards)
            if found is not None:
                return found
            looked += len(data)
            if looked >= SLICE:
                looked = 0
                yield
    return None


def _around(start: int, backwards: bool) -> Iterator[tuple[int, int]]:
    """Stretches [first, end) of addresses at which the pattern may begin, in the order in which they are searched."""
    if backwards:
        yield 0, start
        yield start, 1 << 64
    else:
        yield start + 1, 1 << 64
        yield 0, start + 1


def _find(data: bytes, pattern: bytes, base: int, first: int, end: int, backwards: bool) -> int | None:
    low, high = max(0, first - base), min(len(data), end - base + len(pattern) - 1)
    at = data.rfind(pattern, low, high) if backwards else data.find(pattern, low, high)
    return None if at < 0 else base + at


def _chunks(inspector: Inspector, first: int, end: int, overlap: int, backwards: bool,
            is_physical: bool) -> Iterator[tuple[int, bytes]]:
    """RAM in [first, end), a chunk at a time, with `overlap` bytes of what follows, where that is RAM too."""
    runs = ram_runs(inspector, is_physical)
    order = range(len(runs) - 1, -1, -1) if backwards else range(len(runs))
    for number in order:
        run = runs[number]
        low, high = max(run.gva, first), min(run.gva + run.size, end)
        starts = range(low - low % CHUNK, high, CHUNK) if low < high else range(0)
        for start in reversed(starts) if backwards else starts:
            base, stop = max(start, low), min(start + CHUNK, high)
            data = _read(inspector, run, base, min(stop + overlap, run.gva + run.size))
            missing = stop + overlap - run.gva - run.size
            following = number + 1
            while missing > 0 and following < len(runs) and runs[following].gva == runs[following - 1].gva + runs[
                    following - 1].size:
                next_run = runs[following]
                part = _read(inspector, next_run, next_run.gva, next_run.gva + min(missing, next_run.size))
                data += part
                missing -= len(part)
                following += 1
            yield base, data


def _read(inspector: Inspector, run: Run, low: int, high: int) -> bytes:
    """RAM that a run maps, by its addresses."""
    ram = inspector.vm.ram
    if run.is_contiguous:
        return ram.peek(run.gpa + low - run.gva, high - low)
    parts = []
    vcpu = inspector.vcpu
    satp = vcpu.csrs.read(SATP)
    while low < high:
        size = min(high - low, PAGE_SIZE - low % PAGE_SIZE)
        found = walk(ram.peek_pte, satp, low, LOAD, user=False, sum_=True, mxr=True, reserved=vcpu.reserved_bits,
                     updates_ad=True)
        is_there = found.cause is None and ram.contains(found.gpa, size)
        parts.append(ram.peek(found.gpa, size) if is_there else bytes(size))
        low += size
    return b"".join(parts)


def ram_runs(inspector: Inspector, is_physical: bool) -> tuple[Run, ...]:
    """RAM by address: what the guest's present tables map, or all of it by GPA."""
    space = address_space(inspector)
    if is_physical or space.format is None:
        ram = inspector.vm.ram
        return (Run(ram.base, ram.size, 0, 0, True, ram.base, True, ram.size >> PAGE_SHIFT, 0, 0),)
    return tuple(run for run in space.runs if run.is_ram)
