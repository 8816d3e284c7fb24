"""The world outside a plan's VMs: their peers that live in real time, asked between two rounds."""

from __future__ import annotations

import select
from collections.abc import Callable

from ...core.vmm.hypervisor.tenant import Tenant, TenantState
from ..outside import Outside


class Outsides:
    """The peers outside of all VMs. clock: gives the machine's time."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._outsides: list[tuple[Tenant, Outside]] = []

    def connect(self, tenant: Tenant) -> None:
        """A VM is there now, and some of its cards may be wired to the outside."""
        outside = Outside(tenant.vm.network, tenant.vm.inputs)
        if outside.is_live:
            self._outsides.append((tenant, outside))

    @property
    def _going(self) -> list[tuple[Tenant, Outside]]:
        """Those of VMs whose clocks go; one that is paused hears what was sent to it when it goes on."""
        return [(tenant, outside) for tenant, outside in self._outsides if tenant.state is TenantState.RUNNING]

    @property
    def is_live(self) -> bool:
        """Whether any may yet send."""
        return any(outside.is_live for _, outside in self._going)

    def wait(self, timeout: float, descriptor: int) -> None:
        """Until a peer has sent something, `descriptor` can be read, or `timeout` seconds are over; what was sent is
        handed over."""
        reading, writing = [descriptor], []
        for _, outside in self._going:
            to_read, to_write = outside.waits_on()
            reading += to_read
            writing += to_write
        select.select(reading, writing, [], timeout)
        for tenant, outside in self._going:
            if outside.bring():
                tenant.look_again(self._clock())
