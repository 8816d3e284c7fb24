"""Panels lie side by side without gaps or overlaps, and each comes up when it is asked for, on every size of screen."""

from __future__ import annotations

import pytest

from hartvisor.tui.app.layout import ALL, LEAST_HEIGHT, LEAST_WIDTH, STRIP, arrange, slots_for

SIZES = [(LEAST_WIDTH, LEAST_HEIGHT), (80, 21), (120, 40), (130, 41), (165, 40), (200, 57), (260, 90)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("asked", [*ALL, STRIP])
def test_the_panel_asked_for_is_seen(width: int, height: int, asked: str) -> None:
    boxes = arrange(width, height, [*({"code", "card"} - {asked}), asked], None)
    assert asked in boxes
    cells = [(x, y) for box in boxes.values() for x in range(box.x, box.x + box.width)
             for y in range(box.y, box.y + box.height)]
    assert len(cells) == len(set(cells)) == width * height


def test_a_zoomed_panel_has_everything() -> None:
    assert arrange(200, 57, ["code"], "walk") == {"walk": (0, 0, 200, 57)}


def test_every_panel_has_one_slot() -> None:
    for width, height in SIZES:
        names = [name for slot in slots_for(width, height) for name in slot.panels]
        assert sorted(names) == sorted(ALL)


def test_the_wide_screen_shows_six_and_the_strip() -> None:
    assert len(arrange(200, 57, [], None)) == 7
    assert len(arrange(80, 21, [], None)) == 2
