"""A VM's console: what its guest had written to it by the step where the VM stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .standing import Standing, stand

if TYPE_CHECKING:
    from ..inspector import Inspection

TAIL: Final = 24 << 10
"""Bytes that a view has, of the last written: some hundred lines."""


@dataclass(frozen=True)
class ConsoleView:
    """vm: its name. index: which VM. data: the last that was written. end: how many bytes were written in all.

    step, is_past: where the VM stands; what it wrote later is not here. can_type: keys can be given to it.
    """

    vm: str
    index: int
    data: bytes
    end: int
    step: int
    is_past: bool
    standing: Standing
    can_type: bool

    @property
    def start(self) -> int:
        """How many bytes were written before `data`."""
        return self.end - len(self.data)


def view_console(inspection: Inspection) -> ConsoleView:
    """The console of the VM looked at."""
    inspector = inspection.inspector
    data, end = inspector.output.tail(inspector.step, TAIL)
    return ConsoleView(inspector.name, inspection.current, data, end, inspector.step, inspector.is_past,
                       stand(inspector)[0], not inspector.vm.inputs.is_closed)
