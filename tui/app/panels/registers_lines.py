"""The registers' panel in lines: cells of registers in as many columns as the width has room for, and what is known of
the one under the cursor."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from ....core.vmm.views.registers import FloatRow, FloatView, RegisterRow, RegistersView, VcpusView
from ....core.vmm.views.telescope import CODE, DEVICE, STACK, TEXT, Pointee
from ..palette import BRIGHT, GOOD, HOT, LINK, MUTED, NAME, WARM

CHANGED: Final = "Δ"
"""Marks what the last move changed."""

HERE: Final = "▸"
LEADS: Final = " → "
CELL_WIDTH: Final = 34
"""Below that a register's cell has no room for what it points to."""

KIND_STYLES: Final = {CODE: LINK, TEXT: GOOD, STACK: NAME, DEVICE: WARM}
WORD: Final = 1 << 64
ASCII: Final = range(0x20, 0x7F)


def columns_for(width: int, rows: int, height: int) -> int:
    """How many columns of cells: as few as show all without scrolling, or as many as there is room for."""
    most = max(1, width // CELL_WIDTH)
    return next((count for count in range(1, most + 1) if -(-rows // count) <= height), most)


def registers_lines(view: RegistersView, width: int, columns: int, here: int) -> list[Content]:
    """The cells of all registers, column by column; `here` is the index of the one under the cursor."""
    return _grid([register_cell(row, width // columns - 1, index == here) for index, row in enumerate(view.rows)],
                 width, columns)


def float_lines(view: FloatView, width: int, columns: int, here: int) -> list[Content]:
    """The same of the f registers."""
    if not view.has_float:
        return [Content.styled("this guest has no floating-point unit (its ISA lacks F)", MUTED)]
    return _grid([float_cell(row, width // columns - 1, index == here) for index, row in enumerate(view.rows)],
                 width, columns)


def register_cell(row: RegisterRow, width: int, is_here: bool) -> Content:
    """`Δ a0   0x80202f1c → user_trap+0x42`, cut to the width."""
    value = f"{row.value:#x}"
    parts: list[Content] = [_marks(row.was is not None, is_here), _name(row.name, 4, row.was is not None),
                            Content.styled(value.rjust(10), MUTED if not row.value else "")]
    parts += [pointer(each) for each in row.leads]
    return _cut(Content("").join(parts), width)


def float_cell(row: FloatRow, width: int, is_here: bool) -> Content:
    """`Δ fa0  3ff8000000000000 1.5`."""
    kind = {64: "", 32: " single", 16: " half"}[row.width]
    return _cut(Content.assemble(
        _marks(row.was is not None, is_here), _name(row.name, 5, row.was is not None),
        (f"{row.value:016x} ", MUTED), (row.number, "bold" if row.value else MUTED),
        (kind, MUTED)), width)


def pointer(pointee: Pointee) -> Content:
    """What is at an address, behind an arrow."""
    style = KIND_STYLES.get(pointee.kind, "")
    parts: list[tuple[str, str]] = [(LEADS, MUTED)]
    if pointee.name:
        parts.append((pointee.name, style))
    if pointee.text:
        parts.append((" " + pointee.text if pointee.name else pointee.text, KIND_STYLES[TEXT]))
    elif pointee.value is not None:
        parts.append((f" [{pointee.value:#x}]" if pointee.name else f"[{pointee.value:#x}]", MUTED))
    return Content.assemble(*parts)


def register_detail(view: RegistersView, row: RegisterRow, width: int) -> list[Content]:
    """What is known of a register: its value in every notation, what it was, where it leads."""
    value = row.value
    signed = value - WORD if value >> 63 else value
    notations = [f"{value:#x}", f"{signed:,}"] + ([f"{value:,} unsigned"] if signed < 0 else [])
    letters = value.to_bytes(8, "little").rstrip(b"\0")
    if len(letters) > 1 and all(letter in ASCII for letter in letters):
        notations.append(repr(letters.decode()))
    elif value in ASCII:
        notations.append(repr(chr(value)))
    number = "pc" if row.name == "pc" else f"x{row.number}"
    number = f" {number}  " if number != row.name else "  "
    first = Content.assemble((row.name, BRIGHT), (number, MUTED), " = ".join(notations))
    lines = [first]
    if row.was is not None:
        change = value - row.was
        by = f", {change:+#x}" if abs(change) < 1 << 32 else ""
        lines.append(Content.assemble((f"{CHANGED} the last move changed it from ", WARM), f"{row.was:#x}{by}"))
    if row.leads:
        lines.append(Content("").join([Content.styled("leads", MUTED), *(pointer(each) for each in row.leads)]))
    if row.name == "pc":
        was = f" (was {view.was_mode})" if view.was_mode else ""
        hart = "" if view.mode == view.hart_mode else f", while the hart is really in {view.hart_mode}"
        lines.append(Content(f"the guest is in {view.mode}-mode{was}{hart}"))
    return [_cut(line, width) for line in lines]


def float_detail(view: FloatView, row: FloatRow, width: int) -> list[Content]:
    """What is known of an f register, and of fcsr."""
    held = {64: "a double", 32: "a single, NaN-boxed", 16: "a half, NaN-boxed"}[row.width]
    lines = [Content.assemble((row.name, BRIGHT), (f" f{row.index}  ", MUTED),
                              f"{row.value:#018x} = {row.number}, {held}")]
    if row.was is not None:
        lines.append(Content.assemble((f"{CHANGED} the last move changed it from ", WARM), f"{row.was:#018x}"))
    lines.append(Content.assemble(("sstatus.FS ", MUTED), view.state, ("  rounding ", MUTED),
                                  view.rounding, ("  flags ", MUTED), view.flags))
    return [_cut(line, width) for line in lines]


def vcpus_lines(view: VcpusView, width: int) -> list[Content]:
    """A line for each vCPU, and one of headings."""
    is_wide = width >= 90
    heading = "  vCPU  mode      state              pc" + " " * 34 + ("steps          exits" if is_wide else "")
    lines = [_cut(Content.styled(heading, MUTED), width)]
    for row in view.rows:
        mode = row.mode if row.mode == row.hart_mode else f"{row.mode} ({row.hart_mode})"
        style = {"has the turn": GOOD, "asleep": MUTED, "stopped": MUTED}.get(row.state, "")
        where = row.where or f"{row.pc:#x}"
        rest = f"{row.steps:>14,} {row.exits:>10,}" if is_wide else ""
        lines.append(_cut(Content.assemble(
            (f"{HERE if row.is_current else ' '} {row.index:<4}  ", BRIGHT if row.is_current else ""),
            f"{mode:<9} ", (f"{row.state:<18} ", style), f"{where:<30} ", rest), width))
    return lines


def vcpu_detail(view: VcpusView, index: int, width: int) -> list[Content]:
    """What is known of a vCPU."""
    row = view.rows[index]
    timer = "never" if row.timer is None else f"at mtime {row.timer:,}"
    if row.timer is not None:
        left = row.timer - row.time
        timer += f", {left:,} ticks ahead" if left > 0 else ", due"
    retired = row.steps - row.idle_steps - row.guest_traps
    lines = [
        Content.assemble((f"vCPU {row.index}", BRIGHT), f"  pc {row.pc:#x} {row.where}"),
        Content(f"{row.steps:,} steps: {retired:,} instructions, {row.guest_traps:,} traps of its own, "
                f"{row.idle_steps:,} asleep"),
        Content(f"{row.exits:,} exits; its timer fires {timer}"),
    ]
    return [_cut(line, width) for line in lines]


def joined(lines: list[Content], width: int) -> Content:
    """All in one line, as far as that goes."""
    return _cut(Content("  ").join(lines), width)


def _marks(is_changed: bool, is_here: bool) -> Content:
    here, changed = HERE if is_here else " ", CHANGED if is_changed else " "
    return Content.assemble((here, BRIGHT), (changed, HOT))


def _name(name: str, width: int, is_changed: bool) -> Content:
    return Content.styled(f"{name:<{width}} ", HOT if is_changed else NAME)


def _cut(line: Content, width: int) -> Content:
    return line.truncate(width, ellipsis=True) if line.cell_length > width else line


def _grid(cells: list[Content], width: int, columns: int) -> list[Content]:
    """Cells in columns, filled from the top of the first."""
    height = -(-len(cells) // columns)
    each = width // columns
    lines = []
    for row in range(height):
        parts = [cells[index].pad_right(max(0, each - cells[index].cell_length))
                 for index in range(row, len(cells), height)]
        lines.append(Content("").join(parts))
    return lines
