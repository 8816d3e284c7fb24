"""The card in lines: pure functions of the view, the width, and the stage that `u` has come to."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from textual.content import Content

from ....core.isa.csrs import BY_NAME
from ....core.isa.registers import NUMBER
from ....core.vmm.exits import label
from ....core.vmm.views.card.changes import Change, Kind
from ....core.vmm.views.card.code import CodeAt
from ....core.vmm.views.card.facts import Fact, MicroStep
from ....core.vmm.views.card.handlers import Called
from ....core.vmm.views.card.next import Elsewhere
from ....core.vmm.views.card.rules import Why
from ....core.vmm.views.card.view import CardPage, CardView
from ..widgets.reasons import look_of
from .base import Place

GUTTER: Final = 9
"""Columns of the labels at the left."""

MUTED, LABEL, STRONG, SECTION = "$foreground-muted", "bold $text-accent", "bold", "italic $text-secondary"
HIDDEN: Final = "hidden until you have guessed: - is the panel to do it in"


class Row(NamedTuple):
    """A line, and what it is about, for keys that work on that."""

    line: Content
    place: Place | None = None


def card_rows(page: CardPage, width: int, height: int = 1000) -> list[Row]:
    """The card, or what there is to say without one; where it would not fit, it is told in fewer words."""
    if page.card is None:
        return list(_without_card(page, width))
    rows = list(_card(page.card, width))
    return rows if len(rows) <= height else list(_card(page.card, width, is_brief=True))


def handling_rows(page: CardPage, stage: int, width: int) -> list[Row]:
    """The stages of the hypervisor's handling, up to `stage`."""
    if page.card is None:
        return list(_without_card(page, width))
    return list(_handling(page.card, stage, width))


def hidden_rows() -> list[Row]:
    """Nothing, while a guess is open."""
    return [Row(Content.styled(HIDDEN, MUTED))]


# --- the card


def _card(card: CardView, width: int, *, is_brief: bool = False) -> Iterator[Row]:
    yield from _head(card, width)
    yield from _section("why", _why(card.why, width - GUTTER, is_brief=is_brief))
    yield from _section("handled", (Row(line) for line in _called(card.called, width - GUTTER)))
    yield from _section("changed", _changes(card, width - GUTTER))
    yield from _section("then", _then(card, width - GUTTER))
    yield from _section("spared", _elsewhere(card, width - GUTTER))


def _head(card: CardView, width: int) -> Iterator[Row]:
    logged, look = card.logged, look_of(card.logged.reason)
    mode = card.mode if card.mode == card.hart_mode else f"{card.mode} (really {card.hart_mode})"
    vcpu = f"vCPU {logged.vcpu}  " if card.n_vcpus > 1 else ""
    right = Content.assemble((f"{vcpu}{mode}  ", MUTED), f"step {logged.step:,}")
    left = Content.assemble((f" {look.letter} ", f"reverse bold {look.style}"), " ", (card.label, f"bold {look.style}"),
                            (f"  exit {card.number:,}", STRONG))
    nth = Content.styled(f", number {card.nth:,} of its kind", MUTED)
    is_roomy = left.cell_length + nth.cell_length + right.cell_length < width
    yield Row(_spread(left + nth if is_roomy else left, right, width))
    yield Row(_code(card.code, width), Place("gva", card.code.pc, 4, card.code.symbol))
    if card.what != card.code.text:
        cause = Content.styled(card.cause, MUTED)
        yield Row(_spread(Content.styled(cut(card.what, width), STRONG), cause, width),
                  None if card.gva is None else Place("gva", card.gva))
    if not card.is_before:
        yield Row(Content.styled("this guest has no past: it stands behind the exit, which cannot be looked at again",
                                 "$text-warning"))


def _code(code: CodeAt, width: int) -> Content:
    where = f"{code.pc:x}  {code.bits:>8}  "
    left = Content.assemble((where, MUTED), (cut(code.text, width - len(where)), STRONG))
    return _spread(left, Content.styled(code.symbol, "$text-secondary"), width)


def _why(why: Why, width: int, *, is_brief: bool) -> Iterator[Row]:
    for line in wrap(why.rule, width):
        yield Row(Content(line))
    for line in wrap(why.purpose if not is_brief else "", width):
        yield Row(Content.styled(line, MUTED))
    step = f", step {why.step}" if why.step else ""
    for line in wrap(f"§ {why.section}{step}", width):
        yield Row(Content.styled(line, SECTION))


def _called(called: Iterable[Called], width: int) -> Iterator[Content]:
    for depth, each in enumerate(called):
        arrow = "→ " if depth else ""
        style = "bold $text-warning" if each.is_replacement else STRONG
        name = Content.assemble((arrow, MUTED), (cut(each.name, width - len(arrow)), style))
        if each.is_replacement:
            name = name + Content.styled(f"  in place of {each.instead_of}", "$text-warning")
        place = Content.styled(each.place, MUTED)
        if name.cell_length + place.cell_length < width:
            yield _spread(name, place, width)
        else:
            yield name
            yield Content.styled("  " + cut(each.place, width - 2), MUTED)


def _changes(card: CardView, width: int) -> Iterator[Row]:
    if not card.difference.is_known:
        yield Row(Content.styled("not known: the step after it has not been seen", MUTED))
        return
    changes = card.difference.changes
    wide = max((len(_name(change)) for change in changes), default=0)
    for change in changes:
        yield Row(_change(change, min(wide, 30, width // 2), width), _place(change))


def _name(change: Change) -> str:
    return change.name if change.vcpu is None else f"vCPU {change.vcpu} {change.name}"


def _change(change: Change, name_width: int, width: int) -> Content:
    arrow = (" → ", MUTED) if change.before else ""
    room = width - name_width - 1
    fields = ", ".join(f"{field.name} {field.before:#x}→{field.after:#x}" if max(field.before, field.after) > 9 else
                       f"{field.name} {field.before}→{field.after}" for field in change.fields)
    note = change.note or fields
    head = Content.assemble(
        (f"{cut(_name(change), name_width):<{name_width}} ", "$text-secondary"), (change.before, MUTED), arrow,
        (cut(change.after, room - len(change.before) - 3), STRONG))
    room = width - head.cell_length - 2
    return head + Content.styled(f"  {cut(note, room)}", MUTED) if note and room > 3 else head


def _place(change: Change) -> Place | None:
    """What is behind a changed line."""
    if change.kind is Kind.REGISTER and change.name in NUMBER:
        return Place("gpr", NUMBER[change.name], 8, change.name)
    name = change.name.split(".")[0]
    if change.kind is Kind.CSR and name in BY_NAME:
        return Place("csr", BY_NAME[name].number, 8, name)
    if change.kind is Kind.MEMORY and change.name.startswith("GPA 0x"):
        return Place("pte" if change.note.startswith("an entry") else "gpa", int(change.name[4:], 16), 8, change.name)
    if change.kind is Kind.PC:
        return Place("gva", int(change.after, 16), 4, "pc")
    return None


def _then(card: CardView, width: int) -> Iterator[Row]:
    code, note = card.goes_on.code, card.goes_on.note
    head = Content.assemble((f"{code.pc:x}  ", MUTED), (cut(code.text, width - 18), STRONG))
    symbol = Content.styled(code.symbol, "$text-secondary")
    yield Row(_spread(head, symbol, width), Place("gva", code.pc, 4, code.symbol))
    for line in wrap(note, width):
        yield Row(Content.styled(line, MUTED))


def _elsewhere(card: CardView, width: int) -> Iterator[Row]:
    """Those that would have done without, first."""
    ordered = [*card.avoiders, *(each for each in card.elsewhere if each not in card.avoiders)]
    if not card.avoiders:
        yield Row(Content.styled("by no technique: it is an exit under each", MUTED))
    yield from _verdicts(ordered, width, "exits too")


def _verdicts(verdicts: Iterable[Elsewhere], width: int, is_exit: str) -> Iterator[Row]:
    """Techniques that come to the same for the same reason, together."""
    by_reason: dict[tuple[str, str, str, str], list[str]] = {}
    for each in verdicts:
        if each.why is None:
            key = "?", MUTED, "cannot run this guest", each.refused
        elif each.depends:
            key = "~", MUTED, "it depends", f"{each.depends[0].upper()}{each.depends[1:]}."
        elif each.why.exits:
            key = "✗", MUTED, is_exit, each.why.rule
        else:
            key = "✓", "$text-success", "no exit", each.why.rule
        by_reason.setdefault(key, []).append(each.technique)
    for (mark, style, word, rule), techniques in by_reason.items():
        yield from _verdict(f"{mark} {', '.join(techniques)}: {word}. ", rule, style, width)


def _verdict(head: str, rule: str, style: str, width: int) -> Iterator[Row]:
    lines = wrap(head + rule, width, indent=2)
    yield Row(Content.assemble((lines[0][:len(head)], f"bold {style}"), (lines[0][len(head):], style)))
    yield from (Row(Content.styled(line, style)) for line in lines[1:])


# --- stage by stage


def _handling(card: CardView, stage: int, width: int) -> Iterator[Row]:
    yield from _head(card, width)
    parts: list[str | tuple[str, str]] = []
    arrow = " ▸ " if width >= 60 else " "
    for index, step in enumerate(card.steps):
        style = "reverse bold $text-accent" if index == stage else STRONG if index < stage else "$foreground-disabled"
        parts += [(step.name, style), (arrow if index + 1 < len(card.steps) else "", MUTED)]
    yield Row(Content.assemble(*parts))
    for step in card.steps[:stage]:
        yield Row(Content.styled(cut(f"✓ {step.name}: {step.title}", width), MUTED))
    yield from _stage(card.steps[stage], width)


def _stage(step: MicroStep, width: int) -> Iterator[Row]:
    for line in wrap(step.title, width):
        yield Row(Content.styled(line, STRONG))
    wide = min(24, max((len(fact.name) for fact in step.facts), default=0))
    for fact in step.facts:
        yield from _fact(fact, wide, width)


def _fact(fact: Fact, name_width: int, width: int) -> Iterator[Row]:
    indent = name_width + 4
    values = wrap(fact.value, width - indent) or [""]
    for index, value in enumerate(values):
        name = fact.name if index == 0 else ""
        line = Content.assemble((f"  {cut(name, name_width):<{name_width}}  ", "$text-secondary"), (value, STRONG))
        if index == len(values) - 1 and fact.note and line.cell_length + 2 + len(fact.note) <= width:
            yield Row(line + Content.styled(f"  {fact.note}", MUTED))
            return
        yield Row(line)
    yield from (Row(Content.styled(" " * indent + line, MUTED)) for line in wrap(fact.note, width - indent))


# --- no card


def _without_card(page: CardPage, width: int) -> Iterator[Row]:
    if page.empty:
        yield Row(Content.styled(page.empty, MUTED))
    if page.last is not None:
        last, look = page.last, look_of(page.last.reason)
        yield Row(Content.styled("running; the last exit was" if page.is_running else "between exits; the last was",
                                 MUTED))
        yield Row(Content.assemble(
            (f" {look.letter} ", f"reverse bold {look.style}"), " ", (label(last.reason), f"bold {look.style}"),
            (f"  exit {last.number:,}", STRONG), (f"  step {last.step:,}, {page.step - last.step:,} ago", MUTED)))
        yield Row(Content.assemble((f"{last.pc:x}  ", MUTED), (page.last_symbol, "$text-secondary")),
                  Place("gva", last.pc, 4, page.last_symbol))
    if page.next is not None:
        yield Row(Content(""))
        yield Row(Content.styled("the instruction here", MUTED))
        yield Row(_code(page.next.code, width), Place("gva", page.next.code.pc, 4, page.next.code.symbol))
        if page.next.access:
            yield Row(Content.styled(page.next.access, STRONG))
        yield from _verdicts(page.next.verdicts, width, "exits")
    if page.technique != "bare" and not page.is_running:
        yield Row(Content(""))
        for line in wrap("e goes to the next exit, E to the one before, u into its handling", width):
            yield Row(Content.styled(line, MUTED))


# --- text


def _section(name: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Rows with a label before the first."""
    for index, row in enumerate(rows):
        gutter = f"{name if index == 0 else '':<{GUTTER}}"
        yield Row(Content.styled(gutter, LABEL) + row.line, row.place)


def _spread(left: Content, right: Content, width: int) -> Content:
    """One at each edge; the right one goes where there is no room for both."""
    gap = width - left.cell_length - right.cell_length
    return left + Content(" " * gap) + right if gap >= 1 and right.cell_length else left


def wrap(text: str, width: int, *, indent: int = 0) -> list[str]:
    """A paragraph in lines."""
    return textwrap.wrap(text, max(12, width), subsequent_indent=" " * indent) if text else []


def cut(text: str, width: int) -> str:
    """No longer than that."""
    return text if len(text) <= width else text[:max(0, width - 1)] + "…"
