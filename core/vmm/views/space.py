"""The guest's memory as a whole: its present address space as named ranges, its physical pages as a grid of what each
is, and whose the machine's frames are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from ...devices.virtio.balloon import VirtioBalloon
from ...hart import MARK_CODE, MARK_TABLE
from ...isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_G, PTE_N, PTE_PBMT, PTE_R, PTE_U, PTE_W, PTE_X
from ...isa.registers import NUMBER
from ...machine.paged import DirtyLog
from ..techniques.shadow_paging import ShadowPaged
from .address_space import AddressSpace, Run, address_space
from .places import Place, PlaceKind, places_of

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector

SP: Final = NUMBER["sp"]


class PageState(IntEnum):
    """What a page of guest RAM is. The first that is true counts, from the last down."""

    ABSENT = 0          # no frame: it reads zeros
    ALLOCATED = 1       # a frame that nobody has stored to
    WRITTEN = 2         # data
    CODE = 3            # the hart has decoded instructions from it
    TABLE = 4           # a page table of the guest's
    SHARED = 5          # its frame backs another guest too: copied at the first store
    SWAPPED = 6         # in the swap file
    BALLOONED = 7       # lent to the host


SPARSE: Final = 6
"""Pages without a frame, for each with one, from which it is quicker to look at those that have one alone."""

DIRTY: Final = 0x80
"""Set in a page's byte: it was stored to since the last checkpoint or snapshot."""

LETTERS: Final = {PageState.ABSENT: "·", PageState.ALLOCATED: "a", PageState.WRITTEN: "w", PageState.CODE: "c",
                  PageState.TABLE: "t", PageState.SHARED: "s", PageState.SWAPPED: "z", PageState.BALLOONED: "b"}
"""What stands for a page; in capitals, one that is dirty."""


@dataclass(frozen=True)
class RangeView:
    """Addresses mapped alike. size: in bytes. flags: R, W, X, U, G, PBMT and N, in place. level: of the leaves, 0 for 4
    KiB. gpa: of the first address; those of the others follow, if is_contiguous. place: what is there; of what is
    scattered, what its first address leads to. entries, accessed, dirty: leaves, and those with A, with D.

    name: what the guest's image, or the board, calls it. holds: "pc", "sp".
    """

    gva: int
    size: int
    flags: int
    level: int
    gpa: int
    is_contiguous: bool
    place: Place
    entries: int
    accessed: int
    dirty: int
    name: str
    holds: tuple[str, ...]

    @property
    def permissions(self) -> str:
        """`rwxug`, a dash for what it has not."""
        return "".join(letter if self.flags & bit else "-" for letter, bit in (
            ("r", PTE_R), ("w", PTE_W), ("x", PTE_X), ("u", PTE_U), ("g", PTE_G)))

    @property
    def page_size(self) -> int:
        """Of each leaf."""
        return 1 << PAGE_SHIFT + 9 * self.level

    @property
    def kind(self) -> str:
        """Memory type and size, where they are uncommon."""
        types = {0: "", 1: "NC", 2: "IO"}
        return " ".join(part for part in (types.get((self.flags & PTE_PBMT) >> 61, ""),
                                          "64K" if self.flags & PTE_N else "") if part)


@dataclass(frozen=True)
class SpaceView:
    """The address space that satp selects (format None: Bare), and the VM's memory.

    base: GPA of the first page. pages: a byte for each, a PageState, and DIRTY. since: the step of the checkpoint or
    snapshot that dirty pages were stored to after; None where none is kept. counts: pages in each state, and dirty
    ones. owners: the machine's frames by who has them, and those that are free. is_own: each GPA is its own HPA.
    """

    satp: int
    format: str | None
    ranges: tuple[RangeView, ...]
    tables: int
    is_cut: bool
    base: int
    pages: bytes
    since: int | None
    counts: tuple[int, ...]
    dirty: int
    owners: tuple[tuple[str, int], ...]
    free: int
    is_own: bool


def view_space(inspection: Inspection, has_pages: bool = True) -> SpaceView:
    """All of it; or without the pages, which are most of the work."""
    inspector = inspection.inspector
    vm = inspector.vm
    space = address_space(inspector)
    pages = _grid_of(inspector).pages(space) if has_pages else b""
    counts = [0] * len(PageState)
    for state in PageState:
        counts[state] = pages.count(state) + pages.count(state | DIRTY)
    here = inspector.timeline.here if inspector.timeline is not None else None
    return SpaceView(
        space.satp, space.format.name if space.format is not None else None, tuple(_ranges(inspector, space)),
        len(space.tables), space.is_cut, vm.ram.base, pages, here, tuple(counts),
        sum(pages.count(state | DIRTY) for state in PageState),
        tuple(sorted((owner, count) for owner, count in vm.frames.owners.items() if count)),
        vm.frames.available, not vm.vcpus[0].technique.owns_frames)


# --- ranges


def _ranges(inspector: Inspector, space: AddressSpace) -> list[RangeView]:
    """Runs, cut where what they lead to has another name."""
    places, hart = places_of(inspector), inspector.vcpu.hart
    marks = (("pc", hart.pc), ("sp", hart.read_gpr(SP)))
    found = []
    for run in space.runs:
        for part, place in _cut(run, places.find):
            holds = tuple(name for name, address in marks if part.gva <= address < part.gva + part.size)
            found.append(RangeView(part.gva, part.size, part.flags, part.level, part.gpa, part.is_contiguous, place,
                                   part.entries, part.accessed, part.dirty, _name(inspector, part, place), holds))
    return found


def _name(inspector: Inspector, run: Run, place: Place) -> str:
    if place.kind is not PlaceKind.RAM:
        return place.name
    program = inspector.code.running(inspector.vcpu) if place.name == "RAM" else None
    if program is None or program.image is None:
        return place.name if place.name != "RAM" else ""
    sections = [section.name for section in program.image.sections
                if section.address < run.gva + run.size and run.gva < section.address + section.size]
    return " ".join([program.name, *sections]) if sections else ""


def _cut(run: Run, find: Callable[[int], Place]) -> list[tuple[Run, Place]]:
    """The parts of a run, by place. What is scattered stays whole. A leaf that lies in several parts counts in each; of
    those with A and D, each part is taken to have its share."""
    place = find(run.gpa)
    if not run.is_contiguous or place.end >= run.gpa + run.size:
        return [(run, place)]
    parts: list[tuple[Run, Place]] = []
    at = 0
    while at < run.size:
        place = find(run.gpa + at)
        # A page belongs to where it begins.
        end = min(run.size, max(place.end - run.gpa, at + 1) + PAGE_SIZE - 1 & -PAGE_SIZE)
        entries, accessed, dirty = (-(-count * (end - at) // run.size)
                                    for count in (run.entries, run.accessed, run.dirty))
        parts.append((run._replace(gva=run.gva + at, gpa=run.gpa + at, size=end - at, entries=entries,
                                   accessed=accessed, dirty=dirty), place))
        at = end
    return parts


# --- pages


class Grid:
    """The pages of one VM, from the marks that the harts keep by frame."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._version = -1
        self._pick: Callable[[bytes], bytearray] = bytearray
        self._flags = bytes(_state_of(flags) for flags in range(256))
        view, since = 1 << DirtyLog.VIEW, 1 << DirtyLog.SNAPSHOT
        self._dirty = bytes((1 if logs & view else 0) | (DIRTY if logs & since else 0) for logs in range(256))
        self._both = bytes(_combine(value) for value in range(256))

    def pages(self, space: AddressSpace) -> bytes:
        """A byte for each page."""
        vm = self._inspector.vm
        ram, memory = vm.ram, vm.ram.memory
        flags, dirty = memory.frame_marks()
        joined = int.from_bytes(flags.translate(self._flags), "little") | int.from_bytes(
            dirty.translate(self._dirty), "little")
        # One more stands for all pages without a frame.
        by_frame = joined.to_bytes(len(flags), "little").translate(self._both) + bytes([PageState.ABSENT])
        if self._version != ram.version:
            self._version = ram.version
            self._pick = self._picker(len(flags))
        pages = self._pick(by_frame)
        self._lay(pages, PageState.TABLE, self._tables(space))
        self._lay(pages, PageState.SHARED, ram.shared_pages())
        self._lay(pages, PageState.SWAPPED, ram.swapped_pages())
        for slot in vm.board.virtio:
            if isinstance(slot.device, VirtioBalloon):
                self._lay(pages, PageState.BALLOONED, {gpa >> PAGE_SHIFT for gpa in slot.device.pages})
        return bytes(pages)

    def _picker(self, n_frames: int) -> Callable[[bytes], bytearray]:
        """What puts the bytes of frames in the order of pages."""
        vm = self._inspector.vm
        ram, base = vm.ram, vm.ram.memory.base
        n_pages, first = ram.size >> PAGE_SHIFT, ram.base >> PAGE_SHIFT
        if not vm.vcpus[0].technique.owns_frames:
            start = ram.base - base >> PAGE_SHIFT
            return lambda by_frame: bytearray(by_frame[start:start + n_pages])
        mapped = [(gfn - first, hpa - base >> PAGE_SHIFT) for gfn, hpa in ram.mapped().items()]
        if len(mapped) * SPARSE < n_pages:

            def few(by_frame: bytes) -> bytearray:
                pages = bytearray(n_pages)
                for page, frame in mapped:
                    pages[page] = by_frame[frame]
                return pages

            return few
        indices = [n_frames] * n_pages
        for page, frame in mapped:
            indices[page] = frame
        pick = itemgetter(*indices)
        return lambda by_frame: bytearray(pick(by_frame))

    def _tables(self, space: AddressSpace) -> set[int]:
        """The gfns of the present tables, and of all that the shadow pager mirrors."""
        technique = self._inspector.vcpu.technique
        found = set(space.tables)
        return found | technique.pager.tables() if isinstance(technique, ShadowPaged) else found

    def _lay(self, pages: bytearray, state: PageState, gfns: set[int]) -> None:
        first = self._inspector.vm.ram.base >> PAGE_SHIFT
        for gfn in gfns:
            if 0 <= gfn - first < len(pages):
                pages[gfn - first] = state | pages[gfn - first] & DIRTY


def _state_of(flags: int) -> int:
    """In bits 1 and 2, so that they can be joined with others: code, table."""
    return (2 if flags & MARK_CODE else 0) | (4 if flags & MARK_TABLE else 0)


def _combine(value: int) -> int:
    """A page's byte, of the bits for written, code, table, dirty."""
    state = (PageState.TABLE if value & 4 else PageState.CODE if value & 2 else
             PageState.WRITTEN if value & 1 else PageState.ALLOCATED)
    return state | value & DIRTY


_GRIDS: WeakKeyDictionary[Inspector, Grid] = WeakKeyDictionary()


def _grid_of(inspector: Inspector) -> Grid:
    found = _GRIDS.get(inspector)
    if found is None:
        found = _GRIDS[inspector] = Grid(inspector)
    return found
