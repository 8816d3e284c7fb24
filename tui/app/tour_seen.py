"""Whether the user has been shown around: a mark in the user's state folder (XDG)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def _mark() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "hartvisor" / "tour-seen"


def has_seen_tour() -> bool:
    """Whether the tour was begun once."""
    return _mark().exists()


def note_tour() -> None:
    """It is begun now. Where nothing can be written it will come again."""
    with suppress(OSError):
        _mark().parent.mkdir(parents=True, exist_ok=True)
        _mark().touch()
