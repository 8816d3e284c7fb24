"""The page walk as lines: a row for each guest entry, with the hypervisor's beside it.

bare:       L2 1ff   80261ff8 -------V 80264000
shadow:     L2 1ff   80261ff8 -------V 80264000   = 8007dff8 -------V 8007e000
two-stage:  L2 1ff    1 80064000   2 80065000   3 8006c000   4 -------V 80264000

The G-stage's columns are the reads that find the guest's entry, numbered as a hart without caches does them; the last
row is the page itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from textual.content import Content

from ....core.isa.causes import EXCEPTION_BY_NUMBER
from ....core.isa.paging import PTE_R, PTE_W, PTE_X
from ....core.vmm.views.places import PlaceKind
from ....core.vmm.views.shadow_walk import Agreement
from ....core.vmm.views.stages import PteView, StageView
from ....core.vmm.views.walk import WalkView
from ....core.vmm.walker import ACCESS_FAULT, PAGE_FAULT
from ..text import Line, Piece, address, size, wrapped
from ..widgets.cells import Painting
from .card_lines import HIDDEN
from .walk_details import detail_lines

ACCESSES: Final = ("fetch", "load", "store")

SIGNS: Final = {Agreement.AGREES: ("=", "$text-success"), Agreement.ABSENT: ("·", "$text-muted"),
                Agreement.GUARDED: ("w", "$text-secondary"), Agreement.SHARED: ("c", "$text-secondary"),
                Agreement.DISAGREES: ("≠", "$text-error bold")}
"""How a shadow entry stands to the guest's, in a character."""

TIGHT, FULL, ROOMY = 66, 70, 104
"""Widths below which a nested row leaves out where the guest's entry leads; from which entries have their addresses,
and the G-stage's its flags."""


@dataclass(frozen=True)
class Spot:
    """What a cell of the walk is: an entry of a stage, or the page at the end (entry None). number: of the read, from
    1; 0 where the hart does not read it."""

    stage: StageView
    entry: PteView | None
    number: int = 0


def paint_walk(view: WalkView, width: int, here: tuple[int, int] = (0, 0)) -> Painting:
    """All of it. here: the cursor's row and cell, of which the details are told."""
    painting = Painting()
    painting.add(*_head(view, width))
    if view.nested:
        _paint_nested(painting, view, width)
    else:
        _paint_flat(painting, view, width)
    painting.add(*_outcome(view, width))
    spot = painting.thing(*here)
    if isinstance(spot, Spot):
        painting.add(Content(""), *detail_lines(view, spot.stage, spot.entry, spot.number, width))
    return painting


def paint_hidden(view: WalkView, width: int) -> Painting:
    """The address, while the user is to guess where it leads."""
    painting = Painting()
    painting.add(*_head(view, width), Content(""), Content.styled(HIDDEN, "$text-warning"))
    return painting


# --- the head


def _head(view: WalkView, width: int) -> list[Content]:
    who = view.who
    line = Line(("gva ", "$text-muted"), (address(view.gva, 16), "bold $text-accent"), "  ",
                f"{ACCESSES[who.access]} by {view.mode}")
    for name, is_on in (("SUM", who.sum_ and view.mode == "S"), ("MXR", who.mxr)):
        if is_on:
            line.add(f" {name}")
    if view.why:
        line.add(("  ", ""), (view.why, "$text-secondary"))
    if view.symbol:
        line.add("  ", (view.symbol, "bold"))
    lines = [line.content]
    if view.guest.fields:
        lines += _split(view.guest, width)
    return lines + _registers(view, width)


def _split(stage: StageView, width: int) -> list[Content]:
    """The address in its parts, under the bits that they are."""
    step = 12 if width >= 12 * len(stage.fields) + 14 else 11
    bits, values = Line(("bits ", "$text-muted")), Line("     ")
    above = stage.fields[0].hi + 1
    if above < 64:
        bits.add((f"63:{above}", "$text-muted")).upto(5 + 7)
        values.add(("sign", "$text-muted")).upto(5 + 7)
    at = bits.width
    for field in stage.fields:
        bits.upto(at).add((f"{field.hi}:{field.lo}", "$text-muted"))
        values.upto(at).add((field.name.replace("offset", "off") + " ", "$text-muted"),
                            (f"{field.value:03x}", "bold"))
        at += step
    return [bits.content, values.content]


def _registers(view: WalkView, width: int) -> list[Content]:
    """What selects the tables, in one line if there is room for it."""
    first, second = Line(), Line()
    _register(first, view.guest, "guest " if view.shadow is not None else "")
    if view.shadow is not None:
        stage = view.shadow.stage
        second.add((f"shadow {stage.register} ", "$text-muted"))
        if stage.format is None:
            second.add(("no root yet", "$text-warning"))
        else:
            second.add(f"root {address(stage.root)} for ", (view.shadow.role, "bold"),
                       (f" ({view.shadow.policy})", "$text-muted"))
    elif view.nested:
        _register(second, view.nested[-1], "")
    if first.width + second.width + 3 > width:
        return [line.content for line in (first, second) if line.width]
    return [Content.assemble(first.content, "   ", second.content)]


def _register(line: Line, stage: StageView, prefix: str) -> None:
    line.add((f"{prefix}{stage.register} ", "$text-muted"))
    if stage.format is None:
        line.add(("Bare", "bold"))
        return
    tag = "VMID" if stage.register == "hgatp" else "ASID"
    line.add((stage.format, "bold"), f" root {address(stage.root)} {tag} {stage.tag}")


# --- one table after the other


def _paint_flat(painting: Painting, view: WalkView, width: int) -> None:
    """The guest's entries, and the shadow's beside them."""
    is_full = width >= FULL or view.shadow is None
    shadow = view.shadow.stage.entries if view.shadow is not None else ()
    levels = max((entry.level for entry in (*view.guest.entries, *shadow)), default=-1)
    heading = Line("        ", ("entry at  " if is_full else "", "$text-muted"), ("DAGUXWRV leads to", "$text-muted"))
    if view.shadow is not None:
        heading.upto(_second(is_full)).add(("  shadow ", "$text-muted"), ("DAGUXWRV leads to", "$text-muted"))
    painting.add(heading.content)
    for level in range(levels, -1, -1):
        entry = next((each for each in view.guest.entries if each.level == level), None)
        other = next((number for number, each in enumerate(shadow) if each.level == level), None)
        if entry is None and other is None:
            continue
        line, cells, spots = Line(), [], []
        if entry is None:
            line.add(f" L{level} {shadow[other or 0].index:03x} ",
                     ("none: satp is Bare" if view.guest.format is None else "part of the superpage", "$text-muted"))
        else:
            _label(line, view, entry)
            cells.append(line.cell(*_entry(view.guest, entry, is_full)))
            number = 0 if view.shadow is not None else view.guest.entries.index(entry) + 1
            spots.append(Spot(view.guest, entry, number))
        if other is not None and view.shadow is not None:
            line.upto(_second(is_full))
            mirror = view.shadow.mirrors[other]
            is_new = view.filled is not None and other >= len(shadow) - view.filled[1]
            line.add(SIGNS[mirror.agreement], ("+", "$text-success") if is_new else " ")
            cells.append(line.cell(*_entry(view.shadow.stage, shadow[other], is_full)))
            spots.append(Spot(view.shadow.stage, shadow[other], other + 1))
        painting.stop(line.content, cells, spots)
        if view.guest.rule is None or entry is not None:
            row = len(painting.stops) - 1
            at_shadow = other is not None and view.guest.rule is None and (
                view.filled is not None or (view.shadow is not None and view.shadow.stage.rule is not None))
            painting.focus = (row, len(cells) - 1 if at_shadow else 0)
    if levels < 0:
        line = Line("page    ")
        cell = line.cell((address(view.gva), "bold"), "  its own GPA: there is no translation")
        painting.stop(line.content, [cell], [Spot(view.guest, None)])


def _second(is_full: bool) -> int:
    """The column at which the shadow's entries begin."""
    return 8 + (28 if is_full else 18) + 1


def _label(line: Line, view: WalkView, entry: PteView) -> None:
    """Level and index, with a mark on what is lawfully stale, or broke a rule."""
    line.add(_mark(view, entry), (f"L{entry.level}", "bold"), f" {entry.index:03x} ")


def _mark(view: WalkView, entry: PteView) -> Piece:
    at = len(view.may) - 1 - len(view.guest.entries) if view.may else 0
    number = view.guest.entries.index(entry)
    if view.guest.rule is not None and number == len(view.guest.entries) - 1:
        return ("✗", "$text-error bold")
    if view.may and view.may[1 + at + number] is not None:
        return ("!", "$text-warning bold")
    return " "


def _entry(stage: StageView, entry: PteView, is_full: bool, is_tight: bool = False) -> list[Piece]:
    pieces: list[Piece] = [f"{address(entry.address)} "] if is_full else []
    is_bad = stage.rule is not None and entry is stage.entries[-1]
    for letter in entry.flags:
        pieces.append((letter, "$text-muted") if letter == "-" else
                      (letter, "$text-error bold" if is_bad else "$text-success bold"))
    if not is_tight:
        pieces.append(f" {address(entry.target)}" if entry.is_valid else (
            "  nothing" if entry.value == 0 else "  invalid", "$text-error"))
    return pieces


# --- tables below tables


def _paint_nested(painting: Painting, view: WalkView, width: int) -> None:
    """A row for each GPA that the G-stage translates: the guest's entries, then the page."""
    depth = max((len(stage.entries) for stage in view.nested), default=0)
    levels = view.nested[0].levels
    is_full, is_roomy = width >= FULL, width >= ROOMY
    step = 12 + (9 if is_roomy else 0)
    heading = Line("        ")
    if is_full:
        heading.add(("at GPA", "$text-muted")).upto(17)
    for number in range(depth):
        heading.add((f" G-stage L{levels - 1 - number}", "$text-muted"))
        heading.upto((17 if is_full else 8) + step * (number + 1))
    heading.add(("then  DAGUXWRV" + (" leads to" if width >= TIGHT else ""), "$text-muted"))
    painting.add(heading.content)
    number = 0
    for index, stage in enumerate(view.nested):
        entry = view.guest.entries[index] if index < len(view.guest.entries) else None
        line, cells, spots = Line(), [], []
        if entry is not None:
            _label(line, view, entry)
        else:
            line.add(" page   ")
        if is_full:
            line.add(address(stage.address)).upto(17)
        for depth_here, read in enumerate(stage.entries):
            number += 1
            is_new = view.filled is not None and view.filled[0] == index and (
                depth_here >= len(stage.entries) - view.filled[1])
            cells.append(line.cell(*_read(stage, read, number, is_new, is_roomy)))
            spots.append(Spot(stage, read, number))
            line.upto((17 if is_full else 8) + step * (depth_here + 1))
        line.upto((17 if is_full else 8) + step * depth)
        if stage.rule is not None:
            line.add(("✗ G-stage miss", "$text-error bold"))
        elif entry is None:
            line.add(("hpa ", "$text-muted"))
            cells.append(line.cell((address(stage.result or 0), "bold")))
            spots.append(Spot(stage, None))
        else:
            number += 1
            line.add((f"{number:2} ", "$text-muted"))
            cells.append(line.cell(*_entry(view.guest, entry, False, width < TIGHT)))
            spots.append(Spot(view.guest, entry, number))
        painting.stop(line.content, cells, spots)
    painting.focus = _nested_focus(view)


def _nested_focus(view: WalkView) -> tuple[int, int]:
    """What this exit filled; else what is missing; else where the guest's tables end."""
    missing = next((row for row, stage in enumerate(view.nested) if stage.rule is not None), None)
    if view.filled is not None:
        return view.filled[0], len(view.nested[view.filled[0]].entries) - 1
    if view.guest.rule is not None:
        row = max(0, len(view.guest.entries) - 1)
        return row, len(view.nested[row].entries) if view.nested else 0
    if missing is not None:
        return missing, max(0, len(view.nested[missing].entries) - 1)
    row = max(0, len(view.guest.entries) - 1)
    return row, len(view.nested[row].entries)


def _read(stage: StageView, entry: PteView, number: int, is_new: bool, is_roomy: bool) -> list[Piece]:
    is_bad = stage.rule is not None and entry is stage.entries[-1]
    pieces: list[Piece] = [(f"{number:2}", "$text-muted"), ("+", "$text-success") if is_new else " "]
    if is_roomy:
        pieces.append((f"{entry.flags} ", "$text-error" if is_bad else "$text-muted"))
    if entry.is_valid:
        pieces.append((address(entry.target), "$text-error" if is_bad else ""))
    else:
        pieces.append(("nothing ", "$text-error"))
    return pieces


# --- where it ends


def _outcome(view: WalkView, width: int) -> list[Content]:
    """Where the walk leads, or why nowhere; and what is stale."""
    lines: list[Content] = []
    guest = view.guest
    if guest.rule is not None:
        causes = ACCESS_FAULT if guest.rule.is_access_fault else PAGE_FAULT
        cause = EXCEPTION_BY_NUMBER[causes[view.who.access]]
        name = cause.name.lower().replace("_", " ")
        where = f"step {guest.rule.step} of \"{guest.rule.section}\""
        lines += wrapped(f"the guest's own {name} ({cause.number}), {where}: {guest.rule.text}", width, first="✗ ",
                         style="$text-error")
    elif guest.result is not None and view.place is not None:
        lines.append(_arrival(view, guest.result).content)
    lines += _miss(view, width)
    lines += _stale(view, width)
    return lines


def _arrival(view: WalkView, gpa: int) -> Line:
    place = view.place
    assert place is not None
    line = Line("→ ", ("gpa ", "$text-muted"), (address(gpa), "bold"), f" {place.name}" if place.name != "RAM" or
                place.kind is not PlaceKind.RAM else " RAM")
    if view.guest.size:
        line.add((f"  {size(view.guest.size)} page", "$text-muted"))
    if view.technique != "bare" and place.kind is PlaceKind.RAM:
        line.add(("  frame ", "$text-muted"), address(view.frame) if view.frame is not None else "none yet")
    line.add((f"  {view.reads} reads", "$text-muted"))
    return line


def _miss(view: WalkView, width: int) -> list[Content]:
    """Where the hart's own tables have nothing for what the guest's allow: an exit."""
    if view.guest.rule is not None:
        return []
    stage: StageView | None = None
    if view.shadow is not None and view.shadow.stage.rule is not None:
        stage, what = view.shadow.stage, "shadow"
    else:
        stage, what = next((each for each in view.nested if each.rule is not None), None), "G-stage"
    if stage is None or stage.rule is None:
        return []
    place = view.place
    if place is not None and place.kind is PlaceKind.DEVICE and stage.address in (view.guest.result, view.gva):
        what_then = f"the hypervisor emulates {place.name}"
    elif place is not None and place.kind is PlaceKind.NOTHING and stage.address in (view.guest.result, view.gva):
        what_then = "the guest gets an access fault"
    else:
        what_then = "the hypervisor fills it, and the guest never knows"
    return wrapped(f"{what} miss, step {stage.rule.step}: {stage.rule.text}; an exit: {what_then}", width, first="✗ ",
                   style="$text-warning")


def _stale(view: WalkView, width: int) -> list[Content]:
    lines: list[Content] = []
    marked = [each for each in view.may if each is not None]
    for each in marked:
        if each.is_root:
            lines += wrapped(f"may: satp was {each.was:x} until step {each.step:,}, and no sfence.vma has subsumed it: "
                             "translations of those tables may still be used", width, first="! ", style="$text-warning")
    if marked and view.may_lead is not None:
        stage = view.may_lead
        led = f"to gpa {stage.result:x}" if stage.result is not None else "to a page fault"
        lines += wrapped(f"may: a hart may still be led {led}", width, first="! ", style="$text-warning")
    elif any(not each.is_root for each in marked):
        lines += wrapped("may: an entry changed since the last sfence.vma that subsumes it", width, first="! ",
                         style="$text-warning")
    if view.shadow is not None and view.shadow.is_stale:
        lines += wrapped("disagrees: the guest's tables say otherwise by now; the hart uses the shadow's until the "
                         "guest's next fence", width, first="≠ ", style="$text-error")
    for held in view.held:
        if held.is_present or held.is_stale:
            rights = "".join(letter if held.permissions & bit else "-" for letter, bit in
                             (("r", PTE_R), ("w", PTE_W), ("x", PTE_X)))
            text = (f"hart holds {held.hpa:x} {rights} for {held.mode}, ASID {held.asid}" +
                    (f", VMID {held.vmid}" if held.vmid is not None else ""))
            if held.is_stale:
                lines += wrapped(f"{text}: stale, and the next access uses it", width, first="≠ ", style="$text-error")
            else:
                lines += wrapped(text, width, first="• ", style="$text-muted")
    if view.fence is not None:
        what = "every address" if view.fence.gva is None else f"{view.fence.gva:x} alone"
        asid = "" if view.fence.asid is None else f" in ASID {view.fence.asid}"
        lines.append(Content.assemble((f"  last sfence.vma at step {view.fence.step:,}, for {what}{asid}",
                                       "$text-muted")))
    elif not view.is_known:
        lines.append(Content.assemble(("  what the guest fenced before is not known", "$text-muted")))
    return lines
