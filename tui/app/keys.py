"""The keys that work everywhere: one row each, with the id under which a user's keymap may give it another key."""

from __future__ import annotations

from typing import Final, NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """A key. id: what a keymap calls it. action: Textual's. label: in the footer, "" for none there. about: in the
    help."""

    id: str
    key: str
    action: str
    label: str
    about: str


MOVES: Final = (
    Key("step", "s", "app.move('step')", "Step", "one step: an instruction, or a trap that the guest takes"),
    Key("over", "n", "app.move('over')", "Over", "a step, but a call as one"),
    Key("finish", "f", "app.move('finish')", "Finish", "to where this function was called from"),
    Key("continue", "c", "app.go_on", "Continue", "run on, or pause what runs"),
    Key("reverse-step", "S", "app.move('reverse_step')", "", "back over one step"),
    Key("reverse-over", "N", "app.move('reverse_over')", "", "back, a call as one"),
    Key("reverse-finish", "F", "app.move('reverse_finish')", "", "back to this function's call"),
    Key("reverse-continue", "C", "app.move('reverse_go_on')", "", "back to what last stopped it, or would have"),
    Key("next-exit", "e", "app.move('next_exit')", "Exit", "to the next exit"),
    Key("previous-exit", "E", "app.move('previous_exit')", "", "to the exit before"),
    Key("translation-exit", "t", "app.move('next_translation')", "Miss",
        "to the next translation exit: a shadow miss or a G-stage miss"),
    Key("micro-step", "u", "app.micro_step", "", "at an exit: the next stage of the hypervisor's handling"),
    Key("pause", "escape", "app.pause", "", "pause; on the way back in time, too"),
)

TOOLS: Final = (
    Key("breakpoint", "b", "app.breakpoint", "", "a breakpoint at the cursor (in code, else at pc): set, or take away"),
    Key("watchpoint", "w", "app.watchpoint", "", "a watchpoint on what the cursor is on: memory, register, CSR, entry"),
    Key("writer", "r", "app.writer", "", "back to the last writer of what the cursor is on"),
    Key("goto", "g", "app.ask('goto')", "Goto", "to an address, a symbol, a step (`#123`), or an exit (`!45`)"),
    Key("search", "slash", "app.ask('search')", "", "search in the panel"),
    Key("snapshot", "p", "app.snapshot", "", "take a snapshot"),
    Key("assemble", "x", "app.ask('assemble')", "", "assemble one instruction and run it here"),
    Key("command", "colon", "app.ask('command')", "", "a command; `:help` lists them"),
    Key("next-vm", "tab", "app.next_vm(1)", "", "the next VM"),
    Key("previous-vm", "shift+tab", "app.next_vm(-1)", "", "the VM before"),
)

VIEWS: Final = (
    Key("zoom", "z", "zoom", "Zoom", "the panel over the whole screen, and back"),
    Key("previous-tab", "left_square_bracket", "tab(-1)", "", "the panel's tab before"),
    Key("next-tab", "right_square_bracket", "tab(1)", "", "the panel's next tab"),
    Key("help", "question_mark", "app.help", "Help", "help for the panel, and all keys"),
    Key("quit", "q", "app.quit", "Quit", "leave"),
    Key("suspend", "ctrl+z", "app.suspend_process", "", "to the shell; `fg` comes back"),
)

NAMES: Final = {
    "space": " ", "slash": "/", "colon": ":", "left_square_bracket": "[", "right_square_bracket": "]", "minus": "-",
    "question_mark": "?", "number_sign": "#", "exclamation_mark": "!", "full_stop": ".", "comma": ",", "plus": "+",
    "underscore": "_", "dollar_sign": "$", "left_parenthesis": "(", "right_parenthesis": ")", "asterisk": "*",
    "equals_sign": "=", "apostrophe": "'", "semicolon": ";", "less_than_sign": "<", "greater_than_sign": ">",
    "quotation_mark": '"', "vertical_line": "|", "ampersand": "&"}
"""Textual's names of characters that are no letters, and the characters."""
KEYS: Final = {character: name for name, character in NAMES.items()}


def bindings(keys: tuple[Key, ...]) -> list[Binding]:
    """As Textual has them."""
    return [Binding(key.key, key.action, key.label or key.about, id=key.id, show=bool(key.label),
                    key_display=NAMES.get(key.key)) for key in keys]


def panel_bindings(panels: list[tuple[str, str, str]]) -> list[Binding]:
    """One for each panel: (ID, key, title)."""
    return [Binding(KEYS.get(key, key), f"panel('{panel}')", title, id=f"panel-{panel}", show=False)
            for panel, key, title in panels]
