"""What differs between two snapshots: registers, CSRs, devices, and pages, with the symbols that lie there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import HartvisorError
from ..isa.paging import PAGE_SHIFT
from ..machine.loader import load_image
from ..machine.paged import ZERO_PAGE
from .digest import visible_state
from .recipe import IMAGE
from .store import Saved, Store, where

WORD = 8


@dataclass(frozen=True)
class PageDifference:
    """A page that differs. source: 0 for RAM, n for disk n - 1. number: the page's. n_bytes: how many differ.

    address: of the first doubleword that differs: a GPA, or an offset on the disk. one, other: what it holds. symbol:
    where that is, as name+offset.
    """

    source: int
    number: int
    n_bytes: int
    address: int
    one: int
    other: int
    symbol: str = ""

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return {"page": where(self.source, self.number), "bytes": self.n_bytes, "address": self.address,
                "one": self.one, "other": self.other, "symbol": self.symbol}


@dataclass(frozen=True)
class Difference:
    """fields: name to the two values. pages: RAM's first."""

    fields: dict[str, tuple[str, str]]
    pages: tuple[PageDifference, ...]


class Symbols:
    """Finds the symbol at or before an address. names: to addresses."""

    def __init__(self, names: Mapping[str, int]) -> None:
        self._rows = sorted((address, name) for name, address in names.items())
        self._addresses = [address for address, _ in self._rows]

    def describe(self, address: int, reach: int = 1 << 20) -> str:
        """name+0x10; nothing where none is within `reach` bytes below."""
        index = bisect_right(self._addresses, address) - 1
        if index < 0 or address - self._addresses[index] > reach:
            return ""
        first, name = self._rows[index]
        return name if first == address else f"{name}+{address - first:#x}"


def symbols_of(saved: Saved) -> Symbols:
    """Those of the snapshot's image; none where the file is gone or another."""
    try:
        saved.recipe.files[IMAGE].read()
        return Symbols(load_image(Path(saved.recipe.files[IMAGE].path)).symbols)
    except (HartvisorError, KeyError):
        return Symbols({})


def compare_snapshots(store: Store, one: str, other: str) -> Difference:
    """What differs between two snapshots of a store. Raises ConfigError or DamagedError."""
    first, second = store.load(one), store.load(other)
    mine, theirs = visible_state(first.state), visible_state(second.state)
    names = [*mine, *(name for name in theirs if name not in mine)]
    pairs = {name: (mine.get(name, "-"), theirs.get(name, "-")) for name in names}
    fields = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    symbols = symbols_of(first)
    pages: list[PageDifference] = []
    for source, (maps, others) in enumerate(zip(first.maps, second.maps, strict=False)):
        for number in sorted(maps.keys() | others.keys()):
            if maps.get(number) != others.get(number):
                pages.append(_compare_page(store, source, number, maps.get(number), others.get(number), symbols))
    return Difference(fields, tuple(pages))


def _compare_page(store: Store, source: int, number: int, one: bytes | None, other: bytes | None,
                  symbols: Symbols) -> PageDifference:
    mine, theirs = ((store.page(key) if key else None) or ZERO_PAGE for key in (one, other))
    differing = [at for at, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b]
    at = (differing[0] if differing else 0) // WORD * WORD
    address = (number << PAGE_SHIFT) + at
    first, second = (int.from_bytes(page[at : at + WORD], "little") for page in (mine, theirs))
    symbol = symbols.describe(address) if source == 0 else ""
    return PageDifference(source, number, len(differing), address, first, second, symbol)
