"""`hartvisor run`: one guest in one VM, its console on the terminal."""

from __future__ import annotations

import os
import sys
import time
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ...core.errors import ConfigError, OptionError
from ...core.machine.loader import load_image
from ...core.vmm.config import VmConfig
from ...core.vmm.digest import digest
from ...core.vmm.exits import labelled
from ...core.vmm.stop import Stop, StopReason
from ...core.vmm.vm import Vm
from ..options import check_writable, find_image, parse_number, parse_size, write_json
from ..terminal import Keyboard, Pipe, raw_terminal

SLICE = 2_000_000
"""Steps between two looks at the keyboard, a few hundredths of a second at most; cutting a run into slices changes nothing in it."""

TICKS_PER_SECOND = 10_000_000
MAX_NAP = 0.05
"""Seconds that a guest asleep on a terminal makes us sleep at a time."""


class TechniqueName(str, Enum):
    """What --technique takes."""

    DEPRIVILEGED = "deprivileged"
    SHADOW = "shadow"
    TWO_STAGE = "two-stage"
    BARE = "bare"


class PolicyName(str, Enum):
    """What --shadow-policy takes."""

    CACHED = "cached"
    FLUSH = "flush"


class TlbName(str, Enum):
    """What --tlb takes."""

    PRECISE = "precise"
    STALE = "stale"


def run(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A shipped guest's name (see `hartvisor images`) or a path to an ELF file.")],
    technique: Annotated[TechniqueName, typer.Option(help="How the guest is virtualized; bare: not at all.")] = TechniqueName.DEPRIVILEGED,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Guest RAM.")] = "128M",
    append: Annotated[str | None, typer.Option(metavar="TEXT", help="The kernel's command line.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="N", help="Stop after exactly N steps (5000000, 5M, 2G).")] = None,
    shadow_policy: Annotated[PolicyName, typer.Option(help="What keeps shadow tables right: write-protected guest tables, or a flush at every fence.")] = PolicyName.CACHED,
    tlb: Annotated[TlbName, typer.Option(help="stale keeps translations as long as the manual allows, to expose missing fences.")] = TlbName.PRECISE,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the summary as JSON; - is standard output (the console then goes to standard error).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
) -> None:
    """Run IMAGE in a VM with its console on the terminal: ctrl-a x quits, ctrl-a h helps. Piped input is typed to the guest."""
    path, info = find_image(image)
    check_writable(json)
    limit = parse_number(budget, "--budget") if budget is not None else None
    bootargs = append if append is not None else info.append if info is not None else ""
    console = sys.stderr.fileno() if json == "-" else sys.stdout.fileno()
    try:
        config = VmConfig(technique=technique.value, memory=parse_size(memory, "--memory"), append=bootargs,
                          policy=shadow_policy.value, tlb=tlb.value)
    except ConfigError as error:
        raise OptionError(f"--memory {memory}: {error}") from error
    vm = Vm(config, load_image(path), lambda data: _write(console, data))
    started = time.process_time()
    stop = _run_on_terminal(vm, limit) if os.isatty(0) else _run_on_pipe(vm, limit)
    seconds = time.process_time() - started
    result = summary(vm, image, stop, seconds)
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(result)
    if stop is not None and (stop.reason in (StopReason.ASLEEP, StopReason.GUEST_FAULT) or "fail" in stop.detail):
        raise typer.Exit(1)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data):]


def _run_on_pipe(vm: Vm, limit: int | None) -> Stop:
    """Run to the end with piped input; a guest that sleeps for want of input gets some, if there is any left."""
    pipe = Pipe(0)
    vm.console.refill = pipe.read
    while True:
        stop = vm.run(SLICE if limit is None else min(SLICE, limit - vm.steps))
        if stop.reason is StopReason.BUDGET and (limit is None or vm.steps < limit):
            continue
        if stop.reason is StopReason.ASLEEP and vm.console.refill is not None and vm.console.waiting:
            continue
        return stop


def _run_on_terminal(vm: Vm, limit: int | None) -> Stop | None:
    """Run with the user at the keyboard, until the guest ends or ctrl-a x (None)."""
    with raw_terminal(0) as keyboard:
        while True:
            idle = vm.hart.idle_steps
            stop = vm.run(SLICE if limit is None else min(SLICE, limit - vm.steps))
            napped = (vm.hart.idle_steps - idle) / vm.config.steps_per_tick / TICKS_PER_SECOND
            if stop.reason is StopReason.ASLEEP:
                if not _wait_for_key(vm, keyboard):
                    return None
                continue
            if stop.reason is not StopReason.BUDGET or vm.steps == limit:
                return stop
            vm.console.type(keyboard.read(min(napped, MAX_NAP)))
            if keyboard.wants_quit:
                return None


def _wait_for_key(vm: Vm, keyboard: Keyboard) -> bool:
    """The guest sleeps until something is typed; False if that is ctrl-a x."""
    while not keyboard.wants_quit:
        data = keyboard.read(1.0)
        if data:
            vm.console.type(data)
            return True
    return False


def summary(vm: Vm, image: str, stop: Stop | None, seconds: float) -> dict[str, Any]:
    """What a run was, as JSON: the same for the same input but for `seconds`."""
    vcpu = vm.vcpus[0]
    return {
        "image": image,
        "technique": vm.config.technique,
        "memory": vm.config.memory,
        "append": vm.config.append,
        "stop": {"reason": stop.reason.value, "detail": stop.detail} if stop else {"reason": "quit", "detail": "ctrl-a x"},
        "steps": vm.steps,
        "instructions": vm.instructions,
        "idle_steps": vm.hart.idle_steps,
        "guest_traps": vm.hart.guest_traps,
        "exits": labelled(vcpu.exits),
        "walks": vm.hart.walks,
        "walk_reads": vm.hart.walk_reads,
        "tlb_misses": vm.hart.tlb_misses,
        "digest": digest(vm),
        "seconds": round(seconds, 3),
    }


def print_summary(result: dict[str, Any]) -> None:
    """The exit summary, on standard error, so that standard output is the guest's alone."""
    console = Console(stderr=True)
    stop = result["stop"]
    console.print(f"\n[bold]{stop['reason']}[/bold]: {stop['detail']}", highlight=False)
    console.print(f"{result['technique']}: {result['steps']:,} steps, {result['instructions']:,} instructions, "
                  f"{result['guest_traps']:,} traps of the guest's own, {result['seconds']} s of CPU", highlight=False)
    exits = result["exits"]
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("exit")
    table.add_column("count", justify="right")
    for reason, count in sorted(exits.items(), key=lambda item: -item[1]):
        table.add_row(reason, f"{count:,}")
    table.add_row("[bold]all[/bold]", f"[bold]{sum(exits.values()):,}[/bold]")
    console.print(table)
