"""Styles of text in lines, by what they say; themes give them their colours. (`$text-muted` is none of them: within a
line of Content its shade of 60% is lost.)"""

from __future__ import annotations

from typing import Final

MUTED: Final = "$foreground-muted"
NAME: Final = "$text-secondary"
BRIGHT: Final = "bold $text-accent"
WARM: Final = "$text-warning"
HOT: Final = "bold $text-warning"
LINK: Final = "$text-primary"
GOOD: Final = "$text-success"
BAD: Final = "bold $text-error"
