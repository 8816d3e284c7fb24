"""`hartvisor run`: one guest in one VM, its console on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ...core.errors import OptionError
from ...core.machine.boot import read_files
from ...core.machine.loader import load_image
from ...core.vmm.digest import digest
from ...core.vmm.exits import labelled
from ...core.vmm.gdb.target import VmTarget
from ...core.vmm.recipe import Recipe, note_cards
from ...core.vmm.recording import DIGEST_EVERY, Recorder
from ...core.vmm.stop import Stop, StopReason
from ...core.vmm.store import Store
from ...core.vmm.timeline import past_of
from ...core.vmm.vm import Vm
from ..debugging import GdbOption, Listen, parse_gdb, run_debugged
from ..devices import DriveOption, NetdevOption, ShareOption, note_drives, open_devices
from ..idle import IDLE
from ..observing import (
    DEFAULT_EVERY,
    Observed,
    ProfileEveryOption,
    ProfileOption,
    SymbolsOption,
    TraceFileOption,
    TraceFromOption,
    TraceOption,
    TraceToOption,
    parse_observing,
)
from ..options import check_writable, find_image, make_config, parse_guest_isa, parse_number, write_json
from ..parameters import (
    AppendOption,
    BudgetOption,
    ImageArgument,
    InitrdOption,
    IsaOption,
    JsonOption,
    MemoryOption,
    PolicyName,
    PolicyOption,
    SmpOption,
    StoreOption,
    TechniqueName,
    TechniqueOption,
    TlbName,
    TlbOption,
    store_path,
)
from ..session import Guest, run_session, write_all
from ..small_devices import DeviceOption

STDOUT, STDERR = 1, 2


def run(
    image: ImageArgument,
    technique: TechniqueOption = TechniqueName.DEPRIVILEGED,
    memory: MemoryOption = "128M",
    append: AppendOption = None,
    smp: SmpOption = 1,
    initrd: InitrdOption = None,
    drive: DriveOption = None,
    netdev: NetdevOption = None,
    share: ShareOption = None,
    device: DeviceOption = None,
    budget: BudgetOption = None,
    shadow_policy: PolicyOption = PolicyName.CACHED,
    tlb: TlbOption = TlbName.PRECISE,
    isa: IsaOption = None,
    gdb: GdbOption = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Record the run, for `hartvisor replay`.")
    ] = None,
    digest_every: Annotated[
        str, typer.Option("--digest-every", metavar="N", help="With --record: a digest of the state every N steps.")
    ] = str(DIGEST_EVERY),
    save: Annotated[
        str | None, typer.Option("--save", metavar="NAME", help="Keep the state at the end as a snapshot.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
    trace: TraceOption = None,
    trace_file: TraceFileOption = None,
    trace_from: TraceFromOption = None,
    trace_to: TraceToOption = None,
    profile: ProfileOption = None,
    profile_every: ProfileEveryOption = DEFAULT_EVERY,
    symbols: SymbolsOption = None,
) -> None:
    """Run IMAGE in a VM, its console on the terminal: ctrl-a x quits, ctrl-a h helps.

    Piped standard input is typed to the guest; once it has ended and the guest is idle, the run ends, unless there is a
    --budget. The console goes to standard output (to standard error with --json -), the exit summary to standard error.
    Exit status 1 if the guest got stuck or reported failure.
    """
    path, info = find_image(image)
    check_writable(json)
    observing = parse_observing(trace, trace_file, trace_from, trace_to, profile, profile_every, symbols)
    listen = parse_gdb(gdb) if gdb is not None else None
    if listen is not None and (record is not None or trace is not None or profile is not None):
        raise OptionError("--gdb: a run under GDB, which goes back and forth, is not recorded, traced or profiled")
    limit = parse_number(budget, "--budget") if budget is not None else None
    bootargs = append if append is not None else info.append if info is not None else ""
    ramdisk = initrd or (info.initrd if info is not None else ())
    console = STDERR if json == "-" else STDOUT
    config = make_config(
        memory, technique=technique.value, append=bootargs, policy=shadow_policy.value, tlb=tlb.value,
        isa=parse_guest_isa(isa, [technique.value]), vcpus=smp, initrd=read_files(ramdisk),
    )
    is_kept = record is not None or save is not None
    if is_kept and share:
        raise OptionError("--share: what is in a folder of the host's can be neither recorded nor saved; use --drive")
    if is_kept and device:
        raise OptionError("--device: such devices are neither recorded nor saved; leave --record and --save out")
    loaded = load_image(path)
    with open_devices(None if is_kept else drive, netdev, share, device) as devices:
        started = time.process_time()
        if is_kept:
            recipe = Recipe.of(image, config, path, ramdisk, note_drives(drive), note_cards(devices))
            vm = recipe.start(write_all(console), devices)
            every = parse_number(digest_every, "--digest-every")
        else:
            recipe = None
            vm = Vm(config, loaded, write_all(console), devices)
        observed = Observed(observing, vm, image, technique.value, [loaded])
        with observed:
            if recipe is not None and record is not None:
                stop = run_recorded(vm, recipe, record, every, limit, observed)
            elif listen is not None:
                stop = run_under_gdb(vm, listen, limit)
            else:
                stop = run_to_end(vm, limit, observed.slices(vm, vm.run))
        if recipe is not None and save is not None:
            Store(store_path(store)).save(save, vm, recipe)
        result = summary(vm, image, stop, time.process_time() - started)
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(result)
        observed.report()
    if stop is not None and (stop.reason in (StopReason.ASLEEP, StopReason.GUEST_FAULT) or "fail" in stop.detail):
        raise typer.Exit(1)


def run_to_end(vm: Vm, limit: int | None, run: Callable[[int], Stop]) -> Stop | None:
    """A session; its end, None if the user quit. run: what to run the VM with."""
    running = Guest(vm, run)
    if not run_session(running, limit) or running.stop is None:
        return None
    return running.stop._replace(reason=StopReason.ASLEEP, detail=IDLE) if running.is_idle else running.stop


def run_under_gdb(vm: Vm, listen: Listen, limit: int | None) -> Stop | None:
    """As run_to_end, as a debugger wishes. Raises OptionError where one cannot listen for it."""
    running = Guest(vm)
    return running.stop if run_debugged(running, VmTarget(vm, past_of(vm)), listen, limit) else None


def run_recorded(
    vm: Vm, recipe: Recipe, file: Path, every: int, limit: int | None, observed: Observed
) -> Stop | None:
    """As run_to_end, into a recording. Raises ConfigError where the file cannot be written."""
    recorder = Recorder(vm, recipe, file, every)
    try:
        stop = run_to_end(vm, limit, observed.slices(vm, recorder.run))
        recorder.close(stop)
    except BaseException:
        recorder.cut_off()
        raise
    return stop


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
