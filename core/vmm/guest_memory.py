"""Guest RAM: the frame map from guest frame numbers to host frames, and access to guest memory by GPA.

    GPA = gfn << 12 | offset        HPA = hpa of the frame | offset

A frame is allocated when it is first needed. Where the guest has written nothing it reads zeros, and needs no frame for
that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from ..hart import Memory
from ..isa.paging import PAGE_SHIFT, PAGE_SIZE
from ..machine.paged import ZERO_PAGE, DirtyLog
from .frames import FrameAllocator

if TYPE_CHECKING:
    from .vm import Vm

OFFSET = PAGE_SIZE - 1

WriteObserver = Callable[[int, int], None]
"""Called as observer(gpa, size) after the VMM or a device stored to guest memory (size in bytes, within one page)."""


def _nothing(gfn: int) -> None:
    """There is nothing to fetch."""


class GuestMemory:
    """A VM's RAM, `size` bytes from GPA `base`, in host frames allocated on demand.

    observers: told of every store that the guest's own instructions did not make on the hart; a shadow pager listens
    here.
    on_new_frame: called with each gfn that gets a frame, or loses its own. version: grows when that happens.
    Addresses outside the RAM raise KeyError: ask `contains` first.
    """

    def __init__(self, memory: Memory, frames: FrameAllocator, base: int, size: int) -> None:
        self.memory = memory
        self.base = base
        self.size = size
        self.observers: list[WriteObserver] = []
        self.on_new_frame: Callable[[int], None] | None = None
        self._frames = frames
        self._hpa: dict[int, int] = {}
        self._gfn: dict[int, int] = {}
        self._absent: set[int] = set()
        self._fetch: Callable[[int], None] = _nothing
        self._released: dict[DirtyLog, set[int]] = {log: set() for log in DirtyLog}
        self.version = 0

    def attach(self, vm: Vm) -> None:
        """The VM whose RAM it is."""

    # --- the map

    def contains(self, gpa: int, length: int = 1) -> bool:
        """Whether all of [gpa, gpa + length) is guest RAM."""
        return self.base <= gpa and gpa + length <= self.base + self.size

    def frame(self, gfn: int) -> int:
        """The hpa of the frame that backs `gfn`, allocated now if there was none."""
        hpa = self._hpa.get(gfn)
        if hpa is None:
            if not self.contains(gfn << PAGE_SHIFT):
                raise KeyError(f"gfn {gfn:#x} lies outside the guest's RAM")
            hpa = self._frames.allocate("guest")
            self._hpa[gfn] = hpa
            self._gfn[hpa] = gfn
            if gfn in self._absent:
                self._fetch(gfn)
            self._tell(gfn)
        return hpa

    def _tell(self, gfn: int) -> None:
        """The map has changed."""
        self.version += 1
        if self.on_new_frame is not None:
            self.on_new_frame(gfn)

    def fetch_absent(self, gfns: set[int], fetch: Callable[[int], None]) -> None:
        """The contents of these are elsewhere: before one is first looked at, `fetch` is called with it, and writes it
        here. A page that is written as a whole is absent no longer."""
        self._absent, self._fetch = gfns, fetch

    def release(self, gfn: int) -> None:
        """Give the frame behind `gfn` back: from here on it reads zeros, and gets another frame when it needs one. The
        caller has seen to it that no translation leads to the frame. Raises KeyError where there is none."""
        hpa = self._hpa.pop(gfn)
        del self._gfn[hpa]
        self._frames.free(hpa)
        for released in self._released.values():
            released.add(gfn)
        self._tell(gfn)

    def hpa(self, gpa: int) -> int:
        """Where `gpa` lies in the machine's RAM."""
        return self.frame(gpa >> PAGE_SHIFT) | gpa & OFFSET

    def writable(self, gpa: int) -> int:
        """As `hpa`, for a store: what lies there is this guest's alone."""
        return self.hpa(gpa)

    def is_shared(self, gfn: int) -> bool:
        """Whether the frame behind `gfn` backs another guest too, so that a store must not reach it."""
        return False

    @property
    def resident(self) -> int:
        """Pages that have a frame, of their own or shared."""
        return len(self._hpa)

    @property
    def swapped(self) -> int:
        """Pages in a swap file."""
        return 0

    @property
    def n_shared(self) -> int:
        """Pages whose frame backs another guest too."""
        return 0

    def presence(self, cells: int) -> list[int]:
        """How many pages have a frame, in each of so many equal parts of the RAM."""
        first, n_pages = self.base >> PAGE_SHIFT, self.size >> PAGE_SHIFT
        known = sorted(self._hpa)       # quick: frames are mostly given out in order
        ends = [bisect_left(known, first + -(-(cell * n_pages) // cells)) for cell in range(cells + 1)]
        return [end - start for start, end in pairwise(ends)]

    def gpa(self, hpa: int) -> int | None:
        """The inverse of `hpa`: None where the host frame does not back this guest."""
        gfn = self._gfn.get(hpa & ~OFFSET)
        return None if gfn is None else gfn << PAGE_SHIFT | hpa & OFFSET

    def is_mapped(self, gfn: int) -> bool:
        """Whether `gfn` has a host frame by now, or contents that wait for one."""
        return gfn in self._hpa or gfn in self._absent

    def mapped(self) -> dict[int, int]:
        """A copy of the map: gfn to hpa."""
        return dict(self._hpa)

    # --- looking: nothing is allocated, fetched, or used

    def frame_now(self, gfn: int) -> int | None:
        """The hpa of the frame that backs `gfn` now; None without one."""
        return self._hpa.get(gfn)

    def shared_pages(self) -> set[int]:
        """The gfns whose frames back other guests too."""
        return set()

    def swapped_pages(self) -> set[int]:
        """The gfns that are in a swap file."""
        return set()

    def peek(self, gpa: int, length: int) -> bytes:
        """Bytes of RAM, wherever they are."""
        parts = []
        while length > 0:
            offset = gpa & OFFSET
            size = min(length, PAGE_SIZE - offset)
            gfn = gpa >> PAGE_SHIFT
            hpa = self.frame_now(gfn)
            parts.append(self.memory.read(hpa | offset, size) if hpa is not None else
                         self.page(gfn)[offset:offset + size] if self.is_mapped(gfn) else bytes(size))
            gpa, length = gpa + size, length - size
        return b"".join(parts)

    def peek_pte(self, gpa: int) -> int | None:
        """As load_pte."""
        hpa = self.frame_now(gpa >> PAGE_SHIFT)
        if hpa is not None:
            return self.memory.load(hpa | gpa & OFFSET, 8)
        return int.from_bytes(self.peek(gpa, 8), "little") if self.contains(gpa, 8) else None

    def take_dirty(self, log: DirtyLog) -> list[int]:
        """The gfns that may have been stored to since this log was taken last, by anyone."""
        inverse = self._gfn
        dirty = self.memory.take_dirty(self.memory.base, self.memory.size, log)
        changed = {inverse[hpa] for hpa in dirty if hpa in inverse} | self._released[log]
        self._released[log].clear()
        return sorted(changed)

    def page(self, gfn: int) -> bytes:
        """The 4096 bytes at `gfn`."""
        return bytes(self.memory.page(self.frame(gfn))) if self.is_mapped(gfn) else bytes(PAGE_SIZE)

    def written(self) -> list[int]:
        """The gfns that have a frame."""
        return sorted(self.mapped())

    def read_page(self, number: int) -> bytes | None:
        """As `page`; None if it is all zeros."""
        page = self.page(number)
        return None if page == ZERO_PAGE else page

    def write_page(self, number: int, data: bytes | None) -> None:
        """Store a whole page, or zeros; where there is no frame, zeros need none."""
        self._absent.discard(number)
        if data is not None or self.is_mapped(number):
            self.write(number << PAGE_SHIFT, data or ZERO_PAGE)

    # --- contents

    def load(self, gpa: int, size: int) -> int:
        """`size` bytes (1, 2, 4, 8) at `gpa`, little endian, unsigned; they may straddle two pages."""
        if (gpa & OFFSET) + size <= PAGE_SIZE:
            return self.memory.load(self.hpa(gpa), size)
        return int.from_bytes(self.read(gpa, size), "little")

    def store(self, gpa: int, size: int, value: int) -> None:
        """Store the low `size` bytes (1, 2, 4, 8) of `value` at `gpa`."""
        if (gpa & OFFSET) + size > PAGE_SIZE:
            self.write(gpa, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))
            return
        self.memory.store(self.writable(gpa), size, value & (1 << 8 * size) - 1)
        for observer in self.observers:
            observer(gpa, size)

    def load_pte(self, gpa: int) -> int | None:
        """The eight bytes of a page-table entry, None where `gpa` is not RAM (an access fault); allocates nothing."""
        hpa = self._hpa.get(gpa >> PAGE_SHIFT)
        if hpa is not None:
            return self.memory.load(hpa | gpa & OFFSET, 8)
        if gpa >> PAGE_SHIFT in self._absent:
            return self.memory.load(self.hpa(gpa), 8)
        return 0 if self.contains(gpa, 8) else None

    def read(self, gpa: int, length: int) -> bytes:
        """`length` bytes from `gpa`."""
        parts = []
        while length > 0:
            size = min(length, PAGE_SIZE - (gpa & OFFSET))
            gfn = gpa >> PAGE_SHIFT
            parts.append(self.memory.read(self.hpa(gpa), size) if self.is_mapped(gfn) or not self.contains(gpa)
                         else bytes(size))
            gpa += size
            length -= size
        return b"".join(parts)

    def write(self, gpa: int, data: bytes | memoryview) -> None:
        """Store `data` at `gpa`, page by page."""
        view = memoryview(data)
        while len(view):
            size = min(len(view), PAGE_SIZE - (gpa & OFFSET))
            self.memory.write(self.writable(gpa), view[:size])
            for observer in self.observers:
                observer(gpa, size)
            gpa += size
            view = view[size:]


class IdentityMemory(GuestMemory):
    """The RAM of a guest on the bare machine: every GPA is its own HPA, and all of it is there from the start."""

    def __init__(self, memory: Memory, base: int, size: int) -> None:
        super().__init__(memory, FrameAllocator(memory), base, size)

    def frame(self, gfn: int) -> int:
        """The frame itself."""
        if not self.contains(gfn << PAGE_SHIFT):
            raise KeyError(f"gfn {gfn:#x} lies outside the guest's RAM")
        return gfn << PAGE_SHIFT

    @property
    def resident(self) -> int:
        """Every page."""
        return self.size >> PAGE_SHIFT

    def presence(self, cells: int) -> list[int]:
        """Every page."""
        n_pages = self.size >> PAGE_SHIFT
        return [(cell + 1) * n_pages // cells - cell * n_pages // cells for cell in range(cells)]

    def release(self, gfn: int) -> None:
        """A frame that is its own cannot be used for anything else."""

    def gpa(self, hpa: int) -> int | None:
        """The address itself; None outside RAM."""
        return hpa if self.contains(hpa) else None

    def frame_now(self, gfn: int) -> int | None:
        """The frame itself; None outside RAM."""
        return gfn << PAGE_SHIFT if self.contains(gfn << PAGE_SHIFT) else None

    def is_mapped(self, gfn: int) -> bool:
        """Whether it is RAM."""
        return self.contains(gfn << PAGE_SHIFT)

    def mapped(self) -> dict[int, int]:
        """Every frame of RAM."""
        return {gpa >> PAGE_SHIFT: gpa for gpa in range(self.base, self.base + self.size, PAGE_SIZE)}

    def take_dirty(self, log: DirtyLog) -> list[int]:
        """The gfns that may have been stored to since this log was taken last."""
        return [hpa >> PAGE_SHIFT for hpa in self.memory.take_dirty(self.base, self.size, log)]

    def page(self, gfn: int) -> bytes:
        """The 4096 bytes at `gfn`."""
        return bytes(self.memory.page(gfn << PAGE_SHIFT))

    def load_pte(self, gpa: int) -> int | None:
        """The eight bytes of a page-table entry, None outside RAM."""
        return self.memory.load(gpa, 8) if self.contains(gpa, 8) else None
