"""Code in lines: instructions with labels and source between them, and beside them what they will do; source files; the
stack."""

from __future__ import annotations

from typing import Final

from textual.content import Content

from ....core.vmm.views.ahead import Effect, Foretold
from ....core.vmm.views.code import CodeLine, CodeView, Gap, Insn, Label, SourceMark
from ....core.vmm.views.source import SourceView
from ....core.vmm.views.stack import FrameRow, SlotRow, StackView
from ..palette import BAD, BRIGHT, GOOD, HOT, LINK, MUTED, NAME, WARM
from .registers_lines import pointer

STOP, STOP_OFF, PC, EXIT = "●", "○", "▶", "!"
"""Marks: a breakpoint, one that is off, the next instruction, one that exits."""

TEXT_WIDTH: Final = 27
WIDE_TEXT: Final = 34
NARROW: Final = 72
NARROW_TEXT: Final = 23
BITS_FROM: Final = 100
"""From this width on there is room for an instruction's bits."""

MOST_EFFECTS: Final = 2


def code_lines(view: CodeView, width: int, *, hides_ahead: bool = False) -> list[Content]:
    """A line for each of the view's."""
    digits = max((len(f"{line.address:x}") for line in view.lines), default=8)
    return [_code_line(line, digits, width, hides_ahead) for line in view.lines]


def _code_line(line: CodeLine, digits: int, width: int, hides_ahead: bool) -> Content:
    match line:
        case Label():
            return _cut(Content.assemble("   ", (f"{line.name}:", f"bold {LINK}")), width)
        case SourceMark():
            inside = f" {line.inside[0]}:" if line.inside else ""
            name = line.path.rpartition("/")[2]
            return _cut(Content.assemble(
                "   ", (f"{name}:{line.line}", f"italic {NAME}"), (f"{inside} {line.text}", f"italic {MUTED}")), width)
        case Gap():
            what = "cannot be fetched" if line.is_readable else "nothing to execute"
            return _cut(Content.assemble(
                (f"   {line.address:x}: {what}", BAD), (f": {line.why}" if line.why else "", WARM)), width)
    return _insn_line(line, digits, width, hides_ahead)


def _insn_line(line: Insn, digits: int, width: int, hides_ahead: bool) -> Content:
    stop = " " if line.breakpoint is None else STOP if line.breakpoint else STOP_OFF
    is_foretold = line.foretold is not None and not hides_ahead
    exits = EXIT if line.exits or (is_foretold and line.foretold is not None and line.foretold.exits) else " "
    mnemonic, _, operands = line.text.partition(" ")
    operands = operands.replace(",", ", ")
    bits = f"{line.bits:0{2 * line.size}x}".ljust(9) if width >= BITS_FROM else ""
    room = WIDE_TEXT if width >= BITS_FROM else TEXT_WIDTH if width >= NARROW else NARROW_TEXT
    text = Content.assemble((f"{mnemonic:<6} ", f"bold {NAME}" if line.is_pc else NAME), operands)
    if line.means and (not is_foretold or text.cell_length + len(line.means) < room):
        text = Content.assemble(text, " ", (line.means, LINK))
    parts: list[Content] = [
        Content.assemble((stop, BAD), (PC if line.is_pc else " ", BRIGHT), (exits, HOT),
                         (f"{line.address:>{digits}x} ", BRIGHT if line.is_pc else MUTED), (bits, MUTED)),
        text.pad_right(max(0, room - text.cell_length))]
    if is_foretold and line.foretold is not None:
        parts += [Content(" "), foretold_text(line.foretold)]
    elif line.exits:
        parts.append(Content.styled(" exits", WARM))
    return _cut(Content("").join(parts), width)


def foretold_text(step: Foretold) -> Content:
    """What a step will do: `a0 = 0x5`, `[sp+0x8] = 0x0`, `taken`."""
    if step.ends:
        return Content.styled(f"⊣ {step.ends}", WARM)
    parts: list[tuple[str, str]] = []
    for effect in step.effects[:MOST_EFFECTS]:
        parts += _effect(effect, step)
    if step.taken is not None:
        parts.append(("taken" if step.taken else "not taken", f"bold {GOOD}" if step.taken else MUTED))
    if step.exits:
        parts.append((f" {EXIT} {step.exits}", WARM))
    return Content.assemble(*parts)


def _effect(effect: Effect, step: Foretold) -> list[tuple[str, str]]:
    is_load = step.access is not None and not effect.where.startswith("[")
    source = f"[{step.access[2] or hex(step.access[0])}] " if is_load and step.access is not None else ""
    leads = f" {effect.leads}" if effect.leads else ""
    return [(f"{effect.where} = ", MUTED), (source, MUTED), (f"{effect.value:#x}", "bold"), (f"{leads} ", LINK)]


def code_detail(view: CodeView, line: CodeLine, width: int, *, hides_ahead: bool = False) -> list[Content]:
    """What is known of a line."""
    if not isinstance(line, Insn):
        return []
    digits = f"{line.bits:0{2 * line.size}x}"
    lines = [Content.assemble((f"{line.address:#x}", BRIGHT), f" {line.symbol}", (f"  {digits}  ", MUTED), line.text)]
    if line.is_pc and view.line is not None:
        inside = " in " + " in ".join(view.inside) if view.inside else ""
        lines.append(Content.assemble((f"{view.line.path}:{view.line.line}", NAME), (inside, MUTED)))
    step = line.foretold
    if step is not None and not hides_ahead:
        when = "the next step" if not step.number else f"in {step.number} steps"
        lines.append(Content.assemble((f"{when}: ", MUTED), foretold_text(step)))
    if line.exits:
        lines += _wrapped(f"exits: {line.exits}", width)
    return [_cut(each, width) for each in lines]


def ahead_lines(view: CodeView, width: int) -> list[Content]:
    """The next steps in the order in which they come, for where there is room beside the listing."""
    lines = [Content.styled("ahead", f"underline {MUTED}")]
    for step in view.ahead:
        mnemonic = step.text.partition(" ")[0]
        lines.append(_cut(Content.assemble((f"{step.number:>3} {step.pc:x} ", MUTED), (f"{mnemonic:<7} ", NAME),
                                           foretold_text(step)), width))
    return lines


def source_lines(view: SourceView, width: int) -> list[Content]:
    """A file's lines, numbered; those with code have brighter numbers."""
    if not view.lines:
        return [Content.styled(line, WARM) for line in _fold(view.message, width)]
    code, digits = {line for line, _ in view.code}, len(str(len(view.lines)))
    lines = []
    for number, text in enumerate(view.lines, 1):
        is_here = number == view.pc_line
        lines.append(_cut(Content.assemble(
            (STOP if number in view.breakpoints else " ", BAD), (PC if is_here else " ", BRIGHT),
            (f"{number:>{digits}} ", (BRIGHT if is_here else NAME) if number in code else MUTED), ("│ ", MUTED),
            (text, "bold" if is_here else "")), width))
    return lines


def source_detail(view: SourceView, line: int, width: int) -> list[Content]:
    """Where the line's code is."""
    address = dict(view.code).get(line)
    where = f"line {line} has no code of its own" if address is None else f"line {line}: code at {address:#x}"
    inside = f", inlined: {' in '.join(view.inside)}" if view.inside and line == view.pc_line else ""
    return [_cut(Content.assemble((view.path, NAME), f"  {where}{inside}"), width)]


def stack_lines(view: StackView, width: int) -> tuple[list[Content], list[FrameRow | SlotRow | None]]:
    """The calls, then the stack; and what each line is, None for headings."""
    lines: list[Content] = []
    rows: list[FrameRow | SlotRow | None] = []
    for frame in view.frames:
        lines.append(_cut(_frame_line(frame), width))
        rows.append(frame)
    heading = f"── stack from sp {view.sp:#x}" + ("" if view.is_aligned else ", which is not aligned to 16") + " "
    lines.append(_cut(Content.styled(heading + "─" * max(0, width - len(heading)), MUTED), width))
    rows.append(None)
    if view.message:
        lines.append(Content.styled(view.message, WARM))
        rows.append(None)
    digits = max((len(f"{slot.address:x}") for slot in view.slots), default=8)
    for slot in view.slots:
        lines.append(_cut(_slot_line(slot, digits, width), width))
        rows.append(slot)
    return lines, rows


def _frame_line(frame: FrameRow) -> Content:
    number = f"#{frame.number:<3}" if not frame.is_inlined else "    "
    line = "" if frame.line is None else f"  {frame.line.path.rpartition('/')[2]}:{frame.line.line}"
    kind = " inlined" if frame.is_inlined else "  ⚡ interrupted here" if frame.is_interrupted else ""
    return Content.assemble((number, MUTED), (frame.name, "italic" if frame.is_inlined else f"bold {LINK}"),
                            (kind, WARM if frame.is_interrupted else MUTED), (line, NAME))


def _slot_line(slot: SlotRow, digits: int, width: int) -> Content:
    notes = ", ".join(slot.notes)
    room = 20 if width >= 90 else 16
    is_return = any(note.startswith(("return", "interrupted")) for note in slot.notes)
    return Content("").join([
        Content.assemble((f"{slot.address:>{digits}x} ", MUTED), (f"sp+{slot.offset:<#6x}", NAME),
                         (f"{slot.value:>16x} ", HOT if is_return else "" if slot.value else MUTED),
                         (f"{notes[:room]:<{room}}", WARM if is_return else NAME)),
        *(pointer(each) for each in slot.leads)])


def stack_detail(row: FrameRow | SlotRow | None, width: int) -> list[Content]:
    """What is known of a frame or slot."""
    match row:
        case FrameRow():
            sp = "" if row.sp is None else f", sp {row.sp:#x}"
            where = "" if row.line is None else f"  {row.line.path}:{row.line.line}"
            goes = "is" if not row.number else "was" if row.is_interrupted else "goes on"
            return [_cut(Content.assemble((f"#{row.number} {row.name}", BRIGHT), f" {goes} at {row.address:#x}{sp}",
                                          (where, NAME)), width)]
        case SlotRow():
            value = row.value
            signed = value - (1 << 64) if value >> 63 else value
            text = [Content.assemble((f"{row.address:#x}", BRIGHT), f" = {value:#018x} = {signed:,}",
                                     (f"  {', '.join(row.notes)}" if row.notes else "", NAME))]
            return [_cut(each, width) for each in text]
    return []


def _cut(line: Content, width: int) -> Content:
    return line.truncate(width, ellipsis=True) if line.cell_length > width else line


def _fold(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _wrapped(text: str, width: int) -> list[Content]:
    return [Content.styled(line, f"italic {MUTED}") for line in _fold(text, width)]
