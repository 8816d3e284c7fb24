"""Guest memory, sixteen bytes a row: what it is, what the last move changed in it, what its doublewords point to.

Only RAM is read. A device's registers are named and left alone: to read one can change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from ...isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_X
from ...isa.registers import ABI, NUMBER
from ..csr_file import SATP
from ..techniques.shadow_paging import ShadowPaged
from ..walker import LOAD, walk
from .address_space import AddressSpace, address_space
from .places import PlaceKind, place_of

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector

ROW: Final = 16
"""Bytes in a row."""

SP: Final = NUMBER["sp"]
STACK_LIMIT: Final = 1 << 20
"""A range that holds sp is taken to be a stack if it has no more bytes than that; else sp's page is."""

POINTERS: Final = tuple(range(1, 32))
TOP: Final = (1 << 64) - ROW


class Region(StrEnum):
    """What a row is part of."""

    CODE = "code"
    DATA = "data"
    STACK = "stack"
    TABLE = "page table"
    DEVICE = "device"       # not read
    UNMAPPED = "unmapped"   # the guest's tables lead nowhere, or to nothing


class Space(StrEnum):
    """What addresses count."""

    VIRTUAL = "gva"         # the guest's present address space
    PHYSICAL = "gpa"        # the guest's physical memory
    MACHINE = "hpa"         # the machine's: the hypervisor's tables, too


@dataclass(frozen=True)
class MemoryRow:
    """Sixteen bytes. address: of the first, as the view counts. gpa, hpa: where they lie; None if nowhere, or without a
    frame. data: None where they are not read. changed: a bit for each byte that the last move changed, from bit 0.

    region, name: what they are part of. label: the last symbol that begins here, behind its offset. points: for each
    doubleword, what its value points to, "" for nothing known. registers: those that point here, with their offsets.
    """

    address: int
    gpa: int | None
    hpa: int | None
    data: bytes | None
    changed: int
    region: Region
    name: str
    label: tuple[int, str] | None
    points: tuple[str, str]
    registers: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class MemoryView:
    """Rows from `address` on, in `space`. asked: the address that was asked for. satp: that of the present address
    space. is_compared: whether the
    rows were looked at before the last move, so that `changed` is known."""

    address: int
    asked: int
    space: Space
    satp: int
    mode: str
    step: int
    pc: int
    sp: int
    rows: tuple[MemoryRow, ...]
    is_compared: bool

    def byte(self, address: int) -> int | None:
        """The byte at an address in sight; None where there is none."""
        for row in self.rows:
            if row.address <= address < row.address + ROW:
                return None if row.data is None else row.data[address - row.address]
        return None

    def word(self, address: int) -> int | None:
        """The eight bytes there as a number, as far as they are in sight."""
        bytes_ = [self.byte(address + offset) for offset in range(8)]
        return None if None in bytes_ else int.from_bytes(bytes(each or 0 for each in bytes_), "little")


class _Before:
    """The pages that were looked at, as they were before the last move: the guest's by -1 - gfn, others by hpa."""

    def __init__(self) -> None:
        self.moves = self.edits = self.step = -1
        self.before: dict[int, bytes] = {}
        self.now: dict[int, bytes] = {}

    def begin(self, inspector: Inspector) -> None:
        """A look: if the guest was moved since the last one, what was seen then was before that."""
        if inspector.moves != self.moves and inspector.step != self.step:
            self.before, self.now = self.now, {}
            self.moves = inspector.moves
        elif inspector.edits != self.edits:
            self.before = self.now | self.before    # changes by hand come on top of the last move's
        self.step, self.edits = inspector.step, inspector.edits


_BEFORE: WeakKeyDictionary[Inspector, _Before] = WeakKeyDictionary()


class _Page(NamedTuple):
    """A page: where it lies, what it is, what it holds now and held before the last move."""

    gpa: int | None
    region: Region
    name: str
    hpa: int | None = None
    now: bytes | None = None
    was: bytes | None = None


class _Pages:
    """The pages of one look."""

    def __init__(self, inspector: Inspector, before: _Before, space: Space) -> None:
        self._inspector = inspector
        self._before = before
        self._space = space
        mapped = address_space(inspector)
        technique = inspector.vcpu.technique
        self._tables = set(mapped.tables)
        if isinstance(technique, ShadowPaged):
            self._tables |= technique.pager.tables()
        self._stack = _find_stack(mapped, inspector.vcpu.hart.read_gpr(SP))
        self._known: dict[int, _Page] = {}

    def at(self, page: int) -> _Page:
        """The page at an address of the space that is looked at."""
        found = self._known.get(page)
        if found is None:
            look = {Space.VIRTUAL: self._virtual, Space.PHYSICAL: self._physical, Space.MACHINE: self._machine}
            found = self._known[page] = look[self._space](page)
        return found

    def _virtual(self, page: int) -> _Page:
        vcpu = self._inspector.vcpu
        found = walk(self._inspector.vm.ram.peek_pte, vcpu.csrs.read(SATP), page, LOAD, user=False, sum_=True, mxr=True,
                     reserved=vcpu.reserved_bits, updates_ad=True)
        if found.cause is not None:
            return _Page(None, Region.UNMAPPED, "")
        there = self._physical(found.gpa)
        if there.region is not Region.DATA:
            return there
        if found.levels and found.perms & PTE_X:
            return there._replace(region=Region.CODE)
        low, high = self._stack
        return there._replace(region=Region.STACK) if low <= page < high else there

    def _physical(self, page: int) -> _Page:
        ram = self._inspector.vm.ram
        place = place_of(self._inspector, page)
        if place.kind is PlaceKind.DEVICE:
            return _Page(page, Region.DEVICE, place.name)
        if place.kind is PlaceKind.NOTHING:
            return _Page(page, Region.UNMAPPED, "")
        gfn = page >> PAGE_SHIFT
        now, was = self._contents(-1 - gfn, ram.peek(page, PAGE_SIZE))
        name = "" if place.name == "RAM" else place.name
        is_code = name.startswith(".text")
        region = Region.TABLE if gfn in self._tables else Region.CODE if is_code else Region.DATA
        return _Page(page, region, name, ram.frame_now(gfn), now, was)

    def _machine(self, page: int) -> _Page:
        vm = self._inspector.vm
        gpa = vm.ram.gpa(page)
        if gpa is not None:
            return self._physical(gpa)
        memory = vm.ram.memory
        if not memory.contains(page, PAGE_SIZE):
            return _Page(None, Region.UNMAPPED, "")
        owner = vm.frames.owner(page)
        now, was = self._contents(page, memory.read(page, PAGE_SIZE))
        return _Page(None, Region.DATA if owner is None else Region.TABLE, owner or "free", page, now, was)

    def _contents(self, key: int, data: bytes) -> tuple[bytes, bytes | None]:
        self._before.now[key] = data
        return data, self._before.before.get(key)


def _find_stack(space: AddressSpace, sp: int) -> tuple[int, int]:
    """Where the stack lies that sp points into."""
    for run in space.runs:
        if run.gva <= sp < run.gva + run.size and run.size <= STACK_LIMIT:
            return run.gva, run.gva + run.size
    page = sp & -PAGE_SIZE
    return page, page + PAGE_SIZE if sp else page


def view_memory(inspection: Inspection, address: int | None, rows: int, before: int = 0,
                space: Space = Space.VIRTUAL) -> MemoryView:
    """`rows` rows, of which `before` lie before the one that holds `address`. address: None for where sp points."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    sp = vcpu.hart.read_gpr(SP)
    asked = sp if address is None else address
    seen = _BEFORE.setdefault(inspector, _Before())
    seen.begin(inspector)
    pages = _Pages(inspector, seen, space)
    first = max(0, min((asked & -ROW) - ROW * before, TOP - ROW * (rows - 1)))
    held = _pointers(inspector, first, rows) if space is Space.VIRTUAL else {}
    found = []
    is_compared = True
    for at in range(first, first + ROW * rows, ROW):
        offset = at % PAGE_SIZE
        page = pages.at(at - offset)
        data = None if page.now is None else page.now[offset:offset + ROW]
        is_compared = is_compared and (data is None or page.was is not None)
        changed = 0 if data is None or page.was is None else _difference(data, page.was[offset:offset + ROW])
        found.append(MemoryRow(
            at, _plus(page.gpa, offset), _plus(page.hpa, offset), data, changed, page.region, page.name,
            _label(inspector, at) if data is not None and space is not Space.MACHINE else None,
            _points(inspector, data) if data is not None else ("", ""), held.get(at, ())))
    return MemoryView(first, asked, space, vcpu.csrs.read(SATP), "S" if vcpu.mode else "U", inspector.step,
                      vcpu.hart.pc, sp, tuple(found), is_compared)


def _plus(page: int | None, offset: int) -> int | None:
    return None if page is None else page + offset


def _difference(now: bytes, was: bytes) -> int:
    """A bit for each byte that is another."""
    if now == was:
        return 0
    return sum(1 << index for index, (new, old) in enumerate(zip(now, was, strict=True)) if new != old)


def _label(inspector: Inspector, address: int) -> tuple[int, str] | None:
    """The last symbol that begins in a row."""
    for program in inspector.code.known(inspector.vcpu):
        for symbols in (program.symbols, program.variables):
            last = symbols.find(address + ROW - 1)
            if last is not None and last[1] < ROW:
                return ROW - 1 - last[1], last[0]
    return None


def _points(inspector: Inspector, data: bytes) -> tuple[str, str]:
    first, second = (int.from_bytes(data[at:at + 8], "little") for at in (0, 8))
    describe, vcpu = inspector.code.describe, inspector.vcpu
    return (describe(vcpu, first) if first else "", describe(vcpu, second) if second else "")


def _pointers(inspector: Inspector, first: int, rows: int) -> dict[int, tuple[tuple[int, str], ...]]:
    """By row: the registers that point into it."""
    hart = inspector.vcpu.hart
    found: dict[int, list[tuple[int, str]]] = {}
    for name, value in (("pc", hart.pc), *((ABI[number], hart.read_gpr(number)) for number in POINTERS)):
        if first <= value < first + ROW * rows:
            found.setdefault(value & -ROW, []).append((value % ROW, name))
    return {row: tuple(sorted(names)) for row, names in found.items()}

