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
from .snapshots import Snapshot
from .state import VmState
from .store import Saved, Store, where

WORD = 8

REACH = 1 << 20
"""Bytes behind a symbol that are taken to belong to it."""


@dataclass(frozen=True)
class PageDifference:
    """A page that differs. source: 0 for RAM, n for disk n - 1. number: the page's. n_bytes: how many differ.

    address: of the first doubleword that differs: a GPA, or an offset on the disk. one, other: what it holds. symbol:
    where that is, as name+offset. names: of every symbol with something in this page that differs, in order.
    """

    source: int
    number: int
    n_bytes: int
    address: int
    one: int
    other: int
    symbol: str = ""
    names: tuple[str, ...] = ()

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

    def describe(self, address: int) -> str:
        """name+0x10; nothing where none is within REACH bytes below."""
        found = self._find(address)
        if found is None:
            return ""
        first, name = found
        return name if first == address else f"{name}+{address - first:#x}"

    def name(self, address: int) -> str:
        """The same, without the offset."""
        found = self._find(address)
        return found[1] if found is not None else ""

    def _find(self, address: int) -> tuple[int, str] | None:
        index = bisect_right(self._addresses, address) - 1
        return self._rows[index] if index >= 0 and address - self._addresses[index] <= REACH else None


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
    symbols = symbols_of(first)
    pages: list[PageDifference] = []
    for source, (maps, others) in enumerate(zip(first.maps, second.maps, strict=False)):
        for number in sorted(maps.keys() | others.keys()):
            keys = maps.get(number), others.get(number)
            if keys[0] != keys[1]:
                mine, theirs = (store.page(key) if key else None for key in keys)
                pages.append(_compare_page(source, number, mine, theirs, symbols))
    return Difference(_compare_fields(first.state, second.state), tuple(pages))


def compare_in_memory(first: Snapshot, second: Snapshot, symbols: Symbols) -> Difference:
    """What differs between two snapshots of one VM, in its tree."""
    nodes = set(first.lineage()) ^ set(second.lineage())
    found: list[PageDifference] = []
    for source in range(len(first.pages)):
        numbers = {number for node in nodes for number in node.pages[source]}
        mine, theirs = first.find(source, numbers), second.find(source, numbers)
        found += [_compare_page(source, number, mine[number], theirs[number], symbols)
                  for number in sorted(numbers) if mine[number] != theirs[number]]
    return Difference(_compare_fields(first.state, second.state), tuple(found))


def _compare_fields(one: VmState, other: VmState) -> dict[str, tuple[str, str]]:
    mine, theirs = visible_state(one), visible_state(other)
    names = [*mine, *(name for name in theirs if name not in mine)]
    pairs = {name: (mine.get(name, "-"), theirs.get(name, "-")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _compare_page(source: int, number: int, one: bytes | None, other: bytes | None,
                  symbols: Symbols) -> PageDifference:
    mine, theirs = one or ZERO_PAGE, other or ZERO_PAGE
    words = [at * WORD for at, (a, b) in enumerate(zip(memoryview(mine).cast("Q"), memoryview(theirs).cast("Q"),
                                                       strict=False)) if a != b]
    n_bytes = sum(a != b for at in words
                  for a, b in zip(mine[at : at + WORD], theirs[at : at + WORD], strict=True))
    at = words[0] if words else 0
    address = (number << PAGE_SHIFT) + at
    first, second = (int.from_bytes(page[at : at + WORD], "little") for page in (mine, theirs))
    symbol = symbols.describe(address) if source == 0 else ""
    names = dict.fromkeys(symbols.name((number << PAGE_SHIFT) + word) for word in words) if source == 0 else {}
    return PageDifference(source, number, n_bytes, address, first, second, symbol,
                          tuple(name for name in names if name))
