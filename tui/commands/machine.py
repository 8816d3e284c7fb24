"""`hartvisor machine`: the bare machine, without a hypervisor, booting what firmware and kernel it is given."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ...core.devices.console import ConsoleEnd
from ...core.devices.test_finisher import Outcome
from ...core.errors import ConfigError, OptionError
from ...core.isa.extensions import DEFAULT_ISA, format_isa, parse_isa
from ...core.machine.boot import read_boot_files
from ...core.machine.interrupts import DEFAULT_GUESTS, MAX_GUESTS, Aia
from ...core.machine.machine import Machine, Stop
from ...core.machine.tohost import DEFAULT_BUDGET
from ...core.vmm.gdb.target import MachineTarget
from ...core.vmm.timeline import past_of
from ...guest.debian import debian_folder
from ..debugging import GdbOption, parse_gdb, run_debugged
from ..devices import DriveOption, NetdevOption, ShareOption, open_devices
from ..fw_cfg import FwCfgOption, read_fw_cfg
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
from ..options import check_writable, find_image, parse_number, parse_size, write_json
from ..parameters import AppendOption, InitrdOption, JsonOption, MachineIsaOption
from ..session import Guest, run_session, write_all
from ..small_devices import DeviceOption
from .tohost import run_tests

STDOUT, STDERR = 1, 2
DEFAULT_FIRMWARE = "fw_dynamic.bin"


def machine(
    image: Annotated[
        str | None, typer.Argument(metavar="[IMAGE]", help="A kernel by name, such as debian, with all it needs.")
    ] = None,
    bios: Annotated[
        str | None,
        typer.Option("--bios", metavar="FILE", help="Firmware, started in M-mode: ELF or raw; none for none."),
    ] = None,
    kernel: Annotated[
        Path | None,
        typer.Option("--kernel", metavar="FILE", help="What the firmware starts: a Linux Image, an ELF file, or raw."),
    ] = None,
    initrd: InitrdOption = None,
    append: AppendOption = None,
    smp: Annotated[int, typer.Option("--smp", metavar="N", help="Harts, 1 to 8.")] = 1,
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help="RAM.")] = "128M",
    isa: MachineIsaOption = None,
    aia: Annotated[
        Aia, typer.Option("--aia", help="Advanced interrupts instead of the PLIC: an APLIC, or IMSICs besides.")
    ] = Aia.NONE,
    aia_guests: Annotated[
        int, typer.Option("--aia-guests", metavar="N", help="Interrupt files for guests in each IMSIC, 0 to 7.")
    ] = DEFAULT_GUESTS,
    drive: DriveOption = None,
    fw_cfg: FwCfgOption = None,
    netdev: NetdevOption = None,
    share: ShareOption = None,
    device: DeviceOption = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="N", help="Stop after N steps, over all harts (5000000, 5M, 2G).")
    ] = None,
    gdb: GdbOption = None,
    json: JsonOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
    trace: TraceOption = None,
    trace_file: TraceFileOption = None,
    trace_from: TraceFromOption = None,
    trace_to: TraceToOption = None,
    profile: ProfileOption = None,
    profile_every: ProfileEveryOption = DEFAULT_EVERY,
    symbols: SymbolsOption = None,
    tohost: Annotated[
        bool, typer.Option("--tohost", help="The bios is a test: run it until it stores its verdict to `tohost`.")
    ] = False,
    tohost_dir: Annotated[
        Path | None, typer.Option("--tohost-dir", metavar="DIR", help="Run every ELF file in DIR as a test.")
    ] = None,
) -> None:
    """Boot firmware and a kernel on the bare machine, as QEMU's virt would: ctrl-a x quits, ctrl-a h helps.

    A kernel without --bios is started by the OpenSBI that `hartvisor images fetch debian` brings. Piped standard input
    is typed to the guest; once it has ended and the guest is idle, the run ends, unless there is a --budget. Exit
    status 1 if the machine got stuck, the guest's own if it reports a failure.
    """
    check_writable(json)
    observing = parse_observing(trace, trace_file, trace_from, trace_to, profile, profile_every, symbols)
    listen = parse_gdb(gdb) if gdb is not None else None
    if listen is not None and (trace is not None or profile is not None):
        raise OptionError("--gdb: a run under GDB, which goes back and forth, is neither traced nor profiled")
    size = parse_size(memory, "--memory")
    limit = parse_number(budget, "--budget") if budget is not None else None
    extensions = DEFAULT_ISA if isa is None else parse_isa(isa)
    if not 0 <= aia_guests <= MAX_GUESTS:
        raise OptionError(f"--aia-guests {aia_guests}: a hart has 0 to {MAX_GUESTS} interrupt files for guests")
    if tohost_dir is not None and (bios is not None or tohost):
        raise OptionError("--tohost-dir runs all files of a folder; --bios FILE --tohost runs one: give either")
    if tohost_dir is not None or tohost:
        if tohost_dir is None and bios is None:
            raise OptionError("--tohost: give the test with --bios FILE")
        run_tests(Path(bios) if bios else None, tohost_dir, memory, size, limit or DEFAULT_BUDGET, json, extensions)
        return
    bootargs = append or ""
    if image is not None:
        path, info = find_image(image)
        kernel = kernel or path
        if info is not None:
            initrd = initrd or list(info.initrd)
            bootargs = append if append is not None else info.append
    if kernel is None and bios is None:
        raise OptionError("machine: nothing to boot; give --bios FILE, --kernel FILE, or an image such as debian")
    files = read_boot_files(_firmware(bios), kernel, initrd or (), bootargs)
    console = ConsoleEnd(write_all(STDERR if json == "-" else STDOUT))
    with open_devices(drive, netdev, share, device) as devices:
        try:
            built = Machine(size, n_harts=smp, isa=extensions, console=console, devices=devices, aia=aia,
                            aia_guests=aia_guests, fw_cfg=read_fw_cfg(fw_cfg))
        except ConfigError as error:
            raise OptionError(f"--memory {memory} --smp {smp}: {error}") from error
        built.boot(files)
        images = [each for each in (files.kernel, files.bios) if each is not None]
        observed = Observed(observing, built, image or images[0].name, "machine", images)
        running = Guest(built, observed.slices(built, built.run))
        started = time.process_time()
        if listen is not None:
            has_ended = run_debugged(running, MachineTarget(built, past_of(built)), listen, limit)
        else:
            with observed:
                has_ended = run_session(running, limit)
        result = summary(built, running.stop if has_ended else None, time.process_time() - started)
        if running.is_idle:
            result["stop"] = {"reason": "asleep", "detail": IDLE}
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(result)
        observed.report()
    raise typer.Exit(_status(built, running.is_asleep or running.is_idle))


def _firmware(bios: str | None) -> Path | None:
    """The firmware's file: the one named, none, or else Debian's OpenSBI. Raises OptionError where it is not there."""
    if bios == "none":
        return None
    if bios is not None:
        return Path(bios)
    path = debian_folder() / DEFAULT_FIRMWARE
    if not path.is_file():
        raise OptionError("--bios: no firmware given, and Debian's is not there; run: hartvisor images fetch debian")
    return path


def _status(built: Machine, is_asleep: bool) -> int:
    finish = built.finish
    if finish is not None:
        return (finish.code & 0xFF or 1) if finish.outcome is Outcome.FAIL else 0
    return int(is_asleep)


def summary(built: Machine, stop: Stop | None, seconds: float) -> dict[str, Any]:
    """What a run was, as JSON: the same for the same input but for `seconds`. stop: None if the user quit."""
    finish = built.finish
    if stop is None:
        reason, detail = "quit", "ctrl-a x"
    elif finish is not None:
        reason, detail = "power-off", {Outcome.PASS: "pass", Outcome.FAIL: f"fail, code {finish.code}",
                                       Outcome.RESET: "reset"}[finish.outcome]
    else:
        reason, detail = stop.reason.name.lower(), stop.reason.value
    return {
        "memory": built.memory.size,
        "isa": format_isa(built.harts[0].isa),
        "stop": {"reason": reason, "detail": detail},
        "steps": built.steps,
        "instructions": sum(hart.steps - hart.idle_steps - hart.guest_traps for hart in built.harts),
        "harts": [{"steps": hart.steps, "idle_steps": hart.idle_steps, "traps": hart.guest_traps, "walks": hart.walks,
                   "walk_reads": hart.walk_reads, "tlb_misses": hart.tlb_misses} for hart in built.harts],
        "seconds": round(seconds, 3),
    }


def print_summary(result: dict[str, Any]) -> None:
    """One paragraph on standard error."""
    stop = result["stop"]
    traps = sum(hart["traps"] for hart in result["harts"])
    harts = "1 hart" if len(result["harts"]) == 1 else f"{len(result['harts'])} harts"
    console = Console(stderr=True, highlight=False)
    detail = stop["detail"].removeprefix(f"{stop['reason']}: ")
    console.print(f"\n[bold]{stop['reason']}[/bold]: {detail}")
    console.print(f"{harts}: {result['steps']:,} steps, {result['instructions']:,} instructions, {traps:,} traps, "
                  f"{result['seconds']} s of CPU")
