"""Numbers as small pictures in text: curves and bars that a screen reader can skip, beside the number they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

STEPS: Final = "▁▂▃▄▅▆▇█"
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def spark(values: Sequence[float], width: int) -> str:
    """The last of the values as a curve `width` cells wide, from zero to their highest; blank where there is none."""
    chosen = values[-width:] if width else ()
    top = max(chosen, default=0.0)
    curve = "".join(" " if value <= 0 else STEPS[min(len(STEPS) - 1, int(value / top * len(STEPS)))]
                    for value in chosen)
    return curve.rjust(width)


def bar(part: float, width: int) -> str:
    """A part of one, 0 to 1, as a bar."""
    cells = max(0.0, min(1.0, part)) * width
    whole = int(cells)
    rest = EIGHTHS[int((cells - whole) * 8)] if whole < width else ""
    return ("█" * whole + rest.strip()).ljust(width)


def count(value: float) -> str:
    """A number in at most five characters: 999, 12.3k, 4.56M."""
    for limit, unit in ((1e3, ""), (1e6, "k"), (1e9, "M"), (1e12, "G")):
        if value < limit * 0.9995:
            scaled = value / (limit / 1e3)
            if not unit:
                return f"{scaled:.0f}"
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{unit}"
    return f"{value:.0e}"


def size_text(n_bytes: float) -> str:
    """Bytes as people read them: 512 B, 4.0 KiB, 21.3 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"
