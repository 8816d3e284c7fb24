"""`hartvisor snapshot`: keep a VM's state under a name, and go on from it, as often and under whatever technique."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from ...core.errors import OptionError
from ...core.machine.board import CONSOLE
from ...core.vmm.recipe import DriveRef, Recipe
from ...core.vmm.snapshot_diff import compare_snapshots
from ...core.vmm.store import Info, Store
from ..options import check_writable, find_image, make_config, parse_guest_isa, parse_number, write_json
from ..parameters import (
    AppendOption,
    BudgetOption,
    InitrdOption,
    IsaOption,
    JsonOption,
    MemoryOption,
    StoreOption,
    TechniqueName,
    TechniqueOption,
    store_path,
)
from ..session import STDIN, write_all
from ..terminal import Pipe
from .control import connect
from .run import print_summary, run_to_end
from .run import summary as run_summary

STDOUT, STDERR = 1, 2
SLICE = 20_000_000
SHOWN_PAGES = 20

app = typer.Typer(
    no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]},
    help="Keep a VM's state under a name, and go on from it, as often and under whatever technique you like.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The snapshot.")]
NoteOption = Annotated[str, typer.Option("--note", metavar="TEXT", help="A note to go with it.")]


@app.command()
def save(
    name: NameArgument,
    image: Annotated[str | None, typer.Argument(metavar="[IMAGE]", help="The guest; or give --from.")] = None,
    at: Annotated[str, typer.Option("--at", metavar="N", help="The step to save at.")] = "0",
    source: Annotated[str | None, typer.Option("--from", metavar="NAME", help="Go on from this snapshot.")] = None,
    technique: TechniqueOption = TechniqueName.DEPRIVILEGED,
    memory: MemoryOption = "128M",
    append: AppendOption = None,
    smp: Annotated[int, typer.Option("--smp", metavar="N", help="vCPUs, 1 to 4.")] = 1,
    initrd: InitrdOption = None,
    drive: Annotated[
        list[Path] | None, typer.Option("--drive", metavar="FILE", help="A disk image; what is written stays here.")
    ] = None,
    isa: IsaOption = None,
    running: Annotated[
        str | None, typer.Option("--vm", metavar="VM", help="A VM of a running hypervisor, as it stands now.")] = None,
    hypervisor: Annotated[
        str | None, typer.Option("--of", metavar="NAME", help="With --vm: which hypervisor, where several run.")
    ] = None,
    note: NoteOption = "",
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Run IMAGE, or go on from another snapshot, to step N, and keep the state there as NAME; or keep that of a VM that
    `hartvisor up` runs (--vm).

    The console goes to standard error, piped standard input is typed to the guest.
    """
    check_writable(json)
    if running is not None:
        with connect(hypervisor, None) as client:
            kept_now = client.ask("snapshot", vm=running, name=name, note=note, store=str(store_path(store).absolute()))
        write_json(json, kept_now)
        return
    end = parse_number(at, "--at")
    kept = Store(store_path(store))
    if source is not None:
        vm, recipe = kept.restore(source, write_all(STDERR))
    elif image is not None:
        path, info = find_image(image)
        ramdisk = initrd or (info.initrd if info is not None else ())
        bootargs = append if append is not None else info.append if info is not None else ""
        config = make_config(memory, technique=technique.value, append=bootargs, vcpus=smp,
                             isa=parse_guest_isa(isa, [technique.value]))
        recipe = Recipe.of(image, config, path, ramdisk, tuple(DriveRef.of(each, False) for each in drive or ()))
        vm = recipe.start(write_all(STDERR))
    else:
        raise OptionError("snapshot save: give an IMAGE to run, or --from a snapshot")
    if end < vm.steps:
        raise OptionError(f"--at {at}: the guest is past it, at step {vm.steps:,}")
    if not os.isatty(STDIN):
        pipe = Pipe(STDIN)
        vm.console.refill = vm.inputs.pulling(CONSOLE, lambda: pipe.read(is_patient=True))
    while vm.steps < end and not vm.is_off:
        before = vm.steps
        vm.run(min(SLICE, end - vm.steps))
        if vm.steps == before:
            break
    saved = kept.save(name, vm, recipe, note=note, parent=source)
    write_json(json, as_json(saved))
    if json != "-":
        Console(stderr=True, highlight=False).print(describe(saved))


@app.command("list")
def list_(store: StoreOption = None, json: JsonOption = None) -> None:
    """List the snapshots, oldest first."""
    infos = open_store(store).list()
    if json is not None:
        write_json(json, {"snapshots": [as_json(info) for info in infos]})
        return
    table = Table("name", "step", "made", "from", "note", box=None, pad_edge=False, header_style="bold")
    for info in infos:
        table.add_row(info.name, f"{info.steps:,}", info.created, info.parent or "", info.note)
    Console().print(table)


@app.command()
def tree(store: StoreOption = None) -> None:
    """Draw which snapshot was reached from which."""
    infos = open_store(store).list()
    root = Tree("start", guide_style="dim")
    drawn: dict[str | None, Tree] = {None: root}
    for info in sorted(infos, key=lambda each: _depth(each, infos)):
        label = f"[bold]{info.name}[/bold]  step {info.steps:,}  {info.note}".rstrip()
        drawn[info.name] = drawn[info.parent].add(label)
    Console(highlight=False).print(root)


def _depth(info: Info, infos: list[Info]) -> int:
    depth, by_name = 0, {each.name: each for each in infos}
    while info.parent is not None:
        info, depth = by_name[info.parent], depth + 1
    return depth


@app.command()
def show(name: NameArgument, store: StoreOption = None, json: JsonOption = None) -> None:
    """Show what a snapshot holds."""
    saved = open_store(store).load(name)
    pages = [len(each) for each in saved.maps]
    facts = as_json(saved.info) | {
        "image": saved.recipe.name, "technique": saved.recipe.technique, "memory": saved.recipe.memory,
        "vcpus": saved.recipe.vcpus, "append": saved.recipe.append, "ram_pages": pages[0], "disk_pages": pages[1:],
        "pc": [vcpu.pc for vcpu in saved.state.vcpus], "power_off": saved.state.power_off}
    if json is not None:
        write_json(json, facts)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for key, value in facts.items():
        shown = ", ".join(f"{vcpu.pc:#x}" for vcpu in saved.state.vcpus) if key == "pc" else str(value)
        table.add_row(key.replace("_", " "), shown)
    Console(highlight=False).print(table)


@app.command()
def restore(
    name: NameArgument,
    technique: Annotated[
        TechniqueName | None, typer.Option("--technique", help="Virtualize the guest otherwise than it was.")
    ] = None,
    budget: BudgetOption = None,
    save_as: Annotated[str | None, typer.Option("--save", metavar="NAME", help="Keep the state at the end.")] = None,
    note: NoteOption = "",
    store: StoreOption = None,
    json: JsonOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary at the end.")] = False,
) -> None:
    """Go on from a snapshot, its console on the terminal, as `hartvisor run` would have."""
    check_writable(json)
    kept = open_store(store)
    output = write_all(STDERR if json == "-" else STDOUT)
    vm, recipe = kept.restore(name, output, technique.value if technique else None)
    limit = vm.steps + parse_number(budget, "--budget") if budget is not None else None
    started = time.process_time()
    stop = run_to_end(vm, limit, vm.run)
    result = run_summary(vm, recipe.name, stop, time.process_time() - started)
    if save_as is not None:
        kept.save(save_as, vm, recipe, note=note, parent=name)
    write_json(json, result)
    if not quiet and json != "-":
        print_summary(result)


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="ONE", help="A snapshot.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Another.")],
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Say what differs: registers, CSRs, devices, and pages, with their symbols. Exit status 1 if anything does."""
    found = compare_snapshots(open_store(store), one, other)
    if json is not None:
        write_json(json, {"fields": found.fields, "pages": [page.as_json() for page in found.pages]})
    if json != "-":
        console = Console(highlight=False)
        table = Table("what", one, other, box=None, pad_edge=False, header_style="bold")
        for field, (mine, theirs) in found.fields.items():
            table.add_row(field, mine, theirs)
        console.print(table)
        for page in found.pages[:SHOWN_PAGES]:
            at = f"{page.address:#x}" + (f" ({page.symbol})" if page.symbol else "")
            print(f"{page.as_json()['page']}: {page.n_bytes} bytes, first at {at}: {page.one:#x} -> {page.other:#x}")
        if len(found.pages) > SHOWN_PAGES:
            console.print(f"and {len(found.pages) - SHOWN_PAGES} pages more; --json has them all")
    if found.fields or found.pages:
        raise typer.Exit(1)


@app.command()
def branch(
    name: NameArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new one's name.")],
    note: NoteOption = "",
    store: StoreOption = None,
) -> None:
    """Give a snapshot's state a second name, to go on from separately."""
    open_store(store).branch(name, new, note)


@app.command()
def delete(name: NameArgument, store: StoreOption = None) -> None:
    """Forget a snapshot; those that were reached from it stay."""
    pages = open_store(store).delete(name)
    Console(stderr=True, highlight=False).print(f"{name} is gone, and {pages:,} pages that no other snapshot has")


@app.command("export")
def export_(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make.")],
    store: StoreOption = None,
) -> None:
    """Write one snapshot to a file of its own."""
    if file.exists():
        raise OptionError(f"{file}: exists already; give the name of a new file")
    kept = open_store(store)
    kept.load(name)
    target = Store(file)
    try:
        kept.copy(name, target)
    except BaseException:
        target.close()
        file.unlink()
        raise
    target.close()


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `snapshot export` made.")],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Another name for it here.")] = None,
    store: StoreOption = None,
) -> None:
    """Take the snapshots of an exported file into the store."""
    source = Store(file, is_made=False)
    infos = source.list()
    if name is not None and len(infos) != 1:
        raise OptionError(f"{file}: holds {len(infos)} snapshots; a name can be given to one only")
    target = Store(store_path(store))
    for info in infos:
        source.copy(info.name, target, name)


@app.command()
def verify(store: StoreOption = None) -> None:
    """Check every byte of the store; exit status 1 and a line for each page or snapshot that is damaged."""
    kept = open_store(store)
    faults = list(kept.verify())
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(1)
    Console(stderr=True, highlight=False).print(f"{len(kept.list())} snapshots, all whole")


def open_store(option: Path | None) -> Store:
    """The store, which must be there."""
    return Store(store_path(option), is_made=False)


def as_json(info: Info) -> dict[str, object]:
    """What the list says, for --json."""
    return {"name": info.name, "note": info.note, "parent": info.parent, "created": info.created,
            "steps": info.steps, "digest": info.digest}


def describe(info: Info) -> str:
    """One line for people."""
    return f"{info.name}: step {info.steps:,}, digest {info.digest}"
