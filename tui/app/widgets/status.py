"""The line at the top: which VM, where in time, in which mode, and why it stands."""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.widgets import Static

from ....core.vmm.views.standing import Standing
from ....core.vmm.views.status import StatusView

MARKS: Final = {
    Standing.RUNNING: ("▶ running", "$text-success bold"),
    Standing.PAUSED: ("‖ paused", "$text-warning bold"),
    Standing.ASLEEP: ("z asleep", "$text-secondary bold"),
    Standing.OFF: ("■ off", "$text-muted bold"),
    Standing.CRASHED: ("✖ crashed", "$text-error bold"),
}
"""A sign and a word for each, so that colour says nothing alone."""


def status_line(view: StatusView, is_hiding: bool = False) -> Content:
    """What is read first, first: a narrow terminal cuts off the rest. is_hiding: the user is to guess which exit comes
    next, and is not told here."""
    vm = view.vm
    parts: list[str | tuple[str, str] | Content] = [(vm.name, "bold $text-accent")]
    if len(view.vms) > 1:
        parts.append((f" {view.current + 1}/{len(view.vms)}", "$text-muted"))
    parts += [" ", (vm.technique, "$text-secondary"), "  ", MARKS[vm.standing], "  ", (vm.position, "bold")]
    if vm.is_at_exit and not is_hiding:
        parts.append((f" {vm.why.partition(': ')[2]}", "bold $text-accent"))
    parts += ["  ", vm.mode_text]
    if vm.n_vcpus > 1:
        parts.append(f" vCPU {vm.vcpu}/{vm.n_vcpus}")
    if vm.is_past:
        parts.append((f"  ↶ {vm.behind:,} step{'s' if vm.behind > 1 else ''} back", "$text-warning"))
    if not vm.has_past:
        parts.append(("  no way back", "$text-muted"))
    if vm.standing is Standing.RUNNING:
        parts.append((f"  {vm.mips:.1f} MIPS  {vm.exits_per_second:,.0f} exits/s", "$text-muted"))
    elif vm.why and not vm.is_at_exit:
        parts.append((f"  {vm.why}", "$text-error" if vm.standing is Standing.CRASHED else "$text-muted"))
    return Content.assemble(*parts)


class StatusLine(Static):
    """One line."""

    DEFAULT_CSS = """
    StatusLine {
        height: 1; background: $panel; color: $foreground; padding: 0 1;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._view: StatusView | None = None

    def on_mount(self) -> None:
        """What is hidden is hidden here, too."""
        self.watch(self.app, "predicting", self.repaint, init=False)

    def show(self, view: StatusView) -> None:
        """Paint it."""
        self._view = view
        self.repaint()

    def repaint(self) -> None:
        """Paint it again."""
        if self._view is not None:
            self.update(status_line(self._view, self.app.predicting), layout=False)  # type: ignore[attr-defined]
