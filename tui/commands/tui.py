"""`hartvisor tui`: the glass hypervisor, on a terminal, in a browser, or in a picture."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import HartvisorError, OptionError
from ...core.machine.symbols import read_symbols_file
from ...core.vmm.control.client import ControlClient
from ...core.vmm.inspector import Inspection
from ...core.vmm.recipe import OUTSIDE, note_cards
from ..devices import DriveOption, NetdevOption, open_devices
from ..observing import SymbolsOption
from ..parameters import (
    AppendOption,
    InitrdOption,
    IsaOption,
    MemoryOption,
    PolicyName,
    PolicyOption,
    SmpOption,
    StoreOption,
    TechniqueName,
    TlbName,
    TlbOption,
    store_path,
)
from ..plan.sockets import socket_folder
from ..plan.spec import read_plan
from ..small_devices import DeviceOption
from .control import SocketOption, connect
from .up import start_detached

DEMO = "kernel"
LOOPBACK = "127.0.0.1"
PICTURE_SIZE = "120x40"


def tui(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE...|RECORDING|SNAPSHOT|FILE.toml]",
                       help="What to look at; several are several VMs. A plan's VMs are brought up for it.")
    ] = None,
    technique: Annotated[
        list[TechniqueName] | None,
        typer.Option("--technique", help="How the guest is virtualized: once for all VMs, or once for each.")
    ] = None,
    memory: MemoryOption = "128M",
    append: AppendOption = None,
    smp: SmpOption = 1,
    initrd: InitrdOption = None,
    drive: DriveOption = None,
    netdev: NetdevOption = None,
    device: DeviceOption = None,
    shadow_policy: PolicyOption = PolicyName.CACHED,
    tlb: TlbOption = TlbName.PRECISE,
    isa: IsaOption = None,
    symbols: SymbolsOption = None,
    store: StoreOption = None,
    theme: Annotated[str | None, typer.Option("--theme", metavar="NAME", help="Such as textual-light.")] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="Your keys: a TOML file of id = \"key\".")
    ] = None,
    attach: Annotated[
        bool, typer.Option("--attach", help="Look at the VMs of a running hypervisor: see --name, --socket.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="With --attach: which one, where several run.")
    ] = None,
    socket: SocketOption = None,
    goto: Annotated[
        int | None, typer.Option("--goto", metavar="STEP", min=0, help="Be at this step of the first VM to begin with.")
    ] = None,
    lab: Annotated[
        Path, typer.Option("--lab", metavar="FOLDER", help="The lab's folder whose checks the lab panel runs.")
    ] = Path(),
    tour: Annotated[
        bool | None, typer.Option("--tour/--no-tour", help="The guided tour; else it comes at the first start.")
    ] = None,
    served: Annotated[
        bool, typer.Option("--serve", help="Show it in a browser, which gets a guest of its own.")
    ] = False,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="With --serve: where to listen.")] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", metavar="PORT", help="With --serve.")] = 8000,
    screenshot: Annotated[
        Path | None, typer.Option("--screenshot", metavar="FILE.svg", help="No terminal: a picture of the screen.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="No terminal: play these lines of keys first.")
    ] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="COLSxROWS", help="The screen of a picture.")
    ] = PICTURE_SIZE,
) -> None:
    """Look into a running VM: why it trapped, how it translates, what it was; forwards and back in time.

    Without a name it is the teaching kernel. The guest stands at its first step: `c` lets it run, `?` has all keys.
    """
    # Textual takes as long to import as all the rest: the other commands do without.
    from ..app.app import HartvisorApp
    from ..app.keymap import read_keymap
    from ..app.opening import Wish, open_all
    from ..app.script import parse_size, play, read_script
    from ..app.serving import serve
    from ..app.tour_seen import has_seen_tour, note_tour

    if served:
        serve(_own_arguments(), host, port)
        return
    lines = read_script(script) if script is not None else []
    cells = parse_size(size, "--size")
    is_picture = script is not None or screenshot is not None
    keymap = read_keymap(keys)
    plans = [each for each in names or () if each.endswith(".toml")]
    if (plans and len(names or ()) > 1) or (attach and names):
        raise OptionError("a plan, or a hypervisor that runs, is looked at alone: leave the other names out")
    if goto is not None and (plans or attach):
        raise OptionError("--goto: the VMs of a running hypervisor are not taken anywhere by one who looks on")
    wish = Wish(
        names=tuple(names or (DEMO,)), techniques=tuple(each.value for each in technique or ()), memory=memory,
        append=append, smp=smp, initrd=tuple(initrd or ()), policy=shadow_policy.value, tlb=tlb.value, isa=isa,
        store=store_path(store), symbols=read_symbols_file(symbols) if symbols is not None else None)
    with ExitStack() as opened:
        vms: Inspection | ControlClient
        if attach or plans:
            is_ours = bool(plans)
            vms = opened.enter_context(plan_brought_up(Path(plans[0]))) if is_ours else connect(name, socket)
        else:
            devices = opened.enter_context(open_devices(drive, netdev, None, device))
            if any(card.peer == OUTSIDE for card in note_cards(devices)):
                raise OptionError("--netdev: a guest under glass, which goes back and forth, has no peers outside; use "
                                  "echo, or `hartvisor up`")
            vms = open_all(wish, devices)
        has_tour = tour if tour is not None else not (is_picture or attach or plans or has_seen_tour())
        app = HartvisorApp(vms, keymap=keymap, has_tour=has_tour, lab_folder=lab, first_step=goto)
        if theme is not None:
            if theme not in app.available_themes:
                raise OptionError(f"--theme {theme}: there are {', '.join(sorted(app.available_themes))}")
            app.theme = theme
        if is_picture:
            asyncio.run(play(app, lines, cells, screenshot))
            return
        if not (sys.stdin.isatty() and sys.stdout.isatty()) and "TEXTUAL_DRIVER" not in os.environ:
            raise OptionError(
                "tui: this is no terminal; --serve shows it in a browser, --screenshot FILE.svg in a picture")
        if has_tour:
            note_tour()
        if "TEXTUAL_DRIVER" not in os.environ:
            follow_terminal()
        app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)


def follow_terminal() -> None:
    """The terminal's own size counts: COLUMNS and LINES, where somebody exported them, would hide every resize from
    Textual."""
    with suppress(OSError):
        if all(os.get_terminal_size(sys.stdout.fileno())):
            os.environ.pop("COLUMNS", None)
            os.environ.pop("LINES", None)


@contextmanager
def plan_brought_up(plan: Path) -> Iterator[ControlClient]:
    """A connection to a hypervisor of our own, with the plan's VMs; both end with it. Raises OptionError."""
    read_plan(plan)     # its mistakes are told before anything is started
    path = socket_folder() / f"{plan.stem}-{os.getpid()}.sock"
    start_detached(plan, plan.stem, path, is_parallel=False)
    client = ControlClient(path)
    try:
        yield client
    finally:
        with suppress(HartvisorError), ControlClient(path) as last:
            last.ask("quit")


def _own_arguments() -> str:
    """This command again, without --serve and what belongs to it, for the shell that serves it."""
    words = iter(sys.argv[1:])
    kept = [sys.executable, "-m", "hartvisor.tui.cli"]
    for word in words:
        if word in ("--host", "--port"):
            next(words, None)
        elif word != "--serve" and not word.startswith(("--host=", "--port=")):
            kept.append(word)
    return shlex.join(kept)
