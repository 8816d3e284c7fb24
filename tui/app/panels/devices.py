"""Panel 8: the VM's devices: interrupts on their way, virtqueues, the serial port, disks and network cards."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.content import Content

from ....core.vmm.views.interrupts import InterruptsView, view_interrupts
from ....core.vmm.views.rings import VirtioView, view_virtio
from ....core.vmm.views.traffic import DisksView, NetworkView, view_disks, view_network
from ....core.vmm.views.uart import UartView, view_uart
from ..collecting import Collector
from ..widgets.lines import LinesView
from .base import Panel
from .device_lines import disk_lines, find, interrupt_lines, network_lines, uart_lines, virtio_lines

INTERRUPTS, VIRTIO, UART, DISKS, NETWORK = range(5)

STEP_COLUMNS: Final = 20
"""What stands before a line of a log."""


class DevicesPanel(Panel):
    """Five lists."""

    ID: ClassVar[str] = "devices"
    KEY: ClassVar[str] = "8"
    TITLE: ClassVar[str] = "Devices"
    TABS: ClassVar[tuple[str, ...]] = ("interrupts", "virtio", "UART", "disks", "network")
    HELP: ClassVar[str] = """
What is shown is read without side effects: no register is loaded, no ring is touched. Logs end where the VM stands; in
the past they are as they were.

**interrupts**: each PLIC source with its line, its priority, and who has enabled it; below, sip and sie of each vCPU,
the hart's hvip where the guest runs in VS-mode, and which interrupt is taken before the next step.

**virtio**: slots with devices; `enter` on one, or a click, draws its queues. `█` are chains that the driver has made
available and the device has not taken, `▒` are taken and not used yet; below, the chains themselves: `R` is for the
device to read, `W` to write.

**UART**, **disks**, **network**: registers, counts, and what last went through, each with its step, the newest first.
`→` is from the guest, `←` to it.

- `/`: find; again, the next
"""

    def __init__(self) -> None:
        super().__init__()
        self._slot = 0
        self._places: list[int | None] = []
        self._sought = ""

    def compose(self) -> ComposeResult:
        """One list for all tabs."""
        yield LinesView()

    @property
    def lines(self) -> LinesView:
        """The list."""
        return self.query_one(LinesView)

    @property
    def _width(self) -> int:
        return max(20, self.content_size.width - 1)

    def fit(self) -> None:
        """Lines are laid out for their width."""
        if self.view is not None:
            self.call_after_refresh(self.show, self.view)

    def watch_tab(self) -> None:
        """Another list, from its top."""
        if self.is_mounted:
            self.lines.set_lines([])
        super().watch_tab()

    def collector(self) -> Collector:
        """By tab."""
        if self.tab == VIRTIO:
            return partial(view_virtio, chosen=self._slot)
        if self.tab == UART:
            return partial(view_uart, longest=max(24, self._width - STEP_COLUMNS - 4))
        return {INTERRUPTS: view_interrupts, DISKS: view_disks}.get(self.tab, view_network)

    def show(self, view: Any) -> None:
        """Paint it; a view of another tab's comes too late."""
        painted = self._paint_view(view)
        if painted is not None:
            self.lines.set_lines(painted)

    def _paint_view(self, view: Any) -> list[Content] | None:
        if isinstance(view, InterruptsView) and self.tab == INTERRUPTS:
            return interrupt_lines(view, self._width)
        if isinstance(view, VirtioView) and self.tab == VIRTIO:
            painted, self._places = virtio_lines(view, self._width)
            return painted
        if isinstance(view, UartView) and self.tab == UART:
            return uart_lines(view, self._width)
        if isinstance(view, DisksView) and self.tab == DISKS:
            return disk_lines(view, self._width)
        if isinstance(view, NetworkView) and self.tab == NETWORK:
            return network_lines(view, self._width)
        return None

    @on(LinesView.Chosen)
    def slot_chosen(self, event: LinesView.Chosen) -> None:
        """Look into its queues."""
        self._look_into(event.index)

    def on_click(self) -> None:
        """The same."""
        self._look_into(self.lines.cursor)

    def _look_into(self, line: int) -> None:
        place = self._places[line] if self.tab == VIRTIO and line < len(self._places) else None
        if place is not None:
            self._slot = place
            self.refresh_view()

    def search(self, text: str) -> None:
        """The next line with the text in it."""
        found = find(self.lines.lines, text, self.lines.cursor) if self.lines.lines else None
        if found is None:
            self.notify(f"{text} is not here", severity="warning", markup=False)
        else:
            self.lines.cursor = found
