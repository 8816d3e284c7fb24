"""Panel 0: the lab that a student works on, its checks, and where each failed."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.content import Content

from ....core.vmm.inspector import Inspection
from ..engine import Collector
from ..widgets.lines import LinesView
from .base import Panel


def collect(inspection: Inspection) -> None:
    """Nothing of a VM's: checks run elsewhere."""


class LabPanel(Panel):
    """Checks, a line each."""

    ID: ClassVar[str] = "lab"
    KEY: ClassVar[str] = "0"
    TITLE: ClassVar[str] = "Lab"
    HELP: ClassVar[str] = "The lab's checks."

    def compose(self) -> ComposeResult:
        """A list."""
        yield LinesView()

    def collector(self) -> Collector:
        """Nothing of a VM's."""
        return collect

    def show(self, view: Any) -> None:
        """Paint it."""
        self.query_one(LinesView).set_lines([Content("no lab is open")])
