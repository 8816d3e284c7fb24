"""`hartvisor migrate` and `hartvisor receive`: a running VM moves to another process."""

from __future__ import annotations

import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.core import TyperGroup

from ...core.errors import ConfigError, OptionError
from ...core.machine.board import CONSOLE
from ...core.vmm.migration.postcopy import PageServer
from ...core.vmm.migration.records import Records
from ...core.vmm.migration.resume import decide, revive
from ...core.vmm.migration.rounds import Policy, Round
from ...core.vmm.migration.simulate import Simulated, simulate
from ...core.vmm.migration.source import End, Result, Source
from ...core.vmm.migration.target import Arrival, Target
from ...core.vmm.migration.wire import Cut, Kind, Link, SocketLink
from ...core.vmm.recipe import Recipe
from ...core.vmm.store import Store
from ...core.vmm.vm import Vm
from ..devices import note_drives
from ..links import MIGRATE_PATIENCE, MIGRATE_SCHEME, connect, listen, parse_address, parse_link, tls_context
from ..options import check_writable, find_image, make_config, parse_number, write_json
from ..parameters import (
    AppendOption,
    BudgetOption,
    JsonOption,
    MemoryOption,
    SmpOption,
    StoreOption,
    TechniqueName,
    TechniqueOption,
    store_path,
)
from ..session import STDIN, Guest, run_session, write_all
from ..terminal import Pipe
from .control import connect as connect_control
from .run import print_summary
from .run import summary as run_summary

STDOUT, STDERR = 1, 2
RETRY = 0.2
"""Seconds between two tries to connect."""

POSTCOPY_SLICE = 200_000
"""Steps between two looks at what a source has pushed."""

CertOption = Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="Our certificate (PEM), for TLS.")]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key.")]
CaOption = Annotated[Path | None, typer.Option("--tls-ca", metavar="FILE", help="Who signs the other side's.")]
RecordsOption = Annotated[
    Path | None, typer.Option("--records", metavar="DIR", help="Where notes are kept; else in the state folder.")
]


class _VmFirst(TyperGroup):
    """What is no command of the group is a VM to migrate."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["vm", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_VmFirst, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]},
    help="Move a running VM to a `hartvisor receive`: hartvisor migrate VM tcp://HOST:PORT.")


def records_of(option: Path | None) -> Records:
    """The folder of notes: the one named, or migrations in Hartvisor's folder in the user's state folder (XDG)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Records(option or Path(state) / "hartvisor" / "migrations")


@app.command("vm")
def migrate(
    vm: Annotated[str, typer.Argument(metavar="VM", help="A guest to start; or the name of a snapshot, with --from.")],
    address: Annotated[str | None, typer.Argument(metavar="tcp://HOST:PORT", help="Where to.")] = None,
    from_snapshot: Annotated[bool, typer.Option("--from", help="VM is a snapshot's name: go on from it.")] = False,
    running: Annotated[
        bool, typer.Option("--running", help="VM is one of a running hypervisor's; `hartvisor ps` lists them.")
    ] = False,
    hypervisor: Annotated[
        str | None, typer.Option("--of", metavar="NAME", help="With --running: which hypervisor, where several run.")
    ] = None,
    at: Annotated[str, typer.Option("--at", metavar="N", help="Let the guest run to step N first.")] = "0",
    downtime: Annotated[float, typer.Option("--downtime", metavar="MS", help="How long it may stand still.")] = 50.0,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Then it pauses, whatever is left.")] = 30,
    postcopy: Annotated[bool, typer.Option("--postcopy", help="Run there first, and let its memory follow.")] = False,
    wait: Annotated[float, typer.Option("--wait", metavar="S", help="Try so long to reach the target.")] = 0.0,
    simulated: Annotated[
        str | None,
        typer.Option("--simulate", metavar="LINK", help="No link, but virtual time: bandwidth=10M,latency=2,loss=0.01"),
    ] = None,
    technique: TechniqueOption = TechniqueName.DEPRIVILEGED,
    memory: MemoryOption = "128M",
    append: AppendOption = None,
    smp: SmpOption = 1,
    drive: Annotated[
        list[str] | None, typer.Option("--drive", metavar="FILE", help="A disk image; what is written moves along.")
    ] = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    records: RecordsOption = None,
    store: StoreOption = None,
    json: JsonOption = None,
) -> None:
    """Move a running VM to a `hartvisor receive`. (Or: hartvisor migrate resume, hartvisor migrate list.)

    Until the last moment the guest goes on here. If the link is cut before the commit it simply stays, and goes on; in
    the commit, it stands still on both sides, saved, until `hartvisor migrate resume` names the owner. Exit status 1 if
    it did not move.
    """
    check_writable(json)
    if (address is None) == (simulated is None):
        raise OptionError("migrate: give the target, tcp://HOST:PORT, or --simulate LINK")
    context = tls_context(cert, key, ca, is_server=False)
    where = parse_address(address, MIGRATE_SCHEME) if address is not None else None
    if running:
        if address is None or from_snapshot or postcopy:
            raise OptionError("--running: the VM goes to a target, as it is, page by page before its state; leave "
                              "--simulate, --from and --postcopy out")
        _move_running(hypervisor, json, vm=vm, to=address, downtime=round(downtime), rounds=rounds,
                      records=str(records_of(records).folder.absolute()),
                      **{f"tls-{name}": str(path.absolute()) if path is not None else ""
                         for name, path in (("cert", cert), ("key", key), ("ca", ca))})
        return
    virtual = parse_link(simulated) if simulated is not None else None
    notes = records_of(records)
    output = write_all(STDERR if json == "-" else STDOUT)
    if from_snapshot:
        subject, recipe = Store(store_path(store), is_made=False).restore(vm, output)
    else:
        recipe = _recipe(vm, technique.value, memory, append, smp, drive)
        subject = recipe.start(output)
    if not os.isatty(STDIN):
        pipe = Pipe(STDIN)
        subject.console.refill = subject.inputs.pulling(CONSOLE, lambda: pipe.read(is_patient=True))
    subject.run(max(0, parse_number(at, "--at") - subject.steps))
    policy = Policy(downtime / 1000, rounds)
    if virtual is not None:
        found = simulate(subject, virtual, policy)
        write_json(json, _simulated_json(found))
        _print_rounds(found.rounds, found.downtime, found.bytes)
        return
    assert where is not None
    link = SocketLink(_find(where, context, wait), MIGRATE_PATIENCE)
    result, source = _move(subject, recipe, link, where, notes, policy, is_postcopy=postcopy)
    write_json(json, _as_json(result))
    _print_rounds(result.rounds, result.downtime, result.bytes)
    if result.end is End.MOVED:
        if postcopy:
            source.serve(subject, where, context)
        return
    console = Console(stderr=True, highlight=False)
    if result.end is End.UNDECIDED:
        console.print(_undecided(result, source.migration))
        raise typer.Exit(1)
    console.print(f"the VM stays: {result.why}")
    run_session(Guest(subject), None)
    raise typer.Exit(1)


def _move_running(hypervisor: str | None, json: str | None, **arguments: Any) -> None:
    """Have a running hypervisor move one of its VMs, and wait for that."""
    with connect_control(hypervisor, None) as client:
        client.ask("migrate", **arguments)
        while (state := client.ask("query-migrate"))["state"] == "active":
            time.sleep(RETRY)
    result = Result(End(state["end"]), state["why"], state["downtime"], [Round(**each) for each in state["rounds"]],
                    state["bytes"])
    write_json(json, _as_json(result))
    _print_rounds(result.rounds, result.downtime, result.bytes)
    if result.end is not End.MOVED:
        Console(stderr=True, highlight=False).print(
            f"the VM stays: {result.why}" if result.end is End.STAYED else _undecided(result, state["migration"]))
        raise typer.Exit(1)


def _undecided(result: Result, migration: str) -> str:
    return (f"{result.why}; the VM stands still here, saved. Say whose it is: hartvisor migrate resume {migration} "
            "--owner source (or target), on both sides")


def _recipe(name: str, technique: str, memory: str, append: str | None, smp: int, drives: list[str] | None) -> Recipe:
    path, info = find_image(name)
    bootargs = append if append is not None else info.append if info is not None else ""
    config = make_config(memory, technique=technique, append=bootargs, vcpus=smp)
    return Recipe.of(name, config, path, info.initrd if info is not None else (), note_drives(drives))


class _Moved:
    """The source's side of a migration that is over. migration: its name. later: the pages that post-copy owes."""

    def __init__(self, migration: str, link: Link, later: list[int]) -> None:
        self.migration = migration
        self._link = link
        self._later = later

    def serve(self, vm: Vm, where: tuple[str, int], context: ssl.SSLContext | None) -> None:
        """Give the target the rest of its memory."""
        console = Console(stderr=True, highlight=False)

        def reconnect() -> Link:
            console.print("the link was cut; the VM waits at the target for the rest of its memory")
            try:
                return SocketLink(_find(where, context, MIGRATE_PATIENCE), None)
            except ConfigError as error:
                raise Cut(str(error)) from None

        server = PageServer(vm, self._later, self._link, self.migration, reconnect)
        try:
            server.serve()
        except Cut as error:
            if not server.left:
                console.print("all of the VM's memory was sent, but the target has not said that it has it")
                return
            raise ConfigError(f"the target was not found again ({error}); unless it has everything by now, the rest of "
                              "the VM's memory is lost") from None


def _find(where: tuple[str, int], context: ssl.SSLContext | None, wait: float) -> socket.socket:
    """Connect, for so many seconds. Raises ConfigError."""
    deadline = time.monotonic() + wait
    while True:
        try:
            return connect(where, context, MIGRATE_PATIENCE)
        except ConfigError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(RETRY)


def _move(vm: Vm, recipe: Recipe, link: SocketLink, where: tuple[str, int], notes: Records, policy: Policy, *,
          is_postcopy: bool) -> tuple[Result, _Moved]:
    migration = secrets.token_hex(6)
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("connecting", total=None, facts="")
        expected = "?"

        def show(number: int, sent: int, of: int) -> None:
            bar.update(task, description=f"round {number}", completed=sent, total=of,
                       facts=f"{sent:,} of {of:,} pages, pause so far {expected}")

        def count(done: Round) -> None:
            nonlocal expected
            expected = f"{done.expected * 1000:.0f} ms"

        source = Source(vm, recipe, link, notes, migration, policy=policy, is_postcopy=is_postcopy,
                        peer=f"{where[0]}:{where[1]}", on_round=count, on_pages=show)
        result = source.migrate()
    if not (is_postcopy and result.end is End.MOVED):
        link.close()
    return result, _Moved(migration, link, source.later)


@app.command("resume")
def resume(
    migration: Annotated[str, typer.Argument(metavar="MIGRATION", help="Its name, as it was printed.")],
    owner: Annotated[str, typer.Option("--owner", metavar="source|target", help="Whose the VM is to be.")],
    force: Annotated[
        bool, typer.Option("--force", help="The target is lost for good: the source may go on all the same.")
    ] = False,
    technique: Annotated[TechniqueName | None, typer.Option("--technique", help="Virtualize it otherwise.")] = None,
    budget: BudgetOption = None,
    records: RecordsOption = None,
    json: JsonOption = None,
) -> None:
    """After a cut during the commit: say on both sides whose the VM is. It goes on there, and is forgotten here."""
    check_writable(json)
    notes = records_of(records)
    owners = decide(notes, migration, owner, is_forced=force)
    if not owners:
        Console(stderr=True, highlight=False).print(f"{migration}: forgotten here; it is the {owner}'s")
        return
    output = write_all(STDERR if json == "-" else STDOUT)
    vm, recipe = revive(notes, migration, owners[0].side, output, technique.value if technique else None)
    _run_here(vm, recipe.name, budget, json)


@app.command("list")
def list_(records: RecordsOption = None, json: JsonOption = None) -> None:
    """List the migrations that are noted here."""
    notes = records_of(records).all()
    if json is not None:
        write_json(json, {"migrations": [
            {"migration": each.migration, "side": each.side, "phase": each.phase.value, "image": each.image,
             "steps": each.steps, "peer": each.peer} for each in notes]})
        return
    table = Table("migration", "side", "phase", "image", "step", "peer", box=None, pad_edge=False, header_style="bold")
    for each in notes:
        table.add_row(each.migration, each.side, each.phase.value, each.image, f"{each.steps:,}", each.peer)
    Console().print(table)


def receive(
    address: Annotated[str, typer.Argument(metavar="[HOST]:PORT", help="Where to listen; without HOST, on loopback.")],
    technique: Annotated[TechniqueName | None, typer.Option("--technique", help="Virtualize the VM otherwise.")] = None,
    budget: BudgetOption = None,
    cert: CertOption = None,
    key: KeyOption = None,
    ca: CaOption = None,
    records: RecordsOption = None,
    json: JsonOption = None,
) -> None:
    """Take in one VM that a `hartvisor migrate` sends, and go on with it, its console on the terminal."""
    check_writable(json)
    context = tls_context(cert, key, ca, is_server=True)
    notes = records_of(records)
    console = Console(stderr=True, highlight=False)
    with listen(parse_address(address)) as listener:
        host, port = listener.getsockname()[:2]
        console.print(f"listening on {host}:{port}")
        link, peer = _accept(listener, context)
        arrival = Target(link, notes, write_all(STDERR if json == "-" else STDOUT),
                         technique.value if technique else None, peer).receive()
        if arrival.end is End.UNDECIDED:
            link.close()
            console.print(f"{arrival.why}; the VM stands still here, saved. Say whose it is: "
                          f"hartvisor migrate resume {arrival.migration} --owner target (or source), on both sides")
            raise typer.Exit(1)
        if arrival.end is End.STAYED:
            link.close()
            raise ConfigError(f"no VM came: {arrival.why}")
        assert arrival.vm is not None
        assert arrival.recipe is not None
        run: Callable[[int], Any] = arrival.vm.run
        if arrival.absent is not None:
            run = _run_absent(arrival, _reaccept(listener, context, arrival.migration, console))
        else:
            link.close()
        _run_here(arrival.vm, arrival.recipe.name, budget, json, run)


def _accept(listener: socket.socket, context: ssl.SSLContext | None) -> tuple[SocketLink, str]:
    """The next that connects and, with TLS, proves who it is; others are turned away."""
    while True:
        connection, peer = listener.accept()
        try:
            if context is not None:
                connection.settimeout(MIGRATE_PATIENCE)
                connection = context.wrap_socket(connection, server_side=True)
            return SocketLink(connection, MIGRATE_PATIENCE), f"{peer[0]}:{peer[1]}"
        except OSError as error:
            connection.close()
            Console(stderr=True, highlight=False).print(f"{peer[0]}:{peer[1]} turned away: {error}")


def _reaccept(listener: socket.socket, context: ssl.SSLContext | None, migration: str,
              console: Console) -> Callable[[], Link]:
    def wait() -> Link:
        console.print("the link was cut; the guest waits for the rest of its memory")
        while True:
            link, _ = _accept(listener, context)
            try:
                if link.receive() == (Kind.AGAIN, migration.encode()):
                    return link
            except (Cut, ConfigError):
                pass
            link.close()

    return wait


def _run_absent(arrival: Arrival, reconnect: Callable[[], Link]) -> Callable[[int], Any]:
    """Runs the guest, and takes in what of its memory comes meanwhile."""
    vm, absent = arrival.vm, arrival.absent
    assert vm is not None
    assert absent is not None
    absent.reconnect = reconnect

    def run(budget: int) -> Any:
        absent.take_in()
        end = vm.steps + budget
        while True:
            stop = vm.run(min(POSTCOPY_SLICE if absent.left else budget, end - vm.steps))
            if stop.is_over or vm.steps >= end:
                return stop
            absent.take_in()

    return run


def _run_here(vm: Vm, name: str, budget: str | None, json: str | None, run: Callable[[int], Any] | None = None) -> None:
    """Go on with a VM that has come, as `hartvisor run` would."""
    limit = vm.steps + parse_number(budget, "--budget") if budget is not None else None
    running = Guest(vm, run)
    started = time.process_time()
    stop = running.stop if run_session(running, limit) else None
    result = run_summary(vm, name, stop, time.process_time() - started)
    write_json(json, result)
    if json != "-":
        print_summary(result)


def _as_json(result: Result) -> dict[str, Any]:
    return {"end": result.end.value, "why": result.why, "downtime_ms": round(result.downtime * 1000, 3),
            "bytes": result.bytes, "left": result.left, "rounds": [_round_json(each) for each in result.rounds]}


def _simulated_json(found: Simulated) -> dict[str, Any]:
    return {"seconds": found.seconds, "downtime_ms": found.downtime * 1000, "bytes": found.bytes,
            "lost_packets": found.lost, "rounds": [_round_json(each) for each in found.rounds]}


def _round_json(each: Round) -> dict[str, Any]:
    return {"number": each.number, "pages": each.pages, "bytes": each.bytes, "seconds": each.seconds,
            "dirty": each.dirty, "throttle": each.throttle, "expected_ms": each.expected * 1000}


def _print_rounds(rounds: list[Round], downtime: float, sent: int) -> None:
    """The rounds as a table, on standard error."""
    console = Console(stderr=True, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("round", "pages", "bytes", "ms", "stored to", "throttle", "pause then"):
        table.add_column(column, justify="right")
    for each in rounds:
        table.add_row(str(each.number), f"{each.pages:,}", f"{each.bytes:,}", f"{each.seconds * 1000:.1f}",
                      f"{each.dirty:,}", f"{each.throttle:.0%}", f"{each.expected * 1000:.1f} ms")
    console.print(table)
    console.print(f"the guest stood still for {downtime * 1000:.1f} ms; {sent:,} bytes were sent")
