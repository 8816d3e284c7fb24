"""`hartvisor run`: one guest in one VM, its console on the terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ...core.machine.loader import load_image, read_file
from ...core.vmm.digest import digest
from ...core.vmm.exits import labelled
from ...core.vmm.stop import Stop, StopReason
from ...core.vmm.vm import Vm
from ..devices import DriveOption, NetdevOption, ShareOption, open_devices
from ..options import check_writable, find_image, make_config, parse_guest_isa, parse_number, write_json
from ..parameters import (
    AppendOption,
    BudgetOption,
    ImageArgument,
    IsaOption,
    JsonOption,
    MemoryOption,
    PolicyName,
    PolicyOption,
    SmpOption,
    TechniqueName,
    TechniqueOption,
    TlbName,
    TlbOption,
)
from ..session import Guest, run_session, write_all

STDOUT, STDERR = 1, 2


def run(
    image: ImageArgument,
    technique: TechniqueOption = TechniqueName.DEPRIVILEGED,
    memory: MemoryOption = "128M",
    append: AppendOption = None,
    smp: SmpOption = 1,
    initrd: Annotated[
        Path | None, typer.Option("--initrd", metavar="FILE", help="The kernel's initial ramdisk.")
    ] = None,
    drive: DriveOption = None,
    netdev: NetdevOption = None,
    share: ShareOption = None,
    budget: BudgetOption = None,
    shadow_policy: PolicyOption = PolicyName.CACHED,
    tlb: TlbOption = TlbName.PRECISE,
    isa: IsaOption = None,
    json: JsonOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
) -> None:
    """Run IMAGE in a VM, its console on the terminal: ctrl-a x quits, ctrl-a h helps.

    Piped standard input is typed to the guest. The console goes to standard output (to standard error with --json -),
    the exit summary to standard error. Exit status 1 if the guest got stuck or reported failure.
    """
    path, info = find_image(image)
    check_writable(json)
    limit = parse_number(budget, "--budget") if budget is not None else None
    bootargs = append if append is not None else info.append if info is not None else ""
    ramdisk = initrd or (info.initrd if info is not None else None)
    console = STDERR if json == "-" else STDOUT
    config = make_config(
        memory, technique=technique.value, append=bootargs, policy=shadow_policy.value, tlb=tlb.value,
        isa=parse_guest_isa(isa, [technique.value]), vcpus=smp, initrd=read_file(ramdisk) if ramdisk else b"",
    )
    loaded = load_image(path)
    with open_devices(drive, netdev, share) as devices:
        vm = Vm(config, loaded, write_all(console), devices)
        running = Guest(vm)
        started = time.process_time()
        stop = running.stop if run_session(running, limit) else None
        result = summary(vm, image, stop, time.process_time() - started)
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(result)
    if stop is not None and (stop.reason in (StopReason.ASLEEP, StopReason.GUEST_FAULT) or "fail" in stop.detail):
        raise typer.Exit(1)


def summary(vm: Vm, image: str, stop: Stop | None, seconds: float) -> dict[str, Any]:
    """What a run was, as JSON: the same for the same input but for `seconds`."""
    reason, detail = (stop.reason.value, stop.detail) if stop else ("quit", "ctrl-a x")
    return {
        "image": image,
        "technique": vm.config.technique,
        "memory": vm.config.memory,
        "append": vm.config.append,
        "stop": {"reason": reason, "detail": detail},
        "steps": vm.steps,
        "instructions": vm.instructions,
        "idle_steps": sum(hart.idle_steps for hart in vm.harts),
        "guest_traps": sum(hart.guest_traps for hart in vm.harts),
        "exits": labelled(vm.exits),
        "walks": sum(hart.walks for hart in vm.harts),
        "walk_reads": sum(hart.walk_reads for hart in vm.harts),
        "tlb_misses": sum(hart.tlb_misses for hart in vm.harts),
        "digest": digest(vm),
        "seconds": round(seconds, 3),
    }


def print_summary(result: dict[str, Any]) -> None:
    """The exit summary, on standard error, so that standard output is the guest's alone."""
    console = Console(stderr=True, highlight=False)
    stop = result["stop"]
    detail = stop["detail"].removeprefix(f"{stop['reason']}: ")
    console.print(f"\n[bold]{stop['reason']}[/bold]: {detail}")
    console.print(
        f"{result['technique']}: {result['steps']:,} steps, {result['instructions']:,} instructions, "
        f"{result['guest_traps']:,} traps of the guest's own, {result['seconds']} s of CPU"
    )
    exits = result["exits"]
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("exit")
    table.add_column("count", justify="right")
    for reason, count in sorted(exits.items(), key=lambda item: -item[1]):
        table.add_row(reason, f"{count:,}")
    table.add_row("[bold]all[/bold]", f"[bold]{sum(exits.values()):,}[/bold]")
    console.print(table)
