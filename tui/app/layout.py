"""Where panels go: a few slots, as many as the screen has room for, each with one of its panels in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

STRIP: Final = "timeline"
"""The panel that lies along the bottom."""

ALL: Final = ("code", "registers", "memory", "card", "predict", "walk", "vms", "snapshots", "devices", "lab")

LEAST_WIDTH, LEAST_HEIGHT = 60, 16
"""Below that nothing can be shown."""

WIDE, WIDE_HEIGHT = 165, 40
MEDIUM, MEDIUM_HEIGHT = 118, 32
STRIP_HEIGHT: Final = 6
NARROW_STRIP_HEIGHT: Final = 4


class Box(NamedTuple):
    """A panel's place on the screen, in cells."""

    x: int
    y: int
    width: int
    height: int


class Slot(NamedTuple):
    """One place. panels: those that can be there; the first is at the start. column, weight: its column, and its part
    of that column's height."""

    panels: tuple[str, ...]
    column: int
    weight: int


NARROW_SLOTS: Final = (Slot(("card", *(name for name in ALL if name != "card")), 0, 1),)

MEDIUM_SLOTS: Final = (
    Slot(("code", "predict", "lab"), 0, 3), Slot(("registers", "memory", "vms"), 0, 2),
    Slot(("card", "snapshots"), 1, 3), Slot(("walk", "devices"), 1, 3))

WIDE_SLOTS: Final = (
    Slot(("code",), 0, 3), Slot(("registers", "memory"), 0, 3),
    Slot(("card", "predict"), 1, 3), Slot(("walk",), 1, 3),
    Slot(("vms",), 2, 3), Slot(("devices", "snapshots", "lab"), 2, 3))


def slots_for(width: int, height: int) -> tuple[Slot, ...]:
    """The slots that a screen of this size has room for."""
    if width >= WIDE and height >= WIDE_HEIGHT:
        return WIDE_SLOTS
    if width >= MEDIUM and height >= MEDIUM_HEIGHT:
        return MEDIUM_SLOTS
    return NARROW_SLOTS


def arrange(width: int, height: int, chosen: Sequence[str], zoomed: str | None) -> Mapping[str, Box]:
    """A box for each panel to be seen, in an area of width by height cells.

    chosen: panels by how recently the user asked for them, the latest last: a slot shows the latest of its own. zoomed:
    the panel that has all of it.
    """
    if zoomed is not None:
        return {zoomed: Box(0, 0, width, height)}
    slots = slots_for(width, height)
    is_narrow = slots is NARROW_SLOTS
    if is_narrow and chosen and chosen[-1] == STRIP:
        return {STRIP: Box(0, 0, width, height)}
    strip = NARROW_STRIP_HEIGHT if is_narrow else STRIP_HEIGHT
    boxes = {STRIP: Box(0, height - strip, width, strip)}
    area = height - strip
    columns = 1 + max(slot.column for slot in slots)
    for column in range(columns):
        left, right = width * column // columns, width * (column + 1) // columns
        own = [slot for slot in slots if slot.column == column]
        whole, above = sum(slot.weight for slot in own), 0
        for slot in own:
            top, above = area * above // whole, above + slot.weight
            panel = max(slot.panels, key=lambda name: chosen.index(name) if name in chosen else -1)
            boxes[panel] = Box(left, top, right - left, area * above // whole - top)
    return boxes
