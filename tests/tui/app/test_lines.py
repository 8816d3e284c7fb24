"""Lists of lines: what is painted is what was given last, its styles too; and every theme can paint it."""

from __future__ import annotations

from collections import Counter

import pytest
from textual.color import Color
from textual.content import Content
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES

from hartvisor.tui.app.widgets.about import About
from hartvisor.tui.app.widgets.lines import LinesView

from .support import Desk, glass


def test_other_styles_alone_are_painted_too() -> None:
    async def test(desk: Desk) -> None:
        lines = desk.app.main.panels["walk"].query_one(LinesView)
        lines.set_lines([Content("text")])
        await desk.pilot.pause()
        lines.set_lines([Content.styled("text", "bold")])
        await desk.pilot.pause()
        assert lines.lines[0].spans

    glass(test)


@pytest.mark.parametrize("theme", sorted(BUILTIN_THEMES))
def test_muted_text_is_fainter_than_text(theme: str) -> None:
    async def test(desk: Desk) -> None:
        variables = desk.app.get_css_variables()
        background, text = Color.parse(variables["background"]), Color.parse(variables["foreground"])
        if background.ansi is not None or text.ansi is not None:
            return      # the terminal's own colours
        muted = Color.parse(variables["text-muted"])
        assert background.get_contrast(muted) > 2 if hasattr(background, "get_contrast") else muted != text
        assert abs(muted.brightness - background.brightness) < abs(text.brightness - background.brightness)

    glass(test, theme=theme)


def test_a_panel_comes_up_again_as_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is painted, no rule of style is looked up, and the screen is laid out once."""
    counted: Counter[str] = Counter()

    def count(owner: type, name: str) -> None:
        own = getattr(owner, name)

        def counting(self: object, *args: object, **named: object) -> object:
            counted[name] += 1
            return own(self, *args, **named)

        monkeypatch.setattr(owner, name, counting)

    async def test(desk: Desk) -> None:
        panels = ("4", "5", "6", "8", "9", "3")
        await desk.press(*panels, *panels)
        counted.clear()
        for key in panels:
            await desk.press(key)
        assert counted == {"_refresh_layout": len(panels)}

    count(LinesView, "_paint")
    count(Stylesheet, "apply")
    count(Screen, "_refresh_layout")
    glass(test)


def test_text_below_a_list_lays_the_screen_out_only_if_it_takes_other_room(monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = []
    own = Screen._refresh_layout
    monkeypatch.setattr(Screen, "_refresh_layout", lambda *args, **named: layouts.append(args) or own(*args, **named))

    async def test(desk: Desk) -> None:
        await desk.press("5")
        about = desk.app.main.panels["code"].query_one("#about", About)
        heights = []
        for text in ("one", "other", "two\nlines", "two\nlines", "w" * 100):
            layouts.clear()
            about.tell(Content(text))
            await desk.settle()
            assert text.split("\n")[-1][:70] in "\n".join(desk.screen_text())
            heights.append((about.size.height, bool(layouts)))
        assert heights == [(1, heights[0][1]), (1, False), (2, True), (2, False), (2, False)]

    glass(test)
