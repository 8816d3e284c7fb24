"""`hartvisor ps`, `stop`, `pause`, `resume`, `balloon`, `console`, `top`, `down`, `metrics`, `guest ps`: what one asks
of a running hypervisor, through its socket."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ...core.vmm.control.client import ControlClient
from ..options import parse_size, write_json
from ..parameters import JsonOption
from ..plan.sockets import find_socket
from ..terminal import raw_terminal

STDIN, STDOUT = 0, 1
WIDTH = 140
"""Columns of tables where there is no terminal to fit them to."""

MIB = 1 << 20
PAGE = 4096

NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="Which hypervisor, where several run: its plan's name.")]
SocketOption = Annotated[Path | None, typer.Option("--socket", metavar="PATH", help="Its socket.")]
VmArgument = Annotated[str, typer.Argument(metavar="VM", help="The VM's name.")]


def connect(name: str | None, path: Path | None) -> ControlClient:
    """To the hypervisor that the options mean. Raises HartvisorError."""
    return ControlClient(find_socket(name, path))


def ps(name: NameOption = None, socket: SocketOption = None, json: JsonOption = None) -> None:
    """List the VMs of a running hypervisor."""
    with connect(name, socket) as client:
        vms = client.ask("query-vms")
    write_json(json, {"vms": vms})
    if json != "-":
        wide_console().print(vm_table(vms, {}))


def wide_console() -> Console:
    """Standard output; where it is no terminal, wide enough for a row a VM."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def vm_table(vms: list[dict[str, Any]], rates: dict[str, tuple[float, float]]) -> Table:
    """A row a VM. rates: share of the machine's time (percent) and exits a second, where they are known."""
    table = Table(box=None, pad_edge=False)
    columns = ["VM", "state", "technique", "shares", "used", "own", "shared", "swapped", "balloon"]
    for title in columns + (["cpu", "exits/s"] if rates else []) + ["detail"]:
        table.add_column(title, justify="left" if title in ("VM", "state", "technique", "detail") else "right")
    for vm in vms:
        if "pages" not in vm:
            table.add_row(vm["name"], vm["state"], *[""] * (len(table.columns) - 3), vm["detail"])
            continue
        pages = [f"{vm['pages'][key] * PAGE / MIB:.1f}M" for key in ("own", "shared", "swapped", "ballooned")]
        share, exits = rates.get(vm["name"], (0.0, 0.0))
        table.add_row(vm["name"], vm["state"], vm["technique"], str(vm["shares"]), f"{vm['used']:,}", *pages,
                      *([f"{share:.1f}%", f"{exits:,.0f}"] if rates else []), vm["detail"])
    return table


def top(
    name: NameOption = None, socket: SocketOption = None,
    seconds: Annotated[float, typer.Option("--interval", "-d", metavar="SECONDS", min=0.1, help="Between two looks.")
                       ] = 1.0,
    times: Annotated[int | None, typer.Option("--times", "-n", metavar="N", min=1, help="Leave after N looks.")] = None,
) -> None:
    """Watch the VMs of a running hypervisor: shares of the machine, exits a second, memory."""
    with connect(name, socket) as client, Live(auto_refresh=False) as live:
        before = client.ask("query-vms"), client.ask("query-machine"), time.monotonic()
        looks = 0
        while times is None or looks < times:
            time.sleep(seconds)
            now = client.ask("query-vms"), client.ask("query-machine"), time.monotonic()
            live.update(vm_table(now[0], rates_between(before, now)), refresh=True)
            before = now
            looks += 1


Look = tuple[list[dict[str, Any]], dict[str, Any], float]
"""The VMs, the machine, and when."""


def rates_between(before: Look, now: Look) -> dict[str, tuple[float, float]]:
    """By VM: percent of the machine's time, and exits a second of the host's."""
    passed = max(now[1]["clock"] - before[1]["clock"], 1)
    seconds = max(now[2] - before[2], 1e-6)
    old = {vm["name"]: vm for vm in before[0] if "used" in vm}
    return {vm["name"]: (100 * (vm["used"] - old[vm["name"]]["used"]) / passed,
                         (vm["exits"] - old[vm["name"]]["exits"]) / seconds)
            for vm in now[0] if vm["name"] in old}


def _order(command: str, doc: str) -> Callable[..., None]:
    def order(vm: VmArgument, name: NameOption = None, socket: SocketOption = None) -> None:
        with connect(name, socket) as client:
            client.ask(command, vm=vm)

    order.__doc__ = doc
    return order


stop = _order("stop", "End a VM, as if its power were cut; its memory is the machine's again.")
pause = _order("pause", "Let a VM stand still, its clock too.")
resume = _order("resume", "Let a paused VM go on.")


def balloon(
    vm: VmArgument, size: Annotated[str, typer.Argument(metavar="SIZE", help="How much the guest is to give: 16M.")],
    name: NameOption = None, socket: SocketOption = None,
) -> None:
    """Ask a VM's guest for memory, by its balloon, or give it back."""
    with connect(name, socket) as client:
        client.ask("balloon", vm=vm, size=parse_size(size, "SIZE"))


def down(name: NameOption = None, socket: SocketOption = None) -> None:
    """End a running hypervisor, with all its VMs."""
    with connect(name, socket) as client:
        client.ask("quit")


def metrics(name: NameOption = None, socket: SocketOption = None) -> None:
    """Print what is counted, in Prometheus' text format. Scrapers can GET /metrics from the socket."""
    with connect(name, socket) as client:
        sys.stdout.write(client.ask("metrics"))


def console(vm: VmArgument, name: NameOption = None, socket: SocketOption = None) -> None:
    """A VM's console, on the terminal: what it wrote last, and from here on; ctrl-a x leaves it. Without a terminal,
    standard input is typed, and the last output printed."""
    with connect(name, socket) as client:
        if not os.isatty(STDIN):
            typed = sys.stdin.buffer.read().decode(errors="replace")
            if typed:
                client.ask("console-write", vm=vm, text=typed)
            sys.stdout.write(client.ask("console-read", vm=vm)["text"])
            return
        client.ask("console", vm=vm)
        os.write(STDOUT, client.take_rest())
        _attach(client)


def _attach(client: ControlClient) -> None:
    client.socket.setblocking(False)
    with raw_terminal(STDIN) as keyboard:
        while not keyboard.wants_quit:
            ready, _, _ = select.select([STDIN, client.socket.fileno()], [], [], 1.0)
            if client.socket.fileno() in ready:
                data = client.socket.recv(1 << 16)
                if not data:
                    return
                os.write(STDOUT, data)
            if STDIN in ready:
                typed = keyboard.read(0.0)
                if typed:
                    client.socket.sendall(typed)


guest = typer.Typer(help="Look into a guest from outside, by its kernel's own symbols.", no_args_is_help=True)


@guest.command("ps")
def guest_ps(vm: VmArgument, name: NameOption = None, socket: SocketOption = None, json: JsonOption = None) -> None:
    """List a guest's processes, by reading its memory: of the teaching kernel, or of Linux."""
    with connect(name, socket) as client:
        found = client.ask("guest-ps", vm=vm)
    write_json(json, {"processes": found})
    if json == "-":
        return
    table = Table(box=None, pad_edge=False)
    for title in ("pid", "parent", "state", "name"):
        table.add_column(title, justify="right" if title in ("pid", "parent") else "left")
    for process in found:
        label = f"[{process['name']}]" if process["is_kernel"] else process["name"]
        table.add_row(str(process["pid"]), str(process["parent"]), process["state"], label.replace("[", r"\["))
    wide_console().print(table)
