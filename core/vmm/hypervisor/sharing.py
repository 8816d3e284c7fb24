"""Content-based page sharing (Waldspurger, ESX 2002): pages that hold the same use one frame, until one is stored to.

A scan at each barrier looks at some pages of each VM. A hash is only a hint; what decides is the comparison of all
bytes. A page is taken into consideration when its hash is as it was a scan ago: sharing one that changes costs a copy
and saves nothing. Pages of zeros need no frame at all, and give theirs back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from ...machine.paged import ZERO_PAGE
from .pool import FramePool
from .tenant_memory import TenantMemory

HASH_SIZE: Final = 8

Hash = Callable[[bytes], bytes]


def page_hash(page: bytes) -> bytes:
    """What tells most pages apart."""
    return hashlib.blake2b(page, digest_size=HASH_SIZE).digest()


class Sharing(Protocol):
    """Called at barriers, when no VM runs. pages_shared, pages_saved: as of now."""

    @property
    def pages_shared(self) -> int:
        """Guest pages that are on shared frames."""

    @property
    def pages_saved(self) -> int:
        """Frames that would be in use without it."""

    def settle(self, rams: Iterable[TenantMemory]) -> None:
        """Some VMs may have left shared frames since the last call; the order is the VMs'."""

    def scan(self, rams: Iterable[TenantMemory], pages: int) -> None:
        """Look for pages to share, at so many in each VM."""

    def leave(self, ram: TenantMemory, frames: Iterable[int]) -> None:
        """A VM is no more, and has left these."""


class PageSharing:
    """Sharing by hash and comparison. hash_page: the hint. is_on: whether to look for more.

    attempts, matches: comparisons, and those that found equal pages. zeros: frames given back for holding nothing.
    """

    def __init__(self, pool: FramePool, hash_page: Hash = page_hash, is_on: bool = True) -> None:
        self.attempts = 0
        self.matches = 0
        self.zeros = 0
        self._pool = pool
        self._hash = hash_page
        self._is_on = is_on
        self._sharers: dict[int, list[TenantMemory]] = {}
        self._frames: dict[bytes, list[int]] = {}  # by the hash of what they hold
        self._hashes: dict[int, bytes] = {}
        self._hints: dict[bytes, tuple[TenantMemory, int]] = {}
        self._seen: dict[TenantMemory, dict[int, bytes]] = {}
        self._left: dict[TenantMemory, list[int]] = {}  # gfns that the present scan has yet to look at

    @property
    def pages_shared(self) -> int:
        """Guest pages on shared frames."""
        return sum(len(sharers) for sharers in self._sharers.values())

    @property
    def pages_saved(self) -> int:
        """All but one of the sharers of each frame saved one."""
        return self.pages_shared - len(self._sharers)

    # --- the end of a sharing

    def settle(self, rams: Iterable[TenantMemory]) -> None:
        """A frame that all have left is free; one that only one has is that one's alone."""
        left: dict[int, None] = {}
        for ram in rams:
            left |= dict.fromkeys(self._remove(ram, ram.abandoned))
            ram.abandoned.clear()
        self._decide(left)

    def leave(self, ram: TenantMemory, frames: Iterable[int]) -> None:
        """As settle, for a VM that will not come back."""
        self._decide(dict.fromkeys(self._remove(ram, frames)))
        self._seen.pop(ram, None)
        self._left.pop(ram, None)
        self._hints = {name: hint for name, hint in self._hints.items() if hint[0] is not ram}

    def _remove(self, ram: TenantMemory, frames: Iterable[int]) -> list[int]:
        touched = list(frames)
        for hpa in touched:
            self._sharers[hpa].remove(ram)
        return touched

    def _decide(self, left: Iterable[int]) -> None:
        """After everybody has left who has: a frame that one VM is alone with may be left by it, too."""
        for hpa in left:
            sharers = self._sharers[hpa]
            if len(sharers) < 2:
                if sharers:
                    sharers[0].take_back(hpa)
                else:
                    self._pool.give([hpa])
                self._forget(hpa)

    def _forget(self, hpa: int) -> None:
        del self._sharers[hpa]
        name = self._hashes.pop(hpa)
        frames = self._frames[name]
        frames.remove(hpa)
        if not frames:
            del self._frames[name]

    # --- the scan

    def scan(self, rams: Iterable[TenantMemory], pages: int) -> None:
        """Go on where the last scan stopped, in each VM."""
        if not self._is_on:
            return
        for ram in rams:
            left = self._left.get(ram)
            if not left:
                left = self._left[ram] = sorted(ram.mapped(), reverse=True)
            pinned = ram.pinned()
            for _ in range(min(pages, len(left))):
                gfn = left.pop()
                if gfn not in pinned:
                    self._look(ram, gfn)

    def _look(self, ram: TenantMemory, gfn: int) -> None:
        hpa = ram.own_frame(gfn)
        if hpa is None:
            return
        page = bytes(ram.memory.page(hpa))
        name = self._hash(page)
        seen = self._seen.setdefault(ram, {})
        if seen.get(gfn) != name:
            seen[gfn] = name
            return
        if page == ZERO_PAGE:
            self.zeros += 1
            ram.unmap(gfn)
            ram.release(gfn)
            return
        for frame in self._frames.get(name, ()):
            if not ram.has_frame(frame):
                self.attempts += 1
                if page == ram.memory.page(frame):
                    self._join(ram, gfn, frame)
                    return
        other = self._hints.get(name)
        if other is None or other[0] is ram:
            self._hints[name] = ram, gfn
            return
        del self._hints[name]
        self._pair(other[0], other[1], ram, gfn, page, name)

    def _pair(self, other: TenantMemory, other_gfn: int, ram: TenantMemory, gfn: int, page: bytes, name: bytes) -> None:
        """Two pages that may be the same: the hint is old, so look at what the other holds now."""
        frame = other.own_frame(other_gfn)
        if frame is None or other_gfn in other.pinned():
            return
        self.attempts += 1
        if page != ram.memory.page(frame):
            return
        other.give_to_share(other_gfn)
        self._sharers[frame] = [other]
        self._frames.setdefault(name, []).append(frame)
        self._hashes[frame] = name
        self._join(ram, gfn, frame)

    def _join(self, ram: TenantMemory, gfn: int, frame: int) -> None:
        self.matches += 1
        ram.join(gfn, frame)
        self._sharers[frame].append(ram)
