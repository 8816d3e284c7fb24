"""The timeline in lines: pure functions of the view and the room."""

from __future__ import annotations

import math
from typing import Final

from textual.content import Content

from ....core.vmm.exits import label
from ....core.vmm.views.strip import ExitRow, Stretch, StripView
from ..widgets.reasons import look_of
from .card_lines import cut

BARS: Final = " ▁▂▃▄▅▆▇█"
MUTED, STRONG, HERE = "$foreground-muted", "bold", "bold $text-warning"
NOTHING, MARK = "·", "▲"
LEAST_BAR: Final = 4

Part = tuple[str, str]


def strip_lines(view: StripView, height: int, width: int, *, hides_future: bool = False) -> list[Content]:
    """The strip in `height` lines: bars as high as there is room for, a letter for each column's most frequent reason,
    the axis with the position. hides_future: what is not behind the position is not told."""
    if view.refused:
        return [Content.styled(view.refused, MUTED)]
    here = view.column_of(view.step)
    shown = [None if hides_future and here is not None and column >= here else stretch
             for column, stretch in enumerate(view.stretches)]
    lines = _bars(shown, here, height - 2) if height > 2 else []
    if height > 1:
        lines.append(_letters(shown, here))
    lines.append(_axis(view, here, width, hides_future=hides_future))
    return lines


def _bars(stretches: list[Stretch | None], here: int | None, rows: int) -> list[Content]:
    """How many, on a scale of powers: one exit shows beside a thousand."""
    most = max((stretch.count for stretch in stretches if stretch is not None), default=0)
    levels = [_level(0 if stretch is None else stretch.count, most, rows * 8) for stretch in stretches]
    lines = []
    for row in range(rows - 1, -1, -1):
        parts: list[Part] = []
        for column, (stretch, level) in enumerate(zip(stretches, levels, strict=True)):
            filled = BARS[max(0, min(8, level - 8 * row))]
            if filled == " " and column == here:
                parts.append(("│", HERE))
            else:
                parts.append((filled, look_of(stretch.reasons[0][0]).style if stretch is not None and stretch.reasons
                              else ""))
        lines.append(_assemble(parts))
    return lines


def _level(count: int, most: int, height: int) -> int:
    if not count:
        return 0
    return max(1, round(height * math.log1p(count) / math.log1p(most)))


def _letters(stretches: list[Stretch | None], here: int | None) -> Content:
    parts: list[Part] = []
    for column, stretch in enumerate(stretches):
        if stretch is None:
            parts.append(("?" if column == here else " ", HERE))
            continue
        look = look_of(stretch.reasons[0][0]) if stretch.reasons else None
        style = f"reverse {HERE}" if column == here else MUTED if look is None else look.style
        parts.append((NOTHING if look is None else look.letter, style))
    return _assemble(parts)


def _axis(view: StripView, here: int | None, width: int, *, hides_future: bool) -> Content:
    """First and last step at the edges, the position where it is."""
    left, right = f"{view.first:,}", f"{view.first + view.span:,}"
    number = f"{view.number:,}" if not hides_future else "?"
    position = f"{view.step:,}:{number}"
    cells = [" "] * width
    styles = [MUTED] * width

    def put(at: int, text: str, style: str) -> None:
        for offset, letter in enumerate(text):
            if 0 <= at + offset < width:
                cells[at + offset], styles[at + offset] = letter, style

    begin, end = width, -1
    if here is not None:
        text = f"{MARK} {position}"
        begin = here if here + len(text) <= width else here - len(position) - 1
        end = begin + len(text)
        put(begin, text if begin == here else f"{position} {MARK}", STRONG)
        put(here, MARK, HERE)
    if len(left) < begin:
        put(0, left, MUTED)
    if width - len(right) > end:
        put(width - len(right), right, MUTED)
    return _assemble(list(zip(cells, styles, strict=True)))


def _assemble(parts: list[Part]) -> Content:
    """Parts of one style after the other become one."""
    joined: list[Part] = []
    for text, style in parts:
        if joined and joined[-1][1] == style:
            joined[-1] = joined[-1][0] + text, style
        else:
            joined.append((text, style))
    return Content.assemble(*joined)


# --- the list and the counts


def exit_lines(view: StripView, width: int) -> list[Content]:
    """The exits around the position, a line each."""
    digits = len(f"{view.n_exits:,}")
    steps = max((len(f"{row.step:,}") for row in view.rows), default=1)
    return [_exit(row, view, digits, steps, width) for row in view.rows]


def _exit(row: ExitRow, view: StripView, digits: int, steps: int, width: int) -> Content:
    look = look_of(row.reason)
    is_here = row.number == view.exit
    vcpu = f"{row.vcpu} " if view.n_vcpus > 1 else ""
    parts = Content.assemble(
        ("▶" if is_here else " ", HERE), (f"{row.number:>{digits},} ", STRONG if is_here else MUTED),
        (f"{row.step:>{steps},} ", ""), (f"{vcpu}{row.mode} ", MUTED), (f"{look.letter} ", f"bold {look.style}"),
        (f"{row.label:<12} ", look.style))
    symbol = row.symbol or f"{row.pc:#x}"
    room = width - parts.cell_length
    if room > len(symbol) + 2 + len(row.detail):
        return parts + Content.assemble((f"{symbol:<{min(28, room - len(row.detail) - 2)}}  ", "$text-secondary"),
                                        (row.detail, ""))
    return parts + Content.styled(symbol if room < 24 or not row.detail else row.detail, "$text-secondary")


def count_lines(view: StripView, width: int, reasons: frozenset[int] | None) -> list[Content]:
    """How many exits there are for each reason, all over, with bars; those filtered out are dim."""
    if not view.counts:
        return []
    most = view.counts[0][1]
    digits = len(f"{most:,}")
    longest = max(len(_short(reason)) for reason, _ in view.counts)
    name = max(8, min(longest, width - digits - 4 - LEAST_BAR))
    room = max(0, width - digits - name - 5)
    lines = []
    for reason, count in view.counts:
        look = look_of(reason)
        is_wanted = reasons is None or reason in reasons
        style = look.style if is_wanted else "$foreground-disabled"
        lines.append(Content.assemble(
            (f"{look.letter} ", f"bold {style}"), (f"{cut(_short(reason), name):<{name}} ", style),
            (f"{count:>{digits},} ", STRONG if is_wanted else style), (_bar(count / most, room), style)))
    return lines


def _short(reason: int) -> str:
    """The label, of a reflected exception without the word that its letter says."""
    return label(reason).removeprefix("reflected ")


def _bar(part: float, width: int) -> str:
    eighths = max(1, round(part * width * 8)) if width else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
