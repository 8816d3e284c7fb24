"""`hartvisor compare`: one guest, bare and three ways, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...core.errors import OptionError
from ...core.machine.boot import read_files
from ...core.machine.loader import load_image
from ...core.vmm.compare import CHECKPOINT_STEPS, COMPARED, Comparison
from ...core.vmm.compare import compare as compare_runs
from ..options import check_writable, find_image, make_config, parse_guest_isa, parse_number, write_json
from ..parameters import (
    AppendOption,
    BudgetOption,
    IsaOption,
    JsonOption,
    MemoryOption,
    PolicyName,
    PolicyOption,
    SmpOption,
    TlbName,
    TlbOption,
)

DEFAULT_IMAGE = "kernel"
CompareImage = Annotated[
    str, typer.Argument(metavar="IMAGE", help="A shipped guest's name or a path to an ELF file.", show_default=True)
]
CheckpointOption = Annotated[
    str, typer.Option("--checkpoint", metavar="N", help="Compare the states every N steps.")
]


def compare(
    image: CompareImage = DEFAULT_IMAGE,
    memory: MemoryOption = "128M",
    append: AppendOption = None,
    smp: SmpOption = 1,
    budget: BudgetOption = None,
    checkpoint: CheckpointOption = str(CHECKPOINT_STEPS),
    shadow_policy: PolicyOption = PolicyName.CACHED,
    tlb: TlbOption = TlbName.PRECISE,
    isa: IsaOption = None,
    json: JsonOption = None,
) -> None:
    """Run IMAGE bare and under the three techniques, side by side, and prove that the guest could not tell.

    The guest-visible state (registers, CSRs, memory, devices, clock) must be equal at every checkpoint and at the end.
    A shipped guest runs its workload. Exit status 1 if the states are not equal.
    """
    path, info = find_image(image)
    check_writable(json)
    limit = parse_number(budget, "--budget") if budget is not None else None
    every = parse_number(checkpoint, "--checkpoint")
    if every < 1:
        raise OptionError(f"--checkpoint {checkpoint}: at least 1 step")
    if limit is None and info is not None and not info.powers_off:
        raise OptionError(f"{image} never powers off; say how far to run it, such as --budget 1M")
    bootargs = append if append is not None else (info.workload or info.append) if info is not None else ""
    config = make_config(memory, append=bootargs, policy=shadow_policy.value, tlb=tlb.value,
                         isa=parse_guest_isa(isa, COMPARED), vcpus=smp,
                         initrd=read_files(info.initrd if info is not None else ()))
    loaded = load_image(path)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[steps]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {name: progress.add_task(name, total=None, steps="", start=False) for name in COMPARED}

        def show(technique: str, steps: int) -> None:
            progress.start_task(tasks[technique])
            progress.update(tasks[technique], completed=steps, total=limit, steps=f"{steps / 1e6:.1f} M steps")

        found = compare_runs(loaded, config, budget=limit, checkpoint_steps=every, progress=show)
    result = found.as_json() | {"image": image}
    write_json(json, result)
    if json != "-":
        print_comparison(result, found)
    if not found.equivalent:
        raise typer.Exit(1)


REFLECTED = "reflected "


def print_comparison(result: dict[str, Any], found: Comparison) -> None:
    """The table, and the verdict under it."""
    console = Console(highlight=False)
    runs: dict[str, dict[str, Any]] = result["techniques"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(result["image"], no_wrap=True)
    for name in runs:
        table.add_column(name, justify="right", no_wrap=True)

    def row(title: str, *values: str, style: str = "") -> None:
        table.add_row(title, *values, style=style)

    def counts(title: str, reasons: Sequence[str], style: str = "") -> None:
        """A row of how often the exits happened; a dot where none did."""
        totals = [sum(run["exits"].get(reason, 0) for reason in reasons) for run in runs.values()]
        row(title, *(f"{total:,}" if total else "·" for total in totals), style=style)

    row("steps", *(f"{run['steps']:,}" for run in runs.values()))
    row("instructions", *(f"{run['instructions']:,}" for run in runs.values()))
    row("the guest's own traps", *(f"{run['guest_traps']:,}" for run in runs.values()))
    most = {reason: max(run["exits"].get(reason, 0) for run in runs.values())
            for run in runs.values() for reason in run["exits"]}
    reasons = sorted(most, key=lambda reason: -most[reason])
    reflected = [reason for reason in reasons if reason.startswith(REFLECTED)]
    counts("exits", reasons, style="bold")
    for reason in reasons:
        if reason not in reflected:
            counts("  " + reason, [reason])
    if reflected:
        counts("  reflected into the guest", reflected)
    for reason in reflected:
        counts("    " + reason.removeprefix(REFLECTED), [reason])
    row("TLB misses", *(f"{run['tlb_misses']:,}" for run in runs.values()))
    row("page-table reads per walk",
        *(f"{run['walk_reads'] / run['walks']:.1f}" if run["walks"] else "·" for run in runs.values()))
    row("host seconds (CPU)", *(f"{run['seconds']:.2f}" for run in runs.values()))
    console.print(table)
    console.print()
    if found.equivalent:
        stops = {f"{run.stop.reason.value}: {run.stop.detail}" for run in found.runs.values()}
        console.print(f"[bold]equivalent[/bold]: guest-visible state equal at {result['checkpoints']:,} checkpoints "
                      f"({result['checkpoint_steps']:,} steps apart) and at the end ({'; '.join(stops)})")
        return
    difference = found.difference
    console.print("[bold]NOT equivalent[/bold]")
    if difference is not None:
        one, other = difference.techniques
        console.print(f"{one} and {other} first differ in the step after {difference.step:,}:")
        if difference.vcpus and len(found.runs[one].facts["vcpus"]) > 1:
            console.print(f"  of the vCPUs, in {', '.join(map(str, difference.vcpus))}")
        shown = list(difference.fields.items())
        for field, (mine, theirs) in shown[:20]:
            console.print(f"  {field}: {one} {mine}, {other} {theirs}", highlight=False, markup=False)
        if len(shown) > 20:
            console.print(f"  and {len(shown) - 20} more")
