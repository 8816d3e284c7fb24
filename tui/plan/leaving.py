"""VMs of a running hypervisor that move to a `hartvisor receive`, while all others run on.

A client asks for it by "migrate", which answers at once, and then looks how it goes by "query-migrate", as with QMP.
One VM leaves at a time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ...core.errors import HartvisorError
from ...core.vmm.control.protocol import BadRequest, Handler, Request
from ...core.vmm.hypervisor.hypervisor import Hypervisor
from ...core.vmm.hypervisor.tenant import Tenant, TenantState
from ...core.vmm.migration.records import Records
from ...core.vmm.migration.rounds import Policy
from ...core.vmm.migration.source import End, Result, Source
from ...core.vmm.migration.wire import SocketLink
from ...core.vmm.recipe import Recipe
from ..links import MIGRATE_PATIENCE, MIGRATE_SCHEME, connect, parse_address, tls_context

NAP: Final = 0.002
"""Seconds of rest where no VM wants to run."""


class Leaving:
    """Moves VMs away. recipe: what a VM is made of, or ConfigError for one that cannot move."""

    def __init__(self, hypervisor: Hypervisor, recipe: Callable[[str], Recipe]) -> None:
        self._hypervisor = hypervisor
        self._recipe = recipe
        self._next: Callable[[Callable[[], bool]], None] | None = None
        self._state: dict[str, Any] = {"state": "none"}

    @property
    def handlers(self) -> dict[str, Handler]:
        """For the control socket."""
        return {"migrate": self._migrate, "query-migrate": self._query}

    @property
    def is_asked(self) -> bool:
        """Whether a VM is to leave."""
        return self._next is not None

    def go(self, run_round: Callable[[], bool]) -> None:
        """Between two rounds: move the VM that is to leave, if any. run_round: a round of all VMs, with what its caller
        does beside; False where none wants to run."""
        move, self._next = self._next, None
        if move is not None:
            move(run_round)

    def _query(self, request: Request) -> dict[str, Any]:
        request.done()
        return self._state

    def _migrate(self, request: Request) -> dict[str, Any]:
        tenant = self._hypervisor.find(request.text("vm"))
        address, records = request.text("to"), Path(request.text("records"))
        policy = Policy(request.number("downtime", 50) / 1000, request.number("rounds", 30, least=1))
        cert, key, ca = (Path(text) if text else None for text in (
            request.text("tls-cert", ""), request.text("tls-key", ""), request.text("tls-ca", "")))
        request.done()
        if tenant.is_over:
            raise BadRequest(f"{tenant.name} is {tenant.state.value}: {tenant.detail}")
        if self._state["state"] == "active":
            raise BadRequest(f"{self._state['vm']} is on its way; one VM leaves at a time")
        recipe, where = self._recipe(tenant.name), parse_address(address, MIGRATE_SCHEME)
        context = tls_context(cert, key, ca, is_server=False)
        link = SocketLink(connect(where, context, MIGRATE_PATIENCE), MIGRATE_PATIENCE)
        migration, peer = secrets.token_hex(6), f"{where[0]}:{where[1]}"
        self._state = {"state": "active", "vm": tenant.name, "migration": migration, "rounds": []}

        def move(run_round: Callable[[], bool]) -> None:
            source = Source(tenant.vm, recipe, link, Records(records), migration, policy=policy, peer=peer,
                            drive=InCompany(self._hypervisor, tenant, run_round),
                            on_round=lambda done: self._state["rounds"].append(vars(done)))
            try:
                result = source.migrate()
            except HartvisorError as error:     # the host's, such as a folder for notes that cannot be written
                result = Result(End.STAYED, str(error))
            finally:
                link.close()
            self._end(tenant, result, peer)

        self._next = move
        return {"migration": migration}

    def _end(self, tenant: Tenant, result: Result, peer: str) -> None:
        if result.end is End.MOVED:
            self._hypervisor.stop(tenant, f"moved to {peer}")
        elif result.end is End.UNDECIDED:
            self._hypervisor.stop(tenant, f"{result.why}; it stands still, saved, until `hartvisor migrate resume "
                                          f"{self._state['migration']}` says whose it is")
        self._state.update(state="done", end=result.end.value, why=result.why, downtime=result.downtime,
                           bytes=result.bytes)


class InCompany:
    """Drives a VM among others: rounds in which all run; and to slow it down, rounds in which it stands still."""

    def __init__(self, hypervisor: Hypervisor, tenant: Tenant, run_round: Callable[[], bool]) -> None:
        self._hypervisor = hypervisor
        self._tenant = tenant
        self._run_round = run_round

    def run_slice(self, throttle: float) -> None:
        """A round, and then rounds without it."""
        began = time.perf_counter()
        if not self._run_round():
            time.sleep(NAP)
        if not throttle or self._tenant.state is not TenantState.RUNNING:
            return
        now = time.perf_counter()
        end = now + (now - began) * throttle / (1 - throttle)
        self._hypervisor.pause(self._tenant)
        try:
            while (left := end - time.perf_counter()) > 0:
                if not self._run_round():
                    time.sleep(min(left, NAP))
        finally:
            self._hypervisor.resume(self._tenant)
