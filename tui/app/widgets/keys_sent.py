"""What a terminal sends for a key: the bytes that a guest at the other end of the serial line gets.

Source: "XTerm Control Sequences", sections "PC-Style Function Keys" and "Alt and Meta Keys"; VT220 for the rest.
"""

from __future__ import annotations

from typing import Final

CONTROLS: Final = {
    "enter": "\r", "tab": "\t", "shift+tab": "\x1b[Z", "backspace": "\x7f", "ctrl+backspace": "\x08", "escape": "\x1b",
    "space": " ", "shift+escape": "\x1b",
    "ctrl+at": "\0", "ctrl+@": "\0", "ctrl+space": "\0", "ctrl+backslash": "\x1c", "ctrl+right_square_bracket": "\x1d",
    "ctrl+circumflex_accent": "\x1e", "ctrl+underscore": "\x1f", "ctrl+minus": "\x1f", "ctrl+slash": "\x1f",
    "ctrl+left_square_bracket": "\x1b", "ctrl+question_mark": "\x7f", "ctrl+enter": "\r", "shift+enter": "\r",
}

CURSOR: Final = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
"""ESC [ letter, or ESC O letter in application mode."""

NUMBERED: Final = {
    "insert": 2, "delete": 3, "pageup": 5, "pagedown": 6, "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21,
    "f11": 23, "f12": 24, "f13": 25, "f14": 26, "f15": 28, "f16": 29, "f17": 31, "f18": 32, "f19": 33, "f20": 34,
}
"""ESC [ number ~."""

FUNCTION: Final = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
"""ESC O letter."""

MODIFIERS: Final = {"shift": 1, "alt": 2, "ctrl": 4}


def bytes_of(key: str, character: str | None, *, is_application: bool = False) -> bytes:
    """The bytes for one of Textual's keys; none for a key that terminals do not have.

    character: what it prints, if anything. is_application: the guest has asked for application cursor keys (DECCKM).
    """
    return _text_of(key, character, is_application).encode("utf-8", "ignore")


def _text_of(key: str, character: str | None, is_application: bool) -> str:
    if key in CONTROLS:
        return CONTROLS[key]
    *modifiers, name = key.split("+") if len(key) > 1 else [key]
    bits = sum(MODIFIERS.get(modifier, 0) for modifier in modifiers)
    special = _special(name, bits, is_application)
    if special is not None:
        return special
    if "alt" in modifiers:
        rest = "+".join(modifier for modifier in modifiers if modifier != "alt")
        inner = _text_of(f"{rest}+{name}" if rest else name, character, is_application)
        return "\x1b" + inner if inner else ""
    if "ctrl" in modifiers and len(name) == 1 and "a" <= name.lower() <= "z":
        return chr(ord(name.lower()) & 0x1F)
    return character if character and not modifiers else ""


def _special(name: str, bits: int, is_application: bool) -> str | None:
    """The sequence of a key that prints nothing, with modifiers as xterm numbers them; None for any other key."""
    modified = f";{bits + 1}" if bits else ""
    if name in CURSOR:
        if modified:
            return f"\x1b[1{modified}{CURSOR[name]}"
        return f"\x1b{'O' if is_application else '['}{CURSOR[name]}"
    if name in NUMBERED:
        return f"\x1b[{NUMBERED[name]}{modified}~"
    if name in FUNCTION:
        return f"\x1b[1{modified}{FUNCTION[name]}" if modified else f"\x1bO{FUNCTION[name]}"
    return None


def pasted(text: str, *, is_bracketed: bool) -> bytes:
    """The bytes for pasted text: line ends become what Enter sends. is_bracketed: the guest has asked to be told that
    it is pasted (mode 2004); then the text cannot pretend to have ended."""
    data = text.replace("\r\n", "\r").replace("\n", "\r")
    if is_bracketed:
        data = "\x1b[200~" + data.replace("\x1b[201~", "") + "\x1b[201~"
    return data.encode("utf-8", "replace")
