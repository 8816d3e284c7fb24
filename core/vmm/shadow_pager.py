"""The shadow pager: real page tables, in machine RAM, that map GVA to HPA: guest tables composed with the frame map.

A shadow page mirrors one guest table, entry for entry, for one role; it is filled entry by entry as the guest faults:

    guest satp ──> table L2 ──> table L1 ──> table L0 ──> gfn          walker.py reads these
                     ┊             ┊            ┊           ┊ frame map
    real satp ──> shadow L2 ──> shadow L1 ──> shadow L0 ──> hpa        the hart walks these

Guest superpages become direct pages of 4 KiB leaves, so that protection works frame by frame. Two reverse maps make it
exact: which shadow pages mirror a guest frame, and which shadow leaves map one. What is not present is never cached.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from ..isa.paging import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PTE_PPN_SHIFT,
    PTE_SIZE,
    PTE_V,
    PTE_W,
    STAGE_FORMATS,
    SV39,
    SV57,
    make_pte,
)
from .frames import FrameAllocator
from .guest_memory import GuestMemory
from .shadow_pages import PageKey, PagerStats, Role, ShadowPage
from .shadow_policy import ShadowPolicy
from .walker import Walk

OWNER: Final = "shadow"
MAX_ROOTS: Final = 256
"""Roots kept; beyond that the least recently used goes."""

_PPN: Final = (1 << 44) - 1
_ASIDS: Final = 1 << 16


class ShadowPager:
    """Shadow tables of one VM.

    max_pages: shadow pages allowed; when they are used up everything is dropped and filled again on demand.
    fence: called after shadow entries changed, so that the hart sees it. A hart whose caches are precise needs none, a
    real one does.
    active: the root that the hart uses, None when it must be activated anew.
    changes: grows whenever what was found by a walk of the guest's tables may hold no longer.
    """

    def __init__(self, ram: GuestMemory, frames: FrameAllocator, policy: ShadowPolicy, max_pages: int,
                 fence: Callable[[], None]) -> None:
        self.policy = policy
        self.stats = PagerStats()
        self.active: ShadowPage | None = None
        self.changes = 0
        self._role = Role("none")
        self._ram = ram
        self._memory = ram.memory
        self._frames = frames
        self._max_pages = max_pages
        self._fence_hart = fence
        self._pages: dict[PageKey, ShadowPage] = {}
        self._roots: OrderedDict[tuple[int | None, int, Role], ShadowPage] = OrderedDict()
        self._mirrors: dict[int, list[ShadowPage]] = {}
        self._leaves: dict[int, set[tuple[ShadowPage, int]]] = {}
        self._next_asid = 0
        ram.observers.append(self.guest_stored)

    # --- roots

    def activate(self, satp: int, role: Role) -> int:
        """Make the root for the guest's satp and role the active one; return the satp value that the hart needs for
        it."""
        is_bare = satp >> 60 == 0
        # Bare is shadowed by the smallest tables: guest RAM ends where they do, or before.
        form = SV39 if is_bare else STAGE_FORMATS[satp >> 60]
        name = (None if is_bare else satp & _PPN, form.levels, role)
        root = self._roots.get(name)
        if root is None:
            root = self._new_root(satp, role, is_bare, form.levels - 1)
            self._roots[name] = root
        self._roots.move_to_end(name)
        self.active = root
        self._role = role
        self.stats.root_loads += 1
        while len(self._roots) > MAX_ROOTS:
            self.drop(next(iter(self._roots.values())))
        return form.mode << 60 | root.asid << 44 | root.hpa >> PAGE_SHIFT

    def _new_root(self, satp: int, role: Role, is_bare: bool, level: int) -> ShadowPage:
        key = PageKey(0, level, None, role.leaf_bits(0, True)) if is_bare else PageKey(satp & _PPN, level, role)
        root = self._pages.get(key) or self._create(key)
        # A number of its own lets a hart with tagged translations keep those of other roots.
        self._next_asid = self._next_asid % (_ASIDS - 1) + 1
        root.asid = self._next_asid
        self._fence_hart()
        return root

    # --- filling

    @property
    def is_full(self) -> bool:
        """Whether the next fill might need more pages than are allowed."""
        return len(self._pages) + SV57.levels > self._max_pages

    def find_last(self, gva: int) -> int | None:
        """The GPA of the guest's table of 4 KiB leaves on the way to `gva`, where shadow pages tell: what a guarded
        table says cannot have changed. None if they do not."""
        if self.active is None or not self.policy.guards_tables:
            return None
        page: ShadowPage | None = self.active
        shift = PAGE_SHIFT + 9 * self.active.key.level
        while page is not None and page.key.is_table:
            if shift == PAGE_SHIFT:
                return page.key.gfn << PAGE_SHIFT
            page = page.children.get(gva >> shift & 511)
            shift -= 9
        return None

    def fill(self, walk: Walk, is_whole: bool = True) -> None:
        """Make the active root map what the guest's walk found: walk.gva to the frame behind walk.gpa, which is RAM.

        is_whole: the walk began at the root, else where find_last said.
        """
        page = self.active
        assert page is not None
        gva, gfn, role = walk.gva, walk.gpa >> PAGE_SHIFT, self._role
        level = page.key.level
        while not is_whole and level > 0:
            page = page.children[gva >> PAGE_SHIFT + 9 * level & 511]
            page.writes = 0
            level -= 1
        page = self._mirror(page, walk)
        level = page.key.level
        bits = role.leaf_bits(walk.perms, not walk.levels)
        while level > 0:
            index = gva >> PAGE_SHIFT + 9 * level & 511
            first = gfn >> 9 * level << 9 * level
            level -= 1
            page = self._descend(page, index, PageKey(first, level, None, bits))
        self._set_leaf(page, gva >> PAGE_SHIFT & 511, gfn, bits)
        self._fence_hart()
        self.stats.fills += 1
        self.stats.guest_reads += len(walk.levels)

    def follow(self, walk: Walk) -> None:
        """Mirror the guest's tables on the way that a walk from the root took, to no RAM: where tables are guarded, a
        store to one of them is not missed then."""
        page = self.active
        assert page is not None
        self._mirror(page, walk)
        self._fence_hart()

    def _mirror(self, page: ShadowPage, walk: Walk) -> ShadowPage:
        """The shadow of the last table that the walk read, by way of those before it; `page` is the first's."""
        for _, pte in walk.levels[:-1]:
            level = page.key.level
            index = walk.gva >> PAGE_SHIFT + 9 * level & 511
            page = self._descend(page, index, PageKey(pte >> PTE_PPN_SHIFT & _PPN, level - 1, self._role))
        return page

    def _descend(self, page: ShadowPage, index: int, key: PageKey) -> ShadowPage:
        """The page for `key` below entry `index`, linked there now if it was not."""
        child = page.children.get(index)
        if child is not None:
            if child.key == key:
                child.writes = 0
                return child
            self._clear(page, index)
        child = self._pages.get(key) or self._create(key)
        child.writes = 0
        child.parents.add((page, index))
        page.children[index] = child
        self._memory.store(page.hpa + index * PTE_SIZE, PTE_SIZE, make_pte(child.hpa, PTE_V))
        return child

    def _create(self, key: PageKey) -> ShadowPage:
        page = ShadowPage(key, self._frames.allocate(OWNER))
        self._pages[key] = page
        if not key.is_table:
            self.stats.direct_tables += 1
            return page
        self.stats.tables += 1
        mirrors = self._mirrors.setdefault(key.gfn, [])
        mirrors.append(page)
        if len(mirrors) == 1 and self.policy.guards_tables:
            self._write_protect(key.gfn)
        return page

    def _set_leaf(self, page: ShadowPage, index: int, gfn: int, bits: int) -> None:
        old = page.leaves.get(index)
        if old is not None and old != gfn:
            self._clear(page, index)
        if self.is_guarded(gfn) or self._ram.is_shared(gfn):
            bits &= ~PTE_W
        page.leaves[index] = gfn
        self._leaves.setdefault(gfn, set()).add((page, index))
        self._memory.store(page.hpa + index * PTE_SIZE, PTE_SIZE, make_pte(self._ram.frame(gfn), bits))

    # --- guarding guest tables

    def is_guarded(self, gfn: int) -> bool:
        """Whether stores to this guest frame must exit, because shadow entries derive from it."""
        return gfn in self._mirrors and self.policy.guards_tables

    def mirrors(self, gfn: int) -> tuple[ShadowPage, ...]:
        """The shadow pages that mirror the guest table in `gfn`."""
        return tuple(self._mirrors.get(gfn, ()))

    def _write_protect(self, gfn: int) -> None:
        memory = self._memory
        for page, index in self._leaves.get(gfn, ()):
            slot = page.hpa + index * PTE_SIZE
            memory.store(slot, PTE_SIZE, memory.load(slot, PTE_SIZE) & ~PTE_W)

    def guest_stored(self, gpa: int, size: int) -> None:
        """Guest memory at [gpa, gpa + size), within one page, was stored to: drop the entries that derive from those
        bytes."""
        mirrors = self._mirrors.get(gpa >> PAGE_SHIFT)
        if not mirrors:
            return
        self.changes += 1
        offset = gpa & PAGE_SIZE - 1
        for page in tuple(mirrors):
            for index in range(offset // PTE_SIZE, (offset + size - 1) // PTE_SIZE + 1):
                if index in page.leaves or index in page.children:
                    self._clear(page, index)
                    self.stats.zaps += 1
        self._fence_hart()

    def table_written(self, gfn: int) -> None:
        """The guest's own store to a guarded table was emulated (guest_stored has been told of it)."""
        self.stats.pt_writes += 1
        self.policy.table_written(self, gfn)

    # --- dropping

    def unmap(self, gfn: int) -> None:
        """Drop every leaf that leads to this guest frame."""
        for page, index in tuple(self._leaves.get(gfn, ())):
            self._clear(page, index)
        self._fence_hart()

    def fence(self, gva: int | None, asid: int | None) -> None:
        """The guest's sfence.vma."""
        self.changes += 1
        self.policy.fenced(self, gva, asid)

    def satp_changed(self) -> None:
        """The guest's satp is another."""
        self.changes += 1
        self.policy.satp_changed(self)

    def flush(self) -> None:
        """Drop every shadow page."""
        self.stats.flushes += 1
        self.changes += 1
        for page in self._pages.values():
            # Zeros also end whatever a hart still derives from the page, should it be asked to use it again.
            self._memory.fill_zero(page.hpa, PAGE_SIZE)
            self._frames.free(page.hpa)
        self._pages.clear()
        self._roots.clear()
        self._mirrors.clear()
        self._leaves.clear()
        self.active = None
        self._fence_hart()

    def drop(self, page: ShadowPage) -> None:
        """Drop one page, its entry in every parent, and what only it led to."""
        self.changes += 1
        for parent, index in tuple(page.parents):
            del parent.children[index]
            self._memory.store(parent.hpa + index * PTE_SIZE, PTE_SIZE, 0)
        page.parents.clear()
        for index in (*page.children, *page.leaves):
            self._clear(page, index)
        if page.key.is_table:
            mirrors = self._mirrors[page.key.gfn]
            mirrors.remove(page)
            if not mirrors:
                del self._mirrors[page.key.gfn]
        if page.asid:
            for name in [name for name, root in self._roots.items() if root is page]:
                del self._roots[name]
        if page is self.active:
            self.active = None
        del self._pages[page.key]
        self._frames.free(page.hpa)
        self._fence_hart()

    def _clear(self, page: ShadowPage, index: int) -> None:
        """Empty one entry; a child that nothing else points to goes with it."""
        self.changes += 1
        self._memory.store(page.hpa + index * PTE_SIZE, PTE_SIZE, 0)
        child = page.children.pop(index, None)
        if child is not None:
            child.parents.discard((page, index))
            if not child.parents:
                self.drop(child)
            return
        gfn = page.leaves.pop(index)
        slots = self._leaves[gfn]
        slots.discard((page, index))
        if not slots:
            del self._leaves[gfn]

    # --- for tests and viewers

    def pages(self) -> tuple[ShadowPage, ...]:
        """Every shadow page there is."""
        return tuple(self._pages.values())

    def roots(self, satp: int) -> dict[Role, ShadowPage]:
        """The roots that there are for the guest's satp, by role."""
        is_bare = satp >> 60 == 0
        name = (None if is_bare else satp & _PPN, SV39.levels if is_bare else STAGE_FORMATS[satp >> 60].levels)
        return {role: root for (*found, role), root in self._roots.items() if tuple(found) == name}

    def tables(self) -> set[int]:
        """The gfns that hold guest tables which shadow pages mirror."""
        return set(self._mirrors)
