"""The panels: each knows what to look at, and how to paint what was seen."""

from .base import Panel
from .card import CardPanel
from .code import CodePanel
from .devices import DevicesPanel
from .lab import LabPanel
from .memory import MemoryPanel
from .predict import PredictPanel
from .registers import RegistersPanel
from .snapshots import SnapshotsPanel
from .timeline import TimelinePanel
from .vms import VmsPanel
from .walk import WalkPanel

PANELS: tuple[type[Panel], ...] = (
    CardPanel,
    TimelinePanel,
    WalkPanel,
    RegistersPanel,
    CodePanel,
    VmsPanel,
    SnapshotsPanel,
    DevicesPanel,
    MemoryPanel,
    LabPanel,
    PredictPanel,
)
"""All of them, by key."""
