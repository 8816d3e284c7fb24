"""What the guest's tables map, as ranges: all of the present address space, read table by table.

A table that has not changed since it was read last is not parsed again, so that a look at a large address space costs
a comparison of each of its tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from ...isa.paging import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PTE_A,
    PTE_D,
    PTE_G,
    PTE_N,
    PTE_PBMT,
    PTE_R,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STAGE_FORMATS,
    PagingFormat,
    is_bad_leaf,
    leaf_address,
    ppn,
)
from ..csr_file import SATP

if TYPE_CHECKING:
    from ..inspector import Inspector

MOST_TABLES: Final = 4096
"""Tables that are read in one look; a guest can make tables that lead to each other without end."""

_KEPT: Final = PTE_R | PTE_W | PTE_X | PTE_U | PTE_G | PTE_PBMT | PTE_N
_RX: Final = PTE_R | PTE_X
_NOT_IN_POINTERS: Final = PTE_A | PTE_D | PTE_U | PTE_PBMT | PTE_N
_PPN: Final = (1 << 44) - 1


class Run(NamedTuple):
    """Addresses that follow each other, mapped alike: by leaves of one `level`, with the same `flags` (R, W, X, U, G,
    PBMT and N, in place), to RAM or not. size: bytes. gpa: of the first. is_contiguous: the GPAs follow each other too.
    entries, accessed, dirty: leaves, and those with A, with D."""

    gva: int
    size: int
    flags: int
    level: int
    is_ram: bool
    gpa: int
    is_contiguous: bool
    entries: int
    accessed: int
    dirty: int


@dataclass(frozen=True)
class AddressSpace:
    """satp, and what it maps. runs: by rising address. tables: the gfns of the tables, the root's first. is_cut: there
    were more tables than are read."""

    satp: int
    format: PagingFormat | None
    runs: tuple[Run, ...]
    tables: tuple[int, ...]
    is_cut: bool


class _Table(NamedTuple):
    """A parsed table: leaves as runs, by their offset in what it maps, and pointers, as (offset, gfn)."""

    data: bytes
    parts: tuple[Run | tuple[int, int], ...]


class Scanner:
    """Reads one VM's tables, and remembers them."""

    def __init__(self, inspector: Inspector) -> None:
        self._ram = inspector.vm.ram
        self._known: dict[tuple[int, int, int], _Table] = {}
        self._new: dict[tuple[int, int, int], _Table] = {}
        self._left = 0

    def scan(self, satp: int, reserved: int) -> AddressSpace:
        """What a satp maps. reserved: bits that no entry may have set."""
        form = STAGE_FORMATS.get(satp >> 60)
        if form is None:
            return AddressSpace(satp, None, (), (), False)
        self._new, self._left = {}, MOST_TABLES
        runs: list[Run] = []
        tables: dict[int, None] = {}
        self._collect(satp & _PPN, form.levels - 1, 0, reserved, runs, tables)
        self._known = self._new
        # The upper half of the addresses is at the top of all that there are.
        half, above = 1 << form.address_bits - 1, (1 << 64) - (1 << form.address_bits)
        placed = tuple(run if run.gva < half else run._replace(gva=run.gva + above) for run in _halved(runs, half))
        return AddressSpace(satp, form, placed, tuple(tables), self._left < 0)

    def _collect(self, gfn: int, level: int, base: int, reserved: int, runs: list[Run],
                 tables: dict[int, None]) -> None:
        """The runs below a table, in order."""
        self._left -= 1
        if self._left < 0:
            return
        tables[gfn] = None
        for part in self._read(gfn, level, reserved).parts:
            if isinstance(part, Run):
                _append(runs, part._replace(gva=base + part.gva))
            else:
                self._collect(part[1], level - 1, base + part[0], reserved, runs, tables)

    def _read(self, gfn: int, level: int, reserved: int) -> _Table:
        key = (gfn, level, reserved)
        found = self._new.get(key) or self._known.get(key)
        ram = self._ram
        is_ram = ram.contains(gfn << PAGE_SHIFT, PAGE_SIZE)
        data = ram.peek(gfn << PAGE_SHIFT, PAGE_SIZE) if is_ram else bytes(PAGE_SIZE)
        if found is None or found.data != data:
            found = _Table(data, tuple(self._parse(data, level, reserved)))
        self._new[key] = found
        return found

    def _parse(self, data: bytes, level: int, reserved: int) -> list[Run | tuple[int, int]]:
        """The valid entries of a table: leaves, put together, and pointers."""
        parts: list[Run | tuple[int, int]] = []
        leaves: list[Run] = []
        shift = PAGE_SHIFT + 9 * level
        ram = self._ram
        for index, pte in enumerate(unpack("<512Q", data)):
            if not pte & PTE_V or pte & reserved or pte & (PTE_R | PTE_W) == PTE_W:
                continue
            offset = index << shift
            if pte & _RX:
                if is_bad_leaf(pte, level):
                    continue
                gpa = leaf_address(pte, level, offset)
                _append(leaves, Run(offset, 1 << shift, pte & _KEPT, level, ram.contains(gpa), gpa, True, 1,
                                    int(pte & PTE_A > 0), int(pte & PTE_D > 0)))
            elif level and not pte & _NOT_IN_POINTERS:
                parts += leaves
                leaves = []
                parts.append((offset, ppn(pte)))
        return [*parts, *leaves]


def _append(runs: list[Run], run: Run) -> None:
    """Put a run behind the others, or make the last one longer."""
    if runs:
        last = runs[-1]
        if last[2:5] == run[2:5] and last.gva + last.size == run.gva:
            follows = last.is_contiguous and run.is_contiguous and last.gpa + last.size == run.gpa
            # What is scattered stays one range, unless it is two stretches that each have an order of their own.
            if follows or not (last.is_contiguous and run.is_contiguous and min(last.entries, run.entries) > 1):
                runs[-1] = Run(last.gva, last.size + run.size, last.flags, last.level, last.is_ram, last.gpa, follows,
                               last.entries + run.entries, last.accessed + run.accessed, last.dirty + run.dirty)
                return
    runs.append(run)


def _halved(runs: list[Run], half: int) -> list[Run]:
    """No run goes across the middle, where the addresses are not canonical."""
    found = []
    for run in runs:
        if run.gva < half < run.gva + run.size:
            size = half - run.gva
            part = run.entries * size // run.size
            found.append(run._replace(size=size, entries=part, accessed=min(run.accessed, part),
                                      dirty=min(run.dirty, part)))
            found.append(run._replace(gva=half, size=run.size - size, gpa=run.gpa + size, entries=run.entries - part,
                                      accessed=max(0, run.accessed - part), dirty=max(0, run.dirty - part)))
        else:
            found.append(run)
    return found


_SCANNERS: WeakKeyDictionary[Inspector, Scanner] = WeakKeyDictionary()


def address_space(inspector: Inspector) -> AddressSpace:
    """What the tables of the vCPU looked at map now."""
    scanner = _SCANNERS.get(inspector)
    if scanner is None:
        scanner = _SCANNERS[inspector] = Scanner(inspector)
    vcpu = inspector.vcpu
    return scanner.scan(vcpu.csrs.read(SATP), vcpu.reserved_bits)
