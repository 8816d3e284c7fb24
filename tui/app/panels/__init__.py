"""The panels: each knows what to look at, and how to paint what was seen."""

from .base import Panel
from .card import CardPanel
from .code import CodePanel
from .lab import LabPanel
from .predict import PredictPanel
from .registers import RegistersPanel
from .snapshots import SnapshotsPanel
from .timeline import TimelinePanel
from .vms import VmsPanel

PANELS: tuple[type[Panel], ...] = (
    CardPanel,
    TimelinePanel,
    RegistersPanel,
    CodePanel,
    VmsPanel,
    SnapshotsPanel,
    LabPanel,
    PredictPanel,
)
"""All of them, by key."""
