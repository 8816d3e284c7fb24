"""The guest's memory as lines: its address space range by range, and its physical pages as a grid of letters.

80200000  cccccwwwwwwwwwwwwwwwWWWWttttT...      a page a letter; a capital was stored to since the last checkpoint
          · 5,120 pages: no frame               pages that are all alike, in one line
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from textual.content import Content

from ....core.isa.paging import PAGE_SHIFT, PAGE_SIZE
from ....core.vmm.views.places import PlaceKind
from ....core.vmm.views.space import DIRTY, LETTERS, PageState, RangeView, SpaceView
from ..text import Line, address, size
from ..widgets.cells import Painting

NAMES: Final = {
    PageState.ABSENT: "no frame", PageState.ALLOCATED: "allocated, not written", PageState.WRITTEN: "written",
    PageState.CODE: "code", PageState.TABLE: "page table", PageState.SHARED: "shared, copied at the first store",
    PageState.SWAPPED: "in the swap file", PageState.BALLOONED: "ballooned"}

STYLES: Final = {
    PageState.ABSENT: "$text-muted", PageState.ALLOCATED: "$text-muted", PageState.WRITTEN: "",
    PageState.CODE: "$text-success", PageState.TABLE: "$text-warning", PageState.SHARED: "$text-secondary",
    PageState.SWAPPED: "$text-error", PageState.BALLOONED: "$text-primary"}

_LETTERS: Final = {state | dirty: LETTERS[state].upper() if dirty and state else LETTERS[state]
                   for state in PageState for dirty in (0, DIRTY)}


@dataclass(frozen=True)
class PageSpot:
    """A page of the grid. state: as in SpaceView.pages."""

    gpa: int
    state: int


# --- ranges


def paint_ranges(view: SpaceView, width: int, here: tuple[int, int] = (0, 0)) -> Painting:
    """A line for each range. here: the cursor's row, of which more is told."""
    painting = Painting()
    head = Line(("satp ", "$text-muted"), (view.format or "Bare", "bold"))
    if view.format is None:
        painting.add(head.add("  every address is its own GPA").content)
        return painting
    mapped = sum(each.size for each in view.ranges)
    head.add(f" root {address((view.satp & (1 << 44) - 1) << PAGE_SHIFT)} ASID {view.satp >> 44 & 0xFFFF}",
             (f"  {len(view.ranges)} ranges, {size(mapped)}, {view.tables} tables", "$text-muted"))
    if view.is_cut:
        head.add(("  cut: tables without end", "$text-error"))
    painting.add(head.content)
    digits = 16 if any(each.gva >> 63 for each in view.ranges) else max(
        [8, *(len(f"{each.gva:x}") for each in view.ranges)])
    is_wide = width >= digits + 66
    heading = Line(("gva", "$text-muted")).upto(digits + 1).add(("      size", "$text-muted")).upto(digits + 13)
    heading.add(("rwxug", "$text-muted")).upto(digits + 19).add(("page", "$text-muted")).upto(digits + 26)
    heading.add(("gpa", "$text-muted")).upto(digits + 37)
    if is_wide:
        heading.add(("   A    D", "$text-muted")).upto(digits + 49)
    painting.add(heading.add(("what", "$text-muted")).content)
    for each in view.ranges:
        line = _range(each, digits, is_wide)
        painting.stop(line.content, [(0, digits)], [each])
    spot = painting.thing(*here)
    if isinstance(spot, RangeView):
        painting.add(Content(""), *_range_details(spot))
    return painting


def _range(each: RangeView, digits: int, is_wide: bool) -> Line:
    line = Line((address(each.gva, digits), "bold"), f" {size(each.size):>10}  ")
    for letter in each.permissions:
        line.add((letter, "$text-muted" if letter == "-" else "bold $text-success" if letter == "x" else "bold"))
    page = {0: "4K", 1: "2M", 2: "1G"}.get(each.level, f"L{each.level}")
    line.add(f" {page:>3}{'N' if each.kind.endswith('64K') else ' '} ").upto(digits + 24)
    line.add("≈ " if not each.is_contiguous else "→ ", address(each.gpa)).upto(digits + 37)
    if is_wide:
        line.add((f"{each.accessed:4} {each.dirty:4}", "$text-muted")).upto(digits + 49)
    style = {PlaceKind.DEVICE: "$text-warning", PlaceKind.NOTHING: "$text-error"}.get(each.place.kind, "")
    name = each.name or (each.place.name if each.place.kind is not PlaceKind.RAM else "RAM")
    line.add((name, style or ("" if each.name else "$text-muted")))
    if each.kind:
        line.add((f" {each.kind}", "$text-secondary"))
    for held in each.holds:
        line.add((f"  ◂{held}", "$text-accent bold"))
    return line


def _range_details(each: RangeView) -> list[Content]:
    end = each.gva + each.size - 1
    order = "in order" if each.is_contiguous else "in no order (≈)"
    first = Line((f"{each.gva:x} to {end:x}", "bold"), f", {each.entries:,} leaves of {size(each.page_size)}, {order}")
    second = Line((f"accessed {each.accessed:,}, dirty {each.dirty:,}", "$text-secondary"),
                  f"   gpa {each.gpa:x} is {each.place.name}")
    return [first.content, second.content]


# --- the grid


def paint_grid(view: SpaceView, width: int, here: tuple[int, int] = (0, 0)) -> Painting:
    """The pages. here: the page under the cursor, of which more is told."""
    painting = Painting()
    total = len(view.pages)
    painting.add(_summary(view), *_legend(view, width), Content(""))
    details_at = len(painting.lines) - 1
    columns = 16
    while columns * 2 + 10 <= width and columns < 128:
        columns *= 2
    at = 0
    while at < total:
        end = _uniform(view.pages, at, columns)
        if end - at >= 2 * columns:
            count = end - at
            state = view.pages[at]
            line = Line((address(view.base + (at << PAGE_SHIFT)), "$text-muted"), "  ")
            cell = line.cell((_LETTERS[state], _style(state)), f" {count:,} pages ({size(count << PAGE_SHIFT)}): ",
                             (NAMES[PageState(state & ~DIRTY)] + (", stored to" if state & DIRTY else ""),
                              "$text-muted"))
            painting.stop(line.content, [cell], [PageSpot(view.base + (at << PAGE_SHIFT), state)])
            at = end
            continue
        row = view.pages[at:at + columns]
        first = view.base + (at << PAGE_SHIFT)
        painting.stop(_row(first, row), [(10 + index, 11 + index) for index in range(len(row))],
                      [PageSpot(first + (index << PAGE_SHIFT), state) for index, state in enumerate(row)])
        at += columns
    spot = painting.thing(*here)
    if isinstance(spot, PageSpot):
        painting.lines[details_at] = _page_details(view, spot)
    return painting


def _uniform(pages: bytes, at: int, columns: int) -> int:
    """Where the pages that are like the one at `at` end, at a row's beginning."""
    state = pages[at:at + 1]
    rest = len(pages) - at - len(pages[at:].lstrip(state))
    end = at + rest
    return end if end == len(pages) else end // columns * columns


@lru_cache(maxsize=4096)
def _row(first: int, row: bytes) -> Content:
    """A row of letters; rows that do not change are not made again."""
    line = Line((address(first), "$text-muted"), "  ")
    at = 0
    while at < len(row):
        end = at
        while end < len(row) and row[end] == row[at]:
            end += 1
        line.add((_LETTERS[row[at]] * (end - at), _style(row[at])))
        at = end
    return line.content


def _style(state: int) -> str:
    style = STYLES[PageState(state & ~DIRTY)]
    return f"{style} bold".strip() if state & DIRTY else style


def _summary(view: SpaceView) -> Content:
    line = Line((size(len(view.pages) * PAGE_SIZE), "bold"), " of guest RAM")
    if view.is_own:
        line.add((", each GPA its own HPA", "$text-muted"))
    else:
        line.add(("   host frames: ", "$text-muted"))
        for owner, count in view.owners:
            line.add(f"{owner} ", (f"{count:,}", "bold"), "  ")
        line.add(("free ", "$text-muted"), f"{view.free:,}")
    return line.content


def _legend(view: SpaceView, width: int) -> list[Content]:
    parts = [Line((LETTERS[state], _style(state)), f" {NAMES[state].split(',')[0]} ",
                  (f"{view.counts[state]:,}  ", "$text-muted")) for state in PageState if view.counts[state]]
    since = f" since step {view.since:,}" if view.since is not None else ""
    parts.append(Line(("CAPITAL", "bold"), f" stored to{since} ", (f"{view.dirty:,}", "$text-muted")))
    lines: list[list[Content]] = [[]]
    used = 0
    for part in parts:
        if used and used + part.width > width:
            lines.append([])
            used = 0
        lines[-1].append(part.content)
        used += part.width
    return [Content.assemble(*line) for line in lines]


def _page_details(view: SpaceView, spot: PageSpot) -> Content:
    state = PageState(spot.state & ~DIRTY)
    line = Line(("gpa ", "$text-muted"), (address(spot.gpa), "bold"), f" {NAMES[state]}")
    if spot.state & DIRTY:
        line.add(", stored to since the checkpoint")
    for each in view.ranges:
        if each.is_contiguous and each.gpa <= spot.gpa < each.gpa + each.size:
            line.add(("  mapped at ", "$text-muted"), f"{each.gva + spot.gpa - each.gpa:x} {each.permissions}",
                     (f" {each.name}" if each.name else "", "$text-secondary"))
            break
    return line.content
