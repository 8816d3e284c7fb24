"""The panels: each knows what to look at, and how to paint what was seen."""

from .base import Panel
from .lab import LabPanel

PANELS: tuple[type[Panel], ...] = (LabPanel,)
"""All of them, by key."""
