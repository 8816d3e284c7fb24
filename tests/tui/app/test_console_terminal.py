"""The terminal that a guest's console is shown on: what keys send, what bytes paint, and that it bears anything."""

from __future__ import annotations

from random import Random

import pyte
import pytest

from hartvisor.tui.app.widgets.keys_sent import bytes_of, pasted
from hartvisor.tui.app.widgets.terminal import Terminal


def plain(terminal: Terminal) -> list[str]:
    lines = [line.plain for line in terminal.screen_lines()]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def fed(text: str | bytes, columns: int = 80, rows: int = 24) -> Terminal:
    terminal = Terminal(columns, rows)
    terminal.feed(text if isinstance(text, bytes) else text.encode())
    return terminal


@pytest.mark.parametrize(("key", "character", "sent"), [
    ("a", "a", b"a"), ("A", "A", b"A"), ("space", " ", b" "), ("ä", "ä", "ä".encode()),
    ("euro_sign", "€", "€".encode()), ("slash", "/", b"/"), ("enter", "\r", b"\r"), ("tab", "\t", b"\t"),
    ("shift+tab", None, b"\x1b[Z"),
    ("backspace", "\x7f", b"\x7f"), ("escape", "\x1b", b"\x1b"), ("ctrl+c", "\x03", b"\x03"), ("ctrl+c", None, b"\x03"),
    ("ctrl+z", None, b"\x1a"), ("ctrl+at", "\0", b"\0"), ("ctrl+backslash", None, b"\x1c"),
    ("ctrl+right_square_bracket", None, b"\x1d"), ("ctrl+underscore", None, b"\x1f"),
    ("up", None, b"\x1b[A"), ("left", None, b"\x1b[D"), ("home", None, b"\x1b[H"), ("end", None, b"\x1b[F"),
    ("ctrl+right", None, b"\x1b[1;5C"), ("shift+up", None, b"\x1b[1;2A"), ("alt+left", None, b"\x1b[1;3D"),
    ("ctrl+shift+end", None, b"\x1b[1;6F"), ("insert", None, b"\x1b[2~"), ("delete", None, b"\x1b[3~"),
    ("pageup", None, b"\x1b[5~"), ("shift+pagedown", None, b"\x1b[6;2~"), ("f1", None, b"\x1bOP"),
    ("f4", None, b"\x1bOS"), ("f5", None, b"\x1b[15~"), ("f12", None, b"\x1b[24~"), ("ctrl+f1", None, b"\x1b[1;5P"),
    ("shift+f5", None, b"\x1b[15;2~"), ("alt+x", "x", b"\x1bx"), ("alt+enter", None, b"\x1b\r"),
    ("alt+ctrl+c", None, b"\x1b\x03"), ("plus", "+", b"+"), ("caps_lock", None, b""), ("f99", None, b""),
])
def test_keys_send_what_a_terminal_sends(key: str, character: str | None, sent: bytes) -> None:
    assert bytes_of(key, character) == sent


def test_application_cursor_keys() -> None:
    """Only what has no modifier changes (xterm, "PC-Style Function Keys")."""
    assert bytes_of("up", None, is_application=True) == b"\x1bOA"
    assert bytes_of("home", None, is_application=True) == b"\x1bOH"
    assert bytes_of("ctrl+up", None, is_application=True) == b"\x1b[1;5A"
    assert bytes_of("delete", None, is_application=True) == b"\x1b[3~"


def test_pasted_text_has_the_line_ends_of_keys_and_cannot_escape_its_brackets() -> None:
    assert pasted("a\nb\r\nc", is_bracketed=False) == b"a\rb\rc"
    assert pasted("a\x1b[201~b", is_bracketed=True) == b"\x1b[200~ab\x1b[201~"


def test_lines_colours_and_the_cursor() -> None:
    terminal = fed("plain \x1b[1;31mred\x1b[0m end\nsecond")
    assert plain(terminal) == ["plain red end", "second"], "a line feed alone begins a line"
    first = terminal.screen_lines()[0]
    assert [(span.start, span.end, span.style) for span in first.spans] == [(6, 9, "bold ansi_red")]
    assert terminal.cursor == (1, 6)
    terminal.feed(b"\x1b[?25l")
    assert terminal.cursor is None
    terminal.feed(b"\x1b[38;5;208mx\x1b[48;2;1;2;3my\x1b[7mz")
    styles = [span.style for span in terminal.screen_lines()[1].spans]
    assert styles == ["#ff8700", "#ff8700 on #010203", "reverse #ff8700 on #010203"]


def test_every_colour_and_look_can_be_painted() -> None:
    """Textual understands each of our words for them."""
    from textual.style import Style

    for code in (*range(10), *range(30, 38), *range(40, 48), *range(90, 98), *range(100, 108)):
        for span in fed(f"\x1b[{code}mx").screen_lines()[0].spans:
            assert isinstance(span.style, str)
            Style.parse(span.style)


def test_what_leaves_the_top_can_be_scrolled_back_to() -> None:
    terminal = fed("\n".join(f"line {number}" for number in range(100)))
    assert [line.plain for line in terminal.scrollback] == [f"line {number}" for number in range(76)]
    assert plain(terminal) == [f"line {number}" for number in range(76, 100)]
    terminal.feed(b"\x1b[5;10r\x1b[10;1H\n\n\n")
    assert len(terminal.scrollback) == 76, "what leaves a scrolling region is gone"


def test_long_lines_wrap_and_the_screen_can_be_any_size() -> None:
    assert plain(fed("x" * 25 + "\nend", 10, 5)) == ["x" * 10, "x" * 10, "x" * 5, "end"]
    assert plain(fed("\x1b[?3habc\x1b[?3l" + "y" * 85)) == ["abc" + "y" * 77, "y" * 8], "132 columns are refused"


def test_line_drawing_and_wide_letters() -> None:
    assert plain(fed("\x1b(0lqqk\x1b(B ok")) == ["┌──┐ ok"]
    terminal = fed("\x0elqk\x0f 漢字!")
    assert plain(terminal) == ["┌─┐ 漢字!"]
    assert terminal.cursor == (0, 9)


def test_text_is_not_lost_behind_what_cannot_be_printed() -> None:
    assert plain(fed(b"a\x01\x02b\xffc\xc2\x85d\x7fe")) == ["ab�cde"]
    half = Terminal()
    for byte in "ä€".encode():
        half.feed(bytes((byte,)))
    assert plain(half) == ["ä€"]


def test_modes_that_keys_depend_on() -> None:
    terminal = fed("\x1b[?1h\x1b[?2004h")
    assert terminal.has_application_cursor and terminal.is_bracketed
    terminal.feed(b"\x1bc")
    assert not terminal.has_application_cursor and not terminal.is_bracketed


def test_questions_are_answered_once() -> None:
    terminal = fed("ab\x1b[6n\x1b[5n\x1b[c")
    assert terminal.take_answers() == b"\x1b[1;3R\x1b[0n\x1b[?6c"
    assert terminal.take_answers() == b""


ALPHABET = (b"\x1b[]()?;0123456789ABCDHJKLMPXhlmrsu!>=\x00\x0e\x0f\x07\x08\x9b\xc3\xa9\xff\r\n\t#%@`'~^_ "
            b"\xc2\xb2\xc2\x9b")


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_are_borne(seed: int) -> None:
    """Random bytes, and random sequences of what terminals take for orders; afterwards it shows text as ever."""
    random = Random(seed)
    for _ in range(400):
        length = random.randrange(1, 300)
        orders = bytes(random.choice(ALPHABET) for _ in range(length))
        data = random.choice((orders, random.randbytes(length)))
        terminal = fed(data)
        terminal.take_answers()
        assert len(terminal.screen_lines()) == 24
        if terminal.cursor is not None:
            assert terminal.cursor[0] < 24 and terminal.cursor[1] < 80
        terminal.feed(b"\x07\x1b\\\x18\x1bc\x1b[Hstill here")
        assert plain(terminal)[0] == "still here", data


def test_plain_text_is_drawn_as_pyte_draws_it() -> None:
    """Our way by the line, against pyte's letter by letter: cells and cursor, with wraps and looks."""
    random = Random(7)
    for _ in range(200):
        parts = [random.choice(("x" * random.randrange(30), "word ", "\r\n", "\x1b[31m", "\x1b[0m", "\x1b[3;5H", "\t",
                                "\x1b[4h", "\x1b[4l", "\x1b[?7l", "\x1b[?7h", "é", "\b"))
                 for _ in range(random.randrange(40))]
        ours = fed("".join(parts), 20, 6)._screen
        theirs = pyte.Screen(20, 6)
        theirs.mode.add(pyte.modes.LNM)
        pyte.Stream(theirs).feed("".join(parts))
        assert (ours.cursor.y, ours.cursor.x) == (theirs.cursor.y, theirs.cursor.x), parts
        cells = [[screen.buffer[row][column] for row in range(6) for column in range(20)] for screen in (ours, theirs)]
        assert cells[0] == cells[1], parts
