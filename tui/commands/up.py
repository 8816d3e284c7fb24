"""`hartvisor up`: the VMs that a file declares, on one machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from ...core.errors import ConfigError, OptionError
from ...core.vmm.control.client import ControlClient
from ...core.vmm.control.commands import Commands
from ...core.vmm.control.protocol import Handler
from ...core.vmm.control.server import ControlServer, SocketTaken
from ...core.vmm.hypervisor.runner import OneThread, Threads
from ...core.vmm.hypervisor.tenant import TenantState
from ..app.attached.server import GlassServer
from ..options import check_writable, parse_number, write_json
from ..parameters import BudgetOption, JsonOption
from ..plan.build import Assembly
from ..plan.leaving import Leaving
from ..plan.sockets import socket_folder
from ..plan.spec import read_plan
from .control import WIDTH, SocketOption

SLICE = 5_000_000
"""Steps of the machine's between two looks outside, at most."""

STEPS_A_SECOND = 100_000_000
"""Of a guest's time, with the usual ten steps a tick."""

LOOK = 0.5
"""Seconds between two looks where all VMs sleep for good."""

MOST_ALIKE = 100
"""Runs of one plan at a time."""

POLL = 0.1
"""Seconds between two looks whether a hypervisor in the background answers."""

FOREVER = 1 << 63

FAILURES = (TenantState.CRASHED, TenantState.FAILED)


def up(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The plan: machine, networks, VMs.")],
    budget: BudgetOption = None,
    parallel: Annotated[
        bool, typer.Option("--parallel", help="A thread for each VM; the result is the same.")] = False,
    json: JsonOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No consoles, and no summary at the end.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until `hartvisor down`; guests sleep as long as they believe they do.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="As --wait, in the background: return when the first VMs run.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The hypervisor's, if not its file's.")] = None,
    socket: SocketOption = None,
) -> None:
    """Bring up the VMs that FILE.toml declares, and run them to their ends.

    Their consoles are shown line by line, each line behind its VM's name. Meanwhile `hartvisor ps`, `console` and
    others command it. Exit status 1 if a VM was refused, or ended badly.
    """
    plan = read_plan(file)
    check_writable(json)
    limit = parse_number(budget, "--budget") if budget is not None else None
    chosen = name or file.stem
    path = socket or socket_folder() / f"{chosen}.sock"
    if detach:
        if json is not None or limit is not None:
            raise OptionError("--detach: a hypervisor in the background has no end to report; leave --json and "
                              "--budget out")
        count = start_detached(file, chosen, path, parallel)
        print(f"{chosen}: {count} VMs; `hartvisor ps` lists them, `hartvisor down` ends them")
        return
    assembly = Assembly(plan, Threads() if parallel else OneThread(), _complain)
    commands = Commands(assembly.hypervisor, assembly.consoles, assembly.lans.networks, assembly.recipe)
    glass = GlassServer(assembly.hypervisor, assembly.consoles)
    leaving = Leaving(assembly.hypervisor, assembly.recipe)
    handlers = {**commands.handlers, **glass.handlers, **leaving.handlers}
    server = listen(commands, handlers, chosen, path, is_fixed=wait or name is not None or socket is not None)
    shown = sys.stderr if json == "-" else sys.stdout
    lines = [] if quiet else [Lines(name, shown.write) for name in assembly.consoles]
    for line in lines:
        assembly.consoles[line.name].listener = line.write
    signal.signal(signal.SIGTERM, lambda *_: commands.quit())
    try:
        Session(assembly, server, commands, lines, wait, glass, leaving).run(limit)
        result = assembly.result()
    finally:
        server.close()
        assembly.close()
        for line in lines:
            line.show(is_end=True)
        shown.flush()
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(assembly, result)
    states = [tenant.state for tenant in assembly.hypervisor.tenants]
    if assembly.hypervisor.refused or any(state in FAILURES for state in states):
        raise typer.Exit(1)


def listen(commands: Commands, handlers: Mapping[str, Handler], name: str, path: Path, is_fixed: bool) -> ControlServer:
    """The control socket at `path`; a run that nobody named, and that ends by itself, may have another beside it, and
    gets a number. Raises ConfigError."""
    for number in range(1, MOST_ALIKE + 1):
        chosen = name if number == 1 else f"{name}-{number}"
        about = {"version": version("hartvisor"), "name": chosen, "pid": os.getpid()}
        try:
            return ControlServer(path.with_stem(chosen) if number > 1 else path,
                                 handlers, {"hartvisor": about}, commands.page)
        except SocketTaken:
            if is_fixed or number == MOST_ALIKE:
                raise
    raise AssertionError("unreachable")


def start_detached(file: Path, name: str, path: Path, is_parallel: bool) -> int:
    """Start this command again, in a session of its own; when it answers, how many VMs it has. Raises OptionError for
    what it says instead."""
    command = [sys.executable, "-m", __package__.rpartition(".")[0] + ".cli", "up", str(file), "--wait", "--quiet",
               "--name", name, "--socket", str(path), *(["--parallel"] if is_parallel else [])]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                 start_new_session=True)
        while child.poll() is None:
            with suppress(ConfigError), ControlClient(path) as client:
                if client.about.get("pid") == child.pid:
                    return len(client.ask("query-vms"))
            time.sleep(POLL)
        errors.seek(0)
        said = errors.read().decode(errors="replace").removeprefix("hartvisor: ").strip()
    raise OptionError(said or f"{file}: it ended at once")


class Session:
    """A hypervisor's run in the foreground: its rounds, and between them its clients. stays: until a client ends it;
    then the guests' sleep takes as long as they believe, so that the host has rest. So it is, too, while a VM is on the
    host's networks, whose hosts live in real time."""

    def __init__(self, assembly: Assembly, server: ControlServer, commands: Commands, lines: list[Lines],
                 stays: bool, glass: GlassServer, leaving: Leaving) -> None:
        self._glass = glass
        self._leaving = leaving
        self._hypervisor = assembly.hypervisor
        self._outsides = assembly.outsides
        self._server = server
        self._commands = commands
        self._lines = lines
        self._stays = stays

    def run(self, limit: int | None) -> None:
        """Round by round, to the budget's end, until nobody will wake any more, or as long as it stays."""
        end = limit if limit is not None else FOREVER
        while self._hypervisor.clock < end and not self._commands.wants_quit:
            if not self._round(end) and not self._is_awaited and not self._leaving.is_asked:
                return
            self._leaving.go(lambda: self._round(end, is_leaving=True))

    @property
    def _is_awaited(self) -> bool:
        """Whether something may come from outside while all VMs sleep."""
        return self._stays or self._outsides.is_live

    def _round(self, end: int, *, is_leaving: bool = False) -> bool:
        """A round, and then the clients. False where no VM wants to run. is_leaving: a VM is on its way, and its pages
        do not wait for guests that sleep."""
        hypervisor = self._hypervisor
        self._glass.tick()
        idle = hypervisor.idle
        is_alive = hypervisor.run_round(min(end, hypervisor.clock + SLICE))
        for line in self._lines:
            line.show()
        slept = (hypervisor.idle - idle) / STEPS_A_SECOND if is_alive else LOOK
        patience = slept if self._is_awaited and not is_leaving else 0.0
        if self._outsides.is_live:
            self._outsides.wait(patience, self._server.fileno())
            patience = 0.0
        self._server.poll(patience)
        return is_alive


class Lines:
    """A console's output in whole lines, each behind the VM's name. show: what writes them."""

    def __init__(self, name: str, show: Callable[[str], object]) -> None:
        self.name = name
        self._show = show
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        """The guest writes; in a round, when nothing is shown, so that lines of several VMs come in one order."""
        self._waiting += data

    def show(self, is_end: bool = False) -> None:
        """Between two rounds: the lines that are whole, at the end the rest too."""
        *whole, rest = self._waiting.split(b"\n")
        if is_end and rest:
            whole, rest = [*whole, rest], bytearray()
        self._waiting = bytearray(rest)
        for line in whole:
            self._show(f"{self.name}| {line.decode(errors='replace').rstrip()}\n")


def _complain(line: str) -> None:
    print(f"hartvisor: {line}", file=sys.stderr, flush=True)


def print_summary(assembly: Assembly, result: dict[str, object]) -> None:
    """A line a VM, on standard error."""
    table = RichTable(box=None, pad_edge=False)
    for name in ("VM", "state", "steps", "used", "share", "memory, own + shared", "swapped", "why"):
        table.add_column(name, justify="left" if name in ("VM", "state", "why") else "right")
    total = sum(tenant.used for tenant in assembly.hypervisor.tenants) or 1
    for started in assembly.started:
        tenant = started.tenant
        if tenant is None:
            table.add_row(started.spec.name, "refused", *[""] * 5, started.refusal or "")
            continue
        pages = tenant.usage()
        table.add_row(tenant.name, tenant.state.value, f"{tenant.vm.steps:,}", f"{tenant.used:,}",
                      f"{100 * tenant.used / total:.1f} %", f"{pages.own / 256:.1f} + {pages.shared / 256:.1f} MiB",
                      f"{pages.swapped / 256:.1f} MiB", tenant.detail)
    for name in assembly.pending:
        table.add_row(name, "waiting", *[""] * 5, "for those of lesser order to be up")
    Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else WIDTH).print(table)
