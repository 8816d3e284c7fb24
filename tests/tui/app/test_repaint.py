"""What is not painted again: only what would look the same. The oracle is the same screen with all that was kept
thrown away."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from hartvisor.tui.app.engine import Engine
from hartvisor.tui.app.screens.main import MainScreen
from hartvisor.tui.app.widgets.lines import LinesView

from .support import DARK, LIGHT, NARROW, SIZES, Desk, glass

PANELS = "1234567890-"


def kept(desk: Desk) -> list[Strip]:
    """The screen as it is."""
    return desk.app.screen._compositor.render_strips()


def painted(desk: Desk) -> list[Strip]:
    """The screen, all of it painted now."""
    for widget in (desk.app.screen, *desk.app.screen.walk_children()):
        if isinstance(widget, Widget):
            widget._styles_cache.clear()
        if isinstance(widget, LinesView):
            widget._strips.clear()
    return kept(desk)


def differences(desk: Desk) -> list[tuple[int, str, str]]:
    """Rows that are not as they would be painted: number, text as it is, text as it would be."""
    return [(row, old.text, new.text) for row, (old, new) in enumerate(zip(kept(desk), painted(desk), strict=True))
            if list(old.simplify()) != list(new.simplify())]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_kept_is_what_would_be_painted(size: tuple[int, int]) -> None:
    async def test(desk: Desk) -> None:
        async def look(*keys: str) -> None:
            for key in keys:
                await desk.ui(key)
                assert not differences(desk), key

        await look(*PANELS, *PANELS, "s", "e")
        for panel in "59":
            await look(panel, "down", ":", "escape", "down")    # the prompt has the keyboard, and a list again
        await look(*PANELS)                             # all of them come up again, and have other things to show
        await desk.pilot.resize_terminal(*(NARROW if size != NARROW else (100, 30)))
        await desk.settle()
        assert not differences(desk)
        await look(*PANELS, "z", *PANELS, "z")
        desk.app.theme = LIGHT if desk.app.theme == DARK else DARK
        await desk.settle()
        assert not differences(desk)
        await look(*PANELS, "?")

    glass(test, size=size)


def test_where_another_panel_comes_up_nothing_that_stays_is_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: Counter[str] = Counter()
    own = Widget.render_line

    def counting(self: Widget, y: int) -> Strip:
        lines[type(self).__name__] += 1
        return own(self, y)

    async def test(desk: Desk) -> None:
        await desk.press(*"456893", *"456893")
        lines.clear()
        await desk.press(*"456893")
        assert not [name for name in lines if name == "MainScreen" or name.endswith("Panel")]

    monkeypatch.setattr(Widget, "render_line", counting)
    glass(test)


def test_a_list_that_grows_is_laid_out_only_where_its_scroll_bar_comes_or_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    layouts = 0
    own = Screen._refresh_layout

    def counting(self: Screen[None], *args: object, **named: object) -> None:
        nonlocal layouts
        layouts += 1
        own(self, *args, **named)       # type: ignore[arg-type]

    async def test(desk: Desk) -> None:
        nonlocal layouts
        await desk.press("5")
        view = desk.panel.query_one(LinesView)
        height = view.size.height

        async def lengthen(count: int) -> int:
            nonlocal layouts
            layouts = 0
            view.set_lines([Content(f"line {number}") for number in range(count)])
            await desk.settle()
            assert view.show_vertical_scrollbar == (count > height)
            assert not differences(desk)
            return layouts

        assert await lengthen(height + 30) <= 1     # there may be a scroll bar already
        assert await lengthen(height + 50) == 0
        view.action_edge(is_last=True)
        await desk.settle()
        assert f"line {height + 49}" in "\n".join(desk.screen_text())
        assert await lengthen(height + 20) == 0     # and what is in sight is the end still
        assert f"line {height + 19}" in "\n".join(desk.screen_text())
        assert await lengthen(height) >= 1
        assert await lengthen(height - 1) == 0
        assert "line 0" in "\n".join(desk.screen_text())

    monkeypatch.setattr(Screen, "_refresh_layout", counting)
    glass(test)


def test_guests_wait_until_a_frame_is_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    def logged(owner: type, name: str, what: str) -> None:
        own = getattr(owner, name)

        def logging(self: object, *args: object, **named: object) -> object:
            log.append(what)
            return own(self, *args, **named)

        monkeypatch.setattr(owner, name, logging)

    async def test(desk: Desk) -> None:
        await desk.press("4")
        log.clear()
        await desk.press("s", "s", "s")         # each changes a register at least
        steps = "".join(log)
        assert steps.count("f") == steps.count("d") >= 3
        assert not [each for each in steps.split("f")[1:] if "p" not in each.partition("d")[0]], steps

    logged(MainScreen, "receive", "f")          # frame
    logged(Screen, "_compositor_refresh", "p")  # paint
    logged(Engine, "painted", "d")              # done
    glass(test)


def test_a_key_does_not_wait_for_the_next_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what its frame brings."""
    async def test(desk: Desk) -> None:
        await desk.press(*"456893")
        ticks = []
        monkeypatch.setattr(Timer, "resume", lambda timer: ticks.append(timer.name))
        for key, title in {"4": "4 Registers", "5": "5 Code", "9": "9 Memory"}.items():
            desk.app.post_message(events.Key(key, key))
            for _ in range(200):
                await asyncio.sleep(0.01)
                if title in "\n".join(desk.screen_text()):
                    break
            assert title in "\n".join(desk.screen_text())
        monkeypatch.undo()
        desk.app.main._update_timer.resume()
        assert ticks

    glass(test)


def test_a_reason_is_plain_text() -> None:
    async def test(desk: Desk) -> None:
        await desk.press("4")
        desk.panel.fail("KeyError: '[/b]' of [red]")
        await desk.settle()
        assert "KeyError: '[/b]' of [red]" in "\n".join(desk.screen_text())

    glass(test)
