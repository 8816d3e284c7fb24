"""What the device tests share: an interrupt line that remembers."""

from __future__ import annotations


class Line:
    """An interrupt line: `level` is what it was last driven to, `edges` all it was driven to."""

    def __init__(self) -> None:
        self.level = False
        self.edges: list[bool] = []

    def __call__(self, level: bool) -> None:
        self.level = level
        self.edges.append(level)
