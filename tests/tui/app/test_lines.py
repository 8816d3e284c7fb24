"""Lists of lines: what is painted is what was given last, its styles too; and every theme can paint it."""

from __future__ import annotations

import pytest
from textual.color import Color
from textual.content import Content
from textual.theme import BUILTIN_THEMES

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
