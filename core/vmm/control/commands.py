"""What a hypervisor's clients can ask it for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError
from ...isa.paging import PAGE_SIZE
from ...machine.board import CONSOLE
from ..hypervisor.console_log import KEPT, ConsoleLog
from ..hypervisor.hypervisor import Hypervisor
from ..hypervisor.lan import Lan
from ..hypervisor.tenant import Tenant, TenantState
from ..introspection.processes import list_processes
from ..recipe import Recipe
from ..store import Store
from .metrics import collect, expose
from .protocol import Attached, BadRequest, Handler, Request


class Commands:
    """The commands. consoles, networks: by name. recipe: gives that of a VM, for snapshots, or raises ConfigError.
    wants_quit: a client asked the hypervisor to end."""

    def __init__(self, hypervisor: Hypervisor, consoles: Mapping[str, ConsoleLog], networks: Mapping[str, Lan],
                 recipe: Callable[[str], Recipe]) -> None:
        self.wants_quit = False
        self._hypervisor = hypervisor
        self._consoles = consoles
        self._networks = networks
        self._recipe = recipe

    @property
    def handlers(self) -> dict[str, Handler]:
        """By name."""
        return {
            "qmp_capabilities": self._nothing,
            "query-commands": self._commands,
            "query-vms": self._vms,
            "query-machine": self._machine,
            "metrics": self._metrics,
            "stop": self._one(self._stop),
            "pause": self._one(self._hypervisor.pause),
            "resume": self._one(self._hypervisor.resume),
            "balloon": self._balloon,
            "console": self._console,
            "console-read": self._console_read,
            "console-write": self._console_write,
            "guest-ps": self._guest_ps,
            "snapshot": self._snapshot,
            "quit": self._quit,
        }

    def page(self, path: str) -> tuple[int, str]:
        """For HTTP clients."""
        if path == "/metrics":
            return 200, expose(collect(self._hypervisor, self._networks))
        return 404, "there is /metrics\n"

    # --- about the machine

    def _nothing(self, request: Request) -> dict[str, Any]:
        request.done()
        return {}

    def _commands(self, request: Request) -> list[dict[str, str]]:
        request.done()
        return [{"name": name} for name in sorted(self.handlers)]

    def _vms(self, request: Request) -> list[dict[str, Any]]:
        request.done()
        known = {tenant.name for tenant in self._hypervisor.tenants}
        refused = self._hypervisor.refused
        waiting = [name for name in self._consoles if name not in known and name not in refused]
        return [*(self._about(tenant) for tenant in self._hypervisor.tenants),
                *({"name": name, "state": "refused", "detail": why} for name, why in refused.items()
                  if name not in known),
                *({"name": name, "state": "waiting", "detail": "for others to be up"} for name in waiting)]

    def _about(self, tenant: Tenant) -> dict[str, Any]:
        rights = tenant.config.cpu
        is_asleep = tenant.state is TenantState.RUNNING and tenant.ready_at > self._hypervisor.clock
        return {"name": tenant.name, "state": "asleep" if is_asleep else tenant.state.value, "detail": tenant.detail,
                "technique": tenant.vm.config.technique, "vcpus": tenant.vm.config.vcpus,
                "memory": tenant.vm.config.memory, "shares": rights.shares, "reservation": rights.reservation / 10,
                "limit": rights.limit / 10, "steps": tenant.vm.steps, "used": tenant.used,
                "exits": sum(tenant.vm.exits),
                "pages": tenant.usage()._asdict(), "console_bytes": self._consoles[tenant.name].written}

    def _machine(self, request: Request) -> dict[str, Any]:
        request.done()
        machine, memory = self._hypervisor, self._hypervisor.memory
        return {"clock": machine.clock, "idle": machine.idle, "rounds": machine.rounds,
                "memory": memory.pool.total * PAGE_SIZE, "free": memory.free(machine.living) * PAGE_SIZE,
                "pages_shared": memory.sharing.pages_shared, "pages_saved": memory.sharing.pages_saved,
                "networks": {name: lan.switch.addresses for name, lan in self._networks.items()}}

    def _metrics(self, request: Request) -> str:
        request.done()
        return expose(collect(self._hypervisor, self._networks))

    def _quit(self, request: Request) -> dict[str, Any]:
        request.done()
        self.quit()
        return {}

    def quit(self) -> None:
        """The hypervisor is to end before its next round."""
        self.wants_quit = True

    # --- about one VM

    def _find(self, request: Request) -> Tenant:
        return self._hypervisor.find(request.text("vm"))

    def _one(self, work: Callable[[Tenant], None]) -> Handler:
        def handle(request: Request) -> dict[str, Any]:
            tenant = self._find(request)
            request.done()
            if tenant.is_over:
                raise BadRequest(f"{tenant.name} is {tenant.state.value}: {tenant.detail}")
            work(tenant)
            return {"state": tenant.state.value}

        return handle

    def _stop(self, tenant: Tenant) -> None:
        self._hypervisor.stop(tenant)

    def _balloon(self, request: Request) -> dict[str, Any]:
        tenant = self._find(request)
        size = request.number("size")
        request.done()
        balloon = tenant.own_balloon
        if balloon is None or tenant.is_over:
            raise BadRequest(f"{tenant.name} has no balloon; give it one in the plan: balloon = \"0\"")
        if size > tenant.vm.config.memory:
            raise BadRequest(f"{size} bytes: {tenant.name} has {tenant.vm.config.memory}")
        tenant.wanted_balloon = balloon.target = size // PAGE_SIZE
        tenant.look_again(self._hypervisor.clock)
        return {"target": balloon.target * PAGE_SIZE, "actual": len(balloon.pages) * PAGE_SIZE}

    def _console_of(self, request: Request) -> tuple[ConsoleLog, Tenant | None]:
        name = request.text("vm")
        if name not in self._consoles:
            raise ConfigError(f"no VM {name!r}; there are {', '.join(self._consoles)}")
        found = [tenant for tenant in self._hypervisor.tenants if tenant.name == name]
        return self._consoles[name], found[0] if found else None

    def _console_read(self, request: Request) -> dict[str, Any]:
        log, _ = self._console_of(request)
        offset = request.number("offset", 0)
        request.done()
        end, data = log.since(offset)
        return {"offset": end, "text": data.decode(errors="replace")}

    def _console_write(self, request: Request) -> dict[str, Any]:
        tenant = self._find(request)
        text = request.text("text")
        request.done()
        self._type(tenant, text.encode())
        return {}

    def _type(self, tenant: Tenant, data: bytes) -> None:
        if not tenant.is_over:
            tenant.vm.inputs.push(CONSOLE, data)
            tenant.look_again(self._hypervisor.clock)

    def _console(self, request: Request) -> Attached:
        log, tenant = self._console_of(request)
        history = request.number("history", KEPT)
        request.done()
        offset = max(log.written - history, 0)

        def pump() -> bytes:
            nonlocal offset
            offset, data = log.since(offset)
            return data

        def feed(data: bytes) -> None:
            if tenant is not None:
                self._type(tenant, data)

        return Attached({"vm": request.text("vm")}, feed, pump)

    def _snapshot(self, request: Request) -> dict[str, Any]:
        """Keep the VM's state, as it stands between two rounds, in a store in a file of the hypervisor's user."""
        tenant = self._find(request)
        name, note, store = request.text("name"), request.text("note", ""), request.text("store")
        request.done()
        if tenant.is_over:
            raise BadRequest(f"{tenant.name} is {tenant.state.value}: {tenant.detail}")
        info = Store(Path(store)).save(name, tenant.vm, self._recipe(tenant.name), note=note)
        return {"name": info.name, "steps": info.steps, "digest": info.digest}

    def _guest_ps(self, request: Request) -> list[dict[str, Any]]:
        tenant = self._find(request)
        request.done()
        if tenant.is_over:
            raise BadRequest(f"{tenant.name} is {tenant.state.value}: {tenant.detail}")
        return [process._asdict() for process in list_processes(tenant.vm)]
