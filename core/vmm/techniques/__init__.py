"""How a vCPU is virtualized: bare (not at all), deprivileged, shadow, two-stage."""

from __future__ import annotations

from .bare import Bare
from .deprivileged import Deprivileged
from .protocol import Technique
from .shadow import Shadow
from .two_stage import TwoStage

TECHNIQUES: dict[str, type[Technique]] = {
    technique.name: technique for technique in (Bare, Deprivileged, Shadow, TwoStage)}
"""The shipped techniques by name, bare first."""

__all__ = ["TECHNIQUES", "Bare", "Deprivileged", "Shadow", "Technique", "TwoStage"]
