"""The panels: each knows what to look at, and how to paint what was seen."""

from .base import Panel
from .lab import LabPanel
from .registers import RegistersPanel

PANELS: tuple[type[Panel], ...] = (LabPanel, RegistersPanel)
"""All of them, by key."""
