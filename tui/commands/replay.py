"""`hartvisor replay`: a recorded run, had again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ...core.errors import OptionError
from ...core.isa.registers import ABI
from ...core.vmm.digest import digest
from ...core.vmm.gdb.target import VmTarget
from ...core.vmm.recording import Recording, Replay, read_recording
from ...core.vmm.stop import Stop, StopReason
from ...core.vmm.timeline import past_of
from ...core.vmm.vm import Vm
from ..debugging import GdbOption, Listen, parse_gdb, run_debugged
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
from ..options import check_writable, parse_number, write_json
from ..parameters import JsonOption, TechniqueName
from ..session import Guest, write_all

STDOUT, STDERR = 1, 2
REGISTERS_A_LINE = 3


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording: hartvisor run IMAGE --record FILE.")],
    to: Annotated[str | None, typer.Option("--to", metavar="N", help="Stop after step N, and show the state.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Hold every digest in the recording against the replay's.")
    ] = False,
    technique: Annotated[
        TechniqueName | None, typer.Option("--technique", help="Virtualize the guest otherwise than it was.")
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
) -> None:
    """Have the run in FILE again: same input at the same steps, so the same run, to the last bit.

    The guest's console goes to standard output. Exit status 2, and one line, where the replay is not the recorded run.
    """
    check_writable(json)
    listen = parse_gdb(gdb) if gdb is not None else None
    if listen is not None and (verify or trace is not None or profile is not None):
        raise OptionError("--gdb: a replay under GDB, which goes back and forth, is not verified, traced or profiled")
    observing = parse_observing(trace, trace_file, trace_from, trace_to, profile, profile_every, symbols)
    recording = read_recording(file)
    end = recording.length if to is None else parse_number(to, "--to")
    again = Replay(recording, write_all(STDERR if json == "-" else STDOUT), technique.value if technique else None)
    vm = again.vm
    images = [vm.image] if vm.image is not None else []
    name = vm.config.technique_class.name
    with Observed(observing, vm, recording.header.recipe.name, name, images) as observed:
        again.run_vm = observed.slices(vm, again.run_vm)
        if listen is not None:
            stop = debug(vm, listen, min(end, recording.length))
        else:
            stop = again.run(end, is_verified=verify)
    result = summary(recording, again, stop, str(file))
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(result)
        observed.report()


def debug(vm: Vm, listen: Listen, end: int) -> Stop:
    """The replay as a debugger wishes, no further than to step `end`; how its last run ended. Raises OptionError where
    one cannot listen for GDB."""
    guest = Guest(vm)
    run_debugged(guest, VmTarget(vm, past_of(vm)), listen, end)
    return guest.stop or Stop(StopReason.BUDGET, "it was not run", vm.steps)


def summary(recording: Recording, again: Replay, stop: Stop, file: str) -> dict[str, Any]:
    """What a replay came to, as JSON."""
    vm = again.vm
    return {
        "recording": file,
        "image": recording.header.recipe.name,
        "technique": vm.config.technique,
        "recorded_technique": recording.header.recipe.technique,
        "length": recording.length,
        "is_whole": recording.ending is not None,
        "steps": vm.steps,
        "stop": {"reason": stop.reason.value, "detail": stop.detail},
        "digests_equal": again.checked,
        "digest": digest(vm),
        "vcpus": [
            {"pc": vcpu.hart.pc, "mode": "S" if vcpu.mode else "U", "registers": list(vcpu.hart.read_gprs())}
            for vcpu in vm.vcpus
        ],
    }


def print_summary(result: dict[str, Any]) -> None:
    """Where the replay stands, on standard error."""
    console = Console(stderr=True, highlight=False)
    console.print(f"\n[bold]{result['image']}[/bold] under {result['technique']}, "
                  f"recorded under {result['recorded_technique']}")
    is_at_end = result["steps"] == result["length"]
    where = f"its end: {result['stop']['detail']}" if is_at_end and result["is_whole"] else "of " \
        f"{result['length']:,}" + ("" if result["is_whole"] else ", where the recording was cut off")
    console.print(f"step {result['steps']:,}, {where}; digest {result['digest']}")
    if result["digests_equal"]:
        console.print(f"{result['digests_equal']:,} digests equal to the recorded ones")
    if not is_at_end:
        for index, vcpu in enumerate(result["vcpus"]):
            console.print(f"vCPU {index}: pc {vcpu['pc']:#x}, {vcpu['mode']}-mode")
            pairs = [f"{ABI[i]:>4} {value:#018x}" for i, value in enumerate(vcpu["registers"])]
            for start in range(0, len(pairs), REGISTERS_A_LINE):
                console.print("  ".join(pairs[start : start + REGISTERS_A_LINE]))
