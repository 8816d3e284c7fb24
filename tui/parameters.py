"""Arguments and options that several commands take, said once."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

JSON_HELP = "Write the result as JSON; - is standard output."


class TechniqueName(StrEnum):
    """What --technique takes."""

    DEPRIVILEGED = "deprivileged"
    SHADOW = "shadow"
    TWO_STAGE = "two-stage"
    BARE = "bare"


class PolicyName(StrEnum):
    """What --shadow-policy takes."""

    CACHED = "cached"
    FLUSH = "flush"


class TlbName(StrEnum):
    """What --tlb takes."""

    PRECISE = "precise"
    STALE = "stale"


ImageArgument = Annotated[
    str,
    typer.Argument(metavar="IMAGE", help="A shipped guest's name (see `hartvisor images`) or a path to an ELF file."),
]
TechniqueOption = Annotated[
    TechniqueName, typer.Option("--technique", help="How the guest is virtualized; bare: not at all.")
]
MemoryOption = Annotated[str, typer.Option("--memory", metavar="SIZE", help="Guest RAM.")]
AppendOption = Annotated[
    str | None,
    typer.Option("--append", metavar="TEXT", help="The kernel's command line; a shipped guest has its own default."),
]
InitrdOption = Annotated[
    list[Path] | None,
    typer.Option("--initrd", metavar="FILE", help="The kernel's initial ramdisk; of several, each follows the last."),
]
BudgetOption = Annotated[
    str | None, typer.Option("--budget", metavar="N", help="Stop after exactly N steps (5000000, 5M, 2G).")
]
SmpOption = Annotated[int, typer.Option("--smp", metavar="N", help="vCPUs, 1 to 4.")]
PolicyOption = Annotated[
    PolicyName,
    typer.Option(
        "--shadow-policy",
        help="What keeps shadow tables right: write-protected guest tables, or a flush at every fence.",
    ),
]
TlbOption = Annotated[
    TlbName,
    typer.Option(
        "--tlb", help="stale keeps translations as long as the manual allows, to expose missing fences."
    ),
]
JsonOption = Annotated[str | None, typer.Option("--json", metavar="FILE", help=JSON_HELP)]

IsaOption = Annotated[
    str | None,
    typer.Option(metavar="ISA", help="The guest's extensions: an ISA string, a profile, or changes such as -zihpm."),
]
MachineIsaOption = Annotated[
    str | None,
    typer.Option("--isa", metavar="ISA",
                 help="The harts' extensions: an ISA string, a profile, or changes such as -h-sstc."),
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="The store; else one in the user's data folder.")]


def store_path(option: Path | None) -> Path:
    """The store's file: the one named, or snapshots.db in Hartvisor's folder in the user's data folder (XDG)."""
    if option is not None:
        return option
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data) / "hartvisor" / "snapshots.db"
