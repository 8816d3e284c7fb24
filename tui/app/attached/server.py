"""In a hypervisor's process: looks at its VMs for terminal UIs elsewhere. They can only look; what they want done they
ask for by the socket's other commands.

Called between rounds by the one thread that may touch VMs. While nobody looks, nothing is observed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from ....core.errors import ConfigError
from ....core.vmm.control.protocol import Handler, Request
from ....core.vmm.gdb.target import GUEST_FAULT, Halt
from ....core.vmm.hypervisor.console_log import ConsoleLog
from ....core.vmm.hypervisor.hypervisor import Hypervisor
from ....core.vmm.hypervisor.tenant import Tenant, TenantState
from ....core.vmm.inspector import Inspection, Inspector
from ..collecting import collect_views
from .wire import pack, unpack

COMMAND: Final = "glass"
PATIENCE: Final = 5.0
"""Seconds without a look, after which nobody looks."""

MOST_EXITS: Final = 2_000_000
"""After so many the log of exits begins anew: about 80 MB."""

HALTS: Final = {TenantState.CRASHED: GUEST_FAULT, TenantState.PAUSED: "PAUSED"}


class GlassServer:
    """Answers COMMAND: arguments current (the VM looked at), wanted (collectors by name, packed).

    consoles: what each VM wrote before anybody looked.
    """

    def __init__(self, hypervisor: Hypervisor, consoles: Mapping[str, ConsoleLog]) -> None:
        self._hypervisor = hypervisor
        self._consoles = consoles
        self._seen: dict[Tenant, Inspector] = {}
        self._counts: dict[Tenant, tuple[int, int, float]] = {}
        self._inspection: Inspection | None = None
        self._last = 0.0

    @property
    def handlers(self) -> dict[str, Handler]:
        """For the control socket."""
        return {COMMAND: self._look}

    def tick(self) -> None:
        """Between two rounds: stop observing when nobody has looked for a while."""
        if self._seen and time.monotonic() - self._last > PATIENCE:
            self.close()

    def close(self) -> None:
        """Nobody looks."""
        for inspector in self._seen.values():
            inspector.close()
        self._seen.clear()
        self._inspection = None

    def _look(self, request: Request) -> dict[str, Any]:
        current, wanted = request.number("current", 0), unpack(request.text("wanted"))
        request.done()
        if not isinstance(wanted, dict):
            raise ConfigError("wanted: collectors by name are needed")
        self._last = time.monotonic()
        inspection = self._present()
        inspection.select(current)
        views, failures = collect_views(inspection, wanted)
        return {"current": inspection.current, "vms": [each.name for each in inspection.inspectors],
                "views": pack(views), "failures": failures}

    def _present(self) -> Inspection:
        """The VMs that there are now, as they are. Raises ConfigError where there is none."""
        living = self._hypervisor.living
        if not living:
            raise ConfigError("all VMs have ended")
        for tenant in [each for each in self._seen if each not in living]:
            self._seen.pop(tenant).close()
        for tenant in living:
            inspector = self._seen.get(tenant)
            if inspector is not None and inspector.log is not None and len(inspector.log) > MOST_EXITS:
                inspector.close()
                inspector = None
            if inspector is None:
                inspector = self._seen[tenant] = Inspector(tenant.name, tenant.vm, has_past=False)
                inspector.output.begin_with(self._consoles[tenant.name].since(0)[1])
        chosen = tuple(self._seen[tenant] for tenant in living)
        if self._inspection is None or self._inspection.inspectors != chosen:
            rates = self._inspection.rates if self._inspection is not None else None
            self._inspection = Inspection(chosen)
            if rates is not None:
                self._inspection.rates = rates
        for tenant in living:
            self._note(tenant, self._seen[tenant], self._inspection)
        return self._inspection

    def _note(self, tenant: Tenant, inspector: Inspector, inspection: Inspection) -> None:
        """How the VM is, and how fast it was since the last look."""
        inspector.is_running = tenant.state is TenantState.RUNNING  # naps included: it goes on by itself
        reason = HALTS.get(tenant.state, "")
        inspector.halt = Halt(reason, inspector.vcpu_index, None, tenant.detail or reason.lower()) if reason else None
        steps, exits, now = tenant.vm.active_steps, sum(tenant.vm.exits), time.monotonic()
        before = self._counts.get(tenant)
        if before is not None:
            inspection.rates.note(inspector, steps - before[0], exits - before[1], now - before[2])
        self._counts[tenant] = steps, exits, now
