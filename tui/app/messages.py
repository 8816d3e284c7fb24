"""What the engine tells the app. All of it is frozen; none of it leads back to a guest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textual.message import Message

from ...core.vmm.gdb.target import Halt


@dataclass
class Frame(Message):
    """What was seen at one moment: a view by each panel's ID, and what could not be looked at, with the reason."""

    views: Mapping[str, Any]
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Rested(Message):
    """A VM came to rest. index: which. halt: why."""

    index: int
    halt: Halt | None


@dataclass
class Told(Message):
    """A line for the user. severity: as Textual's notifications have it."""

    text: str
    severity: str = "information"
