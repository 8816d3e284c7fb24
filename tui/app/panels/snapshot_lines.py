"""What the snapshot panel paints: the tree, and what differs between two of its snapshots."""

from __future__ import annotations

from typing import Final, NamedTuple

from textual.content import Content

from ....core.isa.csrs import BY_NAME
from ....core.isa.paging import PAGE_SIZE
from ....core.isa.registers import ABI
from ....core.vmm.snapshot_diff import Difference, PageDifference
from ....core.vmm.views.snapshots import RowKind, SnapshotRow, SnapshotsView
from ..widgets.spark import size_text
from .base import Place

SIGNS: Final = {RowKind.START: "○", RowKind.SAVED: "●", RowKind.NOW: "◉", RowKind.END: "◌"}
NAMES: Final = {RowKind.START: "start", RowKind.NOW: "now", RowKind.END: "end"}

PRIVATE_WIDTH: Final = 66
"""Columns from which on pages are told apart."""


class Line(NamedTuple):
    """A painted line of a difference, and what it is about, if that is a place."""

    content: Content
    place: Place | None = None


def tree_lines(view: SnapshotsView, width: int, marked: int | None = None) -> list[Content]:
    """A line of head, a line for each row, and what it all takes. marked: the number of a snapshot to compare with."""
    if not view.rows:
        return [Content.styled(f"{view.vm} writes to the host's disks or folders:", "$text-muted"),
                Content.styled("no snapshot could take it back.", "$text-muted")]
    label = max([14, *(len(_label(row, marked)) for row in view.rows)])
    label = min(label, max(14, width - 40))
    steps = max(13, *(len(f"{row.step:,}") for row in view.rows))
    head = f"{'snapshot':{label}} {'step':>{steps}}  {'pages':>7}"
    head += f" {'own':>6}  note" if width >= PRIVATE_WIDTH else "  note"
    lines = [Content.styled(head, "$text-muted"),
             *(_row_line(row, label, steps, width, marked) for row in view.rows)]
    held = f"{view.checkpoints:,} checkpoints hold {size_text(view.size)} of pages"
    return [*lines, Content(""), Content.styled(held, "$text-muted")]


def _label(row: SnapshotRow, marked: int | None) -> str:
    sign = "◉" if row.is_now else SIGNS[row.kind]
    name = NAMES.get(row.kind, row.name)
    mark = " ◆" if row.node is not None and row.node == marked else ""
    return f"{row.graph}{sign} {name}{mark}"


def _row_line(row: SnapshotRow, label: int, steps: int, width: int, marked: int | None) -> Content:
    style = "$text-secondary" if row.is_aside else "$text-muted" if row.is_ahead else ""
    if row.is_now:
        style = "bold $accent"
    note = row.note
    if row.kind is RowKind.END:
        note = f"parted at {row.since:,}" if row.is_aside else "of this history"
    elif row.kind is RowKind.NOW or (row.is_now and not note):
        note = "you are here"
    elif row.is_ahead and not note:
        note = "ahead"
    pages = f"{row.pages:>7,}" if row.kind is RowKind.SAVED else " " * 7
    private = f" {row.private:>6,}" if row.kind is RowKind.SAVED else " " * 7
    numbers = pages + private if width >= PRIVATE_WIDTH else pages
    room = max(0, width - label - steps - len(numbers) - 5)
    return Content.assemble((f"{_label(row, marked)[:label]:{label}}", style), f" {row.step:>{steps},}  ",
                            (numbers, "$text-muted"), "  ", (note[:room], "$text-muted"))


# --- differences


def difference_lines(one: str, other: str, found: Difference, width: int) -> list[Line]:
    """Registers and CSRs, then devices, then memory page by page."""
    lines = [Line(Content.assemble((one, "bold"), " → ", (other, "bold"), (
        f"   {len(found.fields):,} registers and device fields, {len(found.pages):,} pages", "$text-muted")))]
    is_smp = any(name.startswith("hart1.") for name in found.fields)
    harts = {name: pair for name, pair in found.fields.items() if name.startswith("hart")}
    devices = {name: pair for name, pair in found.fields.items() if name not in harts}
    for title, fields in (("registers", harts), ("devices", devices)):
        if fields:
            lines += [Line(Content("")), Line(Content.styled(title, "$text-muted bold"))]
            lines += [_field(name, pair, width, is_smp) for name, pair in fields.items()]
    if found.pages:
        lines += [Line(Content("")), Line(Content.styled("memory and disks, by page", "$text-muted bold"))]
        for page in found.pages:
            lines += _page(page, width)
    if not found.fields and not found.pages:
        lines.append(Line(Content("nothing differs")))
    return lines


def _field(name: str, pair: tuple[str, str], width: int, is_smp: bool) -> Line:
    hart, _, register = name.partition(".") if name.startswith("hart") else ("", "", name)
    place = None
    if register[:1] == "x" and register[1:].isdecimal():
        place = Place("gpr", int(register[1:]), name=ABI[int(register[1:])])
        register = f"{place.name} ({register})"
    elif hart and register in BY_NAME:
        place = Place("csr", BY_NAME[register].number, name=register)
    shown = f"{hart} {register}" if is_smp else register
    column = 24 if width >= 70 else 16
    room = max(8, (width - column - 4) // 2)
    one, other = (_clip(f"{int(text):,}" if text.isdecimal() else text, room) for text in pair)
    return Line(Content.assemble(f"{_clip(shown, column):{column}} ", (f"{one:>{room}}", "$text-muted"), " → ", other),
                place)


def _clip(text: str, room: int) -> str:
    """The text, without its middle if it is too long."""
    if len(text) <= room:
        return text
    tail = (room - 1) // 2
    return text[: room - 1 - tail] + "…" + text[len(text) - tail:]


def _page(page: PageDifference, width: int) -> list[Line]:
    where = f"{page.number * PAGE_SIZE:#x}" if page.source == 0 else f"disk {page.source - 1} page {page.number}"
    names = ", ".join(page.names)
    place = Place("gpa", page.address, name=page.symbol) if page.source == 0 else None
    first = f"{page.address:#x} {page.one:#x} → {page.other:#x}"
    lines = [Line(Content.assemble(
        f"{where:12} {page.n_bytes:>5,} bytes  ", (_clip(names, max(0, width - 28)), "$accent")), place)]
    if width >= 60:
        lines.append(Line(Content.styled(f"             first {_clip(first, width - 19)}", "$text-muted"), place))
    return lines
