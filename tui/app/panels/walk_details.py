"""One page-table entry in full: its bits by name, what they mean, and what is stale of it."""

from __future__ import annotations

from textual.content import Content

from ....core.isa.paging import PTE_FIELDS
from ....core.vmm.views.shadow_walk import Agreement
from ....core.vmm.views.stages import MEMORY_TYPES, PteView, StageView, flags_text
from ....core.vmm.views.walk import MayView, WalkView
from ..text import Line, address, size, wrapped

MEANINGS = {field.name: field.description for field in PTE_FIELDS}


def detail_lines(view: WalkView, stage: StageView, entry: PteView | None, number: int, width: int) -> list[Content]:
    """What there is to say of an entry, or of the page (None). number: of the read."""
    if entry is None:
        return _page(view, stage, width)
    lines = [*_where(view, stage, entry, number, width), _bits(entry).content]
    lines += wrapped(_meaning(stage, entry), width, first="  ", style="$text-secondary")
    rule = stage.rule
    if rule is not None and entry is stage.entries[-1] and stage is not view.guest:
        lines += wrapped(f"step {rule.step}: {rule.text}", width, first="✗ ", style="$text-error")
    if stage is view.guest:
        may = _may_of(view, entry)
        if may is not None:
            more = f", {may.values} values since" if may.values > 1 else ""
            lines += wrapped(f"stored to at step {may.step:,}{more}, and no sfence.vma has subsumed it. It was "
                             f"{may.was:016x} {flags_text(may.was)}", width, first="! ", style="$text-warning")
    elif view.shadow is not None and stage is view.shadow.stage:
        lines += _mirror(view, entry, width)
    return lines


def _where(view: WalkView, stage: StageView, entry: PteView, number: int, width: int) -> list[Content]:
    space = "hpa" if stage is not view.guest else "gpa"
    line = Line((f"{stage.name} L{entry.level}", "bold"), f" entry {entry.index:03x} at {space} ",
                (address(entry.address), "bold"))
    if number:
        line.add((f", read {number} of {view.reads}", "$text-muted"))
    value = Line(("   ", ""), (f"{entry.value:016x}", "bold $text-accent"))
    if line.width + value.width > width:
        return [line.content, value.content]
    return [Content.assemble(line.content, value.content)]


def _bits(entry: PteView) -> Line:
    """The fields as the manual draws them, from the top."""
    value = entry.value
    line = Line(("N ", "$text-muted"), str(value >> 63), ("  PBMT ", "$text-muted"),
                f"{entry.pbmt} {MEMORY_TYPES[entry.pbmt]}", ("  PPN ", "$text-muted"), f"{entry.ppn:x}",
                ("  RSW ", "$text-muted"), f"{entry.rsw:02b}", " ")
    for bit in range(7, -1, -1):
        is_set = bool(value >> bit & 1)
        line.add((f" {'VRWXUGAD'[bit]}", "$text-muted"), ("1" if is_set else "0", "bold $text-success" if is_set else
                                                           "$text-muted"))
    reserved = value >> 54 & 0x7F
    if reserved:
        line.add(("  reserved ", "$text-error"), (f"{reserved:x}", "$text-error bold"))
    return line


def _meaning(stage: StageView, entry: PteView) -> str:
    if not entry.is_valid:
        return "not valid: all other bits are software's own"
    if entry.is_pointer:
        return f"leads to the table of level {entry.level - 1} at {entry.target:x}, which maps {size(entry.size)}"
    rights = [word for word, bit in (("readable", 1), ("writable", 2), ("executable", 3)) if entry.value >> bit & 1]
    kind = f"maps {size(entry.size)} at {entry.target:x}" if not entry.is_napot else (
        f"one of 16 that map {size(entry.size)} together (Svnapot)")
    who = "user and, under SUM, supervisor" if entry.value >> 4 & 1 else "supervisor only"
    if stage.register == "hgatp":
        who = "the guest" if entry.value >> 4 & 1 else "nobody: U=0"
    extra = [word for word, bit in (("global", 5), ("accessed", 6), ("dirty", 7)) if entry.value >> bit & 1]
    return ", ".join([kind, *rights, who, *extra])


def _may_of(view: WalkView, entry: PteView) -> MayView | None:
    return view.may[1 + view.guest.entries.index(entry)] if view.may else None


def _mirror(view: WalkView, entry: PteView, width: int) -> list[Content]:
    shadow = view.shadow
    assert shadow is not None
    mirror = shadow.mirrors[shadow.stage.entries.index(entry)]
    what = (f"its table mirrors the guest's at gpa {mirror.table:x}" if mirror.table is not None else
            "its table is of 4 KiB leaves that make up a guest superpage" if view.guest.format is not None else
            "its table maps guest memory as it is, since satp is Bare")
    says = {
        Agreement.AGREES: "the entry agrees with the guest's, through the frame map",
        Agreement.ABSENT: "the entry is not filled: the first access exits",
        Agreement.GUARDED: "the entry agrees but for W: a guest table lies in that page, and stores to it must exit",
        Agreement.SHARED: "the entry agrees but for W: the frame backs another guest too, and is copied when stored to",
        Agreement.DISAGREES: "the entry disagrees: the guest's tables are others by now",
    }[mirror.agreement]
    lines = wrapped(f"{what}. {says[0].upper()}{says[1:]}", width, first="  ",
                    style="$text-error" if mirror.agreement is Agreement.DISAGREES else "$text-secondary")
    others = [role for role in shadow.roles if not role.is_present]
    if others:
        told = ", ".join(f"{role.name} {role.leaf.flags if role.leaf is not None else 'nothing'}" for role in others)
        lines += wrapped(f"other roots of this satp: {told}", width, first="  ", style="$text-muted")
    return lines


def _page(view: WalkView, stage: StageView, width: int) -> list[Content]:
    place = view.place
    if place is None:
        return []
    text = f"gpa {view.guest.result:x} is {place.name} ({place.base:x} to {place.end - 1:x})"
    if stage.result is not None and stage.register == "hgatp":
        text += f"; the G-stage leads to hpa {stage.result:x}"
    return wrapped(text, width, first="  ", style="$text-secondary")
