"""`hartvisor bench`: how fast it is, beside QEMU; what exits cost; what many VMs cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...core.errors import OptionError
from ..bench.exits import KINDS, measure_exits
from ..bench.measure import measure
from ..bench.peers import FIRST, Peer
from ..bench.peers import peers as find_peers
from ..bench.scale import COUNTS, SIZES, measure_memory, measure_parallel, measure_vms
from ..bench.workloads import TARGETS, WORKLOADS
from ..options import check_writable, write_json
from ..parameters import JsonOption

SHORTER = 20


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[WORKLOAD]...", help="Which workloads; all if none is named.")
    ] = None,
    peer: Annotated[
        str | None, typer.Option("--peer", metavar="NAME", help=f"Run the same images on this one too: {FIRST}.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", metavar="N", help="Runs of each; their median counts.")] = 3,
    exits: Annotated[bool, typer.Option("--exits", help="Measure what an exit costs instead.")] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="Measure many VMs, large memories and --parallel instead.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"{SHORTER} times less of everything, to see that it works.")
    ] = False,
    json: JsonOption = None,
) -> None:
    """Measure the hart on bare-metal workloads, each checking its own result.

    Seconds are of user CPU time, of the whole process, start-up included, here and on the peer alike; nothing is
    subtracted. Runs alternate. A ratio above 1 says that the peer needs more time than we do.
    """
    check_writable(json)
    if runs < 1:
        raise OptionError(f"--runs {runs}: at least one")
    known = [workload.name for workload in WORKLOADS]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise OptionError(f"no workload is named {unknown[0]!r}; there are {', '.join(known)}")
    result: dict[str, Any] = {}
    if exits or scale:
        if exits:
            result["exits"] = _exits(runs, quick)
        if scale:
            result["scale"] = _scale(quick)
    else:
        result["workloads"] = _workloads(names or known, find_peers(peer) if peer is not None else [], runs, quick)
    write_json(json, result)
    if json != "-":
        print_result(result)


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _workloads(names: list[str], peers: list[Peer], runs: int, quick: bool) -> list[dict[str, Any]]:
    chosen = [workload.shortened(SHORTER if quick else 1) for workload in WORKLOADS if workload.name in names]
    with _progress() as progress:
        task = progress.add_task("", total=len(chosen) * runs * (1 + len(peers)), completed=-1)
        return measure(chosen, peers, runs, lambda what: progress.update(task, description=what, advance=1))


def _exits(runs: int, quick: bool) -> list[dict[str, Any]]:
    with _progress() as progress:
        task = progress.add_task("", total=len(KINDS), completed=-1)
        return measure_exits(50_000 // (SHORTER if quick else 1), runs,
                             lambda what: progress.update(task, description=what, advance=1))


def _scale(quick: bool) -> dict[str, Any]:
    counts, sizes = (COUNTS[:2], SIZES[:2]) if quick else (COUNTS, SIZES)
    with _progress() as progress:
        task = progress.add_task("", total=len(counts) + len(sizes) + 1, completed=-1)

        def show(what: str) -> None:
            progress.update(task, description=what, advance=1)

        return {"vms": measure_vms(counts, show), "memory": measure_memory(sizes, show),
                "parallel": measure_parallel(show, 2_000_000 if quick else 300_000_000)}


def print_result(result: dict[str, Any]) -> None:
    """The tables."""
    console = Console(highlight=False)
    if "workloads" in result:
        print_workloads(console, result["workloads"])
    if "exits" in result:
        print_rows(console, result["exits"])
    for rows in result.get("scale", {}).values():
        print_rows(console, rows)
        console.print()


def print_workloads(console: Console, rows: list[dict[str, Any]]) -> None:
    """A line a workload."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))   # all of it in 80 columns
    table.add_column("workload", no_wrap=True)
    peers = list(rows[0].get("peers", {}))
    for title in ("million", "seconds", "MIPS", "misses ‰", *peers, *(["ratio", "aim"] if peers else [])):
        table.add_column(title.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in rows:
        cells = [f"{row['instructions'] / 1e6:,.1f}", f"{row['seconds']:.3f}", f"{row['mips']:.1f}",
                 f"{row['misses_per_thousand']:.2f}"]
        if peers:
            cells += [f"{row['peers'][name]['seconds']:.3f}" for name in peers]
            aim = TARGETS.get(row["name"])
            cells += [f"{row['ratio']:.2f}", f"{aim:.2f}" if aim is not None else "·"]
        table.add_row(row["name"], *cells)
    console.print(table)


def print_rows(console: Console, rows: list[dict[str, Any]]) -> None:
    """Rows of equal keys, as they are."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in rows[0]:
        table.add_column(key.replace("_", " "), justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int | float) else str(value) for value in row.values()))
    console.print(table)
