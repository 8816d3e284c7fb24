"""CSRs in lines: a row each, with what the hart holds in its stead; and one's fields, bit by bit."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from ....core.vmm.views.csrs import CONTROL, CsrDetail, CsrRow, CsrsView, FieldRow
from ..palette import BRIGHT, GOOD, HOT, LINK, MUTED, NAME, WARM
from .registers_lines import CHANGED

SAME, OTHER = "=", "≠"
WIDE: Final = 110
"""From this width on the hart's value has room in a CSR's row, and what it is for."""

BEFORE_MEANING: Final = 30
"""Cells of marks, name and value."""

MEANING: Final = 36


def csr_lines(view: CsrsView, width: int) -> tuple[list[Content], list[CsrRow | None]]:
    """A line for each CSR, under headings; and which CSR each line is, None for a heading."""
    lines: list[Content] = []
    rows: list[CsrRow | None] = []
    group = ""
    for row in view.rows:
        if row.group != group:
            group = row.group
            lines.append(_heading(group, width))
            rows.append(None)
        lines.append(csr_line(row, width))
        rows.append(row)
    return lines, rows


def csr_line(row: CsrRow, width: int) -> Content:
    """`Δ sstatus  200000022  SIE SPIE SPP=U  = vsstatus`; where there is room, why it is that one."""
    is_changed, is_wide = row.was is not None, width >= WIDE
    hart = _hart(row, is_wide)
    room = MEANING if is_wide else max(8, width - BEFORE_MEANING - hart.cell_length - 1)
    line = Content.assemble(
        (f"{CHANGED if is_changed else ' '} ", HOT), (f"{row.name:<11}", HOT if is_changed else NAME),
        (f"{row.value:>16x} ", "" if row.value else MUTED),
        _fit(Content.styled(row.meaning, "" if row.value else MUTED), room), " ", hart,
        (f"  {row.why}" if is_wide else "", f"italic {MUTED}"))
    return line.truncate(width, ellipsis=True) if line.cell_length > width else line


def _fit(text: Content, width: int) -> Content:
    return text.truncate(width, ellipsis=True) if text.cell_length > width else text.pad_right(width - text.cell_length)


def csr_summary(view: CsrsView, row: CsrRow, width: int) -> list[Content]:
    """What there is to say of a CSR without its fields: three lines at most."""
    head = Content.assemble((row.name, BRIGHT), (f" {row.number:#05x}  ", MUTED), f"{row.value:#x}",
                            (f"  {row.meaning}" if row.meaning else "", NAME))
    lines = [head]
    if row.was is not None:
        lines.append(Content.assemble((f"{CHANGED} the last move changed it from ", WARM), f"{row.was:#x}",
                                      (f", in {_bits(row.was ^ row.value)}", MUTED)))
    if row.hart is not None:
        name, value = row.hart
        sign = (f"{OTHER} ", HOT) if row.is_different else (f"{SAME} ", GOOD)
        differing = f", which differs in {_bits(value ^ row.value)}" if row.is_different else ""
        lines.append(Content.assemble(sign, "the hart's ", (name, "bold"), f" {value:#x}{differing}"))
    if row.why:
        lines += _wrapped(row.why, width)
    return _cut_all(lines, width)


def detail_lines(detail: CsrDetail, width: int) -> tuple[list[Content], list[FieldRow | None]]:
    """A CSR's field table, the guest's values beside the hart's; and which field each line is, None for those above."""
    lines = [Content.assemble((detail.name, BRIGHT), (f" {detail.number:#05x}  ", MUTED),
                              detail.description)]
    lines += _wrapped(detail.why, width)
    guest = detail.columns[0][1]
    for index, (name, value) in enumerate(detail.columns):
        sign = (SAME, GOOD) if value == guest else (OTHER, HOT)
        differing = f"  differs in {_bits(value ^ guest)}" if value != guest else ""
        lines.append(Content.assemble(
            sign if index else " ", (f" {name:<17}", "" if index else "bold"), f"{value:016x}",
            (differing, MUTED)))
    if detail.points_to:
        lines.append(Content.assemble(("  leads → ", MUTED), (detail.points_to, LINK)))
    if not detail.fields:
        lines.append(Content.styled("one value, without fields", MUTED))
        return _cut_all(lines, width), [None] * len(lines)
    names = ["guest" if detail.is_guest else "hart", *(name for name, _ in detail.columns[1:])]
    cells = max(8, *(len(name) + 1 for name in names))
    lines.append(Content.styled(f"  {'field':<11} {'bits':<6} " + "".join(f"{name:<{cells}}" for name in names),
                                f"underline {MUTED}"))
    rows: list[FieldRow | None] = [None] * len(lines)
    lines += [_field_line(each, cells) for each in detail.fields]
    return _cut_all(lines, width), rows + list(detail.fields)


def field_summary(field: FieldRow, width: int) -> list[Content]:
    """What a field means."""
    bits = f"bit {field.hi}" if field.hi == field.lo else f"bits {field.hi}:{field.lo}"
    return _wrapped(f"{field.name}, {bits}: {field.description}" + ("" if field.is_writable else " (read-only)"), width)


def _field_line(field: FieldRow, cells: int) -> Content:
    bits = f"{field.hi}" if field.hi == field.lo else f"{field.hi}:{field.lo}"
    is_set = any(field.values)
    parts: list[tuple[str, str]] = [
        (f"{OTHER if field.is_different else ' '} ", HOT),
        (f"{field.name[:11]:<11} ", "bold" if is_set else MUTED), (f"{bits:<6} ", MUTED)]
    for index, (value, name) in enumerate(zip(field.values, field.names, strict=True)):
        text = "-" if value is None else name or (f"{value:#x}" if value > 9 else str(value))
        if len(text) >= cells and value is not None:
            text = f"{value:#x}"
        style = "" if value else MUTED
        parts.append((f"{text:<{cells}}", HOT if index == 1 and field.is_different else style))
    return Content.assemble(*parts, (field.description, "" if is_set else MUTED))


def _hart(row: CsrRow, is_wide: bool) -> Content:
    """What the hart has, in as many cells as in every other row."""
    if not row.is_guest:
        return Content("")
    if row.hart is None:
        found = Content.styled("  kept above", MUTED)
    elif row.is_different:
        found = Content.assemble((f"{OTHER} ", HOT), (f"{row.hart[0]:<10}", WARM),
                                 f" {row.hart[1]:>16x}" if is_wide else "")
    else:
        found = Content.assemble((f"{SAME} ", GOOD), (row.hart[0], MUTED))
    return _fit(found, 29 if is_wide else 12)


def _heading(group: str, width: int) -> Content:
    text = f"── {group} "
    return Content.styled(text + "─" * max(0, width - len(text)), BRIGHT if group == CONTROL else MUTED)


def _bits(mask: int) -> str:
    """Bit numbers as ranges, from the top: `bits 63, 14:13`; many are told by their number."""
    ranges: list[tuple[int, int]] = []
    for bit in range(63, -1, -1):
        if not mask >> bit & 1:
            continue
        if ranges and ranges[-1][1] == bit + 1:
            ranges[-1] = (ranges[-1][0], bit)
        else:
            ranges.append((bit, bit))
    if len(ranges) > 4:
        return f"{mask.bit_count()} bits"
    numbers = ", ".join(f"{high}" if high == low else f"{high}:{low}" for high, low in ranges)
    return f"bit {numbers}" if mask.bit_count() == 1 else f"bits {numbers}"


def _wrapped(text: str, width: int) -> list[Content]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return [Content.styled(line, f"italic {MUTED}") for line in lines]


def _cut_all(lines: list[Content], width: int) -> list[Content]:
    return [line.truncate(width, ellipsis=True) if line.cell_length > width else line for line in lines]
